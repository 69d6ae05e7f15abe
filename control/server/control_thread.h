// SPDX-License-Identifier: BSD-3-Clause
// The only writer of what workers read: validates, compiles, publishes,
// replies. Calls from the outside are posted here and wait; what changes in
// the kernel, in the links and in what workers hear comes in between.
#ifndef GODWIT_CONTROL_SERVER_CONTROL_THREAD_H_
#define GODWIT_CONTROL_SERVER_CONTROL_THREAD_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/loopback_return.h"
#include "bpf/map_sync.h"
#include "control/alarm/alarm.h"
#include "control/announce/announcing.h"
#include "control/compile/compiler.h"
#include "control/health/drains.h"
#include "control/health/health.h"
#include "control/intent/history.h"
#include "control/intent/load.h"
#include "control/ownership/address_defence.h"
#include "control/ownership/name_hold.h"
#include "control/server/device_set.h"
#include "control/server/node.h"
#include "control/server/worker_set.h"
#include "control/state/state_keeper.h"
#include "control/watch/kernel_watch.h"
#include "dataplane/stage/decide.h"

namespace godwit {

class ControlThread final : public Node {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    std::string config_filename;
    WorkerSet* workers = nullptr;  // outlives this
    DeviceSet* devices = nullptr;
    StateKeeper* state = nullptr;
    std::string program;  // this one's file, where the next version comes to be
    std::vector<std::string> check_command;  // of RunnerProcess
    std::vector<std::string> route_command;  // of RouteOwner
    // Called every few milliseconds, as long as the control thread gets there.
    std::function<void(Clock::time_point)> alive = [](Clock::time_point) {};
    // It is to stop, but goes on for that long.
    std::function<void(Clock::duration)> lingers = [](Clock::duration) {};
  };
  explicit ControlThread(const Options& options);
  ~ControlThread() override;

  // Opens the devices and publishes the first snapshot; the workers may be
  // started then. On the thread that will Run.
  absl::StatusOr<api::ChangeReply> Begin(const LoadedConfig& loaded);
  // For the first second: until the gateways of links that are up are
  // resolved and queues have been checked, so that what comes next need not
  // wait. The workers run already.
  void AwaitGateways();
  // Until Stop and what comes after it; then all devices are closed. The
  // workers are stopped in between by `stop_workers`.
  void Run(const std::function<void()>& stop_workers);
  // After Run: the program is to be started anew in this process. Devices are
  // open still, and routes announced: the next finds them as after a crash.
  bool upgrading() const { return upgrading_; }
  const std::string& program() const { return options_.program; }
  // After Run, if upgrading: what is to stay open for the carrier of TAPs.
  std::vector<int> carriers() const;
  // Any thread. What is announced is withdrawn, and the node goes on for
  // `linger`; a second call ends that.
  void Stop();

  absl::StatusOr<api::StatusReply> Status(const api::StatusRequest&) override;
  absl::StatusOr<api::ServiceListReply> ServiceList(
      const api::ServiceListRequest&) override;
  absl::StatusOr<api::ChangeReply> ServiceSet(
      const api::ServiceSetRequest&) override;
  absl::StatusOr<api::ChangeReply> ServiceRemove(
      const api::ServiceRemoveRequest&) override;
  absl::StatusOr<api::QueueListReply> QueueList(
      const api::QueueListRequest&) override;
  absl::StatusOr<api::ChangeReply> QueueSet(
      const api::QueueSetRequest&) override;
  absl::StatusOr<api::ChangeReply> QueueDrain(
      const api::QueueDrainRequest&) override;
  absl::StatusOr<api::ChangeReply> QueueRemove(
      const api::QueueRemoveRequest&) override;
  absl::StatusOr<api::UplinkListReply> UplinkList(
      const api::UplinkListRequest&) override;
  absl::StatusOr<api::EgressShowReply> EgressShow(
      const api::EgressShowRequest&) override;
  absl::StatusOr<api::ChangeReply> EgressSet(
      const api::EgressSetRequest&) override;
  absl::StatusOr<api::FlowListReply> FlowList(
      const api::FlowListRequest&) override;
  absl::StatusOr<api::FlowCountReply> FlowCount(
      const api::FlowCountRequest&) override;
  absl::StatusOr<api::FlowFlushReply> FlowFlush(
      const api::FlowFlushRequest&) override;
  absl::StatusOr<api::NeighborListReply> NeighborList(
      const api::NeighborListRequest&) override;
  absl::StatusOr<api::RouteListReply> RouteList(
      const api::RouteListRequest&) override;
  absl::StatusOr<api::CountersReply> Counters(
      const api::CountersRequest&) override;
  absl::StatusOr<api::ExplainReply> Explain(
      const api::ExplainRequest&) override;
  absl::StatusOr<api::ConfigShowReply> ConfigShow(
      const api::ConfigShowRequest&) override;
  absl::StatusOr<api::ConfigCheckReply> ConfigCheck(
      const api::ConfigCheckRequest&) override;
  absl::StatusOr<api::ConfigDiffReply> ConfigDiff(
      const api::ConfigDiffRequest&) override;
  absl::StatusOr<api::ChangeReply> ConfigApply(
      const api::ConfigApplyRequest&) override;
  absl::StatusOr<api::ChangeReply> ConfigConfirm(
      const api::ConfigConfirmRequest&) override;
  absl::StatusOr<api::ChangeReply> ConfigRollback(
      const api::ConfigRollbackRequest&) override;
  absl::StatusOr<api::ConfigHistoryReply> ConfigHistory(
      const api::ConfigHistoryRequest&) override;
  absl::StatusOr<api::ConfigSaveReply> ConfigSave(
      const api::ConfigSaveRequest&) override;
  absl::StatusOr<api::ChangeReply> Upgrade(const api::UpgradeRequest&) override;
  absl::StatusOr<api::VersionReply> Version(
      const api::VersionRequest&) override;

