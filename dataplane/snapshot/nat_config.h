// SPDX-License-Identifier: BSD-3-Clause
// Whose traffic is translated, to what, with which timeouts.
#ifndef GODWIT_DATAPLANE_SNAPSHOT_NAT_CONFIG_H_
#define GODWIT_DATAPLANE_SNAPSHOT_NAT_CONFIG_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "dataplane/net/address.h"
#include "dataplane/net/headers.h"

namespace godwit {

// A unicast address of the node, by a number that is never given to another
// while the process lives.
using UnicastId = uint8_t;
inline constexpr size_t kMaxUnicast = 64;
inline constexpr UnicastId kNoUnicast = UINT8_MAX;

// What a queue's own outbound traffic may be.
enum class Originate : uint8_t { kUnicast, kVip, kDeny };

// Endpoint-independent: one external l4port per internal endpoint, for all
// destinations (RFC 4787 REQ-1). Per-destination: an l4port serves again
// towards other destinations (docs/rfc-compliance.md, MAP-01).
enum class Mapping : uint8_t { kPerDestination, kEndpointIndependent };

// Which worker gives out which l4port, so that an l4port names its owner on
// the way back. A number for TCP and UDP l4ports, another for ICMP
// identifiers.
//
// A plan that follows another leaves l4ports where they were, and those that
// are given out no longer are still steered to who gave them out: mappings may
// live on them, at a worker that nothing else would find (CFG-05). A worker
// that has few left borrows (stage/lend.h). What is new goes to those who have
// least, in runs of up to 64, so that a part of a range is shared evenly too.
class L4PortPlan {
 public:
  static constexpr uint8_t kNobody = 255;
  static constexpr size_t kRun = 64;  // what L4portBlock knows as one piece
  L4PortPlan() {
    owner_.fill(kNobody);
    steered_.fill(kNobody);
  }
  // Shares `l4ports` (ascending) out over `workers` (1-254), block by block.
  L4PortPlan(const std::vector<uint16_t>& l4ports, unsigned workers)
      : L4PortPlan(l4ports, workers, L4PortPlan()) {}
  // The same, after `before`, which was for as many workers.
  L4PortPlan(const std::vector<uint16_t>& l4ports, unsigned workers,
             const L4PortPlan& before)
      : steered_(before.steered_) {
    owner_.fill(kNobody);
    std::vector<size_t> has(workers, 0);
    size_t rest = l4ports.size();
    for (const uint16_t l4port : l4ports) {
      const uint8_t old = steered_[l4port];
      if (old == kNobody) continue;
      owner_[l4port] = old;
      ++has[old];
      --rest;
    }
    std::vector<size_t> wants = Fill(has, rest);
    const size_t run =
        std::bit_floor(std::clamp<size_t>(rest / (workers * 16), 1, kRun));
    unsigned worker = 0;
    for (const uint16_t l4port : l4ports) {
      if (owner_[l4port] != kNobody) continue;
      if (l4port % run == 0) worker = (worker + 1) % workers;
      while (wants[worker] == 0) worker = (worker + 1) % workers;
      owner_[l4port] = static_cast<uint8_t>(worker);
      --wants[worker];
    }
    for (const uint16_t l4port : l4ports) steered_[l4port] = owner_[l4port];
  }
  bool Contains(uint16_t l4port) const { return owner_[l4port] != kNobody; }
  // The worker that gives `l4port` out, or did; kNobody if none ever has.
  uint8_t Owner(uint16_t l4port) const { return steered_[l4port]; }
  std::vector<uint16_t> BlockOf(unsigned worker) const {
    std::vector<uint16_t> block;
    for (unsigned l4port = 0; l4port < owner_.size(); ++l4port) {
      if (owner_[l4port] == worker) {
        block.push_back(static_cast<uint16_t>(l4port));
      }
    }
    return block;
  }
  friend bool operator==(const L4PortPlan&, const L4PortPlan&) = default;

