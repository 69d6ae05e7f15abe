// SPDX-License-Identifier: BSD-3-Clause
// Either key -> entry; making, expiring and ending flows. One per worker.
//
// Full is a verdict: mappings have a share of the table that inbound flows
// can't take, and are never evicted. An inbound flow that finds no room takes
// the place of one that was never answered, if one is near; else it has no
// entry and the consistent hash alone decides its packets.
#ifndef GODWIT_DATAPLANE_FLOW_FLOW_TABLE_H_
#define GODWIT_DATAPLANE_FLOW_FLOW_TABLE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/flow/flow.h"
#include "dataplane/flow/l4port_pool.h"
#include "dataplane/flow/mapping_log.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/table/flow_hash.h"
#include "dataplane/table/flow_index.h"
#include "dataplane/table/memory.h"
#include "dataplane/table/timer_wheel.h"

namespace godwit {

// Live mappings of each service queue, over all workers: limits are the
// node's, not a worker's. Moved when a mapping is made or ends, never by a
// packet of one that exists.
struct QueueUse {
  std::atomic<uint32_t> mappings{0};
  // New mappings in the running second, and which second that is.
  std::atomic<uint64_t> rate_window{0};
};

class FlowTable {
 public:
  struct Options {
    uint32_t max_flows = 1024;  // of this worker
    FlowHashSeed seed{};        // the same on all workers
    // Of the order in which l4ports are given out; none: the system's choice.
    std::optional<RandomStream::Seed> l4port_seed;
    uint32_t now = 0;  // tick
    HugePages huge_pages = HugePages::kAuto;
    std::span<QueueUse> queue_use;  // by QueueId; outlives the table
    // Where the entries are (flow_region.h): max_flows of them, all zero, and
    // they outlive the table. Empty: they are in its own memory.
    std::span<Flow> entries;
  };
  // Aborts if there is no memory: `MemoryFor` says how much it takes.
  explicit FlowTable(const Options& options);
  // `memory` is mapped already, at least MemoryFor(options).
  FlowTable(const Options& options, BigMemory memory);
  static size_t MemoryFor(const Options& options);

  uint64_t HashOf(const FlowKey& key) const { return hash_(&key); }
  void PrefetchBucket(uint64_t hash) const { index_->Prefetch(hash); }
  // Second pass: the bucket is there, the entry it names is fetched. What is
  // returned spares Find() reading the bucket again, as long as no flow is made
  // or ended. Forced inline: as a call g++ 12 takes it for pure and leaves the
  // prefetch out, which at 65,536 flows costs more than the rest of a lookup.
  [[gnu::always_inline]] uint32_t PrefetchFlow(uint64_t hash) const {
    const uint32_t candidate = index_->Candidate(hash);
    if (candidate != FlowIndex::kNone) {
      __builtin_prefetch(&flows_[candidate >> 1]);
    }
    return candidate;
  }
  // Find(), with what PrefetchFlow() returned.
  Flow* FindPrefetched(uint32_t candidate, uint64_t hash, const FlowKey& key,
                       uint32_t now) {
    if (candidate == FlowIndex::kNone) return nullptr;
    // One that ended since is still there to be read.
    if (!Matches(candidate, key) ||
        flows_[candidate >> 1].kind == FlowKind::kFree) [[unlikely]] {
      return FindAgain(hash, key, now);
    }
    return LiveFlow(candidate, now);
  }
  // Find() where that is seldom: not to be inlined.
  [[gnu::noinline]] Flow* FindAgain(uint64_t hash, const FlowKey& key,
                                    uint32_t now) {
    return Find(hash, key, now);
  }
  // The live flow that `key` names, or nullptr. One whose deadline is past is
  // ended here.
  Flow* Find(uint64_t hash, const FlowKey& key, uint32_t now) {
    const uint32_t value = index_->Find(
        hash, [this, &key](uint32_t found) { return Matches(found, key); });
    return value == FlowIndex::kNone ? nullptr : LiveFlow(value, now);
  }

