// SPDX-License-Identifier: BSD-3-Clause
// What becomes of a packet that no flow decides: pure, so that `godwitctl
// explain` asks the very code that packets meet.
#ifndef GODWIT_DATAPLANE_STAGE_DECIDE_H_
#define GODWIT_DATAPLANE_STAGE_DECIDE_H_

#include <array>

#include "dataplane/flow/owner.h"
#include "dataplane/net/headers.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"

namespace godwit {

enum class Plan : uint8_t {
  kDrop,          // `verdict` says why
  kRefuse,        // drop, and tell the originator (RFC 6888 REQ-11b)
  kPunt,          // to the kernel
  kServe,         // a service endpoint: choose a queue, make an inbound flow
  kAnswerEcho,    // echo to a service address, nobody's but ours
  kReject,        // a service address without such a service
  kReply,         // a service endpoint as source: out as it is
  kOriginate,     // translate
  kOriginateVip,  // out as it is, and tracked: policy `vip`
  kPassDirect,    // out as it is: `egress.direct`
};

struct Decision {
  Plan plan = Plan::kDrop;
  Verdict verdict = Verdict::kUndecided;  // kDrop, kRefuse, kReject
  ServiceId service = kNoService;
  bool silent = false;  // kReject: no answer
  bool local = false;   // the destination is a service address of this node
};

// A datagram that a host must not take: over IPv6 without a checksum (UDP-03,
// RFC 8200 8.1). What is translated may be so (RFC 6936 5).
inline bool LacksChecksum(const PacketView& view) {
  return view.l4_flags == kUdpNoChecksum && !view.is_v4 &&
         view.protocol == kProtoUdp;
}

// Of what the kernel sends, whether it is the queue `kernel`'s: from a service
// address; or from the node itself to one, which is not to leave (rules 5, 6).
// All else is the kernel's own.
bool IsOfQueueKernel(const Snapshot& snapshot, const IpAddress& source,
                     const IpAddress& destination);

// For a packet with a key (TCP, UDP, echo) or of another IP protocol, that is
// no ICMP error and no later fragment. `meta` needs view, key, side, route,
// queue.
Decision Decide(const Snapshot& snapshot, const Meta& meta);

// The worker that owns what the queue side's `key` originates. What has a
// unicast address already may leave as it is (`egress.direct`), and then comes
// back to its own l4port: it goes by the plan, whatever `direct` says now. What
// leaves from a service address (`vip`) comes back as an inbound flow does.
unsigned OwnerOfOriginated(const Snapshot& snapshot, const Ownership& ownership,
                           const FlowKey& key);

// The workers besides `owner`, which OwnerOf says, that may have the flow of
// `key` since the rules were others; L4PortPlan::kNobody behind the last.
std::array<uint8_t, 2> OtherOwners(const Snapshot& snapshot,
                                   const Ownership& ownership,
                                   const FlowKey& key, unsigned owner);

// The worker that owns the packet's flow, `self` if that does not matter.
unsigned OwnerOf(const Snapshot& snapshot, const Ownership& ownership,
                 const Meta& meta, unsigned self);

// The queue that a flow without an entry goes to: hash and membership alone.
QueueId ChooseQueue(const Service& service, uint64_t hash,
                    uint64_t client_hash);

// Whether `address` is a service address of one of the queue's own services.
bool IsOwnService(const Snapshot& snapshot, const IpAddress& address,
                  QueueId queue);

// The unicast address that an originator keeps (RFC 4787 REQ-2): by its
// internal address. False if there is none of the family.
bool ChooseUnicast(const NatConfig& nat, const IpAddress& internal,
                   UnicastId& unicast);

// Never valid on a wire; `strict`: private and documentation ranges too.
bool IsMartianSource(const IpAddress& address, Martians rule);
bool IsMartianDestination(const IpAddress& address, Martians rule);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_DECIDE_H_
