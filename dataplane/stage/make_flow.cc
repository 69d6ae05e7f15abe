// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/make_flow.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/answer.h"
#include "dataplane/stage/decide.h"
#include "dataplane/stage/find_flow.h"
#include "dataplane/stage/icmp_error.h"
#include "dataplane/stage/lend.h"
#include "dataplane/stage/next_hop.h"
#include "dataplane/stage/seek.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

uint64_t ClientHash(const FlowTable& flows, const FlowKey& key) {
  FlowKey client;
  client.remote = key.remote;
  return flows.HashOf(client);
}

QueueId QueueFor(const Service& service, const FlowTable& flows,
                 const Meta& meta) {
  const uint64_t client =
      service.affinity == Affinity::kClient ? ClientHash(flows, meta.key) : 0;
  return ChooseQueue(service, meta.hash, client);
}

MacAddress SenderOf(const rte_mbuf* mbuf) {
  return rte_pktmbuf_mtod(mbuf, const EthHeader*)->source;
}

// What the key, the clock and the snapshot say of a new flow.
Flow Begin(const Snapshot& snapshot, const Context& context, const Meta& meta,
           FlowKind kind, QueueId queue) {
  Flow flow;
  flow.kind = kind;
  flow.remote = meta.key.remote;
  flow.local = meta.key.local;
  flow.remote_l4port = meta.key.remote_l4port;
  flow.local_l4port = meta.key.local_l4port;
  flow.external_l4port = meta.key.local_l4port;
  flow.protocol = meta.key.protocol;
  flow.queue = queue;
  flow.epoch = snapshot.epoch;
  flow.created = context.now;
  if (flow.protocol == kProtoTcp) {
    flow.tcp_state = TcpJoin(TcpEventOf(meta.view.l4_flags));
  }
  flow.deadline = context.now + TimeoutOf(snapshot.nat->timeouts, flow);
  return flow;
}

bool IsReset(const Meta& meta) {
  return meta.view.protocol == kProtoTcp && (meta.view.l4_flags & kTcpRst) != 0;
}

void Serve(const Snapshot& snapshot, Context& context, const Decision& decision,
           Meta& meta) {
  const Service& service = snapshot.services[decision.service];
  if (!meta.lookup) meta.hash = context.flows->HashOf(meta.key);
  meta.service = decision.service;
  meta.queue = QueueFor(service, *context.flows, meta);
  if (meta.queue == 0) {
    meta.verdict = Verdict::kDropServiceNoQueue;
    return;
  }
  meta.action = Action::kToQueue;
  meta.verdict = Verdict::kDelivered;
  // A reset begins nothing; without an entry the hash decides alone.
  if (IsReset(meta)) return;
  Flow flow = Begin(snapshot, context, meta, FlowKind::kInbound, meta.queue);
  flow.service = decision.service;
  if (snapshot.devices[meta.in].side == Side::kUplink) flow.uplink = meta.in;
  if (meta.route == Route::kLoop) flow.to_uplink = kLoopAdjacency;
  context.flows->MakeInbound(flow, meta.flow);
}

void Reply(const Snapshot& snapshot, Context& context, const Decision& decision,
           Meta& meta) {
  meta.action = Action::kToUplink;
  meta.verdict = Verdict::kSent;
  meta.source_may_be_service = true;
  meta.service = decision.service;
  // Round, too, if no flow is made to say so.
  if (decision.local) meta.adjacency = kLoopAdjacency;
  if (IsReset(meta) && !decision.local) return;
  Flow flow = Begin(snapshot, context, meta, FlowKind::kInbound, meta.queue);
  flow.service = decision.service;
  flow.answered = true;
  flow.deadline = context.now + TimeoutOf(snapshot.nat->timeouts, flow);
  if (decision.local) flow.to_uplink = kLoopAdjacency;
  // The client is another queue's already, and stays so.
  if (context.flows->IsTaken(meta.key, meta.key.local)) return;
  context.flows->MakeInbound(flow, meta.flow);
}

void Tell(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
          const Meta& meta, ErrorKind kind) {
  if (!context.errors.Take(context.now)) return;
  SendIcmpError(mbuf, meta, kind, OwnAddressFor(snapshot, meta), 0, context);
}

