// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/lend.h"

#include <algorithm>

#include "dataplane/net/headers.h"
#include "dataplane/stage/decide.h"
#include "dataplane/stage/seek.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

// Clocks are read once a burst: the lender's may be ahead of the owner's.
constexpr uint32_t kMarginTicks = 10;

// Ticks that the flow may stay without a packet from its queue, in any state.
uint32_t LongestTimeout(const FlowTimeouts& timeouts, uint8_t protocol) {
  switch (protocol) {
    case kProtoTcp:
      return std::max(timeouts.tcp_established, timeouts.tcp_transitory);
    case kProtoUdp:
      return timeouts.udp;
    default:
      return timeouts.icmp;
  }
}

unsigned OwnerByRule(const Snapshot& snapshot, const Context& context,
                     const FlowKey& key) {
  return OwnerOfOriginated(snapshot, *context.ownership, key);
}

void Give(rte_mbuf* mbuf, Route route, unsigned to, Context& context,
          Meta& meta) {
  meta.route = route;
  PacketTag& tag = Tag(mbuf, meta);
  tag.since = route == Route::kLent ? context.worker : 0;
  HandOver(mbuf, to, context);
  meta.verdict = Verdict::kHandedOver;
}

}  // namespace

void KeepLent(const Snapshot& snapshot, const Context& context, Flow& lent) {
  lent.deadline = context.now + kMarginTicks +
                  LongestTimeout(snapshot.nat->timeouts, lent.protocol);
}

void SendToLender(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                  Flow& lent, Meta& meta) {
  KeepLent(snapshot, context, lent);
  if (meta.route == Route::kLent) {
    lent.lender = static_cast<uint8_t>(TagOf(mbuf).since);
  }
  Give(mbuf, Route::kBorrowed, lent.lender, context, meta);
}

bool FollowLent(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                Meta& meta) {
  const bool sought = meta.route == Route::kSought;
  const bool home = meta.route == Route::kHome;
  if (meta.flow->kind != FlowKind::kLent) {
    if (sought || home) meta.route = Route::kReceived;  // found
    return meta.route == Route::kBorrow && Lend(snapshot, context, mbuf, meta);
  }
  if (sought) return Seek(snapshot, context, mbuf, meta);
  if (meta.route == Route::kBorrow || meta.route == Route::kBorrowed) {
    context.flows->End(*meta.flow);
    meta.flow = nullptr;
    meta.route = Route::kOriginate;
    return false;
  }
  if (!IsOfMapping(*meta.flow, snapshot.nat->mapping)) {
    if (home) {
      context.flows->End(*meta.flow);
      meta.flow = nullptr;
      return false;
    }
    if (Seek(snapshot, context, mbuf, meta)) return true;
  }
  SendToLender(snapshot, context, mbuf, *meta.flow, meta);
  return true;
}

bool Borrow(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
            const Flow& flow, Meta& meta) {
  const unsigned workers = context.ownership->workers();
  if (workers == 1) return false;
  const bool at_home =
      OwnerByRule(snapshot, context, meta.key) == context.worker;
  if (at_home && meta.route == Route::kBorrow) return false;
  if (at_home && meta.route == Route::kLent) {
    Flow* lent =
        context.flows->MakeLent(flow, snapshot.nat->mapping, TagOf(mbuf).since);
    if (lent == nullptr) return false;
    SendToLender(snapshot, context, mbuf, *lent, meta);
    return true;
  }
  Give(mbuf, Route::kBorrow, (context.worker + 1) % workers, context, meta);
  return true;
}

bool Lend(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
          Meta& meta) {
  const unsigned owner = OwnerByRule(snapshot, context, meta.key);
  if (owner == context.worker) return false;
  Give(mbuf, Route::kLent, owner, context, meta);
  return true;
}

bool FollowRound(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                 Meta& meta) {
  const unsigned workers = context.ownership->workers();
  if (workers == 1 || meta.key.side == kUplinkSide) return false;
  const bool on_round = meta.route == Route::kBorrow;
  if (!on_round && meta.route != Route::kReceived) return false;
  if (on_round && OwnerByRule(snapshot, context, meta.key) == context.worker) {
    return false;
  }
  Give(mbuf, Route::kBorrow, (context.worker + 1) % workers, context, meta);
  return true;
}

}  // namespace godwit
