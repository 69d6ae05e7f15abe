// SPDX-License-Identifier: BSD-3-Clause
// One flow, one entry, two keys.
//
// An inbound flow (client to service address) is known by what the uplink
// sees and by what its service queue sends: the same tuple, the queue's side
// named in the key. An originated flow is known by what its queue sends and by
// what comes back to the unicast address: there the two differ by the
// translation. A hit on either key decides a packet completely; services,
// routes and l4port pools are only read when an entry is made, or when the
// snapshot's epoch has moved since.
//
// A binding (endpoint-independent mapping only, RFC 4787 REQ-1) is an entry
// of its own without a remote: the flows that go through it are its sessions.
//
// A lent flow is one that another worker has, because it had an l4port left
// when the owner by rule had none (stage/lend.h): the entry says which.
//
// What rests is the l4port of a binding that has ended, until it may serve
// again (RFC 6888 REQ-8): only its uplink key is filed.
#ifndef GODWIT_DATAPLANE_FLOW_FLOW_H_
#define GODWIT_DATAPLANE_FLOW_FLOW_H_

#include <nmmintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/flow/tcp_state.h"
#include "dataplane/net/address.h"
#include "dataplane/net/tuple.h"
#include "dataplane/snapshot/adjacency.h"
#include "dataplane/snapshot/nat_config.h"
#include "dataplane/snapshot/service_table.h"

namespace godwit {

enum class FlowKind : uint8_t {
  kFree,
  kInbound,
  kOriginated,
  kBinding,
  kLent,
  kResting,
};

// The number of a flow in its worker's table.
using FlowNumber = uint32_t;
inline constexpr FlowNumber kNoFlow = 0x7fffffff;

// Flow::to_uplink of a flow whose remote end is a service of this node.
inline constexpr AdjacencyId kLoopAdjacency = UINT16_MAX;

// How an originated flow's source leaves: translated, or as it is.
enum class SourceRule : uint8_t { kTranslated, kAsIs };

// Written by: the worker that owns it, alone; so nothing is atomic.
//
// An entry may outlive its process (flow_region.h). What never changes while
// the flow lives is sealed: `seal` is a checksum of it, written with the entry
// and taken away when the flow ends, so that an entry which was half written,
// or damaged since, is known by it. All else is looked up or computed anew, or
// does no harm whatever it says.
struct alignas(64) Flow {
  // What a lookup compares and a hit reads: the first cache line.
  IpAddress remote;
  IpAddress local;  // as the queue side has it
  uint16_t remote_l4port = 0;
  uint16_t local_l4port = 0;     // as the queue side has it
  uint16_t external_l4port = 0;  // as the uplink side has it
  QueueId queue = 0;
  uint8_t protocol = 0;
  FlowKind kind = FlowKind::kFree;
  TcpState tcp_state{};
  // Originated and translated: to which. As it is: which it has, kNoUnicast of
  // a service's.
  UnicastId unicast = 0;
  uint32_t deadline = 0;      // tick; moved as RFC 4787 REQ-6 says
  uint16_t epoch = 0;         // Snapshot::epoch it was judged under
  uint16_t l4_delta = 0;      // checksum change, queue to uplink side
  AdjacencyId to_uplink = 0;  // 0: not known yet
  AdjacencyId to_queue = 0;   // 0: the queue's device and `far_end` decide
  ServiceId service = 0;
  DeviceId uplink = 0;    // where its uplink side was last seen
  uint16_t l3_delta = 0;  // IPv4 header checksum change, queue to uplink side
  SourceRule source_rule = SourceRule::kTranslated;
  bool answered = false;  // a packet of the other direction was seen

  // What making, listing and ending it needs: the second line.
  uint64_t destination = 0;      // the pool's name for the remote end
  FlowNumber binding = kNoFlow;  // session: its binding
  uint32_t sessions = 0;         // binding: how many use it
  uint32_t created = 0;          // tick
  uint32_t timeout = 0;          // ticks that `deadline` was moved by last
  uint32_t seal = 0;             // SealOf; 0: none
  MacAddress originator{};       // link address that the queue side came from
  uint8_t lender = 0;            // lent: the worker that has it
  uint8_t unused[29] = {};

  bool IsSealed() const { return seal != 0 && seal == SealOf(); }
  // CRC-32C of: both ends, l4ports and queue; protocol, kind, unicast address,
  // service, source rule; whether both ends are in this node, and whether it is
  // a session of a binding; the originator.
  uint32_t SealOf() const {
    uint64_t words[5];
    static_assert(offsetof(Flow, protocol) == sizeof(words));
    std::memcpy(words, &remote, sizeof(words));
    uint64_t sum = ~uint64_t{0};
    for (const uint64_t word : words) sum = _mm_crc32_u64(sum, word);
    const uint64_t facts = (to_uplink == kLoopAdjacency ? 1u : 0u) |
                           (binding != kNoFlow ? 2u : 0u);
    sum = _mm_crc32_u64(sum, uint64_t{protocol} |
                                 static_cast<uint64_t>(kind) << 8 |
                                 uint64_t{unicast} << 16 |
                                 static_cast<uint64_t>(source_rule) << 24 |
                                 uint64_t{service} << 32 | facts << 48);
    uint64_t link = 0;
    std::memcpy(&link, &originator, sizeof(originator));
    const auto seal_value = static_cast<uint32_t>(_mm_crc32_u64(sum, link));
    return seal_value == 0 ? 1 : seal_value;
  }
};
static_assert(sizeof(Flow) == 128, "what a hit reads fills the first line");
static_assert(offsetof(Flow, destination) == 64);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_FLOW_H_