// The node's limits of one queue (MAP-16). kUndecided: there is room.
Verdict CheckLimits(const ServiceQueue& queue, QueueUse& use, uint32_t now) {
  if (queue.flow_limit != 0 &&
      use.mappings.load(std::memory_order_relaxed) >= queue.flow_limit) {
    return Verdict::kDropLimitFlows;
  }
  if (queue.rate_limit == 0) return Verdict::kUndecided;
  const uint64_t second = now / TokenBucket::kTicksPerSecond;
  uint64_t window = use.rate_window.load(std::memory_order_relaxed);
  while (true) {
    const uint64_t used = (window >> 32) == second ? window & 0xffffffff : 0;
    if (used >= queue.rate_limit) return Verdict::kDropLimitRate;
    if (use.rate_window.compare_exchange_weak(window, second << 32 | (used + 1),
                                              std::memory_order_relaxed)) {
      return Verdict::kUndecided;
    }
  }
}

void TellOfL4Ports(Context& context, const Meta& meta, EventKind kind) {
  Event event;
  event.kind = kind;
  event.device = meta.in;
  event.address = meta.key.remote;
  context.events->Post(event);
}

void Exhausted(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
               Meta& meta, UnicastId unicast, FlowTable::Made made) {
  if (unicast == kNoUnicast && made == FlowTable::Made::kTaken) {
    meta.verdict = Verdict::kDropNatVipSource;  // it is another flow's
    Tell(snapshot, context, mbuf, meta, ErrorKind::kProhibited);
    return;
  }
  const bool l4ports = made != FlowTable::Made::kTableFull;
  meta.verdict = l4ports ? Verdict::kDropNatNoPort : Verdict::kDropTableFull;
  if (l4ports) ++context.counters->counts.no_l4port[unicast];
  Tell(snapshot, context, mbuf, meta, ErrorKind::kNoResources);
  if (l4ports && context.log_lines.Take(context.now)) {
    TellOfL4Ports(context, meta, EventKind::kNoL4Port);
  }
}

// A packet of a mapping, as it left the queue's side: the kernel forwards what
// it was given for its own service, since the address is on none of its
// interfaces. It must not get a mapping of its own, and so go round for ever.
// Both are with the worker that the l4port is of.
bool IsOutsideOfFlow(const Context& context, const Meta& meta) {
  FlowKey outside = meta.key;
  outside.side = kUplinkSide;
  FlowTable& flows = *context.flows;
  return flows.Find(flows.HashOf(outside), outside, context.now) != nullptr;
}

bool IsLimited(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
               Meta& meta) {
  QueueUse& use = context.queue_use[meta.queue];
  meta.verdict = CheckLimits(snapshot.queues[meta.queue], use, context.now);
  if (meta.undecided()) return false;
  Tell(snapshot, context, mbuf, meta, ErrorKind::kNoResources);
  return true;
}

// It may be of a flow that there is: who lends the binding knows.
bool HasLentBinding(const Snapshot& snapshot, Context& context,
                    const Meta& meta) {
  return snapshot.nat->mapping == Mapping::kEndpointIndependent &&
         context.flows->FindLentBinding(meta.key, context.now) != nullptr;
}

