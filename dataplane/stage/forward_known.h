// SPDX-License-Identifier: BSD-3-Clause
// The end of the way for what nearly all packets are: a plain packet, its flow
// known, its next hop resolved, small enough. One pass over it does what
// MakeFlow (its next hop) and Rewrite do for any packet, and those are left
// out for a burst in which there is no other.
#ifndef GODWIT_DATAPLANE_STAGE_FORWARD_KNOWN_H_
#define GODWIT_DATAPLANE_STAGE_FORWARD_KNOWN_H_

#include <cstring>

#include "dataplane/net/headers.h"
#include "dataplane/net/translate.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/next_hop.h"

namespace godwit {

// What `meta.action` translates: the other end of the packet's way.
inline NewEnd NewEndOf(const Snapshot& snapshot, const Flow& flow, bool out) {
  if (out) {
    return {snapshot.nat->unicast[flow.unicast], flow.external_l4port,
            flow.l3_delta, flow.l4_delta};
  }
  return {flow.local, flow.local_l4port, NegateDelta(flow.l3_delta),
          NegateDelta(flow.l4_delta)};
}

// Finishes a packet that `flow` has decided: it is only to be guarded and sent.
// False, and nothing is changed: it goes the long way.
[[gnu::always_inline]] inline bool ForwardKnown(const Snapshot& snapshot,
                                                const Flow& flow,
                                                rte_mbuf* mbuf, Meta& meta) {
  if (!meta.plain) return false;
  AdjacencyId id = flow.to_uplink;
  DeviceId out = kNoDevice;
  if (meta.verdict == Verdict::kDelivered) {
    const ServiceQueue* queue = snapshot.Queue(meta.queue);
    if (queue == nullptr) return false;
    id = queue->far_end;
    out = queue->device;
  } else if (meta.verdict != Verdict::kSent) {
    return false;
  }
  if (!IsResolved(snapshot, id)) return false;  // a loop's never is
  const Adjacency& next = snapshot.adjacencies[id];
  if (meta.verdict == Verdict::kSent) out = next.device;
  const bool fits = next.header_size == sizeof(EthHeader) && out != kNoDevice &&
                    meta.view.l3_size <= snapshot.devices[out].mtu;
  if (!fits) return false;
  uint8_t* frame = FrameOf(mbuf);
  // The type stays where it is.
  std::memcpy(frame, next.header.data(), 2 * sizeof(MacAddress));
  const bool translates_out = meta.action == Action::kTranslateOut;
  if (translates_out || meta.action == Action::kTranslateIn) {
    const NewEnd end = NewEndOf(snapshot, flow, translates_out);
    const bool is_v4 = meta.view.is_v4;
    TranslateL3(frame + sizeof(EthHeader), is_v4, translates_out, end);
    TranslateL4(frame + meta.view.l4_offset, meta.view.protocol, translates_out,
                end);
  }
  meta.out = out;
  meta.adjacency = id;
  meta.finished = true;
  return true;
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_FORWARD_KNOWN_H_
