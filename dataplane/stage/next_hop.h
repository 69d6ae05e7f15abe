// SPDX-License-Identifier: BSD-3-Clause
// Where a decided packet goes next: the device and the link header.
#ifndef GODWIT_DATAPLANE_STAGE_NEXT_HOP_H_
#define GODWIT_DATAPLANE_STAGE_NEXT_HOP_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

struct NextHopChoice {
  DeviceId device = kNoDevice;  // none: there is no route
  AdjacencyId adjacency = kNoAdjacency;
  IpAddress address;  // to ask for, while there is no adjacency
};

// The kernel's route to `destination`; `hash` chooses among several next hops,
// by their weights. Where one dies, what it had goes to the others and nothing
// else moves.
NextHopChoice ChooseNextHop(const Snapshot& snapshot,
                            const IpAddress& destination, uint64_t hash);

// Whether `gateway` is one of several ways to `destination`, and alive. A flow
// stays with it then, also when others come back.
bool IsLiveHop(const Snapshot& snapshot, const IpAddress& destination,
               AdjacencyId gateway);

inline bool IsResolved(const Snapshot& snapshot, AdjacencyId id) {
  return id != kNoAdjacency && id < snapshot.adjacencies.size() &&
         snapshot.adjacencies[id].resolved;
}

// The same, where neither the flow nor the queue knows the way.
void FindNextHopAnew(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                     Meta& meta);

// Fills `out` and `adjacency` of a packet whose action is decided. It may end
// as a drop (no route), or be held: then it waits for a neighbour and is tried
// again from the start.
inline void FindNextHop(const Snapshot& snapshot, Context& context,
                        rte_mbuf* mbuf, Meta& meta) {
  const bool to_uplink =
      meta.action == Action::kToUplink || meta.action == Action::kTranslateOut;
  const bool to_queue =
      meta.action == Action::kToQueue || meta.action == Action::kTranslateIn;
  if (to_uplink && meta.flow != nullptr && meta.side != Side::kKernel &&
      IsResolved(snapshot, meta.flow->to_uplink)) [[likely]] {
    meta.adjacency = meta.flow->to_uplink;
    meta.out = snapshot.adjacencies[meta.adjacency].device;
    return;
  }
  const ServiceQueue* queue = to_queue ? snapshot.Queue(meta.queue) : nullptr;
  if (queue != nullptr && queue->device != kNoDevice &&
      IsResolved(snapshot, queue->far_end)) [[likely]] {
    meta.adjacency = queue->far_end;
    meta.out = queue->device;
    return;
  }
  FindNextHopAnew(snapshot, context, mbuf, meta);
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_NEXT_HOP_H_