void Originate(const Snapshot& snapshot, Context& context,
               const Decision& decision, const FlowTable::Draft& draft,
               rte_mbuf* mbuf, Meta& meta) {
  const NatConfig& nat = *snapshot.nat;
  if (decision.local && meta.queue == kKernelQueue &&
      IsOutsideOfFlow(context, meta)) {
    meta.verdict = Verdict::kDropNatLoop;
    return;
  }
  // Of one that looks for an l4port its owner has asked.
  const bool begins =
      meta.route != Route::kBorrow && meta.route != Route::kLent;
  const bool lent = begins && HasLentBinding(snapshot, context, meta);
  if (begins && !lent && IsLimited(snapshot, context, mbuf, meta)) return;
  Flow flow = Begin(snapshot, context, meta, FlowKind::kOriginated, meta.queue);
  flow.originator = SenderOf(mbuf);
  flow.source_rule = decision.plan == Plan::kOriginate ? SourceRule::kTranslated
                                                       : SourceRule::kAsIs;
  if (decision.local) flow.to_uplink = kLoopAdjacency;
  if (meta.side == Side::kKernel) flow.uplink = snapshot.devices[meta.in].peer;
  flow.unicast = kNoUnicast;
  if (decision.plan == Plan::kOriginate) {
    ChooseUnicast(nat, flow.local, flow.unicast);
  } else if (decision.plan == Plan::kPassDirect) {
    flow.unicast = nat.IdOf(flow.local);
  }
  using Made = FlowTable::Made;
  FlowTable& flows = *context.flows;
  const uint64_t tight = flows.tight();
  Made made = flows.MakeOriginated(flow, nat, draft, meta.flow);
  if (made == Made::kLent) {
    if (FollowLent(snapshot, context, mbuf, meta)) return;
    if (lent && IsLimited(snapshot, context, mbuf, meta)) return;
    made = flows.MakeOriginated(flow, nat, draft, meta.flow);
  }
  if (made != Made::kYes) {
    // A round goes past a full table.
    const bool may_borrow =
        made == Made::kNoL4Port || meta.route == Route::kBorrow;
    if (may_borrow && Borrow(snapshot, context, mbuf, flow, meta)) return;
    Exhausted(snapshot, context, mbuf, meta, flow.unicast, made);
    return;
  }
  if (flows.tight() != tight && context.few_l4ports.Take(context.now)) {
    TellOfL4Ports(context, meta, EventKind::kFewL4Ports);
  }
  if (decision.plan == Plan::kOriginate) {
    SetDeltas(nat.unicast[meta.flow->unicast], *meta.flow);
  }
  if (meta.route == Route::kBorrow && Lend(snapshot, context, mbuf, meta)) {
    return;
  }
  meta.verdict = Verdict::kSent;
  if (decision.plan == Plan::kOriginate) {
    meta.action = Action::kTranslateOut;
  } else {
    meta.action = Action::kToUplink;
    meta.source_may_be_service = decision.plan == Plan::kOriginateVip;
  }
}

void Reject(Context& context, const Decision& decision, rte_mbuf* mbuf,
            Meta& meta) {
  meta.verdict = decision.verdict;
  // What gets no answer takes none from others.
  if (decision.silent || !meta.view.HasL4() || IsReset(meta)) return;
  if (!context.rejects.Take(context.now)) return;
  if (meta.view.protocol == kProtoTcp) {
    SendReset(mbuf, meta, context);
    return;
  }
  const ErrorKind kind = meta.view.protocol == kProtoUdp
                             ? ErrorKind::kPortUnreachable
                             : ErrorKind::kProtocolUnreachable;
  SendIcmpError(mbuf, meta, kind, meta.key.local, 0, context);
}

// What opens nothing; but the binding of what it belongs to may be lent.
void FollowLentBinding(const Snapshot& snapshot, Context& context,
                       rte_mbuf* mbuf, Meta& meta) {
  if (meta.route == Route::kBorrowed) return;
  if (HasLentBinding(snapshot, context, meta)) {
    Flow* lent = context.flows->FindLentBinding(meta.key, context.now);
    SendToLender(snapshot, context, mbuf, *lent, meta);
  } else if (meta.verdict == Verdict::kDropFragOrphan) {
    FollowRound(snapshot, context, mbuf, meta);
  }
}

void Carry(const Snapshot& snapshot, Context& context,
           const FlowTable::Draft& draft, rte_mbuf* mbuf, Meta& meta) {
  const Decision decision = Decide(snapshot, meta);
  switch (decision.plan) {
    case Plan::kDrop:
      meta.verdict = decision.verdict;
      if ((meta.verdict == Verdict::kDropFragOrphan ||
           meta.verdict == Verdict::kDropNatTcpNoSyn) &&
          meta.lookup) {
        FollowLentBinding(snapshot, context, mbuf, meta);
      }
      break;
    case Plan::kRefuse:
      meta.verdict = decision.verdict;
      Tell(snapshot, context, mbuf, meta, ErrorKind::kProhibited);
      break;
    case Plan::kPunt:
      meta.action = Action::kToKernel;
      meta.verdict = Verdict::kPunted;
      break;
    case Plan::kServe:
      Serve(snapshot, context, decision, meta);
      break;
    case Plan::kAnswerEcho:
      meta.verdict = Verdict::kDropEchoLimited;
      if (context.echoes.Take(context.now)) {
        meta.verdict = Verdict::kConsumed;
        SendEchoReply(mbuf, meta, context);
      }
      break;
    case Plan::kReject:
      Reject(context, decision, mbuf, meta);
      break;
    case Plan::kReply:
      Reply(snapshot, context, decision, meta);
      break;
    case Plan::kOriginate:
    case Plan::kOriginateVip:
    case Plan::kPassDirect:
      Originate(snapshot, context, decision, draft, mbuf, meta);
      break;
  }
}

