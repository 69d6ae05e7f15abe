// SPDX-License-Identifier: BSD-3-Clause
// How bindings end, and who is told. Apart from flow_table.cc, so that what
// this takes is not saved by all that make and end flows.
#include "dataplane/flow/flow_table.h"

namespace godwit {

void FlowTable::Tell(MappingRecord::Kind kind, const Flow& flow) {
  log_->Post(RecordOf(kind, flow, now_));
}

void FlowTable::EndUncounted(Flow& flow) {
  if (flow.kind == FlowKind::kBinding) {
    Say(MappingRecord::Kind::kEnds, flow);
  }
  const Flow ended = flow;
  Forget(NumberOf(flow));
  if (ended.kind == FlowKind::kLent) return;
  PoolOf(ended.protocol).Free(ended.destination, ended.external_l4port);
}

}  // namespace godwit
