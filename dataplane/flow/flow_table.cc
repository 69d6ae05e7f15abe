// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/flow_table.h"

#include <algorithm>
#include <utility>

#include "dataplane/net/headers.h"

namespace godwit {
namespace {

// Inbound flows leave an eighth of the table to mappings.
constexpr uint32_t kReservedShare = 8;
// How far the search for an unanswered inbound flow looks.
constexpr uint32_t kEvictionReach = 32;

// Of an originated flow: none else goes out by it, with a binding many do.
bool HasOwnL4Port(const Flow& flow) {
  return flow.source_rule == SourceRule::kTranslated && flow.binding == kNoFlow;
}

}  // namespace

size_t FlowTable::MemoryFor(const Options& options) {
  const uint32_t max_flows = options.max_flows;
  return (options.entries.empty() ? BytesToTake<Flow>(max_flows) : 0) +
         BytesToTake<TimerWheel::Link>(max_flows) +
         BytesToTake<FlowNumber>(max_flows) +
         FlowIndex::BytesFor(FlowIndex::BucketsFor(uint64_t{max_flows} * 2)) +
         2 * BytesToTake<std::byte>(L4portPool::BytesFor(max_flows));
}

FlowTable::FlowTable(const Options& options)
    : FlowTable(options,
                BigMemory::Map(MemoryFor(options), options.huge_pages)) {}

FlowTable::FlowTable(const Options& options, BigMemory memory)
    : memory_(std::move(memory)),
      hash_(options.seed),
      queue_use_(options.queue_use),
      inbound_of_(std::make_unique<std::atomic<uint32_t>[]>(queue_use_.size())),
      now_(options.now) {
  GODWIT_CHECK(!memory_.empty());
  std::span<std::byte> rest = memory_.bytes();
  const uint32_t buckets =
      FlowIndex::BucketsFor(uint64_t{options.max_flows} * 2);
  const std::span<std::byte> index =
      Take<std::byte>(rest, FlowIndex::BytesFor(buckets));
  index_ = std::make_unique<FlowIndex>(index, buckets);
  flows_ = options.entries.empty() ? Take<Flow>(rest, options.max_flows)
                                   : options.entries;
  GODWIT_CHECK(flows_.size() == options.max_flows);
  const auto links = Take<TimerWheel::Link>(rest, options.max_flows);
  wheel_ = std::make_unique<TimerWheel>(links, options.now);
  free_ = Take<FlowNumber>(rest, options.max_flows);
  const auto make_pool = [&rest, &options] {
    const auto room =
        Take<std::byte>(rest, L4portPool::BytesFor(options.max_flows));
    return std::make_unique<L4portPool>(
        room, options.max_flows,
        options.l4port_seed.value_or(RandomStream::SystemSeed()));
  };
  l4ports_ = make_pool();
  icmp_ids_ = make_pool();
  // The first entries are given out first: few flows then touch few pages.
  for (uint32_t i = 0; i < options.max_flows; ++i) {
    free_[i] = options.max_flows - 1 - i;
  }
  free_count_ = options.max_flows;
  takeable_ = free_count_;
  inbound_limit_ = options.max_flows - options.max_flows / kReservedShare;
}

FlowKey FlowTable::BindingKey(FlowKey key) {
  key.remote = IpAddress{};
  key.remote_l4port = 0;
  return key;
}

FlowKey FlowTable::QueueSideKey(const Flow& flow) {
  FlowKey key;
  key.local = flow.local;
  key.remote = flow.remote;
  key.local_l4port = flow.local_l4port;
  key.remote_l4port = flow.remote_l4port;
  key.side = flow.queue;
  key.protocol = flow.protocol;
  return key;
}

FlowKey FlowTable::UplinkSideKey(const Flow& flow) const {
  FlowKey key;
  key.local = UplinkAddress(flow);
  key.remote = flow.remote;
  key.local_l4port = flow.external_l4port;
  key.remote_l4port = flow.remote_l4port;
  key.protocol = flow.protocol;
  return key;
}

FlowNumber FlowTable::Store(const Flow& flow) {
  if (takeable_ == 0) return kNoFlow;
  const FlowNumber number = free_[takeable_ - 1];
  flows_[number] = flow;
  const uint64_t queue_side = HashOf(QueueSideKey(flow));
  const uint64_t uplink_side = HashOf(UplinkSideKey(flow));
  using Result = FlowIndex::InsertResult;
  if (index_->Insert(queue_side, number << 1 | kQueueSide) == Result::kFull) {
    flows_[number].kind = FlowKind::kFree;
    return kNoFlow;
  }
  // What comes back to a lent flow comes back to its lender.
  const bool has_uplink_side = flow.kind != FlowKind::kLent;
  if (has_uplink_side &&
      index_->Insert(uplink_side, number << 1 | kUplinkSideBit) ==
          Result::kFull) {
    index_->Erase(queue_side, number << 1 | kQueueSide);
    flows_[number].kind = FlowKind::kFree;
    return kNoFlow;
  }
  flows_[number].seal = flows_[number].SealOf();
  free_[--takeable_] = free_[--free_count_];
  if (flow.kind != FlowKind::kBinding) wheel_->Add(number, flow.deadline);
  return number;
}

void FlowTable::Forget(FlowNumber number) {
  Flow& flow = flows_[number];
  if (flow.kind != FlowKind::kResting) {
    index_->Erase(HashOf(QueueSideKey(flow)), number << 1 | kQueueSide);
  }
  if (flow.kind != FlowKind::kLent) {
    index_->Erase(HashOf(UplinkSideKey(flow)), number << 1 | kUplinkSideBit);
  }
  if (wheel_->IsFiled(number)) wheel_->Remove(number);
  flow.kind = FlowKind::kFree;
  flow.seal = 0;
  free_[free_count_++] = number;
}

void FlowTable::CountInbound(QueueId queue, int32_t change) {
  if (queue >= queue_use_.size()) return;
  std::atomic<uint32_t>& count = inbound_of_[queue];
  count.store(
      count.load(std::memory_order_relaxed) + static_cast<uint32_t>(change),
      std::memory_order_relaxed);
}

bool FlowTable::EvictUnanswered() {
  for (uint32_t i = 0; i < kEvictionReach; ++i) {
    evict_hand_ = evict_hand_ + 1 < capacity() ? evict_hand_ + 1 : 0;
    Flow& flow = flows_[evict_hand_];
    if (flow.kind == FlowKind::kInbound && !flow.answered) {
      End(flow);
      ++evicted_;
      return true;
    }
  }
  return false;
}

FlowTable::Made FlowTable::MakeInbound(const Flow& flow, Flow*& made) {
  if (inbound_ >= inbound_limit_ || takeable_ == 0) {
    if (!EvictUnanswered()) return Made::kTableFull;
  }
  const FlowNumber number = Store(flow);
  if (number == kNoFlow) return Made::kTableFull;
  ++inbound_;
  CountInbound(flow.queue, 1);
  made = &flows_[number];
  return Made::kYes;
}

L4portPool& FlowTable::PoolOf(uint8_t protocol) {
  return IsIcmp(protocol) ? *icmp_ids_ : *l4ports_;
}

uint64_t FlowTable::DestinationOf(FlowKey uplink_side) const {
  uplink_side.local_l4port = 0;
  // A name of its own among the hashes of keys.
  uplink_side.side = UINT16_MAX;
  return HashOf(uplink_side);
}

FlowTable::Draft FlowTable::DraftMapping(FlowKey uplink_side) {
  Draft draft;
  draft.destination = DestinationOf(uplink_side);
  draft.candidate = PoolOf(uplink_side.protocol).Draw(draft.destination);
  uplink_side.local_l4port = draft.candidate.l4port;
  PrefetchBucket(HashOf(uplink_side));
  return draft;
}

bool FlowTable::ChooseL4Port(Flow& flow, const Draft& draft) {
  FlowKey key = UplinkSideKey(flow);
  flow.destination = DestinationOf(key);
  L4portPool& pool = PoolOf(flow.protocol);
  const L4portPool::Candidate first = draft.destination == flow.destination
                                          ? draft.candidate
                                          : pool.Draw(flow.destination);
  const L4portResult result =
      pool.Allocate(flow.destination, first, [this, &key](uint16_t l4port) {
        key.local_l4port = l4port;
        return IsFiled(key);
      });
  flow.external_l4port = result.l4port;
  tight_ += result.few;
  return result.status == L4portStatus::kOk;
}

FlowTable::Made FlowTable::JoinBinding(Flow& flow, Flow*& lent) {
  const FlowKey key = BindingKey(QueueSideKey(flow));
  Flow wanted = flow;
  wanted.kind = FlowKind::kBinding;
  wanted.remote = key.remote;
  wanted.remote_l4port = key.remote_l4port;
  lent = FindLentBinding(key, flow.created);
  if (lent != nullptr) return Made::kLent;
  const uint32_t value = index_->Find(
      HashOf(key),
      [this, &key](uint32_t found) { return Matches(found, key); });
  FlowNumber number = value >> 1;
  if (value == FlowIndex::kNone) {
    wanted.sessions = 0;
    if (!ChooseL4Port(wanted, Draft{})) return Made::kNoL4Port;
    number = Store(wanted);
    if (number == kNoFlow) {
      PoolOf(flow.protocol).Free(wanted.destination, wanted.external_l4port);
      return Made::kTableFull;
    }
    Say(MappingRecord::Kind::kBegins, wanted);
  }
  const Flow& binding = flows_[number];
  flow.binding = number;
  flow.external_l4port = binding.external_l4port;
  flow.unicast = binding.unicast;
  ++flows_[number].sessions;
  return Made::kYes;
}

void FlowTable::LeaveBinding(Flow& flow) {
  Flow& binding = flows_[flow.binding];
  flow.binding = kNoFlow;
  if (--binding.sessions == 0) End(binding);
}

bool FlowTable::IsTaken(FlowKey key, const IpAddress& external) const {
  key.side = kUplinkSide;
  key.local = external;
  return IsFiled(key);
}

// What `flow` leaves with. No two flows have the same towards one remote end,
// or its answers would come to the one and the other.
FlowTable::Made FlowTable::ChooseSource(Flow& flow, const NatConfig& nat,
                                        const Draft& draft, Flow*& lent) {
  if (flow.source_rule == SourceRule::kAsIs) {
    return IsFiled(UplinkSideKey(flow)) ? Made::kTaken : Made::kYes;
  }
  if (nat.mapping == Mapping::kEndpointIndependent) {
    const Made joined = JoinBinding(flow, lent);
    if (joined != Made::kYes || !IsFiled(UplinkSideKey(flow))) return joined;
    // A flow that is older than the mapping has this l4port there: another, of
    // this worker, since one that lends would bind the endpoint anew.
    LeaveBinding(flow);
    return ChooseL4Port(flow, draft) ? Made::kYes : Made::kTaken;
  }
  return ChooseL4Port(flow, draft) ? Made::kYes : Made::kNoL4Port;
}

FlowTable::Made FlowTable::MakeOriginated(const Flow& wanted,
                                          const NatConfig& nat,
                                          const Draft& draft, Flow*& made) {
  if (takeable_ == 0) {
    // What is evicted now makes room from the next burst on.
    EvictUnanswered();
    return Made::kTableFull;
  }
  Flow flow = wanted;
  const Made chosen = ChooseSource(flow, nat, draft, made);
  if (chosen != Made::kYes) return chosen;
  const FlowNumber number = Store(flow);
  if (number == kNoFlow) {
    // Leaves nothing behind (MAP-19).
    if (flow.binding != kNoFlow) {
      LeaveBinding(flow);
    } else if (flow.source_rule == SourceRule::kTranslated) {
      PoolOf(flow.protocol).Free(flow.destination, flow.external_l4port);
    }
    return Made::kTableFull;
  }
  ++mappings_;
  if (flow.queue < queue_use_.size()) {
    queue_use_[flow.queue].mappings.fetch_add(1, std::memory_order_relaxed);
  }
  made = &flows_[number];
  if (HasOwnL4Port(*made)) Say(MappingRecord::Kind::kBegins, *made);
  return Made::kYes;
}

Flow* FlowTable::FindLentBinding(FlowKey key, uint32_t now) {
  key = BindingKey(key);
  const uint32_t value = index_->Find(
      HashOf(key),
      [this, &key](uint32_t found) { return Matches(found, key); });
  if (value == FlowIndex::kNone || flows_[value >> 1].kind != FlowKind::kLent) {
    return nullptr;
  }
  return LiveFlow(value, now);
}

Flow* FlowTable::MakeLent(const Flow& flow, Mapping mapping, unsigned lender) {
  Flow lent = flow;
  lent.kind = FlowKind::kLent;
  lent.lender = static_cast<uint8_t>(lender);
  if (mapping == Mapping::kEndpointIndependent) {
    const FlowKey key = BindingKey(QueueSideKey(flow));
    lent.remote = key.remote;
    lent.remote_l4port = key.remote_l4port;
  }
  const FlowNumber number = Store(lent);
  return number == kNoFlow ? nullptr : &flows_[number];
}

void FlowTable::End(Flow& flow) {
  if (flow.kind == FlowKind::kFree) return;
  if (flow.kind != FlowKind::kInbound && flow.kind != FlowKind::kOriginated) {
    return EndUncounted(flow);
  }
  Flow ended = flow;
  Forget(NumberOf(flow));
  if (ended.kind == FlowKind::kInbound) {
    --inbound_;
    CountInbound(ended.queue, -1);
    return;
  }
  --mappings_;
  if (ended.queue < queue_use_.size()) {
    queue_use_[ended.queue].mappings.fetch_sub(1, std::memory_order_relaxed);
  }
  L4portPool& pool = PoolOf(ended.protocol);
  if (HasOwnL4Port(ended)) {
    Say(MappingRecord::Kind::kEnds, ended);
    pool.Free(ended.destination, ended.external_l4port);
    return;
  }
  if (pool.dense_destinations() != 0) {
    pool.Unlearn(DestinationOf(UplinkSideKey(ended)), ended.external_l4port);
  }
  if (ended.binding != kNoFlow) LeaveBinding(ended);
}

uint32_t FlowTable::Expire(uint32_t now, uint32_t budget) {
  now_ = now;
  return wheel_->Advance(
      now, budget, [this, now](uint32_t number) -> std::optional<uint32_t> {
        Flow& flow = flows_[number];
        if (!TickAfter(now, flow.deadline)) return flow.deadline;
        End(flow);
        return std::nullopt;
      });
}

void FlowTable::Shorten(Flow& flow) {
  wheel_->Move(NumberOf(flow), flow.deadline);
}

void FlowTable::UsePlan(const NatConfig& nat, unsigned worker) {
  for (size_t i = 0; i < nat.unicast.size() && i < unicast_.size(); ++i) {
    // A removed address stays known until its flows have ended.
    if (!nat.unicast[i].IsUnspecified()) unicast_[i] = nat.unicast[i];
  }
  l4ports_->SetBlock(nat.l4ports.BlockOf(worker));
  icmp_ids_->SetBlock(nat.icmp_ids.BlockOf(worker));
}

}  // namespace godwit
