// SPDX-License-Identifier: BSD-3-Clause
// What one worker's stages work with besides the snapshot and the burst.
#ifndef GODWIT_DATAPLANE_STAGE_CONTEXT_H_
#define GODWIT_DATAPLANE_STAGE_CONTEXT_H_

#include <rte_mempool.h>

#include <cstdint>

#include "dataplane/flow/flow_table.h"
#include "dataplane/flow/fragments.h"
#include "dataplane/flow/owner.h"
#include "dataplane/flow/waiting_room.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/counters.h"
#include "dataplane/stage/events.h"
#include "dataplane/stage/handoff.h"
#include "dataplane/table/token_bucket.h"

namespace godwit {

// Frames for one device, until the burst ends.
struct TxBatch {
  uint16_t count = 0;
  std::array<rte_mbuf*, Burst::kMax> mbuf;
  std::array<Verdict, Burst::kMax> verdict;  // what each counts as if it goes

  void Add(rte_mbuf* frame, Verdict counts_as) {
    mbuf[count] = frame;
    verdict[count++] = counts_as;
  }
};

// Packets that go round once more within the turn: to a service of this node.
struct LoopBuffer {
  uint16_t count = 0;
  std::array<rte_mbuf*, 2 * Burst::kMax> mbuf;
};

// Written by: its worker.
struct Context {
  unsigned worker = 0;
  uint32_t now = 0;                    // tick, read once a burst
  const Snapshot* snapshot = nullptr;  // of this turn
  const Ownership* ownership = nullptr;
  FlowTable* flows = nullptr;
  Counters* counters = nullptr;
  Handoff* handoff = nullptr;
  EventSink* events = nullptr;
  rte_mempool* pool = nullptr;    // for answers
  std::span<QueueUse> queue_use;  // by QueueId
  WaitingRoom waiting;
  Fragments fragments;
  LoopBuffer loop;
  // Answers a second and at once (RFC 1812 4.3.2.8, RFC 4443 2.4f).
  TokenBucket rejects{100, 100};
  TokenBucket errors{100, 100};
  TokenBucket echoes{1000, 1000};
  TokenBucket log_lines{1, 1};
  TokenBucket few_l4ports{1, 1};  // of these events
  KernelShare kernel_share;
  KernelTalks kernel_talks;
  // By DeviceId; only those in `pending` hold frames.
  std::array<TxBatch, kMaxDevices>* tx = nullptr;
  std::array<DeviceId, kMaxDevices> pending;
  uint16_t pending_count = 0;
};

// Packets that this worker holds: they have come and have not ended.
inline uint64_t Holding(const Context& context) {
  return uint64_t{context.waiting.count()} + context.fragments.waiting() +
         context.loop.count;
}

// Lets a packet go round once more, as its tag says. Dropped if too many do.
void LoopAround(rte_mbuf* mbuf, Context& context);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_CONTEXT_H_
