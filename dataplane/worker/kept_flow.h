// SPDX-License-Identifier: BSD-3-Clause
// Flows of an earlier process: which of them a node still has, and where.
#ifndef GODWIT_DATAPLANE_WORKER_KEPT_FLOW_H_
#define GODWIT_DATAPLANE_WORKER_KEPT_FLOW_H_

#include "dataplane/flow/flow.h"
#include "dataplane/flow/owner.h"
#include "dataplane/snapshot/snapshot.h"

namespace godwit {

// Writes what follows from the snapshot. False: the flow is over, since its
// service, queue, unicast address or l4port is none of this node any more.
bool Renew(const Snapshot& snapshot, Flow& flow);

struct KeptPlace {
  unsigned worker;  // has it: what comes back comes there
  // What is sent comes there; another than `worker` must know who has it
  // (FlowTable::MakeLent).
  unsigned owner;
};
KeptPlace PlaceOf(const Snapshot& snapshot, const Ownership& ownership,
                  const Flow& flow);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_WORKER_KEPT_FLOW_H_