 private:
  // Runs `work` on the control thread and gives back what it returns.
  template <class Work>
  auto Do(Work work) -> decltype(work()) {
    using Result = decltype(work());
    auto promise = std::make_shared<std::promise<Result>>();
    std::future<Result> result = promise->get_future();
    const bool posted = Post(
        [promise, work = std::move(work)]() { promise->set_value(work()); });
    if (!posted) return absl::UnavailableError("the daemon is stopping");
    return result.get();
  }
  bool Post(std::function<void()> work);

  // One transaction: all of `loaded` is in effect when it returns OK, nothing
  // of it if not.
  absl::StatusOr<api::ChangeReply> Change(const LoadedConfig& loaded);
  // The same, kept in the history under what `how` says.
  absl::StatusOr<api::ChangeReply> Keep(const LoadedConfig& loaded,
                                        const std::string& how);
  // The same as an operator's wish, refused while something is on trial.
  absl::StatusOr<api::ChangeReply> Apply(const LoadedConfig& loaded,
                                         const std::string& how);
  absl::StatusOr<api::ChangeReply> Apply(api::Config config,
                                         const std::string& how);
  // To a configuration of the history; ends a trial.
  absl::StatusOr<api::ChangeReply> GoBack(const History::Entry& to,
                                          const std::string& how);
  // Takes back what nobody has confirmed in time.
  void EndTrialWhenDue();
  // What `config` names that is another's.
  std::vector<Finding> Taken(const api::Config& config) const;
  // Of this machine; the warnings are the file's too.
  absl::StatusOr<std::vector<std::string>> CheckHere(
      const LoadedConfig& loaded) const;
  // The same, but for what is not touched: that is as good as it was, and no
  // reason to refuse what is to change.
  absl::StatusOr<std::vector<std::string>> CheckChange(
      const LoadedConfig& loaded) const;
  // And what only a restart would bring, as warnings: the file is right.
  absl::StatusOr<std::vector<std::string>> CheckFile(
      const LoadedConfig& loaded) const;
  absl::Status CheckFixed(const api::Config& next, const Source& source) const;
  absl::Status CheckSuccessor() const;
  // All interfaces of `next`, also those that are held already.
  absl::StatusOr<std::vector<NameHold>> HoldInterfaces(const api::Config& next,
                                                       const Source& source);
  absl::Status OpenDevices(const api::Config& next, const Source& source,
                           DeviceMap& uplinks, DeviceMap& queues);
  // Devices of now that `next` can't be opened beside.
  DeviceMap TakeOutChanged(const api::Config& next);
  absl::Status ReopenChanged(const api::Config& next);
  absl::Status PlumbAddresses(const api::Config& before,
                              const api::Config& next);
  // The queue `kernel` and its answers to other queues. Attached, the program
  // does nothing yet.
  absl::Status AttachLoopback(const api::Config& next, const Source& source);
  absl::Status PublishLoopback(const api::Config& next);
  // What a change has made, which TakeBack takes away again.
  struct Fresh {
    DeviceMap uplinks;
    DeviceMap queues;
    bool loopback = false;
    EgressPorts egress_before;
    L4PortSet steered_before;
  };
  // All of a change that can fail.
  absl::StatusOr<std::unique_ptr<Snapshot>> Prepare(const api::Config& next,
                                                    const Source& source,
                                                    Fresh& fresh);
  void TakeBack(const api::Config& refused, Fresh& fresh);
  void CloseUnused(const api::Config& next);
  // Of the devices that are open and those that are `fresh`.
  absl::StatusOr<std::unique_ptr<Snapshot>> Compile(
      const api::Config& full, bool config_changed, const Fresh& fresh,
      const std::map<std::string, QueueLiveness>& liveness);
  void Publish(std::unique_ptr<Snapshot> snapshot);
  absl::Status PublishAnew(const api::Config& full, bool config_changed);
  void Republish(const char* why);
  void UseL4Ports(EgressPorts egress);
  // The programs of `xdp:` uplinks that are open.
  void Steer(const api::Config& next);
  SteeringTables SteeringFor(const api::Config& full) const;

