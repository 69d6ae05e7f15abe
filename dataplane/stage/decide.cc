// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/decide.h"

#include "dataplane/net/headers.h"

namespace godwit {
namespace {

Decision Drop(Verdict verdict) {
  Decision decision;
  decision.verdict = verdict;
  return decision;
}

Decision Refuse(Verdict verdict) {
  Decision decision = Drop(verdict);
  decision.plan = Plan::kRefuse;
  return decision;
}

Decision Do(Plan plan) {
  Decision decision;
  decision.plan = plan;
  return decision;
}

bool IsBareSyn(const PacketView& view) {
  return view.protocol == kProtoTcp &&
         (view.l4_flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
}

bool Has(const Service& service, QueueId queue) {
  for (const QueueId member : service.queues) {
    if (member == queue) return true;
  }
  return false;
}

Decision DecideAtService(const Snapshot& snapshot, const Meta& meta,
                         const ServiceAddress& at) {
  const PacketView& view = meta.view;
  const FlowKey& key = meta.key;
  if (IsIcmp(view.protocol)) {
    // A later fragment is known by its first: only a reply has an identifier
    // at our end.
    const bool request = view.HasL4()
                             ? IsEchoRequest(view.protocol, view.l4_flags)
                             : meta.lookup && key.local_l4port == 0;
    if (!request) return Drop(Verdict::kDropIcmpType);
  } else if (LacksChecksum(view)) {
    return Drop(Verdict::kDropUdp6Zero);
  }
  const ServiceId service = snapshot.service_table.Find(
      at, view.protocol, IsIcmp(view.protocol) ? 0 : key.local_l4port);
  if (service != kNoService) {
    Decision decision = Do(Plan::kServe);
    decision.service = service;
    return decision;
  }
  if (IsIcmp(view.protocol)) return Do(Plan::kAnswerEcho);
  Decision decision = Do(Plan::kReject);
  decision.verdict = Verdict::kDropServiceMiss;
  decision.service = at.any_service;
  decision.silent = at.silent;
  return decision;
}

// Of what goes to the unicast address: only a mapping's (contract, rule 4).
bool IsOnOurL4Ports(const Snapshot& snapshot, const Meta& meta) {
  const bool from_uplink = meta.key.side == kUplinkSide;
  const uint8_t protocol = meta.view.protocol;
  return (protocol == kProtoTcp || protocol == kProtoUdp) &&
         snapshot.nat->l4ports.Contains(from_uplink ? meta.key.local_l4port
                                                    : meta.key.remote_l4port);
}

Decision DecideFromUplink(const Snapshot& snapshot, const Meta& meta) {
  const FlowKey& key = meta.key;
  const bool loop =
      meta.route == Route::kLoop || meta.route == Route::kLoopReply;
  if (!loop) {
    const Martians martians = snapshot.devices[meta.in].martians;
    if (IsMartianSource(key.remote, martians) ||
        (martians != Martians::kOff &&
         snapshot.routes.IsBroadcast(key.remote))) {
      return Drop(Verdict::kDropMartianSource);
    }
    if (key.local == key.remote) return Drop(Verdict::kDropLand);
    if (snapshot.IsOwnAddress(key.remote)) {
      return Drop(Verdict::kDropSpoofOwnSource);
    }
  }
  const ServiceAddress* at = snapshot.service_table.FindAddress(key.local);
  if (at != nullptr) {
    // V6-07: it has no meaning on any link but the one it came from.
    if (!key.remote.IsV4() && key.remote.IsLinkLocal()) {
      return Drop(Verdict::kDropMartianSource);
    }
    return DecideAtService(snapshot, meta, *at);
  }
  if (loop) return Drop(Verdict::kDropNatLoop);
  if (snapshot.nat->IsUnicast(key.local)) {
    return IsOnOurL4Ports(snapshot, meta) ? Drop(Verdict::kDropNatFiltered)
                                          : Do(Plan::kPunt);
  }
  if (IsMartianDestination(key.local, snapshot.devices[meta.in].martians)) {
    return Drop(Verdict::kDropMartianDestination);
  }
  return Do(Plan::kPunt);
}

// What a service says by ICMP, its errors aside. A later fragment is known by
// its first: an answer has no identifier at our end.
bool AnswersEcho(const Meta& meta) {
  return meta.view.HasL4() ? IsEchoReply(meta.view.protocol, meta.view.l4_flags)
                           : meta.lookup && meta.key.local_l4port == 0;
}

// A service endpoint as source, from one of that service's own queues. False:
// it is originated traffic.
bool IsReply(const Snapshot& snapshot, const Meta& meta, ServiceId& id) {
  const PacketView& view = meta.view;
  const ServiceAddress* at = snapshot.service_table.FindAddress(meta.key.local);
  if (at == nullptr || (IsIcmp(view.protocol) && !AnswersEcho(meta))) {
    return false;
  }
  // Who talks to a service of this node has the unicast address there, so
  // nothing that goes to a service address answers anything (ADV-43).
  if (snapshot.service_table.FindAddress(meta.key.remote) != nullptr) {
    return false;
  }
  const uint16_t l4port = IsIcmp(view.protocol) ? 0 : meta.key.local_l4port;
  id = snapshot.service_table.Find(*at, view.protocol, l4port);
  const Service* service = snapshot.ServiceOf(id);
  return service != nullptr && service->replies == Replies::kTuple &&
         !IsBareSyn(view) && Has(*service, meta.queue);
}

// What can be translated at all; kUndecided if this can.
Verdict Untranslatable(const Meta& meta) {
  const PacketView& view = meta.view;
  if (view.has_ah) return Verdict::kDropNatAh;
  switch (view.protocol) {
    case kProtoTcp:
      if (view.bad_tcp_flags) return DropOf(ParseError::kTcpFlags);
      return IsBareSyn(view) ? Verdict::kUndecided : Verdict::kDropNatTcpNoSyn;
    case kProtoUdp:
      return Verdict::kUndecided;
    case kProtoIcmp:
    case kProtoIcmpv6:
      if (IsEchoRequest(view.protocol, view.l4_flags)) {
        return Verdict::kUndecided;
      }
      return IsEchoReply(view.protocol, view.l4_flags)
                 ? Verdict::kDropIcmpUnsolicited
                 : Verdict::kDropIcmpType;
    default:
      return Verdict::kDropNatProto;
  }
}

// Found to be no reply already.
bool IsOriginated(Route route) {
  return route == Route::kOriginate || IsBorrowing(route);
}

Decision DecideFromQueue(const Snapshot& snapshot, const Meta& meta) {
  const FlowKey& key = meta.key;
  Decision decision;
  if (meta.queue == kKernelQueue && snapshot.nat->IsUnicast(key.remote) &&
      !IsOnOurL4Ports(snapshot, meta)) {
    // The node talks to itself, and what left loopback for here was not ours.
    return Do(Plan::kPunt);
  }
  // L2-09: nobody can be asked who has it. An answer is as bad: to whoever
  // said it had such an address.
  if (snapshot.routes.IsBroadcast(key.remote) &&
      !snapshot.IsOwnAddress(key.remote)) {
    return Drop(Verdict::kDropMartianDestination);
  }
  if (!IsOriginated(meta.route) && IsReply(snapshot, meta, decision.service)) {
    decision.plan = Plan::kReply;
    decision.local = snapshot.nat->IsUnicast(key.remote);
    return decision;
  }
  decision.service = kNoService;
  const ServiceQueue* queue = snapshot.Queue(meta.queue);
  if (queue == nullptr) return Drop(Verdict::kDropDeviceGone);
  decision.local = snapshot.service_table.FindAddress(key.remote) != nullptr;
  if (!decision.local) {
    if (snapshot.nat->IsUnicast(key.remote)) {
      return Drop(Verdict::kDropNatLoop);
    }
    if (queue->originate == Originate::kDeny) {
      return Refuse(Verdict::kDropNatDenied);
    }
    if (snapshot.nat->IsDirect(key.remote)) {
      return snapshot.nat->IsUnicast(key.local)
                 ? Do(Plan::kPassDirect)
                 : Drop(Verdict::kDropNatDirectSource);
    }
  }
  // Its first made no flow, so there is nothing to follow.
  if (!meta.view.HasL4()) return Drop(Verdict::kDropFragOrphan);
  const Verdict untranslatable = Untranslatable(meta);
  if (untranslatable == Verdict::kDropNatProto ||
      untranslatable == Verdict::kDropNatAh) {
    return Refuse(untranslatable);
  }
  if (untranslatable != Verdict::kUndecided) return Drop(untranslatable);
  if (!decision.local && queue->originate == Originate::kVip) {
    if (!IsOwnService(snapshot, key.local, meta.queue)) {
      return Drop(Verdict::kDropNatVipSource);
    }
    decision.plan = Plan::kOriginateVip;
    return decision;
  }
  UnicastId unused = 0;
  if (!ChooseUnicast(*snapshot.nat, key.local, unused)) {
    return Refuse(Verdict::kDropNatNoUnicast);
  }
  decision.plan = Plan::kOriginate;
  return decision;
}

}  // namespace

bool IsOfQueueKernel(const Snapshot& snapshot, const IpAddress& source,
                     const IpAddress& destination) {
  const ServiceTable& services = snapshot.service_table;
  return services.FindAddress(source) != nullptr ||
         (snapshot.nat->IsUnicast(source) &&
          services.FindAddress(destination) != nullptr);
}

Decision Decide(const Snapshot& snapshot, const Meta& meta) {
  return meta.key.side == kUplinkSide ? DecideFromUplink(snapshot, meta)
                                      : DecideFromQueue(snapshot, meta);
}

bool IsOwnService(const Snapshot& snapshot, const IpAddress& address,
                  QueueId queue) {
  const ServiceAddress* at = snapshot.service_table.FindAddress(address);
  if (at == nullptr) return false;
  for (const ServiceId id : at->services) {
    const Service* service = snapshot.ServiceOf(id);
    if (service != nullptr && Has(*service, queue)) return true;
  }
  return false;
}

unsigned OwnerOfOriginated(const Snapshot& snapshot, const Ownership& ownership,
                           const FlowKey& key) {
  const NatConfig& nat = *snapshot.nat;
  if (nat.IsUnicast(key.local)) {
    const uint8_t owner = nat.PlanOf(key.protocol).Owner(key.local_l4port);
    if (owner != L4PortPlan::kNobody) return owner;
    if (nat.IsDirect(key.remote)) return ownership.OfTuple(key);
  }
  if (nat.mapping == Mapping::kPerDestination) return ownership.OfTuple(key);
  const ServiceQueue* queue = snapshot.Queue(key.side);
  const bool as_it_is =
      queue != nullptr && queue->originate == Originate::kVip &&
      snapshot.service_table.FindAddress(key.remote) == nullptr;
  return as_it_is ? ownership.OfTuple(key) : ownership.OfInternalEndpoint(key);
}

std::array<uint8_t, 2> OtherOwners(const Snapshot& snapshot,
                                   const Ownership& ownership,
                                   const FlowKey& key, unsigned owner) {
  const NatConfig& nat = *snapshot.nat;
  std::array<uint8_t, 2> others = {L4PortPlan::kNobody, L4PortPlan::kNobody};
  const auto add = [owner, &others](unsigned worker) {
    if (worker == owner || worker == others[0]) return;
    others[others[0] == L4PortPlan::kNobody ? 0 : 1] =
        static_cast<uint8_t>(worker);
  };
  const bool of_service =
      snapshot.service_table.FindAddress(key.local) != nullptr;
  const bool own = nat.HasHad(key.local);
  const uint8_t by_plan = own ? nat.PlanOf(key.protocol).Owner(key.local_l4port)
                              : L4PortPlan::kNobody;
  const bool planned = by_plan != L4PortPlan::kNobody;
  if (key.side == kUplinkSide) {
    // What left as it is, before its l4port was one of the plan.
    const bool moved = planned && nat.direct_used && nat.plan_moved;
    if (moved && !of_service) add(ownership.OfTuple(key));
    return others;
  }
  if (planned) add(by_plan);
  if (planned && !nat.plan_moved) return others;  // it always was
  if (nat.per_destination_used || of_service || (own && nat.direct_used)) {
    add(ownership.OfTuple(key));
  }
  if (nat.endpoint_independent_used) add(ownership.OfInternalEndpoint(key));
  return others;
}

unsigned OwnerOf(const Snapshot& snapshot, const Ownership& ownership,
                 const Meta& meta, unsigned self) {
  const FlowKey& key = meta.key;
  const NatConfig& nat = *snapshot.nat;
  if (meta.route == Route::kSought) [[unlikely]]
    return self;
  if (key.side == kUplinkSide) {
    if (snapshot.service_table.FindAddress(key.local) != nullptr) {
      return ownership.OfTuple(key);
    }
    if (!nat.IsUnicast(key.local)) return self;
    const uint8_t owner = nat.PlanOf(key.protocol).Owner(key.local_l4port);
    if (owner != L4PortPlan::kNobody) return owner;
    return nat.direct_used ? ownership.OfTuple(key) : self;
  }
  if (IsBorrowing(meta.route)) return self;
  ServiceId service = kNoService;
  const bool inbound =
      !IsOriginated(meta.route) && IsReply(snapshot, meta, service);
  return inbound ? ownership.OfTuple(key)
                 : OwnerOfOriginated(snapshot, ownership, key);
}

QueueId ChooseQueue(const Service& service, uint64_t hash,
                    uint64_t client_hash) {
  return service.group->Choose(
      service.affinity == Affinity::kClient ? client_hash : hash);
}

bool ChooseUnicast(const NatConfig& nat, const IpAddress& internal,
                   UnicastId& unicast) {
  // Rendezvous: an address that goes takes only its own originators along.
  uint64_t best = 0;
  bool found = false;
  for (size_t i = 0; i < nat.unicast.size(); ++i) {
    const IpAddress& own = nat.unicast[i];
    if (own.IsUnspecified() || own.IsV4() != internal.IsV4()) continue;
    uint64_t score = (own.low() ^ internal.low()) * 0x9e3779b97f4a7c15ULL;
    score ^= (own.high() + internal.high()) * 0xc2b2ae3d27d4eb4fULL;
    score ^= score >> 32;
    score *= 0xbf58476d1ce4e5b9ULL;
    if (!found || score > best) {
      best = score;
      unicast = static_cast<UnicastId>(i);
      found = true;
    }
  }
  return found;
}

}  // namespace godwit
