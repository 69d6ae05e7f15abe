// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/find_flow.h"

#include "dataplane/net/headers.h"
#include "dataplane/stage/decide.h"
#include "dataplane/stage/forward_known.h"
#include "dataplane/stage/lend.h"
#include "dataplane/stage/next_hop.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

bool FromClient(const Flow& flow, const Meta& meta) {
  const bool from_uplink = meta.key.side == kUplinkSide;
  return (flow.kind == FlowKind::kInbound) == from_uplink;
}

// RFC 4787 REQ-6: only what goes out refreshes a mapping; a service's flow is
// refreshed by both ends.
bool Refreshes(const Flow& flow, bool from_client) {
  return flow.kind == FlowKind::kInbound || from_client;
}

// Who opens a connection from an endpoint has given up the one that a client
// had with it: a bare SYN is nobody's answer (ANY-06), unless `tracked` says
// that all of a flow is.
bool OpensAnew(const Snapshot& snapshot, const Flow& flow) {
  const Service* service = snapshot.ServiceOf(flow.service);
  return service == nullptr || service->replies == Replies::kTuple;
}

// Leaves `meta` without a flow, and undecided, where the packet is not of it.
[[gnu::noinline]] void MoveTcp(const Snapshot& snapshot, Flow& flow,
                               bool from_client, uint32_t now, Context& context,
                               Meta& meta) {
  const TcpEvent event = TcpEventOf(meta.view.l4_flags);
  if (event == TcpEvent::kSyn && !from_client &&
      flow.kind == FlowKind::kInbound && OpensAnew(snapshot, flow))
      [[unlikely]] {
    context.flows->End(flow);
    meta.flow = nullptr;
    return;
  }
  const TcpTransition& next = TcpNext(
      flow.tcp_state, from_client ? TcpSide::kClient : TcpSide::kServer, event);
  if (flow.kind == FlowKind::kOriginated && next.verdict != TcpVerdict::kPass) {
    meta.verdict = next.verdict == TcpVerdict::kBadFlags
                       ? DropOf(ParseError::kTcpFlags)
                       : Verdict::kDropNatTcpNoSyn;
    return;
  }
  if (flow.tcp_state != next.next) flow.tcp_state = next.next;
  if (next.deadline != TcpDeadline::kRestart) return;
  const FlowTimeouts& timeouts = snapshot.nat->timeouts;
  const uint32_t timeout = next.timeout == TcpTimeout::kEstablished
                               ? timeouts.tcp_established
                               : timeouts.tcp_transitory;
  const uint32_t deadline = now + timeout;
  if (flow.deadline == deadline) return;
  const bool earlier = TickAfter(flow.deadline, deadline);
  flow.deadline = deadline;
  if (earlier) context.flows->Shorten(flow);
}

void DecideByFlow(const Snapshot& snapshot, Flow& flow, Meta& meta) {
  const bool inbound = flow.kind == FlowKind::kInbound;
  meta.queue = flow.queue;
  meta.service = flow.service;
  if (meta.key.side == kUplinkSide) {
    const bool as_it_is = inbound || flow.source_rule == SourceRule::kAsIs;
    meta.action = as_it_is ? Action::kToQueue : Action::kTranslateIn;
    meta.verdict = Verdict::kDelivered;
    if (flow.uplink != meta.in &&
        snapshot.devices[meta.in].side == Side::kUplink) {
      flow.uplink = meta.in;
    }
    return;
  }
  meta.verdict = Verdict::kSent;
  if (inbound || flow.source_rule == SourceRule::kAsIs) {
    meta.action = Action::kToUplink;
    meta.source_may_be_service = true;
  } else {
    meta.action = Action::kTranslateOut;
  }
}

// It is with another worker, or the packet has been to one.
bool MayBeElsewhere(const Meta& meta) {
  return meta.flow->kind == FlowKind::kLent || meta.route >= Route::kHome;
}

// UseFlow, where it runs for every packet; not of a lent flow.
[[gnu::always_inline]] inline void UseFound(const Snapshot& snapshot,
                                            Context& context, Flow& flow,
                                            Meta& meta) {
  // Both ends are in this node: nothing of it ever comes from a wire (ANY-16).
  if (flow.to_uplink == kLoopAdjacency && meta.side == Side::kUplink &&
      meta.route != Route::kLoop && meta.route != Route::kLoopReply)
      [[unlikely]] {
    meta.verdict = Verdict::kDropSpoofOwnSource;
    return;
  }
  const bool from_client = FromClient(flow, meta);
  if (!from_client && !flow.answered) flow.answered = true;
  if (flow.protocol == kProtoTcp && !meta.view.HasL4()) {
    // A later fragment has no flags to move a state by.
  } else if (flow.protocol == kProtoTcp) {
    MoveTcp(snapshot, flow, from_client, context.now, context, meta);
    if (!meta.undecided() || meta.flow == nullptr) return;
  } else if (LacksChecksum(meta.view) && flow.kind == FlowKind::kInbound &&
             from_client) {
    meta.verdict = Verdict::kDropUdp6Zero;
    return;
  } else if (Refreshes(flow, from_client)) {
    const uint32_t deadline =
        context.now + TimeoutOf(snapshot.nat->timeouts, flow);
    if (flow.deadline != deadline) flow.deadline = deadline;
  }
  DecideByFlow(snapshot, flow, meta);
}

}  // namespace

