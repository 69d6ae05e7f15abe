// SPDX-License-Identifier: BSD-3-Clause
// Tuple -> flow: most packets are decided here.
#ifndef GODWIT_DATAPLANE_STAGE_FIND_FLOW_H_
#define GODWIT_DATAPLANE_STAGE_FIND_FLOW_H_

#include "dataplane/net/headers.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"

namespace godwit {

// What FindFlow will read of a packet's flow is sent for while packets behind
// it are still being parsed: first the bucket that its hash names, then, when
// that has come, the entry which the bucket names.
inline void SendForBucket(const FlowTable& flows, Meta& meta) {
  if (!meta.lookup || !meta.undecided()) return;
  meta.hash = flows.HashOf(meta.key);
  flows.PrefetchBucket(meta.hash);
}
inline void SendForFlow(const FlowTable& flows, Meta& meta) {
  if (!meta.lookup || !meta.undecided()) return;
  meta.candidate = flows.PrefetchFlow(meta.hash);
}

// Gives packets whose owner is another worker away (Verdict::kHandedOver).
void SteerToOwner(const Snapshot& snapshot, Context& context, Burst& burst);

// Decides every packet whose flow is known and leaves the rest undecided.
// Both have been sent for.
void FindFlow(const Snapshot& snapshot, Context& context, Burst& burst);

// Moves a flow's state by one packet and decides it: `meta.flow` is set. It is
// none afterwards, and the packet undecided, if it was a lent one that ended.
void UseFlow(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
             Meta& meta);

// Whether `snapshot` has what the flow was decided by.
bool StillHolds(const Snapshot& snapshot, const Flow& flow);

// Whether what the flow was decided by still holds; then it is of the
// snapshot's epoch again. If not it has been ended.
bool JudgeAgain(const Snapshot& snapshot, FlowTable& flows, Flow& flow);

// An inbound UDP or ICMP flow that nobody answered is forgotten sooner.
inline constexpr uint32_t kUnansweredTicks = 300;

// The timeout that counts for `flow` now, in ticks.
inline uint32_t TimeoutOf(const FlowTimeouts& timeouts, const Flow& flow) {
  if (flow.protocol == kProtoTcp) {
    return TcpTimeoutOf(flow.tcp_state) == TcpTimeout::kEstablished
               ? timeouts.tcp_established
               : timeouts.tcp_transitory;
  }
  const uint32_t timeout =
      flow.protocol == kProtoUdp ? timeouts.udp : timeouts.icmp;
  const bool short_lived = flow.kind == FlowKind::kInbound && !flow.answered;
  return short_lived && timeout > kUnansweredTicks ? kUnansweredTicks : timeout;
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_FIND_FLOW_H_
