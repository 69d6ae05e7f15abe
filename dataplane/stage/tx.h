// SPDX-License-Identifier: BSD-3-Clause
// Verdicts -> devices and counters; frees what is dropped.
#ifndef GODWIT_DATAPLANE_STAGE_TX_H_
#define GODWIT_DATAPLANE_STAGE_TX_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Ends every packet of the burst: into its device's batch, to another worker,
// or counted and freed.
void Tx(const Snapshot& snapshot, Context& context, Burst& burst);

// Puts a finished frame into the batch of `device`; it counts as `verdict`
// once the device has taken it. Hands it over if the txq is another worker's.
// The batch that it is in; nullptr if it is in none.
TxBatch* Enqueue(const Snapshot& snapshot, DeviceId device, rte_mbuf* mbuf,
                 Verdict verdict, Context& context);

// Sends all batches. What a device does not take is dropped and counted.
void Flush(const Snapshot& snapshot, Context& context);

// Gives the packet to `owner`, or drops it if the ring is full. `tag` says
// how the owner is to take it.
void HandOver(rte_mbuf* mbuf, unsigned owner, Context& context);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_TX_H_
