// SPDX-License-Identifier: BSD-3-Clause
// How the kernel's side of the network is: plain values, compared and copied
// freely. Filled by KernelWatch, read by intent/compile.
#ifndef GODWIT_CONTROL_WATCH_OBSERVATION_H_
#define GODWIT_CONTROL_WATCH_OBSERVATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/net/address.h"

namespace godwit {

struct LinkEntry {
  int ifindex = 0;
  std::string name{};
  MacAddress mac{};  // zero on links without one
  uint32_t mtu = 0;  // bytes above the link header
  bool up = false;   // by administration
  bool carrier = false;
  friend bool operator==(const LinkEntry&, const LinkEntry&) = default;
};

// An address of an interface. `prefix` has its host bits.
struct LocalAddress {
  int ifindex = 0;
  Prefix prefix{};
  uint8_t protocol = 0;    // IFA_PROTO; 0 where the kernel has none
  bool tentative = false;  // IPv6: not usable until its check is over
  friend bool operator==(const LocalAddress&, const LocalAddress&) = default;
};

// The kernel's NUD_* states (RFC 4861 7.3.2 and what Linux adds).
enum class NeighbourState : uint8_t {
  kNone,
  kIncomplete,
  kReachable,
  kStale,
  kDelay,
  kProbe,
  kFailed,
  kNoArp,
  kPermanent,
};
const char* NeighbourStateName(NeighbourState state);  // "reachable"

struct NeighbourEntry {
  IpAddress address{};
  int ifindex = 0;
  MacAddress mac{};
  NeighbourState state = NeighbourState::kNone;
  bool managed = false;  // the kernel keeps it resolved by itself
  bool silent = false;   // asked several times, it did not answer
  // Whether `mac` may be sent to.
  bool usable() const {
    return state == NeighbourState::kReachable ||
           state == NeighbourState::kStale || state == NeighbourState::kDelay ||
           state == NeighbourState::kProbe || state == NeighbourState::kNoArp ||
           state == NeighbourState::kPermanent;
  }
  friend bool operator==(const NeighbourEntry&,
                         const NeighbourEntry&) = default;
};

struct NextHop {
  // Absent: the destination is on the link. An IPv4 route may have an IPv6
  // gateway (RFC 8950).
  std::optional<IpAddress> gateway{};
  int ifindex = 0;
  uint16_t weight = 1;     // 1-256
  bool dead = false;       // the kernel does not use it
  bool link_down = false;  // no carrier
  friend bool operator==(const NextHop&, const NextHop&) = default;
};

enum class RouteKind : uint8_t {
  kUnicast,
  kLocal,    // this host's own address
  kDiscard,  // blackhole, unreachable, prohibit
};

struct RouteEntry {
  Prefix prefix{};
  RouteKind kind = RouteKind::kUnicast;
  std::vector<NextHop> next_hops{};   // several: multipath; none for kDiscard
  std::optional<IpAddress> source{};  // preferred source
  uint32_t metric = 0;                // lower wins
  uint32_t table = 0;                 // 254 main, 255 local
  uint8_t protocol = 0;               // RTPROT_*, who made it
  friend bool operator==(const RouteEntry&, const RouteEntry&) = default;
};

// One look at everything. Each list is sorted by its identity, so that equal
// worlds compare equal.
struct Observation {
  std::vector<LinkEntry> links{};            // by ifindex
  std::vector<LocalAddress> addresses{};     // by ifindex, prefix
  std::vector<NeighbourEntry> neighbours{};  // by ifindex, address
  std::vector<RouteEntry> routes{};  // by table, prefix, metric; main and local
  friend bool operator==(const Observation&, const Observation&) = default;
};

// Equal but for what moves no packet: which of the usable states a neighbour
// is in. Neighbours flip between those all day.
bool SameForwarding(const Observation& a, const Observation& b);

const LinkEntry* FindLink(const Observation& observation, int ifindex);
const NeighbourEntry* FindNeighbour(const Observation& observation, int ifindex,
                                    const IpAddress& address);
// The route the kernel would take to `destination`, policy rules aside: the
// local table first, then main; the longest prefix, then the lowest metric,
// among routes with a next hop that is not dead. nullptr: none.
const RouteEntry* LookupRoute(const Observation& observation,
                              const IpAddress& destination);

}  // namespace godwit

#endif  // GODWIT_CONTROL_WATCH_OBSERVATION_H_
