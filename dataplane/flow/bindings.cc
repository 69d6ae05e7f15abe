// SPDX-License-Identifier: BSD-3-Clause
// How bindings end, and l4ports rest. Apart from flow_table.cc, so that what
// this takes is not saved by all that make and end flows.
#include <algorithm>

#include "dataplane/flow/flow_table.h"
#include "dataplane/net/headers.h"

namespace godwit {
namespace {

// Of the l4ports that rest, and of the table that they take.
constexpr uint32_t kRestingShare = 4;
constexpr uint32_t kRestingEntryShare = 16;

}  // namespace

void FlowTable::Tell(MappingRecord::Kind kind, const Flow& flow) {
  log_->Post(RecordOf(kind, flow, now_));
}

bool FlowTable::Rests(Flow& binding) {
  if (rest_ == 0 || binding.protocol != kProtoUdp) return false;
  const uint32_t most = std::min(l4ports_->block().size() / kRestingShare,
                                 capacity() / kRestingEntryShare);
  if (resting_ >= most) return false;
  const FlowNumber number = NumberOf(binding);
  index_->Erase(HashOf(QueueSideKey(binding)), number << 1 | kQueueSide);
  binding.kind = FlowKind::kResting;
  binding.deadline = now_ + rest_;
  binding.seal = binding.SealOf();
  wheel_->Add(number, binding.deadline);
  ++resting_;
  return true;
}

void FlowTable::EndUncounted(Flow& flow) {
  if (flow.kind == FlowKind::kBinding) {
    Say(MappingRecord::Kind::kEnds, flow);
    if (Rests(flow)) return;
  }
  const Flow ended = flow;
  Forget(NumberOf(flow));
  if (ended.kind == FlowKind::kLent) return;
  if (ended.kind == FlowKind::kResting) --resting_;
  PoolOf(ended.protocol).Free(ended.destination, ended.external_l4port);
}

}  // namespace godwit
