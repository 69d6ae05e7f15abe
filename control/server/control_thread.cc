// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/control_thread.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/intent/defaults.h"
#include "control/intent/machine.h"
#include "control/intent/validate.h"
#include "control/ownership/leftovers.h"
#include "control/plumb/queue_netns.h"
#include "control/server/log.h"

namespace godwit {
namespace {

constexpr auto kPause = std::chrono::milliseconds(2);
constexpr auto kL4PortPeriod = std::chrono::seconds(1);
// A tenth of a CPU at most goes into reading the sockets.
constexpr int kRestPerLook = 10;
// A live gateway answers in milliseconds; a dead one must not keep the node
// from starting.
constexpr auto kGatewayPatience = std::chrono::seconds(1);
// Peers connect anew, and health checks run, before flows that were taken over
// are lost with their queue.
constexpr auto kReturnPatience = std::chrono::seconds(5);

}  // namespace

ControlThread::ControlThread(const Options& options)
    : options_(options),
      health_(std::make_unique<RunnerProcess>(options.check_command),
              [](const std::string& line) { Log(line); }),
      defence_([](const std::string& line) { Log(line); }),
      announcing_(options.route_command,
                  [](const std::string& line) { Log(line); }),
      started_(Clock::now()) {}

ControlThread::~ControlThread() = default;

bool ControlThread::Post(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return false;
    posted_.push_back(std::move(work));
  }
  wake_.notify_one();
  return true;
}

void ControlThread::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = stop_asked_;
    stop_asked_ = true;
  }
  wake_.notify_one();
}

absl::StatusOr<api::ChangeReply> ControlThread::Begin(
    const LoadedConfig& loaded) {
  auto watch = KernelWatch::Start([this](const Observation&) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      observed_ = true;
    }
    wake_.notify_one();
  });
  if (!watch.ok()) return watch.status();
  watch_ = *std::move(watch);
  announcing_.WithdrawStaleRoutes(loaded.config);
  options_.state->Restore(compiler_);
  if (options_.state->has_flows()) patience_ = Clock::time_point::max();
  auto reply = Keep(loaded, "start");
  if (!reply.ok()) return reply;
  if (patience_) patience_ = Clock::now() + kReturnPatience;
  for (const std::string& line : RemoveLeftovers(names_)) Log(line);
  for (const std::string& line :
       RemoveMade(options_.state->interfaces_left(), full_, names_)) {
    Log(line);
  }
  return reply;
}

bool ControlThread::Step() {
  std::deque<std::function<void()>> work;
  bool observed = false;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait_for(lock, kPause, [this] {
      return stopping_ || observed_ || !posted_.empty();
    });
    work.swap(posted_);
    std::swap(observed, observed_);
    if (stopping_ && work.empty()) return false;
  }
  for (const auto& item : work) item();
  EndTrialWhenDue();
  if (observed) Republish("the kernel's routes or neighbours changed");
  TakeEvents();
  TellMappings();
  WatchRoom();
  WatchLinks();
  KeepNeighbours();
  DefendAddresses();
  FollowKernelL4Ports();
  WatchHealth();
  EndDrains();
  EndPatience();
  announcing_.Turn(full_, liveness_, Clock::now());
  options_.alive(Clock::now());
  return true;
}

std::vector<std::string> ControlThread::UnresolvedGateways() const {
  std::vector<std::string> unresolved;
  for (const auto& [key, contested] : compiler_.gateways()) {
    const auto& [ifindex, address] = key;
    const NeighbourEntry* entry =
        FindNeighbour(*observation_, ifindex, address);
    if (entry != nullptr && entry->usable()) continue;
    for (const auto& [name, device] : uplinks_) {
      // A pair or a TAP that godwit has just made: nobody is there yet.
      const bool is_ours = device->spec.kind == DeviceSpec::Kind::kVeth ||
                           device->spec.kind == DeviceSpec::Kind::kTap;
      if (device->kernel_ifindex != ifindex || !device->link_up || is_ours) {
        continue;
      }
      unresolved.push_back(absl::StrCat(address.ToString(), " (", name, ")"));
    }
  }
  return unresolved;
}

void ControlThread::AwaitGateways() {
  const Clock::time_point deadline = Clock::now() + kGatewayPatience;
  std::vector<std::string> unresolved = UnresolvedGateways();
  // And until the queues that are checked have been, once.
  while ((!unresolved.empty() || health_.AwaitsFirst()) &&
         Clock::now() < deadline && Step()) {
    unresolved = UnresolvedGateways();
  }
  if (unresolved.empty()) return;
  Log("gateways that do not answer yet: ", absl::StrJoin(unresolved, ", "));
}

