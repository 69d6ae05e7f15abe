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

// The kernel's route to `destination`; `hash` chooses among several next hops.
NextHopChoice ChooseNextHop(const Snapshot& snapshot,
                            const IpAddress& destination, uint64_t hash);

// Fills `out` and `adjacency` of a packet whose action is decided. It may end
// as a drop (no route), or be held: then it waits for a neighbour and is tried
// again from the start.
void FindNextHop(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                 Meta& meta);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_NEXT_HOP_H_
