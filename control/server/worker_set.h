// SPDX-License-Identifier: BSD-3-Clause
// The workers and what is theirs: tables, counters, rings. The control thread
// reaches them through here alone.
#ifndef GODWIT_CONTROL_SERVER_WORKER_SET_H_
#define GODWIT_CONTROL_SERVER_WORKER_SET_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control/state/identity.h"
#include "control/state/state_keeper.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/stage/counters.h"
#include "dataplane/worker/kept_flow.h"
#include "dataplane/worker/worker.h"

namespace godwit {

class WorkerSet {
 public:
  struct Options {
    unsigned workers = 1;
    uint32_t max_flows = 1 << 20;  // of all workers
    Idle idle = Idle::kPoll;
    HugePages huge_pages = HugePages::kAuto;
    rte_mempool* pool = nullptr;  // outlives the set
    Identity identity = Identity::New();
    // Where the tables' entries are, by worker, EntriesOf(options) each; they
    // outlive the set. None: in memory of its own.
    std::vector<std::span<Flow>> entries;
  };
  static uint32_t EntriesOf(const Options& options) {
    return options.max_flows / options.workers;
  }
  // After StartEal. RESOURCE_EXHAUSTED says how much memory it wanted.
  static absl::StatusOr<std::unique_ptr<WorkerSet>> Create(
      const Options& options);
  ~WorkerSet();  // Stop

  // Starts the workers on their lcores; a snapshot must have been published.
  absl::Status Start();
  void Stop();

  // Before Start: flows of an earlier process, each to the worker that
  // `snapshot` says. It is the one that will be published first. What follows
  // from it is written into `flows`.
  StateKeeper::Adopted Adopt(const Snapshot& snapshot, std::span<Flow> flows);

  // Visible to all workers, and the one before to none, when it returns.
  void Publish(std::unique_ptr<const Snapshot> snapshot);
  Publisher& publisher() { return publisher_; }

  // All workers' counters as one exact cut.
  std::unique_ptr<Counts> ReadCounters();

  // Runs `command` on every worker's table and gives each worker's part back.
  // `records` is how many each may list.
  std::vector<std::unique_ptr<Command>> Ask(Command::Kind kind,
                                            const FlowFilter& filter,
                                            uint64_t records);
  // Live translated flows, in the order of `addresses`.
  std::vector<uint64_t> MappingsAt(const std::vector<IpAddress>& addresses);
  std::unique_ptr<Command> Find(unsigned worker, const FlowKey& key);

  // Calls `handle` for what the workers have told since.
  void TakeEvents(const std::function<void(const Event&)>& handle);

  // And of mappings; the same order as a worker saw them in.
  void TakeMappings(const std::function<void(const MappingRecord&)>& handle);
  uint64_t MappingsLost() const;

  const Ownership& ownership() const { return ownership_; }
  unsigned workers() const { return static_cast<unsigned>(workers_.size()); }
  uint32_t max_flows() const;
  // Approximate while packets flow: the tables are the workers'.
  uint64_t FlowsInUse(unsigned worker) const;
  uint64_t TurnsOf(unsigned worker) const { return workers_[worker]->turns(); }
  // Of all turns since start, those that had packets: 0-1.
  double BusyShareOf(unsigned worker) const;
  const TickClock& clock() const { return clock_; }
  uint32_t MappingsOf(QueueId queue) const {
    return queue_use_[queue].mappings.load(std::memory_order_relaxed);
  }
  uint64_t InboundOf(QueueId queue) const;
  // No flow is left that was last judged under a generation before.
  uint64_t JudgedGeneration() const;
  // The queue that the hash alone chooses.
  QueueId QueueFor(const Service& service, const FlowKey& key) const;
  uint64_t EventsLost() const;
  uint64_t Evicted() const;

 private:
  explicit WorkerSet(const Options& options);
  void Wait(Command& command);
  // Of a batch.
  void Adopt(const Snapshot& snapshot, std::span<Flow> batch,
             StateKeeper::Adopted& adopted);
  void TellOwner(const Flow& flow, const KeptPlace& place);

  const Options options_;
  TickClock clock_;
  Publisher publisher_;
  Ownership ownership_;
  std::atomic<uint64_t> counter_epoch_{0};
  std::unique_ptr<QueueUse[]> queue_use_;
  std::unique_ptr<Handoff> handoff_;
  std::vector<std::unique_ptr<FlowTable>> tables_;
  std::vector<std::unique_ptr<Counters>> counters_;
  std::vector<std::unique_ptr<EventSink>> events_;
  std::vector<std::unique_ptr<MappingLog>> mapping_logs_;
  std::vector<std::unique_ptr<Worker>> workers_;
  bool running_ = false;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_SERVER_WORKER_SET_H_
