// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/worker_set.h"

#include <rte_launch.h>
#include <rte_lcore.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"
#include "dataplane/device/memif_guard.h"
#include "dataplane/stage/decide.h"

namespace godwit {
namespace {

constexpr size_t kQueueIds = 65536;
constexpr size_t kAdoptBatch = 32;

void Nap() {
  const timespec duration = {0, 20'000};
  nanosleep(&duration, nullptr);
}

int RunWorker(void* worker) {
  static_cast<Worker*>(worker)->Run();
  return 0;
}

Publisher* guarded_publisher = nullptr;
void WaitForWorkers() { guarded_publisher->Synchronize(); }

}  // namespace

WorkerSet::WorkerSet(const Options& options)
    : options_(options),
      clock_(options.identity.clock),
      publisher_(options.workers),
      ownership_(options.workers, options.identity.owner_secret),
      queue_use_(std::make_unique<QueueUse[]>(kQueueIds)) {}

absl::StatusOr<std::unique_ptr<WorkerSet>> WorkerSet::Create(
    const Options& options) {
  std::unique_ptr<WorkerSet> set(new WorkerSet(options));
  set->handoff_ = Handoff::Create(options.workers, "handoff_");
  if (set->handoff_ == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for the rings between ", options.workers,
                     " workers: fewer workers, or more hugepages"));
  }
  for (unsigned i = 0; i < options.workers; ++i) {
    FlowTable::Options table;
    table.max_flows = EntriesOf(options);
    table.seed = options.identity.hash_seed;
    table.now = set->clock_.Now();
    table.huge_pages = options.huge_pages;
    table.queue_use = {set->queue_use_.get(), kQueueIds};
    if (i < options.entries.size()) table.entries = options.entries[i];
    const size_t bytes = FlowTable::MemoryFor(table);
    BigMemory memory = BigMemory::Map(bytes, options.huge_pages);
    if (memory.empty()) {
      return absl::ResourceExhaustedError(
          absl::StrCat("dataplane.max_flows: ", options.max_flows,
                       " flows take ", bytes * options.workers >> 20,
                       " MiB, which this machine does not have free"));
    }
    set->tables_.push_back(
        std::make_unique<FlowTable>(table, std::move(memory)));
    set->counters_.push_back(std::make_unique<Counters>());
    set->counters_.back()->Bind(&set->counter_epoch_);
    set->events_.push_back(std::make_unique<EventSink>());
    set->mapping_logs_.push_back(std::make_unique<MappingLog>());
    Worker::Options worker;
    worker.index = i;
    worker.idle = options.idle;
    worker.ownership = &set->ownership_;
    worker.flows = set->tables_.back().get();
    worker.counters = set->counters_.back().get();
    worker.handoff = set->handoff_.get();
    worker.events = set->events_.back().get();
    worker.mappings = set->mapping_logs_.back().get();
    worker.pool = options.pool;
    worker.queue_use = table.queue_use;
    worker.publisher = &set->publisher_;
    worker.clock = &set->clock_;
    set->workers_.push_back(std::make_unique<Worker>(worker));
  }
  return set;
}

WorkerSet::~WorkerSet() { Stop(); }

absl::Status WorkerSet::Start() {
  guarded_publisher = &publisher_;
  SetMemifGraceHook(&WaitForWorkers);
  for (unsigned i = 0; i < workers(); ++i) {
    if (rte_eal_remote_launch(&RunWorker, workers_[i].get(), i + 1) != 0) {
      return absl::InternalError(
          absl::StrCat("worker ", i, " can't be started on its lcore"));
    }
  }
  running_ = true;
  return absl::OkStatus();
}

void WorkerSet::Stop() {
  if (!running_) return;
  for (const auto& worker : workers_) worker->Stop();
  for (unsigned i = 0; i < workers(); ++i) rte_eal_wait_lcore(i + 1);
  SetMemifGraceHook(nullptr);
  running_ = false;
}

StateKeeper::Adopted WorkerSet::Adopt(const Snapshot& snapshot,
                                      std::span<Flow> flows) {
  for (unsigned i = 0; i < workers(); ++i) {
    tables_[i]->UsePlan(*snapshot.nat, i);
  }
  StateKeeper::Adopted adopted;
  while (!flows.empty()) {
    const size_t count = std::min(flows.size(), kAdoptBatch);
    Adopt(snapshot, flows.first(count), adopted);
    flows = flows.subspan(count);
  }
  return adopted;
}

// All are sent for before the first is waited for.
void WorkerSet::Adopt(const Snapshot& snapshot, std::span<Flow> batch,
                      StateKeeper::Adopted& adopted) {
  std::array<std::optional<KeptPlace>, kAdoptBatch> places;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!Renew(snapshot, batch[i])) continue;
    places[i] = PlaceOf(snapshot, ownership_, batch[i]);
    const FlowTable& table = *tables_[places[i]->worker];
    table.PrefetchBucket(table.HashOf(FlowTable::QueueSideKey(batch[i])));
    table.PrefetchBucket(table.HashOf(table.UplinkSideKey(batch[i])));
    table.PrefetchFree(static_cast<uint32_t>(i));
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!places[i]) {
      ++adopted.ended;
    } else if (!tables_[places[i]->worker]->Adopt(batch[i])) {
      ++adopted.refused;
    } else {
      ++adopted.kept;
      TellOwner(batch[i], *places[i]);
    }
  }
  for (const auto& table : tables_) table->Settle();
}