using Drafts = std::array<FlowTable::Draft, Burst::kMax>;

// From the first packet on whose flow is not known: what making flows for all
// of them will read is sent for, and waited for once.
void DraftFlows(const Snapshot& snapshot, Context& context, const Burst& burst,
                uint16_t first, Drafts& drafts) {
  const NatConfig& nat = *snapshot.nat;
  FlowTable& flows = *context.flows;
  uint32_t ahead = 0;
  for (uint16_t i = first; i < burst.count; ++i) {
    const Meta& meta = burst.meta[i];
    drafts[i] = {};
    if (!meta.lookup || !meta.undecided()) continue;
    flows.PrefetchFree(ahead++);
    FlowKey other_side = meta.key;
    if (meta.key.side == kUplinkSide) {
      const Service* service = snapshot.ServiceOf(snapshot.service_table.Find(
          meta.key.local, meta.key.protocol, meta.key.local_l4port));
      if (service == nullptr) continue;
      other_side.side = QueueFor(*service, flows, meta);
      flows.PrefetchBucket(flows.HashOf(other_side));
      continue;
    }
    UnicastId unicast = 0;
    const bool may_be_translated = nat.mapping == Mapping::kPerDestination &&
                                   ChooseUnicast(nat, meta.key.local, unicast);
    if (!may_be_translated) continue;
    other_side.local = nat.unicast[unicast];
    other_side.side = kUplinkSide;
    drafts[i] = flows.DraftMapping(other_side);
  }
}

// One that is sought may come to a worker whose snapshot is still the old one.
bool MayBeSought(bool seeks, const Meta& meta) {
  return (seeks || meta.route == Route::kSought) && meta.lookup;
}

}  // namespace

void SetDeltas(const IpAddress& external, Flow& flow) {
  ChecksumDelta l3;
  l3.RemoveAddress(flow.local);
  l3.AddAddressBytes(external);
  flow.l3_delta = l3.value();
  ChecksumDelta l4;
  if (flow.protocol != kProtoIcmp) {  // no pseudo header
    l4.RemoveAddress(flow.local);
    l4.AddAddressBytes(external);
  }
  l4.Remove16(Be16(flow.local_l4port).wire());
  l4.Add16(Be16(flow.external_l4port).wire());
  flow.l4_delta = l4.value();
}

void MakeFlow(const Snapshot& snapshot, Context& context, Burst& burst) {
  Drafts drafts;
  bool drafted = false;
  const bool seeks =
      context.ownership->workers() > 1 && snapshot.nat->MayHaveMoved();
  for (uint16_t i = 0; i < burst.count; ++i) {
    Meta& meta = burst.meta[i];
    if (meta.finished) continue;
    rte_mbuf* mbuf = burst.mbuf[i];
    if (meta.undecided()) {
      if (!drafted) DraftFlows(snapshot, context, burst, i, drafts);
      drafted = true;
      // An earlier packet of the burst may have made the flow.
      if (meta.lookup) {
        meta.flow = context.flows->Find(meta.hash, meta.key, context.now);
      }
      if (meta.flow != nullptr) {
        UseFlow(snapshot, context, mbuf, meta);
      }
      if (meta.flow == nullptr) {
        if (meta.view.HasL4() &&
            IsIcmpError(meta.view.protocol, meta.view.l4_flags)) {
          HandleIcmpError(snapshot, context, mbuf, meta);
        } else if (!MayBeSought(seeks, meta) ||
                   !Seek(snapshot, context, mbuf, meta)) {
          Carry(snapshot, context, drafts[i], mbuf, meta);
        }
      }
    }
    if (meta.verdict == Verdict::kDelivered || meta.verdict == Verdict::kSent ||
        meta.verdict == Verdict::kPunted) {
      FindNextHop(snapshot, context, mbuf, meta);
    }
  }
}

}  // namespace godwit