  // kLent: endpoint-independent, and another worker has the binding. kTaken:
  // what comes back would come to another flow, and there is no choice.
  enum class Made { kYes, kTableFull, kNoL4Port, kTaken, kLent };

  // For a burst of new flows: the memory that making them waits for is sent
  // for in advance. `ahead`: how many are made before it.
  void PrefetchFree(uint32_t ahead) const {
    if (ahead >= takeable_) return;
    const FlowNumber number = free_[takeable_ - 1 - ahead];
    __builtin_prefetch(&flows_[number], 1);
    __builtin_prefetch(&flows_[number].destination, 1);
    wheel_->Prefetch(number);
  }
  // Of a mapping that may be made: the pool's name of its remote end, and an
  // l4port drawn for it. Takes nothing; it is asked for again when made.
  struct Draft {
    uint64_t destination = 0;  // 0: none
    L4portPool::Candidate candidate{};
  };
  // `uplink_side` is the key without its l4port.
  Draft DraftMapping(FlowKey uplink_side);

  // `flow` says everything but its number. Its deadline must be set.
  // kTableFull: the caller goes on without an entry.
  Made MakeInbound(const Flow& flow, Flow*& made);
  // Chooses the external l4port (flow.external_l4port is written, unless the
  // source stays as it is) and files both keys. `draft` is of this burst.
  // kLent: `made` is the entry that says by whom.
  Made MakeOriginated(const Flow& flow, const NatConfig& nat,
                      const Draft& draft, Flow*& made);

  // Whether what is sent back to the sender of a queue's side `key`, its source
  // being `external`, would meet a flow here.
  bool IsTaken(FlowKey key, const IpAddress& external) const;

  // The entry that says which other worker has the binding of a queue's side
  // `key`; nullptr: none does. (One that says so of a flow is found by its
  // key.)
  Flow* FindLentBinding(FlowKey key, uint32_t now);
  // Notes that `lender` has `flow`, or its binding. Its deadline must be set.
  // nullptr: there is no room.
  Flow* MakeLent(const Flow& flow, Mapping mapping, unsigned lender);

  // Takes in a flow of an earlier process, with the l4port that it has;
  // bindings come back with their sessions. Its deadline must be set, and
  // `unicast` be UsePlan's. False: there is no room, or something of it is
  // another's.
  bool Adopt(const Flow& kept);

  void End(Flow& flow);
  // Ends what is due: at most `budget` steps.
  uint32_t Expire(uint32_t now, uint32_t budget);
  // The deadline moves earlier than the wheel knows (a TCP close).
  void Shorten(Flow& flow);

  // Between two bursts: entries that ended may be used again. Until then a
  // burst's pointers to them stay what they were.
  void Settle() { takeable_ = free_count_; }

  // How long the l4port of a UDP binding rests when it has ended, in ticks. At
  // most a quarter of the block's rest; what ends beyond serves again at once.
  void UseRest(uint32_t ticks) { rest_ = ticks; }
  uint32_t resting() const { return resting_; }

  // Who is told of each mapping, an endpoint-independent one once; nullptr:
  // nobody.
  void TellMappings(MappingLog* log) { log_ = log; }

  // The l4ports of this worker, when the snapshot's plan is another.
  void UsePlan(const NatConfig& nat, unsigned worker);

  uint32_t capacity() const { return static_cast<uint32_t>(flows_.size()); }
  uint32_t inbound() const { return inbound_; }
  uint32_t mappings() const { return mappings_; }
  // Live inbound flows of a service queue. Any thread.
  uint32_t InboundOf(QueueId queue) const {
    return queue < queue_use_.size()
               ? inbound_of_[queue].load(std::memory_order_relaxed)
               : 0;
  }
  uint64_t evicted() const { return evicted_; }
  // Mappings made where four fifths of the l4ports were taken.
  uint64_t tight() const { return tight_; }
  // Entry `number`, free or not: for walking the table in slices.
  Flow& At(FlowNumber number) { return flows_[number]; }

  static FlowKey QueueSideKey(const Flow& flow);
  // Of the binding that the flow of `key` goes through: without a remote.
  static FlowKey BindingKey(FlowKey key);
  FlowKey UplinkSideKey(const Flow& flow) const;

