// SPDX-License-Identifier: BSD-3-Clause
// Towards a service queue godwit is the router: it answers ARP (RFC 826) and
// ND (RFC 4861) for any address but the asker's own, and asks for the far end
// itself.
#ifndef GODWIT_DATAPLANE_STAGE_LINK_ANSWER_H_
#define GODWIT_DATAPLANE_STAGE_LINK_ANSWER_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// An ARP packet from a queue: consumed, or a drop. The answer, if there is
// one, is in the device's batch.
Verdict AnswerArp(const Device& device, Context& context, rte_mbuf* mbuf,
                  const Meta& meta);

// The same for ND and MLD.
Verdict AnswerNd(const Device& device, Context& context, rte_mbuf* mbuf,
                 const Meta& meta);

// Asks at the queue's device `id` for `address`.
void AskQueue(const Snapshot& snapshot, DeviceId id, const IpAddress& address,
              Context& context);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_LINK_ANSWER_H_