 private:
  // How much of `rest` each gets so that those who have least have the same,
  // to within one.
  static std::vector<size_t> Fill(const std::vector<size_t>& has, size_t rest) {
    const auto below = [&has](size_t level) {
      size_t room = 0;
      for (const size_t own : has) room += level > own ? level - own : 0;
      return room;
    };
    size_t level = 0;
    while (below(level + 1) <= rest) ++level;
    size_t over = rest - below(level);
    std::vector<size_t> wants;
    for (const size_t own : has) {
      const bool one_more = over != 0 && own <= level;
      if (one_more) --over;
      wants.push_back((level > own ? level - own : 0) + (one_more ? 1 : 0));
    }
    return wants;
  }

  std::array<uint8_t, 65536> owner_;
  std::array<uint8_t, 65536> steered_;
};

// In ticks of 100 ms (timer_wheel.h).
struct FlowTimeouts {
  uint32_t tcp_established = 74400;  // RFC 5382 REQ-5: at least 2 h 4 min
  uint32_t tcp_transitory = 2400;    // RFC 5382 REQ-5: at least 4 min
  uint32_t udp = 3000;               // RFC 4787 REQ-5: 5 min
  uint32_t icmp = 600;               // RFC 5508 REQ-2: at least 60 s
};

struct NatConfig {
  Mapping mapping = Mapping::kPerDestination;
  FlowTimeouts timeouts;
  uint32_t rest = 0;           // ticks, of l4ports of UDP bindings (MAP-14)
  bool mappings_told = false;  // each one, to the control thread (LOG-01)
  // By UnicastId; an unspecified address is no longer in use.
  std::vector<IpAddress> unicast;
  std::vector<Prefix> direct;  // destinations that are never translated
  L4PortPlan l4ports;
  L4PortPlan icmp_ids;
  uint32_t plan_version = 0;  // moves when a plan does

  // What is, or has been since the start: flows were made by it, and may live
  // where nothing of today would look for them (stage/seek.h).
  bool direct_used = false;
  bool per_destination_used = false;
  bool endpoint_independent_used = false;
  bool plan_moved = false;  // l4ports or unicast addresses came or went
  std::vector<IpAddress> former_unicast;

  // Notes the above. `before` is what this one follows, or nullptr; all else
  // is as it will be published.
  void Remember(const NatConfig* before) {
    direct_used = !direct.empty();
    per_destination_used = mapping == Mapping::kPerDestination;
    endpoint_independent_used = mapping == Mapping::kEndpointIndependent;
    if (before == nullptr) return;
    direct_used |= before->direct_used;
    per_destination_used |= before->per_destination_used;
    endpoint_independent_used |= before->endpoint_independent_used;
    plan_moved = before->plan_moved || before->unicast != unicast ||
                 before->l4ports != l4ports || before->icmp_ids != icmp_ids;
    former_unicast.clear();
    for (const auto* list : {&before->former_unicast, &before->unicast}) {
      for (const IpAddress& address : *list) {
        if (address.IsUnspecified() || HasHad(address)) continue;
        former_unicast.push_back(address);
      }
    }
  }
  // Whether a flow may be at another worker than the one of today's rules. An
  // endpoint-independent mapping has an owner, and a reply another.
  bool MayHaveMoved() const { return plan_moved || endpoint_independent_used; }

  // Asked of every packet that leaves. Addresses differ in their last bytes.
  bool IsUnicast(const IpAddress& address) const {
    for (const IpAddress& own : unicast) {
      if (own.low() == address.low() && own.high() == address.high()) {
        return !address.IsUnspecified();
      }
    }
    return false;
  }
  // kNoUnicast if it is none.
  UnicastId IdOf(const IpAddress& address) const {
    const auto at = std::find(unicast.begin(), unicast.end(), address);
    return at == unicast.end() ? kNoUnicast
                               : static_cast<UnicastId>(at - unicast.begin());
  }
  // A unicast address, now or earlier.
  bool HasHad(const IpAddress& address) const {
    return IsUnicast(address) ||
           std::find(former_unicast.begin(), former_unicast.end(), address) !=
               former_unicast.end();
  }
  const L4PortPlan& PlanOf(uint8_t protocol) const {
    return IsIcmp(protocol) ? icmp_ids : l4ports;
  }
  bool IsDirect(const IpAddress& destination) const {
    for (const Prefix& prefix : direct) {
      if (prefix.Contains(destination)) return true;
    }
    return false;
  }
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_SNAPSHOT_NAT_CONFIG_H_