void ControlThread::FollowStop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!stop_asked_) return announcing_.Begin(Clock::now());
  }
  if (!linger_end_) {
    const Clock::time_point now = Clock::now();
    linger_end_ = announcing_.Stop(full_, liveness_, now);
    if (*linger_end_ > now) options_.lingers(*linger_end_ - now);
  }
  if (Clock::now() < *linger_end_) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  stopping_ = true;
}

void ControlThread::Run(const std::function<void()>& stop_workers) {
  ready_ = true;
  do {
    FollowStop();
  } while (Step());
  ready_ = false;
  if (history_.trial()) {
    Log("generation ", history_.trial()->generation,
        " was not confirmed: the next start reads ", options_.config_filename);
  }
  if (upgrading_) announcing_.HandOver(full_);
  stop_workers();
  watch_.reset();
  if (upgrading_) return;
  loopback_.reset();
  for (DeviceMap* devices : {&queues_, &uplinks_}) {
    for (auto& [name, device] : *devices) {
      options_.devices->Close(std::move(device));
    }
    devices->clear();
  }
}

void ControlThread::TakeEvents() {
  bool learned = false;
  options_.workers->TakeEvents([this, &learned](const Event& event) {
    switch (event.kind) {
      case EventKind::kResolve: {
        for (const auto& [name, device] : uplinks_) {
          if (device->id != event.device) continue;
          watch_->Resolve(device->kernel_ifindex, event.address).IgnoreError();
        }
        break;
      }
      case EventKind::kNeighbour:
        learned =
            compiler_.Learn(event.device, event.address, event.mac) || learned;
        break;
      case EventKind::kNoL4Port:
        Log("egress: no l4port is left towards ", event.address.ToString(),
            ": nat_no_port counts what was refused");
        break;
      case EventKind::kFewL4Ports:
        SayFewL4Ports(event.address);
        break;
    }
  });
  if (learned) Republish("a queue's far end was heard");
}

// The kernel says nothing when a socket begins to listen.
void ControlThread::FollowKernelL4Ports() {
  const Clock::time_point now = Clock::now();
  if (now < next_l4ports_ || !FollowsKernel(full_)) return;
  EgressPorts next = egress_choice_.Choose(full_, now);
  const Clock::time_point end = Clock::now();
  next_l4ports_ = end + std::max<Clock::duration>(kL4PortPeriod,
                                                  (end - now) * kRestPerLook);
  if (next.l4ports == egress_.l4ports) return;
  UseL4Ports(std::move(next));
  // Before the first mapping on a new one.
  Steer(full_);
  const absl::Status returned = PublishLoopback(full_);
  if (!returned.ok()) Log("queue kernel: ", returned.message());
  Republish("the kernel listens on other l4ports");
}

void ControlThread::UseL4Ports(EgressPorts egress) {
  for (const uint16_t l4port : egress.l4ports) steered_.set(l4port);
  egress_ = std::move(egress);
}

void ControlThread::ConfigureHealth(const api::Config& full) {
  const auto served = [this](const std::string& queue) {
    const auto known = liveness_.find(queue);
    return known != liveness_.end() && known->second.reachable;
  };
  health_.Configure(full, served, Clock::now());
}

void ControlThread::WatchHealth() {
  const QueueHealth::News news = health_.Turn(Clock::now());
  if (news == QueueHealth::News::kNone) return;
  UpdateLiveness(full_);
  if (news == QueueHealth::News::kState) Republish("a queue's health changed");
}

void ControlThread::EndDrains() {
  const std::vector<std::string> over = drains_.Turn(Clock::now());
  if (over.empty()) return;
  Log("drained, and the deadline has come: ", absl::StrJoin(over, ", "));
  UpdateLiveness(full_);
  Republish("a drain is over");
}

void ControlThread::UpdateLiveness(const api::Config& full) {
  std::set<std::string> drained;
  for (const api::Queue& queue : full.queues()) {
    if (queue.drained()) drained.insert(queue.name());
  }
  drains_.KeepOnly(drained);
  liveness_ = LivenessIn(full, {});
  for (const auto& [name, liveness] : liveness_) {
    if (liveness.alive) have_been_alive_.insert(name);
  }
  announcing_.SetDue();
}

bool ControlThread::MayReturn(const std::string& queue) const {
  return patience_ && !have_been_alive_.contains(queue);
}