 private:
  Flow* LiveFlow(uint32_t value, uint32_t now) {
    Flow* flow = &flows_[value >> 1];
    if (TickAfter(now, flow->deadline)) [[unlikely]] {
      End(*flow);
      return nullptr;
    }
    return flow;
  }
  bool Matches(uint32_t value, const FlowKey& key) const {
    const Flow& flow = flows_[value >> 1];
    if (flow.remote_l4port != key.remote_l4port ||
        flow.protocol != key.protocol || !(flow.remote == key.remote)) {
      return false;
    }
    if ((value & 1) == kQueueSide) {
      return flow.local_l4port == key.local_l4port && flow.queue == key.side &&
             flow.local == key.local;
    }
    return key.side == kUplinkSide &&
           flow.external_l4port == key.local_l4port &&
           UplinkAddress(flow) == key.local;
  }
  const IpAddress& UplinkAddress(const Flow& flow) const {
    return flow.kind == FlowKind::kInbound ||
                   flow.source_rule == SourceRule::kAsIs
               ? flow.local
               : unicast_[flow.unicast];
  }
  FlowNumber NumberOf(const Flow& flow) const {
    return static_cast<FlowNumber>(&flow - flows_.data());
  }
  // Copies `flow` to a free entry and files both keys; kNoFlow if there is no
  // room.
  FlowNumber Store(const Flow& flow);
  void Forget(FlowNumber number);
  void CountInbound(QueueId queue, int32_t change);
  bool EvictUnanswered();
  bool ChooseL4Port(Flow& flow, const Draft& draft);
  Made JoinBinding(Flow& flow, Flow*& lent);
  void RejoinBinding(Flow& flow);
  void AdoptL4Port(const Flow& flow);
  bool AdoptResting(const Flow& kept);
  void LeaveBinding(Flow& flow);
  Made ChooseSource(Flow& flow, const NatConfig& nat, const Draft& draft,
                    Flow*& lent);
  bool IsFiled(const FlowKey& key) const {
    return index_->Find(HashOf(key), [this, &key](uint32_t value) {
      return Matches(value, key);
    }) != FlowIndex::kNone;
  }
  // A binding, what is lent, what rests.
  void EndUncounted(Flow& flow);
  // Whether a binding that ends keeps its entry, and its l4port, for a while.
  bool Rests(Flow& binding);
  void Say(MappingRecord::Kind kind, const Flow& flow) {
    if (log_ != nullptr) Tell(kind, flow);
  }
  void Tell(MappingRecord::Kind kind, const Flow& flow);
  uint64_t DestinationOf(FlowKey uplink_side) const;
  L4portPool& PoolOf(uint8_t protocol);

  static constexpr uint32_t kQueueSide = 0;
  static constexpr uint32_t kUplinkSideBit = 1;

  BigMemory memory_;
  FlowHash hash_;
  std::span<Flow> flows_;
  std::unique_ptr<FlowIndex> index_;
  std::unique_ptr<TimerWheel> wheel_;
  std::unique_ptr<L4portPool> l4ports_;
  std::unique_ptr<L4portPool> icmp_ids_;
  std::array<IpAddress, kMaxUnicast> unicast_{};
  // [0, takeable_) may be given out, [takeable_, free_count_) after Settle.
  std::span<FlowNumber> free_;
  std::span<QueueUse> queue_use_;
  // By QueueId, as many as queue_use_. Written by: this table's worker.
  std::unique_ptr<std::atomic<uint32_t>[]> inbound_of_;
  uint32_t free_count_ = 0;
  uint32_t takeable_ = 0;
  uint32_t inbound_ = 0;
  uint32_t inbound_limit_ = 0;
  uint32_t mappings_ = 0;
  uint32_t evict_hand_ = 0;
  uint64_t evicted_ = 0;
  uint64_t tight_ = 0;
  MappingLog* log_ = nullptr;
  uint32_t now_ = 0;  // tick of the last Expire
  uint32_t rest_ = 0;
  uint32_t resting_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_FLOW_TABLE_H_
