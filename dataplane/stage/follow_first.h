// SPDX-License-Identifier: BSD-3-Clause
// Fragments learn their flow from the first of their datagram, whatever worker
// and order they come in (flow/fragments.h).
#ifndef GODWIT_DATAPLANE_STAGE_FOLLOW_FIRST_H_
#define GODWIT_DATAPLANE_STAGE_FOLLOW_FIRST_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Gives every fragment that is ours to forward the l4ports of its first. One
// that comes too soon is held; the worker that owns the datagram sees to it.
void FollowFirst(const Snapshot& snapshot, Context& context, Burst& burst);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_FOLLOW_FIRST_H_
