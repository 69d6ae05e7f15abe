// SPDX-License-Identifier: BSD-3-Clause
// Packets on their way in: from a device, or handed over by another worker.
#ifndef GODWIT_DATAPLANE_STAGE_RX_H_
#define GODWIT_DATAPLANE_STAGE_RX_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Polls one rxq; every packet of `burst` is then undecided.
void Rx(DeviceId device, DeviceLane lane, Context& context, Burst& burst);

// Takes over what worker `from` gave, and says how many that were; kTransmit
// frames go straight to their device's batch.
uint16_t RxHandedOver(const Snapshot& snapshot, unsigned from, Context& context,
                      Burst& burst);

// The packets that go round once more, and those that waited.
void RxAgain(rte_mbuf** mbufs, uint16_t count, const Snapshot& snapshot,
             Burst& burst);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_RX_H_
