// SPDX-License-Identifier: BSD-3-Clause
// What godwit says itself: ICMP errors (RFC 792, RFC 4443), resets (RFC 9293
// 3.10.7.1), echo replies. Each is counted as generated, whatever becomes of
// the packet it answers.
#ifndef GODWIT_DATAPLANE_STAGE_ANSWER_H_
#define GODWIT_DATAPLANE_STAGE_ANSWER_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// Copies a finished frame into a buffer of its own and puts it into the batch
// of `device`. Without a buffer nothing is generated.
void SendGenerated(DeviceId device, const void* frame, size_t size,
                   Verdict verdict, Context& context);

// An error by its meaning; the family gives type and code.
enum class ErrorKind : uint8_t {
  kPortUnreachable,      // 3/3, 1/4
  kProtocolUnreachable,  // 3/2, 4/1 (RFC 4443 3.4)
  kNoResources,          // 3/1, 1/3: RFC 6888 REQ-11b
  kProhibited,           // 3/13, 1/1: RFC 5508 REQ-8
  kTimeExceeded,         // 11/0, 3/0
  kPacketTooBig,         // 3/4, 2/0
};

// Sends an ICMP error about the packet back to where it came from, unless one
// must not be sent (RFC 1812 4.3.2.7, RFC 4443 2.4e). `source` is the address
// it speaks for; `mtu` counts for kPacketTooBig. Quotes the packet as it
// stands in `mbuf`, so call it before any rewrite (ICE-18).
void SendIcmpError(rte_mbuf* mbuf, const Meta& meta, ErrorKind kind,
                   const IpAddress& source, uint16_t mtu, Context& context);

// A reset for a segment that has no service (RFC 9293 3.10.7.1, CLOSED).
void SendReset(rte_mbuf* mbuf, const Meta& meta, Context& context);

// Echo to a service address: the reply, with all of its data (ANY-18).
void SendEchoReply(rte_mbuf* mbuf, const Meta& meta, Context& context);

// The address godwit speaks with to an originator: the node's unicast address
// of the packet's family, else the packet's own destination.
IpAddress OwnAddressFor(const Snapshot& snapshot, const Meta& meta);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_ANSWER_H_
