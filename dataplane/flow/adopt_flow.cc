// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/flow_table.h"

namespace godwit {

// The l4port that `flow`, which is filed, has already.
void FlowTable::AdoptL4Port(const Flow& flow) {
  FlowKey key = UplinkSideKey(flow);
  PoolOf(flow.protocol)
      .Adopt(flow.destination, flow.external_l4port,
             [this, &key](uint16_t l4port) {
               key.local_l4port = l4port;
               return IsFiled(key);
             });
}

// To the binding that it was a session of; the first makes it. If that can't
// be, the l4port is the flow's own from here on.
void FlowTable::RejoinBinding(Flow& flow) {
  const FlowKey key = BindingKey(QueueSideKey(flow));
  const uint32_t value = index_->Find(
      HashOf(key),
      [this, &key](uint32_t found) { return Matches(found, key); });
  FlowNumber number = value >> 1;
  if (value == FlowIndex::kNone) {
    Flow wanted = flow;
    wanted.kind = FlowKind::kBinding;
    wanted.remote = key.remote;
    wanted.remote_l4port = key.remote_l4port;
    wanted.destination = DestinationOf(UplinkSideKey(wanted));
    if (IsFiled(UplinkSideKey(wanted))) return;
    number = Store(wanted);
    if (number == kNoFlow) return;
    AdoptL4Port(flows_[number]);
  }
  Flow& binding = flows_[number];
  if (binding.kind != FlowKind::kBinding ||
      binding.external_l4port != flow.external_l4port ||
      binding.unicast != flow.unicast) {
    return;
  }
  flow.binding = number;
  ++binding.sessions;
}

// It rests on (MAP-15): by its uplink side alone.
bool FlowTable::AdoptResting(const Flow& kept) {
  if (takeable_ == 0 || IsFiled(UplinkSideKey(kept))) return false;
  const FlowNumber number = free_[takeable_ - 1];
  Flow& flow = flows_[number];
  const uint64_t uplink_side = HashOf(UplinkSideKey(kept));
  if (index_->Insert(uplink_side, number << 1 | kUplinkSideBit) ==
      FlowIndex::InsertResult::kFull) {
    return false;
  }
  flow = kept;
  flow.destination = DestinationOf(UplinkSideKey(flow));
  flow.seal = flow.SealOf();
  free_[--takeable_] = free_[--free_count_];
  wheel_->Add(number, flow.deadline);
  AdoptL4Port(flow);
  ++resting_;
  return true;
}

bool FlowTable::Adopt(const Flow& kept) {
  if (kept.kind == FlowKind::kResting) return AdoptResting(kept);
  Flow flow = kept;
  flow.binding = kNoFlow;
  flow.sessions = 0;
  const bool inbound = flow.kind == FlowKind::kInbound;
  // A session may need an entry for its binding, too.
  const uint32_t wanted = kept.binding == kNoFlow ? 1 : 2;
  if (takeable_ < wanted || (inbound && inbound_ >= inbound_limit_) ||
      IsFiled(QueueSideKey(flow)) || IsFiled(UplinkSideKey(flow))) {
    return false;
  }
  const bool translated =
      !inbound && flow.source_rule == SourceRule::kTranslated;
  if (translated && kept.binding != kNoFlow) RejoinBinding(flow);
  if (translated) flow.destination = DestinationOf(UplinkSideKey(flow));
  const FlowNumber number = Store(flow);
  if (number == kNoFlow) {
    if (flow.binding != kNoFlow) LeaveBinding(flow);
    return false;
  }
  if (inbound) {
    ++inbound_;
    CountInbound(flow.queue, 1);
    return true;
  }
  if (translated && flow.binding == kNoFlow) AdoptL4Port(flows_[number]);
  ++mappings_;
  if (flow.queue < queue_use_.size()) {
    queue_use_[flow.queue].mappings.fetch_add(1, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace godwit