void UseFlow(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
             Meta& meta) {
  if (MayBeElsewhere(meta) &&
      (FollowLent(snapshot, context, mbuf, meta) || meta.flow == nullptr)) {
    return;
  }
  UseFound(snapshot, context, *meta.flow, meta);
}

bool StillHolds(const Snapshot& snapshot, const Flow& flow) {
  const ServiceQueue* queue = snapshot.Queue(flow.queue);
  bool holds = queue != nullptr;
  if (holds && flow.kind == FlowKind::kInbound) {
    const Service* service = snapshot.ServiceOf(flow.service);
    holds = service != nullptr &&
            snapshot.service_table.FindAddress(flow.local) != nullptr;
    bool member = false;
    for (size_t i = 0; holds && i < service->queues.size(); ++i) {
      member = member || service->queues[i] == flow.queue;
    }
    // The same queue while it lives: one that is dead keeps nothing.
    holds = holds && member && queue->reachable;
  } else if (holds) {
    // Of a flow between two queues the far end is a service's, too. What is
    // lent may be a binding, of which some are such flows: the lender judges.
    const bool loop = flow.to_uplink == kLoopAdjacency;
    if (flow.kind != FlowKind::kLent) {
      holds = loop ? snapshot.service_table.FindAddress(flow.remote) != nullptr
                   : queue->originate != Originate::kDeny;
    }
    if (flow.unicast == kNoUnicast) {
      holds = holds && IsOwnService(snapshot, flow.local, flow.queue);
    } else {
      holds = holds && flow.unicast < snapshot.nat->unicast.size() &&
              !snapshot.nat->unicast[flow.unicast].IsUnspecified();
    }
  }
  return holds;
}

bool JudgeAgain(const Snapshot& snapshot, FlowTable& flows, Flow& flow) {
  if (!StillHolds(snapshot, flow)) {
    flows.End(flow);
    return false;
  }
  // Routes and neighbours are looked up anew, but of several next hops a flow
  // keeps its own. (The number may mean another gateway by now: a right one.)
  if (flow.to_uplink != kLoopAdjacency &&
      !IsLiveHop(snapshot, flow.remote, flow.to_uplink)) {
    flow.to_uplink = kNoAdjacency;
  }
  flow.to_queue = kNoAdjacency;
  flow.epoch = snapshot.epoch;
  return true;
}

void SteerToOwner(const Snapshot& snapshot, Context& context, Burst& burst) {
  if (context.ownership->workers() == 1) return;
  for (uint16_t i = 0; i < burst.count; ++i) {
    Meta& meta = burst.meta[i];
    if (!meta.undecided() || !meta.lookup) continue;
    const unsigned owner =
        OwnerOf(snapshot, *context.ownership, meta, context.worker);
    if (owner == context.worker) continue;
    // Another home than when it left for others: from the beginning there.
    if (meta.route == Route::kHome) meta.route = Route::kReceived;
    Tag(burst.mbuf[i], meta);
    HandOver(burst.mbuf[i], owner, context);
    meta.verdict = Verdict::kHandedOver;
  }
}

void FindFlow(const Snapshot& snapshot, Context& context, Burst& burst) {
  FlowTable& flows = *context.flows;
  Meta* const end = burst.meta.data() + burst.count;
  rte_mbuf** mbuf = burst.mbuf.data();
  bool all_finished = true;
  for (Meta* at = burst.meta.data(); at != end; ++at, ++mbuf) {
    Meta& meta = *at;
    Flow* flow = nullptr;
    if (meta.lookup && meta.undecided()) [[likely]] {
      flow = flows.FindPrefetched(meta.candidate, meta.hash, meta.key,
                                  context.now);
    }
    if (flow == nullptr || (flow->epoch != snapshot.epoch &&
                            !JudgeAgain(snapshot, flows, *flow))) [[unlikely]] {
      all_finished = false;
      continue;
    }
    meta.flow = flow;
    if (MayBeElsewhere(meta)) [[unlikely]] {
      UseFlow(snapshot, context, *mbuf, meta);
      all_finished = false;
      continue;
    }
    UseFound(snapshot, context, *flow, meta);
    if (!ForwardKnown(snapshot, *flow, *mbuf, meta)) all_finished = false;
  }
  burst.all_finished = all_finished;
}

}  // namespace godwit
