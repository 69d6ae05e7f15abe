// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/worker.h"

#include <rte_cycles.h>
#include <rte_pause.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>

#include "dataplane/stage/egress_guard.h"
#include "dataplane/stage/find_flow.h"
#include "dataplane/stage/follow_first.h"
#include "dataplane/stage/make_flow.h"
#include "dataplane/stage/parse.h"
#include "dataplane/stage/rewrite.h"
#include "dataplane/stage/rx.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

// A slice of slow work: short enough that no rxq overflows meanwhile.
constexpr uint32_t kExpireBudget = 64;
constexpr uint32_t kSweepSlice = 256;
constexpr uint32_t kCommandSlice = 512;

constexpr int kSharedCpuNice = -15;

// Adaptive: this many empty turns, then naps that grow to a limit.
constexpr uint32_t kTurnsBeforeNap = 64;
constexpr long kFirstNapNs = 20'000;
constexpr long kLongestNapNs = 200'000;

}  // namespace

TickClock::TickClock()
    : start_(rte_get_tsc_cycles()),
      cycles_per_tick_(rte_get_tsc_hz() / TokenBucket::kTicksPerSecond) {}

uint32_t TickClock::Now() const {
  return static_cast<uint32_t>((rte_get_tsc_cycles() - start_) /
                               cycles_per_tick_);
}

Worker::Worker(const Options& options)
    : options_(options),
      tx_(std::make_unique<std::array<TxBatch, kMaxDevices>>()) {
  context_.worker = options.index;
  context_.ownership = options.ownership;
  context_.flows = options.flows;
  context_.counters = options.counters;
  context_.handoff = options.handoff;
  context_.events = options.events;
  context_.pool = options.pool;
  context_.queue_use = options.queue_use;
  context_.tx = tx_.get();
  context_.kernel_share = KernelShare(rte_get_tsc_hz());
  context_.fragments.SetStride(options.index, options.ownership->workers());
}

