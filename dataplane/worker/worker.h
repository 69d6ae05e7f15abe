// SPDX-License-Identifier: BSD-3-Clause
// One worker: Turn() is the whole dataplane on one screen.
#ifndef GODWIT_DATAPLANE_WORKER_WORKER_H_
#define GODWIT_DATAPLANE_WORKER_WORKER_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/flow/flow_table.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/context.h"
#include "dataplane/worker/command.h"

namespace godwit {

enum class Idle : uint8_t {
  kPoll,      // never gives the CPU away
  kYield,     // shares it with other workers
  kAdaptive,  // sleeps when nothing comes
};

// Ticks of 100 ms since some moment, monotonic; one clock for all workers.
class TickClock {
 public:
  TickClock();
  // A clock of another beginning and pace, in cycles of the TSC.
  TickClock(uint64_t start, uint64_t cycles_per_tick)
      : start_(start), cycles_per_tick_(cycles_per_tick) {}
  uint32_t Now() const;
  uint64_t start() const { return start_; }
  uint64_t cycles_per_tick() const { return cycles_per_tick_; }

 private:
  uint64_t start_;
  uint64_t cycles_per_tick_;
};

class Worker {
 public:
  struct Options {
    unsigned index = 0;
    Idle idle = Idle::kPoll;
    const Ownership* ownership = nullptr;
    FlowTable* flows = nullptr;
    Counters* counters = nullptr;
    Handoff* handoff = nullptr;
    EventSink* events = nullptr;
    MappingLog* mappings = nullptr;  // used while NatConfig says so
    rte_mempool* pool = nullptr;
    std::span<QueueUse> queue_use;
    Publisher* publisher = nullptr;
    const TickClock* clock = nullptr;
  };
  explicit Worker(const Options& options);

  // Until Stop; on the worker's lcore.
  void Run();
  void Stop() { stop_.store(true, std::memory_order_release); }

  // One round: every rxq once. Returns the packets it took in.
  uint32_t Turn();
  // More was due than the last turn had time for: no rest yet, so that a
  // million flows that end together are gone within the second (TMR-15).
  bool behind() const { return behind_; }

  // Control thread: one command at a time; wait for `done`.
  void Give(Command* command) {
    command_.store(command, std::memory_order_release);
  }

  // Any thread; since start.
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  uint64_t busy_turns() const {
    return busy_turns_.load(std::memory_order_relaxed);
  }
  // No flow is left that was last judged under a snapshot before this one.
  uint64_t judged_generation() const {
    return judged_generation_.load(std::memory_order_acquire);
  }

  Context& context() { return context_; }

 private:
  void Process(const Snapshot& snapshot);
  void GoRound(const Snapshot& snapshot);
  void TryAgain(const Snapshot& snapshot);
  void Adopt(const Snapshot& snapshot);
  void Housekeep(const Snapshot& snapshot);
  void Sweep(const Snapshot& snapshot);
  void Obey(const Snapshot& snapshot);
  void Rest(uint32_t idle_turns);

  const Options options_;
  Context context_;
  Burst burst_;
  std::unique_ptr<std::array<TxBatch, kMaxDevices>> tx_;
  std::atomic<bool> stop_{false};
  std::atomic<Command*> command_{nullptr};
  std::atomic<uint64_t> turns_{0};  // written by the worker alone
  std::atomic<uint64_t> busy_turns_{0};
  std::atomic<uint64_t> judged_generation_{0};
  uint64_t generation_ = 0;
  uint64_t sweep_generation_ = 0;  // in which the sweep began
  uint32_t plan_version_ = UINT32_MAX;
  uint16_t epoch_ = 0;
  bool behind_ = false;
  uint32_t sweep_ = UINT32_MAX;  // next flow to judge again; past the end: done
  uint32_t retried_ = 0;         // tick
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_WORKER_WORKER_H_
