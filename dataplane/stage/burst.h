// SPDX-License-Identifier: BSD-3-Clause
// The packets between two stages, and what is known of each.
#ifndef GODWIT_DATAPLANE_STAGE_BURST_H_
#define GODWIT_DATAPLANE_STAGE_BURST_H_

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/flow/flow.h"
#include "dataplane/net/packet_view.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/verdict.h"

namespace godwit {

// What the rewrite stage does with a packet.
enum class Action : uint8_t {
  kNone,
  kToQueue,       // new link header; unchanged from the IP header up
  kToUplink,      // the same, the other way: a reply, `vip`, `direct`
  kTranslateOut,  // source -> unicast address and external l4port
  kTranslateIn,   // destination -> the originator's endpoint
  kToKernel,      // towards the TAP as it came, on the right link address
  kFromKernel,    // from the TAP to its uplink, link header kept
};

// Why a packet is with this worker.
enum class Route : uint8_t {
  kReceived,   // from a device; or handed over to be looked up by its owner
  kOriginate,  // handed over: no reply, so its originated owner decides
  kLoop,       // translated, and its destination is a service of this node
  kLoopReply,  // a service's answer to a flow of this node
  kTransmit,   // handed over as a finished frame: the txq is ours
  kHome,       // nobody else has its flow (seek.h)
  kSought,     // shown to a worker that may have its flow
  kBorrow,     // looks for a worker with an l4port left (lend.h)
  kBorrowed,   // to the worker that has its flow, though it does not own it
  kLent,       // back at its owner: PacketTag::since is who has the flow
};

// Between the owner by rule and a worker that lends it an l4port.
inline bool IsBorrowing(Route route) { return route >= Route::kBorrow; }

// What goes with an mbuf that stays longer than its burst (it waits, goes round
// or is handed over): its private area. Written then, and no sooner: it is a
// cache line of its own.
struct PacketTag {
  DeviceId device = kNoDevice;  // received from; kTransmit: sent to
  Route route = Route::kReceived;
  Verdict verdict = Verdict::kUndecided;  // kTransmit: what it counts as
  // Tick it began to wait. kLent: the lender. kSought: its way (seek.cc).
  uint32_t since = 0;
  // Of a fragment: what its first says, once that is known (fragments.h).
  uint16_t source_l4port = 0;
  uint16_t destination_l4port = 0;
  uint16_t fresh_id = 0;
  uint8_t protocol = 0;
  uint8_t first = 0;  // kFirstKnown, kFirstHasL4Ports, kFirstLacksChecksum
};
static_assert(sizeof(PacketTag) == 16, "a private area is a multiple of 8");

inline constexpr uint8_t kFirstKnown = 1;
inline constexpr uint8_t kFirstHasL4Ports = 2;
inline constexpr uint8_t kFirstLacksChecksum = 4;

inline PacketTag& TagOf(rte_mbuf* mbuf) {
  return *static_cast<PacketTag*>(rte_mbuf_to_priv(mbuf));
}

// What a packet begins with, all of it in one store; Rx says the rest.
struct alignas(32) PacketState {
  Verdict verdict = Verdict::kUndecided;
  Action action = Action::kNone;
  Route route = Route::kReceived;
  Side side = Side::kNone;  // of the device it came from
  DeviceId in = kNoDevice;
  DeviceId out = kNoDevice;
  AdjacencyId adjacency = kNoAdjacency;
  QueueId queue = 0;  // it came from, or goes to
  ServiceId service = kNoService;
  bool lookup = false;                 // `key` names a flow, if there is one
  bool source_may_be_service = false;  // egress guard: a reply, or `vip`
  bool tagged = false;                 // the mbuf has its PacketTag
  bool plain = false;     // read by ParsePlain; its device takes no hop
  bool finished = false;  // only to be sent: by ForwardKnown
  uint8_t unused[13] = {};

  // Nobody has looked at it yet, and no stage has anything against it.
  bool IsNew() const {
    uint32_t word;
    std::memcpy(&word, static_cast<const void*>(this), sizeof(word));
    return word == 0;
  }
};
static_assert(sizeof(PacketState) == 32);
static_assert(static_cast<int>(Verdict::kUndecided) == 0 &&
              static_cast<int>(Action::kNone) == 0 &&
              static_cast<int>(Route::kReceived) == 0 &&
              static_cast<int>(Side::kNone) == 0 &&
              offsetof(PacketState, side) == 3);  // of which IsNew reads zeros

struct alignas(64) Meta : PacketState {
  PacketView view;
  FlowKey key;
  uint64_t hash = 0;
  Flow* flow = nullptr;
  uint32_t candidate = 0;  // FlowTable::PrefetchFlow's, of `hash`

  bool undecided() const { return verdict == Verdict::kUndecided; }
};

static_assert(sizeof(Meta) == 128, "two cache lines a packet");

// The tag of a packet that is about to leave its burst.
inline PacketTag& Tag(rte_mbuf* mbuf, Meta& meta) {
  PacketTag& tag = TagOf(mbuf);
  if (!meta.tagged) {
    tag = PacketTag{};
    tag.device = meta.in;
    meta.tagged = true;
  }
  tag.route = meta.route;
  return tag;
}

struct Burst {
  // 32 to 256 measured alike on veth; 64 is where memif levels off.
  static constexpr uint16_t kMax = 64;
  uint16_t count = 0;
  bool all_plain = false;     // Parse: PacketState::plain of all
  bool all_finished = false;  // FindFlow: PacketState::finished of all
  std::array<rte_mbuf*, kMax> mbuf;
  std::array<Meta, kMax> meta;
};

inline uint8_t* FrameOf(rte_mbuf* mbuf) {
  return rte_pktmbuf_mtod(mbuf, uint8_t*);
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_BURST_H_
