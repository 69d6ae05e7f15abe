// SPDX-License-Identifier: BSD-3-Clause
// Frame -> Meta, or a drop. Afterwards a packet has a verdict, or a key to
// look up (ICMP errors: none; the packet they quote decides).
#ifndef GODWIT_DATAPLANE_STAGE_PARSE_H_
#define GODWIT_DATAPLANE_STAGE_PARSE_H_

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Addresses that no packet of a service queue may have; kUndecided: these may.
Verdict CheckAddressesOfQueue(const IpAddress& source,
                              const IpAddress& destination);

// The TCP connection of the kernel's that a frame, from it or to it, is of.
FlowKey KernelTalk(const uint8_t* frame, const PacketView& view,
                   bool from_kernel);

void Parse(const Snapshot& snapshot, Context& context, Burst& burst);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_PARSE_H_