void Worker::Run() {
  prctl(PR_SET_TIMERSLACK, 1'000);  // naps of 20 us, not of 70
  // One that sleeps when it has nothing to do may go first when it has: rings
  // fill while it waits for a CPU that it shares with other programs.
  if (options_.idle == Idle::kAdaptive) {
    setpriority(PRIO_PROCESS, 0, kSharedCpuNice);
  }
  options_.publisher->Join(options_.index);
  uint32_t idle_turns = 0;
  while (!stop_.load(std::memory_order_acquire)) {
    const bool idle = Turn() == 0 && !behind_;
    turns_.store(turns() + 1, std::memory_order_relaxed);
    if (!idle) busy_turns_.store(busy_turns() + 1, std::memory_order_relaxed);
    idle_turns = idle ? idle_turns + 1 : 0;
    if (idle_turns != 0) Rest(idle_turns);
  }
  options_.publisher->Leave(options_.index);
}

// One turn of a worker: the whole dataplane, in the order a packet meets it.
uint32_t Worker::Turn() {
  const Snapshot& snapshot = options_.publisher->Acquire();
  context_.snapshot = &snapshot;
  context_.now = options_.clock->Now();
  Adopt(snapshot);
  uint32_t taken = 0;
  bool is_behind = false;
  for (DeviceId id = 1; id < snapshot.devices.size(); ++id) {
    const Device& device = snapshot.devices[id];
    if (device.rx.empty()) continue;
    for (const DeviceLane lane : device.rx[options_.index]) {
      Rx(id, lane, context_, burst_);
      taken += burst_.count;
      is_behind |= burst_.count == Burst::kMax && device.side != Side::kKernel;
      Process(snapshot);
    }
  }
  for (unsigned from = 0; from < snapshot.workers; ++from) {
    if (from == options_.index) continue;
    const uint16_t count = RxHandedOver(snapshot, from, context_, burst_);
    taken += count;
    is_behind |= count == Burst::kMax;
    Process(snapshot);
  }
  context_.kernel_share.EndTurn(is_behind);
  Housekeep(snapshot);
  options_.counters->CopyIfAsked(Holding(context_));
  options_.publisher->Quiescent(options_.index);  // nothing is held past here
  return taken;
}

void Worker::Process(const Snapshot& snapshot) {
  if (burst_.count != 0) {
    Parse(snapshot, context_, burst_);
    if (!burst_.all_plain) FollowFirst(snapshot, context_, burst_);
    SteerToOwner(snapshot, context_, burst_);
    FindFlow(snapshot, context_, burst_);
    if (!burst_.all_finished) {
      MakeFlow(snapshot, context_, burst_);
      Rewrite(snapshot, context_, burst_);
    }
    GuardEgress(snapshot, burst_);
    Tx(snapshot, context_, burst_);
    context_.flows->Settle();
    GoRound(snapshot);
  } else if (context_.pending_count != 0) {
    Flush(snapshot, context_);
  }
}

void Worker::GoRound(const Snapshot& snapshot) {
  LoopBuffer& loop = context_.loop;
  if (loop.count == 0) return;
  std::array<rte_mbuf*, Burst::kMax> again;
  const uint16_t count = std::min<uint16_t>(loop.count, Burst::kMax);
  std::copy_n(loop.mbuf.begin(), count, again.begin());
  std::copy(loop.mbuf.begin() + count, loop.mbuf.begin() + loop.count,
            loop.mbuf.begin());
  loop.count = static_cast<uint16_t>(loop.count - count);
  RxAgain(again.data(), count, snapshot, burst_);
  Process(snapshot);
}

void Worker::TryAgain(const Snapshot& snapshot) {
  if (context_.waiting.count() == 0) return;
  if (generation_ == snapshot.generation && retried_ == context_.now) return;
  retried_ = context_.now;
  std::array<rte_mbuf*, WaitingRoom::kMax> guests;
  uint16_t count = 0;
  context_.waiting.Leave([&guests, &count](const WaitingRoom::Guest& guest) {
    guests[count++] = guest.mbuf;
  });
  for (uint16_t at = 0; at < count;) {
    const uint16_t slice =
        std::min<uint16_t>(static_cast<uint16_t>(count - at), Burst::kMax);
    RxAgain(&guests[at], slice, snapshot, burst_);
    Process(snapshot);
    at = static_cast<uint16_t>(at + slice);
  }
}

// What is new in a snapshot comes before its first packet; who waited for it,
// before those who come now (ANY-03).
void Worker::Adopt(const Snapshot& snapshot) {
  if (plan_version_ != snapshot.nat->plan_version) {
    plan_version_ = snapshot.nat->plan_version;
    context_.flows->UsePlan(*snapshot.nat, options_.index);
  }
  if (generation_ != snapshot.generation) {
    context_.flows->UseRest(snapshot.nat->rest);
    context_.flows->TellMappings(snapshot.nat->mappings_told ? options_.mappings
                                                             : nullptr);
  }
  TryAgain(snapshot);
  if (generation_ != snapshot.generation) {
    generation_ = snapshot.generation;
    if (epoch_ != snapshot.epoch) {
      sweep_ = 0;
      sweep_generation_ = snapshot.generation;
    }
    epoch_ = snapshot.epoch;
  }
}

void Worker::Housekeep(const Snapshot& snapshot) {
  behind_ =
      context_.flows->Expire(context_.now, kExpireBudget) == kExpireBudget;
  context_.fragments.Expire(context_.now, [this](rte_mbuf* mbuf) {
    rte_pktmbuf_free(mbuf);
    options_.counters->Count(Verdict::kDropFragTimeout);
  });
  Sweep(snapshot);
  Obey(snapshot);
  context_.flows->Settle();
}

// Ends, a slice a turn, the flows that an epoch has taken the ground from; a
// packet of such a flow does it sooner.
void Worker::Sweep(const Snapshot& snapshot) {
  FlowTable& flows = *context_.flows;
  if (sweep_ >= flows.capacity()) return;
  const uint32_t end = std::min(sweep_ + kSweepSlice, flows.capacity());
  for (; sweep_ < end; ++sweep_) {
    Flow& flow = flows.At(sweep_);
    const bool judged = flow.kind == FlowKind::kFree ||
                        flow.kind == FlowKind::kBinding ||
                        flow.epoch == snapshot.epoch;
    if (judged) continue;
    if (flow.kind != FlowKind::kResting) JudgeAgain(snapshot, flows, flow);
  }
  if (sweep_ < flows.capacity()) return;
  judged_generation_.store(sweep_generation_, std::memory_order_release);
}

void Worker::Obey(const Snapshot& snapshot) {
  Command* command = command_.load(std::memory_order_acquire);
  if (command == nullptr) return;
  FlowTable& flows = *context_.flows;
  const auto record = [&](const Flow& flow) {
    ++command->matched;
    const IpAddress external = flows.UplinkSideKey(flow).local;
    if (flow.kind == FlowKind::kInbound) ++command->inbound;
    for (MappingCount& mapping : command->mappings) {
      const bool is_of =
          flow.kind == FlowKind::kOriginated && mapping.external == external;
      if (is_of) ++mapping.flows;
    }
    if (command->records.size() == command->records.capacity()) return;
    const uint32_t timeout = TimeoutOf(snapshot.nat->timeouts, flow);
    const uint32_t left = TickAfter(flow.deadline, context_.now)
                              ? flow.deadline - context_.now
                              : 0;
    const uint32_t idle = timeout > left ? timeout - left : 0;
    command->records.push_back({flow, external, idle});
  };
  bool done = true;
  if (command->kind == Command::Kind::kFind) {
    const FlowKey& key = command->key;
    const Flow* flow = flows.Find(flows.HashOf(key), key, context_.now);
    if (flow == nullptr && snapshot.nat->endpoint_independent_used) {
      flow = flows.FindLentBinding(key, context_.now);
    }
    if (flow != nullptr) record(*flow);
  } else {
    const uint32_t end =
        std::min(command->cursor + kCommandSlice, flows.capacity());
    for (; command->cursor < end; ++command->cursor) {
      Flow& flow = flows.At(command->cursor);
      if (flow.kind == FlowKind::kLent &&
          command->kind == Command::Kind::kFlush &&
          command->filter.Matches(flow)) {
        flows.End(flow);
      }
      if (flow.kind != FlowKind::kInbound &&
          flow.kind != FlowKind::kOriginated) {
        continue;
      }
      const bool ended =
          TickAfter(context_.now, flow.deadline) ||
          (flow.epoch != snapshot.epoch && !JudgeAgain(snapshot, flows, flow));
      if (ended || !command->filter.Matches(flow)) continue;
      record(flow);
      if (command->kind == Command::Kind::kFlush) flows.End(flow);
    }
    done = command->cursor == flows.capacity();
  }
  if (!done) return;
  command_.store(nullptr, std::memory_order_relaxed);
  command->done.store(true, std::memory_order_release);
}

void Worker::Rest(uint32_t idle_turns) {
  switch (options_.idle) {
    case Idle::kPoll:
      rte_pause();
      return;
    case Idle::kYield:
      sched_yield();
      return;
    case Idle::kAdaptive:
      break;
  }
  if (idle_turns < kTurnsBeforeNap ||
      command_.load(std::memory_order_relaxed) != nullptr ||
      sweep_ < context_.flows->capacity()) {
    sched_yield();
    return;
  }
  const long nap =
      std::min(kLongestNapNs,
               kFirstNapNs * static_cast<long>(idle_turns / kTurnsBeforeNap));
  const timespec duration = {0, nap};
  nanosleep(&duration, nullptr);  // a publication waits it out: it is short
}

bool FlowFilter::Matches(const Flow& flow) const {
  if (protocol != 0) {
    const uint8_t family = flow.protocol == 58 ? 1 : flow.protocol;
    if (family != protocol) return false;
  }
  if (by_client && !client.Contains(flow.remote)) return false;
  if (service == kNoService) return true;
  if (flow.kind == FlowKind::kInbound) return flow.service == service;
  return std::binary_search(queues.begin(), queues.end(), flow.queue);
}

}  // namespace godwit
