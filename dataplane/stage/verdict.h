// SPDX-License-Identifier: BSD-3-Clause
// Every end a packet can meet: this enum is the counter list. Drop reasons are
// named <layer>_<reason>; the comment names the conformance rows
// (docs/rfc-compliance.md).
#ifndef GODWIT_DATAPLANE_STAGE_VERDICT_H_
#define GODWIT_DATAPLANE_STAGE_VERDICT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "dataplane/net/packet_view.h"

namespace godwit {

enum class Verdict : uint8_t {
  kUndecided,   // not an end; never counted
  kDelivered,   // to a service queue
  kSent,        // out of an uplink
  kPunted,      // to the kernel
  kConsumed,    // ARP, ND, echo we answer, what we fragment
  kHandedOver,  // not an end: on its way to another worker
  kHeld,        // not an end: waits for a neighbour or a first fragment

  // Drops. The first are ParseError's, in its order.
  kDropParse,
  kDropL2NotMine = kDropParse + static_cast<uint8_t>(kParseErrors),  // L2-01
  kDropL2Multicast,                                                  // L2-02
  kDropL2Type,              // neither IP nor ARP, from a queue
  kDropMartianSource,       // L2-07, L2-08, V6-07
  kDropMartianDestination,  // L2-07, L2-09
  kDropLand,                // L2-11
  kDropSpoofOwnSource,      // ANY-16
  kDropArpBad,              // ADV-69
  kDropNdHopLimit,          // V6-08: from off the link
  kDropNdBad,               // V6-08
  kDropServiceMiss,         // ANY-17, OTH-05
  kDropServiceNoQueue,      // no live queue behind the service
  kDropIcmpType,            // ANY-28, V6-10, ICE-15
  kDropIcmpCsum,            // ICE-01
  kDropIcmpShort,           // ICE-26
  kDropIcmpInnerMismatch,   // ICE-14
  kDropIcmpInnerCsum,       // ICE-02
  kDropIcmpInnerFrag,       // ICE-27
  kDropIcmpUnmatched,       // ICE-08, ICE-23
  kDropIcmpAboutError,      // ADV-59
  kDropIcmpRedirect,        // ADV-63
  kDropIcmpFrag,            // FRG-21
  kDropIcmpPtbSmall,        // ICE-21
  kDropIcmpUnsolicited,     // ICQ-04
  kDropUdp6Zero,            // UDP-03
  kDropEchoLimited,         // ANY-18
  kDropNatFiltered,         // FLT-01, FLT-05
  kDropNatNoPort,           // EXH-01
  kDropNatTcpNoSyn,         // TCP-08
  kDropNatProto,            // OTH-01, OTH-04
  kDropNatNoUnicast,        // no unicast address of this family
  kDropNatDenied,           // policy deny
  kDropNatVipSource,     // policy vip: not an address of the queue's services
  kDropNatDirectSource,  // MAP-17
  kDropNatAh,            // V6-05
  kDropNatLoop,          // HPN-03
  kDropLimitFlows,       // MAP-16
  kDropLimitRate,        // MAP-16
  kDropTableFull,        // EXH-06
  kDropRouteNone,
  kDropNeighborWait,    // L2-14: more than can wait for this neighbour
  kDropNeighborFailed,  // L2-14: nobody answered
  kDropTtlExceeded,     // IPH-05
  kDropMtuExceeded,     // ICE-20
  kDropFragBudget,      // FRG-03
  kDropFragTimeout,     // FRG-04
  kDropFragOverlap,     // FRG-06, FRG-07
  kDropFragDuplicate,   // FRG-17
  kDropFragOrphan,      // its first was refused
  kDropKernelQueue,     // MBF-05: the TAP takes no more
  kDropServiceQueue,    // MBF-06: the service queue takes no more
  kDropUplinkQueue,     // MBF-05: the uplink takes no more
  kDropHandoffFull,     // the owner's ring takes no more
  kDropDeviceGone,      // removed while the packet was on its way
  kDropMbufNone,        // EXH-06: no buffer for a copy or an answer
  kDropMbufRoom,        // ADV-79
  kLeakPrevented,       // ANY-12: the last look at an uplink's frames
  kCount,
};
inline constexpr size_t kVerdicts = static_cast<size_t>(Verdict::kCount);

constexpr Verdict DropOf(ParseError error) {
  return static_cast<Verdict>(static_cast<size_t>(Verdict::kDropParse) +
                              static_cast<size_t>(error));
}
constexpr bool IsDrop(Verdict verdict) {
  return verdict >= Verdict::kDropParse && verdict < Verdict::kCount;
}

// The name in `godwitctl counters` and the metrics.
std::string_view VerdictName(Verdict verdict);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_VERDICT_H_
