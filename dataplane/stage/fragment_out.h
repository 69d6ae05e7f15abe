// SPDX-License-Identifier: BSD-3-Clause
// A datagram that is too big for its next link, and may be fragmented there
// (RFC 791 3.2, RFC 1812 5.2.6): IPv4 without DF. What the kernel believed to
// send over its loopback is cut in its place, as its own stack would have done
// on a link: IPv6, and IPv4 with DF, too (RFC 8200 4.5).
#ifndef GODWIT_DATAPLANE_STAGE_FRAGMENT_OUT_H_
#define GODWIT_DATAPLANE_STAGE_FRAGMENT_OUT_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

enum class Cutter : uint8_t { kRouter, kSender };
// Of a packet whose next hop is known.
Cutter CutterOf(const Snapshot& snapshot, const Meta& meta);

// True if the packet does not fit a link of `mtu` and may be cut.
bool MayFragment(const rte_mbuf* mbuf, const PacketView& view, uint16_t mtu,
                 Cutter cutter);

// Sends the finished frame in pieces, in order, each counted as generated; the
// frame itself is consumed. None leaves with kDropMbufNone, when buffers run
// out, and with kDropMtuExceeded, when the link is so small that its options or
// IPv6 would make more than 1,365 of it. `view` is where the headers are now.
Verdict SendFragments(const Snapshot& snapshot, Context& context,
                      rte_mbuf* mbuf, const Meta& meta);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_FRAGMENT_OUT_H_
