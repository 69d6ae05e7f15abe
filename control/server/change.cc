// SPDX-License-Identifier: BSD-3-Clause
// A change is one transaction: what can fail is done first and can be undone;
// then one snapshot, then what is no longer needed goes.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "control/intent/defaults.h"
#include "control/intent/difference.h"
#include "control/intent/machine.h"
#include "control/ownership/interfaces.h"
#include "control/plumb/link.h"
#include "control/plumb/queue_netns.h"
#include "control/server/control_thread.h"
#include "control/server/log.h"

namespace godwit {
namespace {

template <class List>
int IndexOf(const List& list, const std::string& name) {
  for (int i = 0; i < list.size(); ++i) {
    if (list.Get(i).name() == name) return i;
  }
  return -1;
}

template <class Item, class List>
bool SameDevice(const List& list, const Item& item) {
  const int at = IndexOf(list, item.name());
  return at >= 0 &&
         DeviceSet::Signature(list.Get(at)) == DeviceSet::Signature(item);
}

bool ReturnsOverLoopback(const api::Config& config) {
  return !KernelQueuePath(config).empty() && !config.uplinks().empty();
}

absl::Status AtKernelQueue(const api::Config& config,
                           const absl::Status& status, const Source& source) {
  Finding finding;
  finding.path = KernelQueuePath(config);
  finding.message = absl::StrCat(
      "\"kernel\": for its answers to other queues it needs a BPF program on "
      "lo: ",
      status.message(),
      absl::IsPermissionDenied(status)
          ? "; CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, are needed"
          : "");
  return ToStatus({finding}, source);
}

absl::Status AtDevice(const char* list, int index, const std::string& device,
                      const absl::Status& status, const Source& source) {
  Finding finding;
  finding.path = absl::StrCat(list, "[", index, "].device");
  finding.message = absl::StrCat("\"", device, "\": ", status.message());
  return ToStatus({finding}, source);
}

}  // namespace

std::vector<Finding> ControlThread::Taken(const api::Config& config) const {
  std::vector<Finding> taken = CheckInterfaces(config, names_);
  for (const Finding& f : announcing_.CheckTable(config)) taken.push_back(f);
  return taken;
}

absl::StatusOr<std::vector<std::string>> ControlThread::CheckHere(
    const LoadedConfig& loaded) const {
  Machine machine = ReadMachine();
  // Fixed at start; and from then on it is we who listen there.
  machine.why_not_listen = nullptr;
  return godwit::CheckHere(loaded, machine, Taken(loaded.config));
}

absl::StatusOr<std::vector<std::string>> ControlThread::CheckChange(
    const LoadedConfig& loaded) const {
  if (snapshot_ == nullptr) return CheckHere(loaded);
  Machine machine = ReadMachine();
  machine.why_not_listen = nullptr;
  std::vector<Finding> taken = Taken(loaded.config);
  std::erase_if(taken, [&](const Finding& finding) {
    return IsUntouched(config_, loaded.config, finding.path);
  });
  return godwit::CheckHere(
      loaded, WithUntouched(std::move(machine), config_, loaded.config), taken);
}

absl::StatusOr<std::vector<std::string>> ControlThread::CheckFile(
    const LoadedConfig& loaded) const {
  absl::StatusOr<std::vector<std::string>> warnings = CheckHere(loaded);
  if (!warnings.ok()) return warnings;
  const api::Config next =
      WithMachineDefaults(WithDefaults(loaded.config), ReadMachine());
  for (std::string& line : Lines(FixedAtStart(full_, next), loaded.source)) {
    warnings->push_back(std::move(line));
  }
  return warnings;
}

absl::Status ControlThread::CheckFixed(const api::Config& next,
                                       const Source& source) const {
  if (snapshot_ == nullptr) return absl::OkStatus();
  return ToStatus(FixedAtStart(full_, next), source);
}

absl::Status ControlThread::OpenDevices(const api::Config& next,
                                        const Source& source,
                                        DeviceMap& uplinks, DeviceMap& queues) {
  for (int i = 0; i < next.uplinks_size(); ++i) {
    const api::Uplink& uplink = next.uplinks(i);
    if (uplinks_.contains(uplink.name())) continue;
    auto device = options_.devices->Open(uplink, SteeringFor(next));
    if (!device.ok()) {
      return AtDevice("uplinks", i, uplink.device(), device.status(), source);
    }
    Log("uplink ", OpeningOf(**device));
    uplinks[uplink.name()] = *std::move(device);
  }
  for (int i = 0; i < next.queues_size(); ++i) {
    const api::Queue& queue = next.queues(i);
    if (queues_.contains(queue.name())) continue;
    auto device =
        options_.devices->Open(queue, AddressesOf(next, queue.name()));
    if (!device.ok()) {
      // Not open before either: no fault of this change. It is tried again.
      if (SameDevice(full_.queues(), queue)) {
        Log("queue ", queue.name(), ": not open: ", device.status().message());
        continue;
      }
      return AtDevice("queues", i, queue.device(), device.status(), source);
    }
    Log("queue ", OpeningOf(**device));
    queues[queue.name()] = *std::move(device);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<NameHold>> ControlThread::HoldInterfaces(
    const api::Config& next, const Source& source) {
  std::vector<NameHold> holds;
  std::vector<Finding> taken;
  for (const InterfaceUse& use : InterfacesOf(next)) {
    auto hold = Hold(use, names_);
    if (hold.ok()) {
      holds.push_back(*std::move(hold));
      continue;
    }
    // Its namespace may have gone under a queue that nobody touches.
    if (IsUntouched(full_, next, use.path)) continue;
    taken.push_back({use.path, absl::StrCat("\"", use.value,
                                            "\": ", hold.status().message())});
  }
  const absl::Status status = ToStatus(taken, source);
  if (!status.ok()) return status;
  return holds;
}

// Those that change, and those that go while another is to have their
// interface.
DeviceMap ControlThread::TakeOutChanged(const api::Config& next) {
  std::set<std::pair<std::string, std::string>> wanted;
  for (const InterfaceUse& use : InterfacesOf(next)) {
    wanted.emplace(use.netns, use.name);
  }
  DeviceMap closing;
  const auto take = [&](const std::string& kind, const auto& now,
                        const auto& then, DeviceMap& open) {
    for (const auto& item : now) {
      const auto device = open.find(item.name());
      if (device == open.end() || SameDevice(then, item)) continue;
      const auto uses = InterfacesOf(item, 0);
      const bool goes = IndexOf(then, item.name()) < 0;
      const bool in_the_way =
          std::any_of(uses.begin(), uses.end(), [&wanted](const auto& use) {
            return wanted.contains({use.netns, use.name});
          });
      if (goes && !in_the_way) continue;
      closing[kind + item.name()] = std::move(device->second);
      open.erase(device);
    }
  };
  take("uplink ", full_.uplinks(), next.uplinks(), uplinks_);
  take("queue ", full_.queues(), next.queues(), queues_);
  return closing;
}

// Devices whose settings change must be closed before they can be opened
// again: the workers let go of them first. Flows stay, they name queues.
absl::Status ControlThread::ReopenChanged(const api::Config& next) {
  DeviceMap closing = TakeOutChanged(next);
  if (closing.empty()) return absl::OkStatus();
  UpdateLiveness(full_);
  const absl::Status published = PublishAnew(full_, /*config_changed=*/true);
  for (auto& [name, device] : closing) {
    compiler_.Unlearn(device->id);
    options_.devices->Close(std::move(device));
  }
  return published;
}

absl::Status ControlThread::PlumbAddresses(const api::Config& before,
                                           const api::Config& next) {
  for (const api::Queue& queue : next.queues()) {
    if (queue.netns().empty() || !queues_.contains(queue.name())) continue;
    const std::vector<IpAddress> wanted = AddressesOf(next, queue.name());
    if (wanted == AddressesOf(before, queue.name())) continue;
    const absl::Status status = SetServiceAddresses(queue.netns(), wanted);
    // Without its namespace it gets them when it is opened again.
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status ControlThread::AttachLoopback(const api::Config& next,
                                           const Source& source) {
  if (loopback_ != nullptr || !ReturnsOverLoopback(next)) {
    return absl::OkStatus();
  }
  // Without a TAP to send to: it lets everything pass.
  auto program = LoopbackReturn::Attach(SteeringFor(next));
  if (!program.ok()) return AtKernelQueue(next, program.status(), source);
  loopback_ = *std::move(program);
  return absl::OkStatus();
}

absl::Status ControlThread::PublishLoopback(const api::Config& next) {
  if (loopback_ == nullptr || !ReturnsOverLoopback(next)) {
    loopback_.reset();
    return absl::OkStatus();
  }
  // All TAPs lead to the same workers.
  const auto uplink = uplinks_.find(next.uplinks(0).name());
  if (uplink == uplinks_.end()) return absl::NotFoundError("no uplink is open");
  const auto tap = IfIndex(uplink->second->tap_name);
  if (!tap.ok()) return tap.status();
  SteeringTables tables = SteeringFor(next);
  tables.kernel_queue_ifindex = static_cast<uint32_t>(*tap);
  return loopback_->Publish(tables);
}

void ControlThread::CloseUnused(const api::Config& next) {
  for (auto it = uplinks_.begin(); it != uplinks_.end();) {
    if (IndexOf(next.uplinks(), it->first) >= 0) {
      ++it;
      continue;
    }
    Log("uplink ", it->first, ": closed");
    options_.devices->Close(std::move(it->second));
    it = uplinks_.erase(it);
  }
  for (auto it = queues_.begin(); it != queues_.end();) {
    if (IndexOf(next.queues(), it->first) >= 0) {
      ++it;
      continue;
    }
    Log("queue ", it->first, ": closed");
    compiler_.Unlearn(it->second->id);
    options_.devices->Close(std::move(it->second));
    it = queues_.erase(it);
  }
}

void ControlThread::Steer(const api::Config& next) {
  for (auto& [name, device] : uplinks_) {
    if (device->steering == nullptr) continue;
    if (IndexOf(next.uplinks(), name) < 0) continue;
    const absl::Status status = PublishSteering(*device, SteeringFor(next));
    if (!status.ok()) Log("uplink ", name, ": ", status.message());
  }
}

absl::StatusOr<api::ChangeReply> ControlThread::Change(
    const LoadedConfig& loaded) {
  const absl::StatusOr<std::vector<std::string>> warnings = CheckChange(loaded);
  if (!warnings.ok()) return warnings.status();
  const Machine machine = ReadMachine();
  const api::Config next =
      WithMachineDefaults(WithDefaults(loaded.config), machine);
  absl::Status status = CheckFixed(next, loaded.source);
  if (!status.ok()) return status;
  auto holds = HoldInterfaces(next, loaded.source);
  if (!holds.ok()) return holds.status();
  Fresh fresh;
  auto snapshot = Prepare(next, loaded.source, fresh);
  if (!snapshot.ok()) {
    TakeBack(next, fresh);
    return snapshot.status();
  }
  // From here on nothing is refused.
  uplinks_.merge(fresh.uplinks);
  queues_.merge(fresh.queues);
  UpdateLiveness(next);
  Steer(next);
  status = PublishLoopback(next);
  if (!status.ok()) Log("queue kernel: ", status.message());
  Publish(*std::move(snapshot));
  config_ = loaded.config;
  ++generation_;
  full_ = next;
  held_ = *std::move(holds);
  announcing_.Change(full_, liveness_, Clock::now());
  CloseUnused(next);
  api::ChangeReply reply;
  reply.set_generation(generation_);
  reply.set_message(absl::StrCat("ok, generation ", generation_));
  for (const std::string& warning : *warnings) *reply.add_warnings() = warning;
  return reply;
}

absl::StatusOr<std::unique_ptr<Snapshot>> ControlThread::Prepare(
    const api::Config& next, const Source& source, Fresh& fresh) {
  fresh.egress_before = egress_;
  fresh.steered_before = steered_;
  absl::Status status = ReopenChanged(next);
  if (!status.ok()) return status;
  if (snapshot_ == nullptr ||
      full_.egress().SerializeAsString() != next.egress().SerializeAsString() ||
      full_.node().SerializeAsString() != next.node().SerializeAsString()) {
    UseL4Ports(egress_choice_.Choose(next, Clock::now()));
  }
  const bool had_loopback = loopback_ != nullptr;
  status = AttachLoopback(next, source);
  fresh.loopback = !had_loopback && loopback_ != nullptr;
  if (status.ok()) {
    status = OpenDevices(next, source, fresh.uplinks, fresh.queues);
  }
  if (status.ok()) status = PlumbAddresses(full_, next);
  if (!status.ok()) return status;
  ConfigureHealth(next);
  return Compile(next, /*config_changed=*/true, fresh,
                 LivenessIn(next, fresh.queues));
}

// Back to what was: devices that had to be closed first are opened again. No
// worker has seen anything of `refused`.
void ControlThread::TakeBack(const api::Config& refused, Fresh& fresh) {
  if (fresh.loopback) loopback_.reset();
  for (DeviceMap* devices : {&fresh.queues, &fresh.uplinks}) {
    for (auto& [name, device] : *devices) {
      options_.devices->Close(std::move(device));
    }
    devices->clear();
  }
  egress_ = std::move(fresh.egress_before);
  steered_ = fresh.steered_before;
  if (snapshot_ == nullptr) return;
  absl::Status status =
      OpenDevices(full_, Source(), fresh.uplinks, fresh.queues);
  if (!status.ok()) Log("taking the change back: ", status.message());
  PlumbAddresses(refused, full_).IgnoreError();
  uplinks_.merge(fresh.uplinks);
  queues_.merge(fresh.queues);
  ConfigureHealth(full_);
  UpdateLiveness(full_);
  // The TAP may be another.
  status = PublishLoopback(full_);
  if (!status.ok()) Log("queue kernel: ", status.message());
  Republish("a change was taken back");
}

absl::StatusOr<api::ChangeReply> ControlThread::Keep(const LoadedConfig& loaded,
                                                     const std::string& how) {
  absl::StatusOr<api::ChangeReply> reply = Change(loaded);
  if (!reply.ok()) return reply;
  history_.Applied({generation_, absl::Now(), how, config_});
  Log("generation ", generation_, ": ", how);
  return reply;
}

absl::StatusOr<api::ChangeReply> ControlThread::Apply(
    const LoadedConfig& loaded, const std::string& how) {
  const absl::Status free = history_.CheckNoTrial(Clock::now());
  if (!free.ok()) return free;
  return Keep(loaded, how);
}

absl::StatusOr<api::ChangeReply> ControlThread::Apply(api::Config config,
                                                      const std::string& how) {
  const absl::StatusOr<LoadedConfig> loaded = CheckConfig(std::move(config));
  if (!loaded.ok()) return loaded.status();
  return Apply(*loaded, how);
}

absl::StatusOr<api::ChangeReply> ControlThread::GoBack(const History::Entry& to,
                                                       const std::string& how) {
  const absl::StatusOr<LoadedConfig> loaded = CheckConfig(to.config);
  if (!loaded.ok()) return loaded.status();
  absl::StatusOr<api::ChangeReply> reply = Keep(*loaded, how);
  if (reply.ok()) history_.EndTrial();
  return reply;
}

}  // namespace godwit
