// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors: the quoted packet's flow decides (RFC 5508, RFC 7690).
#ifndef GODWIT_DATAPLANE_STAGE_ICMP_ERROR_H_
#define GODWIT_DATAPLANE_STAGE_ICMP_ERROR_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Decides an ICMP error that has passed Parse; a translated one is rewritten
// here, outside and inside, but for its link header.
void HandleIcmpError(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                     Meta& meta);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_ICMP_ERROR_H_
