// SPDX-License-Identifier: BSD-3-Clause
// l4ports lent between workers: none is refused while another worker has one
// towards the same destination.
//
// Theory of operation. The rule (owner.h) spreads the flows to a destination
// evenly, not exactly, so one worker's block can be taken while others' are
// not. Its packet then goes from worker to worker (Route::kBorrow). The first
// with an l4port left makes the flow; what comes back comes to it by itself,
// because an l4port names its worker. It sends the packet home (kLent), where
// an entry is made that says who has the flow, and from there the packet, like
// all that follow, goes to the lender (kBorrowed). A packet that comes home
// from its round with nothing (kBorrow again) is refused: every worker was
// asked. So the owner by rule alone decides whether a flow is lent, and no
// packet of it can be given a second l4port by another worker.
//
// The entry at home outlives the flow: it is moved by the same packets and
// waits at least as long. If the lender has ended the flow it makes a new one
// for a packet that may begin one, or sends it on its round; home, where the
// entry is found, begins anew. A lender that has such an entry itself was the
// owner under another mapping, and begins anew too: what was sent by one entry
// never goes on by another. An entry of a mapping no longer in force is asked
// (seek.h), but nothing new is made by it.
#ifndef GODWIT_DATAPLANE_STAGE_LEND_H_
#define GODWIT_DATAPLANE_STAGE_LEND_H_

#include "dataplane/flow/flow.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// `meta.flow`, which is set, is another worker's, or the packet is on its way
// between the two. True: it was handed over (Verdict::kHandedOver). False: it
// goes on here; with `meta.flow` as it was, or none, if that has ended.
bool FollowLent(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                Meta& meta);

// Whether `lent` says of a binding, or of a flow, what `mapping` does.
inline bool IsOfMapping(const Flow& lent, Mapping mapping) {
  return lent.remote.IsZero() == (mapping == Mapping::kEndpointIndependent);
}

// A packet is about to go by `lent`: the entry outlives what it names.
void KeepLent(const Snapshot& snapshot, const Context& context, Flow& lent);

// To the worker that has the flow, by `lent` (FlowKind::kLent).
void SendToLender(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                  Flow& lent, Meta& meta);

// This worker has no l4port for the packet, the first of `flow`. True: another
// is asked, or has one. False: all were asked, or the entry that should say who
// has the flow finds no room.
bool Borrow(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
            const Flow& flow, Meta& meta);

// A flow for a packet that was looking for an l4port is made. True: its owner
// is told, with the packet. False: the owner is this worker.
bool Lend(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
          Meta& meta);

// A later fragment finds no flow, but its first is known and may be on such a
// round: it goes the same way, behind it (FRG-02), and finds the flow where
// that is made, or comes home with nothing. True: it was handed over.
bool FollowRound(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                 Meta& meta);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_LEND_H_
