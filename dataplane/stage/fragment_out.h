// SPDX-License-Identifier: BSD-3-Clause
// A datagram that is too big for its next link, and may be fragmented there
// (RFC 791 3.2, RFC 1812 5.2.6): IPv4 without DF.
#ifndef GODWIT_DATAPLANE_STAGE_FRAGMENT_OUT_H_
#define GODWIT_DATAPLANE_STAGE_FRAGMENT_OUT_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// True if the packet does not fit a link of `mtu` and may be cut.
bool MayFragment(const rte_mbuf* mbuf, const PacketView& view, uint16_t mtu);

// Sends the finished frame in pieces, in order, each counted as generated; the
// frame itself is consumed. kDropMbufNone if buffers run out: then none leaves.
// `view` is where the frame's headers are now.
Verdict SendFragments(const Snapshot& snapshot, Context& context,
                      rte_mbuf* mbuf, const Meta& meta);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_FRAGMENT_OUT_H_