  // What was posted, and what runs in between. False: to stop.
  bool Step();
  // "192.0.2.1 (wan0)", of links that are up and have a far end.
  std::vector<std::string> UnresolvedGateways() const;
  void TakeEvents();
  void TellMappings();
  void WatchRoom();
  void SayFewL4Ports(const IpAddress& remote);
  void WatchLinks();
  // Ports whose peer is gone, and those that wait for one. Whether anything
  // has changed.
  bool RestartPorts(Clock::time_point now);
  // What stays if this process is killed, as RemoveMade takes it.
  std::vector<std::string> MadeInterfaces() const;
  // Whoever has the routes after this process keeps the carrier of TAPs, too.
  void KeepCarriers();
  // Queues whose interface or namespace went away and is there again.
  void ReopenReturned();
  absl::Status Reopen(const api::Queue& queue);
  void KeepNeighbours();
  void DefendAddresses();
  void FollowKernelL4Ports();
  void ConfigureHealth(const api::Config& full);
  void WatchHealth();
  // Steers what drained queues still have, when their deadline has come.
  void EndDrains();
  void UpdateLiveness(const api::Config& full);
  // Of the queues that are open and those that are `fresh`.
  std::map<std::string, QueueLiveness> LivenessIn(const api::Config& full,
                                                  const DeviceMap& fresh) const;

  // Flows of an earlier process wait for `queue`, which has not come up yet.
  bool MayReturn(const std::string& queue) const;
  void EndPatience();

  // Once a turn: begins to announce when the node is ready, and ends it when it
  // is asked to stop.
  void FollowStop();

  // Reports.
  std::string WhyNotReady() const;  // empty: it is
  void FillKernelQueue(const Counts& counts, api::QueueStatus& out) const;
  void Fill(api::ConfigStatus& out) const;
  void Fill(const api::Service& service, api::ServiceStatus& out) const;
  void Fill(const api::Queue& queue, const Counts& counts,
            api::QueueStatus& out) const;
  void Fill(const api::Uplink& uplink, const Counts& counts,
            api::UplinkStatus& out) const;
  absl::StatusOr<FlowFilter> FilterOf(const api::FlowFilter& asked) const;
  void Fill(const FlowRecord& record, unsigned worker, api::Flow& out) const;
  std::string QueueName(QueueId id) const;
  std::string ServiceName(ServiceId id) const;
  absl::StatusOr<api::ExplainReply> ExplainHere(
      const api::ExplainRequest& request);
  api::ExplainReply ExplainFlow(const FlowRecord& record, unsigned worker,
                                const Meta& meta) const;
  void ExplainLoop(const Meta& outward, UnicastId unicast,
                   api::ExplainReply& reply) const;
  api::ExplainReply ExplainDecision(const Decision& decision, unsigned worker,
                                    const Meta& meta) const;

  const Options options_;
  Compiler compiler_;
  api::Config config_;  // as written
  api::Config full_;    // with its defaults
  DeviceMap uplinks_;
  DeviceMap queues_;
  uint64_t kept_version_ = 0;  // of the devices, when KeepCarriers told
  NameHolds names_;
  std::vector<NameHold> held_;                // of full_
  std::unique_ptr<LoopbackReturn> loopback_;  // while `kernel` serves
  EgressPortChoice egress_choice_;
  EgressPorts egress_;
  // What egress_ has ever had: a mapping may live on what it has no longer, so
  // workers see that first, and give the kernel what no mapping is for.
  L4PortSet steered_;
  QueueHealth health_;
  AddressDefence defence_;
  AddressDefence::Own own_;      // of own_generation_
  uint64_t own_generation_ = 0;  // 0: none
  Drains drains_;
  std::map<std::string, QueueLiveness> liveness_;
  // Until when queues that have not been alive keep the flows that were taken
  // over; none: no longer.
  std::optional<Clock::time_point> patience_;
  std::set<std::string> have_been_alive_;
  Announcing announcing_;
  std::optional<Clock::time_point> linger_end_;  // it is to stop then
  std::unique_ptr<KernelWatch> watch_;
  std::shared_ptr<const Observation> observation_;
  // What is published now; the publisher owns it, and only this thread
  // publishes.
  const Snapshot* snapshot_ = nullptr;
  // Of the configuration: what the kernel or a link does republishes the
  // snapshot, and changes nothing that an operator asked for.
  uint64_t generation_ = 0;
  History history_;
  bool ready_ = false;
  bool upgrading_ = false;
  Clock::time_point started_;
  Clock::time_point next_links_{};
  Clock::time_point next_reopen_{};
  std::map<std::string, std::string> why_not_open_;  // last told, by queue
  Clock::time_point next_neighbours_{};
  Clock::time_point next_l4ports_{};
  Clock::time_point next_room_{};
  Clock::time_point next_few_{};
  HighWater flow_room_;
  LineBudget mapping_lines_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> posted_;
  bool stop_asked_ = false;
  bool stopping_ = false;
  bool observed_ = false;
};

// The built-in queue, the node's own root namespace: not of the configuration.
inline constexpr char kKernelQueueName[] = "kernel";

}  // namespace godwit

#endif  // GODWIT_CONTROL_SERVER_CONTROL_THREAD_H_
