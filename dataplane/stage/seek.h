// SPDX-License-Identifier: BSD-3-Clause
// Flows that are not where today's rules would put them: an established flow
// keeps its decision, so its packets must find the worker that has it.
//
// Theory of operation. Where a flow is made follows from its key, and from what
// changes while it lives: the mapping in force, the l4port plan, which
// addresses are the node's, whether a packet is a reply. That leaves three
// places at most, whatever has changed (OtherOwners, decide.h). A packet
// without an entry at its owner is shown to the others, one after the other
// (Route::kSought), before anything is decided anew; a worker that knows of a
// lender (lend.h) shows it to that one first. Whoever has the flow goes on with
// the packet. If nobody has, it comes home (kHome) and is decided there, as if
// it had never been away. The way is written on the packet when it leaves: two
// others and a lender of each, so nothing goes round for ever, whatever is
// published meanwhile.
//
// Without such a change since the start there are no other places, and one word
// of the snapshot says so (NatConfig::MayHaveMoved). After one, packets of a
// flow that lives elsewhere are handed over once or twice more until it ends,
// and so is the first packet of a new one.
#ifndef GODWIT_DATAPLANE_STAGE_SEEK_H_
#define GODWIT_DATAPLANE_STAGE_SEEK_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Of `meta.key` this worker has no flow; `meta.flow` may be an entry that names
// a lender. True: the packet was handed over (Verdict::kHandedOver). False: it
// is to be decided here.
bool Seek(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
          Meta& meta);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_SEEK_H_
