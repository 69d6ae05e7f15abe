// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/seek.h"

#include <array>
#include <bit>

#include "dataplane/stage/decide.h"
#include "dataplane/stage/lend.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

constexpr uint8_t kNobody = L4PortPlan::kNobody;

// What is written on a packet that is sought, in PacketTag::since.
struct Way {
  uint8_t home = kNobody;
  std::array<uint8_t, 2> next = {kNobody, kNobody};
  uint8_t at_lender = 0;

  uint8_t TakeNext() {
    const uint8_t first = next[0];
    next = {next[1], kNobody};
    return first;
  }
};
static_assert(sizeof(Way) == sizeof(PacketTag::since));

void Go(Route route, unsigned to, const Way& way, rte_mbuf* mbuf,
        Context& context, Meta& meta) {
  meta.route = route;
  Tag(mbuf, meta).since = std::bit_cast<uint32_t>(way);
  HandOver(mbuf, to, context);
  meta.verdict = Verdict::kHandedOver;
}

// The entry here that says who has the flow, or its binding.
Flow* LentHere(const Snapshot& snapshot, Context& context, const Meta& meta) {
  if (meta.key.side == kUplinkSide) return nullptr;
  if (meta.flow != nullptr && meta.flow->kind == FlowKind::kLent) {
    return meta.flow;
  }
  return snapshot.nat->endpoint_independent_used
             ? context.flows->FindLentBinding(meta.key, context.now)
             : nullptr;
}

// To the next that may have the flow, or home.
void GoOn(Way way, rte_mbuf* mbuf, Context& context, Meta& meta) {
  way.at_lender = 0;
  const uint8_t next = way.TakeNext();
  if (next != kNobody) {
    Go(Route::kSought, next, way, mbuf, context, meta);
  } else {
    Go(Route::kHome, way.home, way, mbuf, context, meta);
  }
}

}  // namespace

bool Seek(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
          Meta& meta) {
  const bool begins = meta.route == Route::kReceived;
  if (!begins && meta.route != Route::kSought) return false;
  Way way;
  if (begins) {
    if (!snapshot.nat->MayHaveMoved()) return false;
    if (context.ownership->workers() == 1) return false;
    way.home = static_cast<uint8_t>(context.worker);
    way.next = OtherOwners(snapshot, *context.ownership, meta.key, way.home);
  } else {
    way = std::bit_cast<Way>(TagOf(mbuf).since);
  }
  if (way.at_lender == 0) {
    Flow* lent = LentHere(snapshot, context, meta);
    // At home one of today's mapping is followed as ever, when all were asked.
    const bool asks = lent != nullptr && lent->lender != way.home &&
                      !(begins && IsOfMapping(*lent, snapshot.nat->mapping));
    if (asks) {
      KeepLent(snapshot, context, *lent);
      way.at_lender = 1;
      Go(Route::kSought, lent->lender, way, mbuf, context, meta);
      return true;
    }
  }
  if (begins && way.next[0] == kNobody) return false;
  GoOn(way, mbuf, context, meta);
  return true;
}

}  // namespace godwit
