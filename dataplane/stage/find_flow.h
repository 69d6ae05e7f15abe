// SPDX-License-Identifier: BSD-3-Clause
// Tuple -> flow: most packets are decided here.
#ifndef GODWIT_DATAPLANE_STAGE_FIND_FLOW_H_
#define GODWIT_DATAPLANE_STAGE_FIND_FLOW_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Gives packets whose owner is another worker away (Verdict::kHandedOver).
void SteerToOwner(const Snapshot& snapshot, Context& context, Burst& burst);

// Decides every packet whose flow is known and leaves the rest undecided.
void FindFlow(const Snapshot& snapshot, Context& context, Burst& burst);

// Moves a flow's state by one packet and decides it: `meta.flow` is set.
void UseFlow(const Snapshot& snapshot, Context& context, Meta& meta);

// Whether what the flow was decided by still holds; then it is of the
// snapshot's epoch again. If not it has been ended.
bool JudgeAgain(const Snapshot& snapshot, FlowTable& flows, Flow& flow);

// The timeout that counts for `flow` now, in ticks.
uint32_t TimeoutOf(const FlowTimeouts& timeouts, const Flow& flow);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_FIND_FLOW_H_
