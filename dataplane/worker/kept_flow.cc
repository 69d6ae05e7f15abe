// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/kept_flow.h"

#include "dataplane/flow/flow_table.h"
#include "dataplane/stage/decide.h"
#include "dataplane/stage/find_flow.h"
#include "dataplane/stage/make_flow.h"

namespace godwit {
namespace {

bool IsTranslated(const Flow& flow) {
  return flow.kind == FlowKind::kOriginated &&
         flow.source_rule == SourceRule::kTranslated;
}

}  // namespace

bool Renew(const Snapshot& snapshot, Flow& flow) {
  // Of an l4port that rests nothing but itself is left.
  const bool rests = flow.kind == FlowKind::kResting;
  if (!rests && !StillHolds(snapshot, flow)) return false;
  if (!rests && !IsTranslated(flow)) return true;
  const NatConfig& nat = *snapshot.nat;
  const bool has_l4port =
      nat.PlanOf(flow.protocol).Owner(flow.external_l4port) !=
      L4PortPlan::kNobody;
  if (flow.unicast >= nat.unicast.size() ||
      nat.unicast[flow.unicast].IsUnspecified() || !has_l4port) {
    return false;
  }
  SetDeltas(nat.unicast[flow.unicast], flow);
  return true;
}

KeptPlace PlaceOf(const Snapshot& snapshot, const Ownership& ownership,
                  const Flow& flow) {
  const FlowKey key = FlowTable::QueueSideKey(flow);
  if (flow.kind == FlowKind::kInbound) {
    const unsigned owner = ownership.OfTuple(key);
    return {owner, owner};
  }
  const NatConfig& nat = *snapshot.nat;
  const unsigned by_l4port =
      nat.PlanOf(flow.protocol).Owner(flow.external_l4port);
  if (flow.kind == FlowKind::kResting) return {by_l4port, by_l4port};
  const unsigned owner = OwnerOfOriginated(snapshot, ownership, key);
  return {IsTranslated(flow) ? by_l4port : owner, owner};
}

}  // namespace godwit