void ControlThread::EndPatience() {
  if (!patience_ || Clock::now() < *patience_) return;
  patience_.reset();
  UpdateLiveness(full_);
  Republish("patience with queues that do not return is over");
}

std::map<std::string, QueueLiveness> ControlThread::LivenessIn(
    const api::Config& full, const DeviceMap& fresh) const {
  std::map<std::string, QueueLiveness> all;
  for (const api::Queue& queue : full.queues()) {
    QueueLiveness& liveness = all[queue.name()];
    const OpenDevice* open = nullptr;
    for (const DeviceMap* devices : {&queues_, &fresh}) {
      const auto found = devices->find(queue.name());
      if (found != devices->end()) open = found->second.get();
    }
    if (open == nullptr) {
      liveness.reason = "its device is not open";
    } else if (!open->port->running()) {
      liveness.reason = "waits for its peer";
    } else if (!open->gone.empty()) {
      liveness.reason = open->gone;
    } else if (!open->link_up) {
      liveness.reason = "no link: nobody is at the far end";
    } else if (!health_.IsUp(queue.name())) {
      liveness.reason = health_.ReasonOf(queue.name());
    } else {
      // The deadline of one that is undrained does not count any more.
      liveness.reachable = !queue.drained() || !drains_.IsOver(queue.name());
      liveness.alive = !queue.drained();
    }
    liveness.reachable = liveness.reachable || MayReturn(queue.name());
    liveness.drained = queue.drained();
  }
  return all;
}

absl::StatusOr<std::unique_ptr<Snapshot>> ControlThread::Compile(
    const api::Config& full, bool config_changed, const Fresh& fresh,
    const std::map<std::string, QueueLiveness>& liveness) {
  observation_ = watch_->Current();
  CompileInput input;
  input.config = &full;
  auto uplinks = UplinksOf(uplinks_);
  auto queues = QueuesOf(queues_);
  uplinks.merge(UplinksOf(fresh.uplinks));
  queues.merge(QueuesOf(fresh.queues));
  input.uplinks = &uplinks;
  input.queues = &queues;
  input.observation = observation_.get();
  input.egress = &egress_;
  input.liveness = &liveness;
  input.workers = options_.workers->workers();
  input.config_changed = config_changed;
  input.judged = options_.workers->JudgedGeneration();
  return compiler_.Compile(input);
}

void ControlThread::Publish(std::unique_ptr<Snapshot> snapshot) {
  const Snapshot* published = snapshot.get();
  options_.state->TakeOver([this, published](std::span<Flow> flows) {
    return options_.workers->Adopt(*published, flows);
  });
  options_.state->Write(compiler_.numbers(), MadeInterfaces());
  options_.workers->Publish(std::move(snapshot));
  snapshot_ = published;
  std::vector<NeighbourKey> gateways;
  std::set<NeighbourKey> contested;
  for (const auto& [key, several] : compiler_.gateways()) {
    gateways.push_back({key.first, key.second});
    if (several) contested.insert(gateways.back());
  }
  const absl::Status kept = watch_->KeepAlive(gateways, contested);
  if (!kept.ok()) Log("neighbours: ", kept.message());
}

absl::Status ControlThread::PublishAnew(const api::Config& full,
                                        bool config_changed) {
  auto snapshot = Compile(full, config_changed, Fresh(), liveness_);
  if (snapshot.ok()) Publish(*std::move(snapshot));
  return snapshot.status();
}

void ControlThread::Republish(const char* why) {
  const absl::Status status = PublishAnew(full_, /*config_changed=*/false);
  if (!status.ok()) Log(why, ", but: ", status.message());
}

SteeringTables ControlThread::SteeringFor(const api::Config& full) const {
  SteeringTables tables;
  tables.generation = snapshot_ == nullptr ? 1 : snapshot_->generation + 1;
  std::set<IpAddress> addresses;
  for (const api::Service& service : full.services()) {
    for (const std::string& text : service.addresses()) {
      addresses.insert(*IpAddress::Parse(text));
    }
  }
  for (const IpAddress& address : addresses) {
    // The queue `kernel` under rules 1 to 4 as well: a worker sees its packets,
    // so that what it answers is tracked and counted.
    tables.service_addresses.push_back({address, ServedBy::kWorkers});
  }
  for (const std::string& text : full.node().unicast()) {
    tables.unicast_addresses.push_back(*IpAddress::Parse(text));
  }
  tables.egress_tcp = steered_;
  tables.egress_udp = steered_;
  return tables;
}

}  // namespace godwit
