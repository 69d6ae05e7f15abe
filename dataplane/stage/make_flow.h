// SPDX-License-Identifier: BSD-3-Clause
// The packets that no flow decides: inbound, reply, originated or not ours;
// one entry or one reason.
#ifndef GODWIT_DATAPLANE_STAGE_MAKE_FLOW_H_
#define GODWIT_DATAPLANE_STAGE_MAKE_FLOW_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Afterwards every packet has a verdict, and those that go on their next hop.
void MakeFlow(const Snapshot& snapshot, Context& context, Burst& burst);

// What translating a flow's source changes in the checksums (RFC 1624).
void SetDeltas(const IpAddress& external, Flow& flow);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_MAKE_FLOW_H_
