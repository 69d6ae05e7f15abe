// SPDX-License-Identifier: BSD-3-Clause
// Headers, checksums, link header: the only writer of packet bytes besides
// icmp_error, which rewrites what is quoted.
#ifndef GODWIT_DATAPLANE_STAGE_REWRITE_H_
#define GODWIT_DATAPLANE_STAGE_REWRITE_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Writes every packet that goes somewhere as its action says. What is for a
// service of this node goes round again. Hop limits and MTU are kept here.
void Rewrite(const Snapshot& snapshot, Context& context, Burst& burst);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_REWRITE_H_