void WorkerSet::TellOwner(const Flow& flow, const KeptPlace& place) {
  if (place.owner == place.worker) return;
  const Mapping mapping = flow.binding == kNoFlow
                              ? Mapping::kPerDestination
                              : Mapping::kEndpointIndependent;
  FlowTable& owner = *tables_[place.owner];
  const bool known = mapping == Mapping::kEndpointIndependent &&
                     owner.FindLentBinding(FlowTable::QueueSideKey(flow),
                                           clock_.Now()) != nullptr;
  if (!known) owner.MakeLent(flow, mapping, place.worker);
}

void WorkerSet::Publish(std::unique_ptr<const Snapshot> snapshot) {
  publisher_.Publish(std::move(snapshot));
}

std::unique_ptr<Counts> WorkerSet::ReadCounters() {
  auto sum = std::make_unique<Counts>();
  if (!running_) {
    for (const auto& counters : counters_) sum->Add(counters->counts);
    return sum;
  }
  const uint64_t asked =
      counter_epoch_.fetch_add(1, std::memory_order_acq_rel) + 1;
  for (const auto& counters : counters_) {
    while (!counters->HasCopy(asked)) Nap();
    sum->Add(counters->copy());
  }
  return sum;
}

void WorkerSet::Wait(Command& command) {
  while (!command.done.load(std::memory_order_acquire)) Nap();
}

std::vector<std::unique_ptr<Command>> WorkerSet::Ask(Command::Kind kind,
                                                     const FlowFilter& filter,
                                                     uint64_t records) {
  std::vector<std::unique_ptr<Command>> commands;
  for (const auto& worker : workers_) {
    commands.push_back(std::make_unique<Command>());
    commands.back()->kind = kind;
    commands.back()->filter = filter;
    commands.back()->records.reserve(records);
    worker->Give(commands.back().get());
  }
  for (const auto& command : commands) Wait(*command);
  return commands;
}

std::vector<uint64_t> WorkerSet::MappingsAt(
    const std::vector<IpAddress>& addresses) {
  std::vector<uint64_t> sums(addresses.size());
  std::vector<std::unique_ptr<Command>> commands;
  for (const auto& worker : workers_) {
    commands.push_back(std::make_unique<Command>());
    for (const IpAddress& address : addresses) {
      commands.back()->mappings.push_back({address, 0});
    }
    worker->Give(commands.back().get());
  }
  for (const auto& command : commands) {
    Wait(*command);
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i] += command->mappings[i].flows;
    }
  }
  return sums;
}

std::unique_ptr<Command> WorkerSet::Find(unsigned worker, const FlowKey& key) {
  auto command = std::make_unique<Command>();
  command->kind = Command::Kind::kFind;
  command->key = key;
  command->records.reserve(1);
  workers_[worker]->Give(command.get());
  Wait(*command);
  return command;
}

void WorkerSet::TakeEvents(const std::function<void(const Event&)>& handle) {
  Event event;
  for (const auto& sink : events_) {
    while (sink->Take(event)) handle(event);
  }
}

void WorkerSet::TakeMappings(
    const std::function<void(const MappingRecord&)>& handle) {
  MappingRecord record;
  for (const auto& log : mapping_logs_) {
    // What comes meanwhile can wait.
    for (uint32_t i = 0; i < MappingLog::kCapacity; ++i) {
      if (!log->Take(record)) break;
      handle(record);
    }
  }
}

uint64_t WorkerSet::MappingsLost() const {
  uint64_t sum = 0;
  for (const auto& log : mapping_logs_) sum += log->lost();
  return sum;
}

uint32_t WorkerSet::max_flows() const {
  uint32_t sum = 0;
  for (const auto& table : tables_) sum += table->capacity();
  return sum;
}

uint64_t WorkerSet::InboundOf(QueueId queue) const {
  uint64_t sum = 0;
  for (const auto& table : tables_) sum += table->InboundOf(queue);
  return sum;
}

uint64_t WorkerSet::JudgedGeneration() const {
  uint64_t judged = UINT64_MAX;
  for (const auto& worker : workers_) {
    judged = std::min(judged, worker->judged_generation());
  }
  return judged;
}

uint64_t WorkerSet::FlowsInUse(unsigned worker) const {
  const FlowTable& table = *tables_[worker];
  return uint64_t{table.inbound()} + table.mappings();
}

QueueId WorkerSet::QueueFor(const Service& service, const FlowKey& key) const {
  FlowKey client;
  client.remote = key.remote;
  return ChooseQueue(service, tables_[0]->HashOf(key),
                     tables_[0]->HashOf(client));
}

double WorkerSet::BusyShareOf(unsigned worker) const {
  const uint64_t turns = workers_[worker]->turns();
  if (turns == 0) return 0;
  return static_cast<double>(workers_[worker]->busy_turns()) /
         static_cast<double>(turns);
}

uint64_t WorkerSet::EventsLost() const {
  uint64_t sum = 0;
  for (const auto& sink : events_) sum += sink->lost();
  return sum;
}

uint64_t WorkerSet::Evicted() const {
  uint64_t sum = 0;
  for (const auto& table : tables_) sum += table->evicted();
  return sum;
}

}  // namespace godwit
