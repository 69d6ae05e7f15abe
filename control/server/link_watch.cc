// SPDX-License-Identifier: BSD-3-Clause
// What comes and goes under open devices without an operator's word: links,
// peers, interfaces and the namespaces that they are in; neighbours.
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/ownership/interfaces.h"
#include "control/ownership/leftovers.h"
#include "control/plumb/link.h"
#include "control/plumb/netns.h"
#include "control/server/control_thread.h"
#include "control/server/log.h"

namespace godwit {
namespace {

constexpr auto kLinkPeriod = std::chrono::milliseconds(20);
// Between two tries to reach a peer that is not there.
constexpr auto kStartPeriod = std::chrono::milliseconds(250);
constexpr auto kNeighbourPeriod = std::chrono::seconds(1);
constexpr auto kReopenPeriod = std::chrono::seconds(1);

// Empty: nothing.
std::string WhatIsGone(const OpenDevice& device) {
  const bool is_tap = device.spec.kind == DeviceSpec::Kind::kTap;
  const bool exists = device.port->InterfaceExists();
  // A pair goes with its namespace. A TAP that we have open keeps it alive,
  // though nobody else finds it any more.
  if (exists && (!is_tap || device.netns.empty())) return "";
  if (NetnsId(device.netns) != device.netns_id) {
    return absl::StrCat("its namespace ", device.netns, " is gone");
  }
  if (exists) return "";
  return absl::StrCat("its interface ", device.spec.target, " is gone");
}

// Another namespace of that name, or in the same one somebody has made the
// interface again. What was deleted on purpose is not made by us.
bool IsThereAgain(const OpenDevice& device) {
  if (device.gone.empty()) return false;
  const std::string now = NetnsId(device.netns);
  if (now != device.netns_id) return !now.empty();
  bool exists = false;
  const absl::Status entered = RunInNetns(device.netns, [&] {
    exists = LinkExists(device.spec.target);
    return absl::OkStatus();
  });
  return entered.ok() && exists;
}

AddressDefence::Own OwnOf(const api::Config& full) {
  AddressDefence::Own own;
  for (const std::string& text : full.node().unicast()) {
    own.unicast.push_back(*IpAddress::Parse(text));
  }
  for (const api::Service& service : full.services()) {
    for (const std::string& text : service.addresses()) {
      own.service.push_back(*IpAddress::Parse(text));
    }
  }
  return own;
}

}  // namespace

std::vector<int> ControlThread::carriers() const {
  std::vector<int> all;
  for (const DeviceMap* devices : {&uplinks_, &queues_}) {
    for (const auto& [name, device] : *devices) {
      for (const EthPort* port : {device->port.get(), device->tap.get()}) {
        if (port == nullptr || port->carrier_fd() < 0) continue;
        all.push_back(port->carrier_fd());
      }
    }
  }
  return all;
}

std::vector<std::string> ControlThread::MadeInterfaces() const {
  std::vector<std::string> made;
  for (const DeviceMap* devices : {&uplinks_, &queues_}) {
    for (const auto& [name, device] : *devices) {
      for (const auto& [tap, origin] : device->taps) {
        if (origin == TapOrigin::kOurs) {
          made.push_back(MadeTap(tap, device->netns));
        }
      }
      if (!device->near_end.empty()) {
        made.push_back(MadePair(device->spec.target, device->netns));
      }
    }
  }
  return made;
}

void ControlThread::KeepCarriers() {
  const uint64_t version = options_.devices->version();
  if (version == kept_version_) return;
  kept_version_ = version;
  announcing_.KeepOpen(carriers());
}

void ControlThread::WatchLinks() {
  const Clock::time_point now = Clock::now();
  if (now < next_links_) return;
  next_links_ = now + kLinkPeriod;
  KeepCarriers();
  bool changed = RestartPorts(now);
  for (DeviceMap* devices : {&uplinks_, &queues_}) {
    for (auto& [name, device] : *devices) {
      const std::string gone = WhatIsGone(*device);
      const bool up = gone.empty() && device->port->LinkUp();
      device->had_link = device->had_link || up;
      if (up == device->link_up && gone == device->gone) continue;
      device->link_up = up;
      device->gone = gone;
      Log(device->is_uplink ? "uplink " : "queue ", name,
          up ? ": link is up" : ": link is down", gone.empty() ? "" : ": ",
          gone);
      changed = true;
    }
  }
  if (changed) {
    UpdateLiveness(full_);
    Republish("a link changed");
  }
  if (now < next_reopen_) return;
  next_reopen_ = now + kReopenPeriod;
  ReopenReturned();
}

// The workers let go of a port before it stops: polled after that, it does
// nothing, but DPDK prints a stack.
bool ControlThread::RestartPorts(Clock::time_point now) {
  std::vector<EthPort*> ended;
  std::vector<OpenDevice*> all;
  for (DeviceMap* devices : {&uplinks_, &queues_}) {
    for (auto& [name, device] : *devices) {
      all.push_back(device.get());
      if (!device->port->NeedsRestart()) continue;
      device->port->Withdraw();
      ended.push_back(device->port.get());
    }
  }
  bool changed = !ended.empty();
  if (changed) {
    UpdateLiveness(full_);
    const absl::Status published = PublishAnew(full_, /*config_changed=*/false);
    if (!published.ok()) {
      Log("a peer is gone, but: ", published.message());
      return true;
    }
    for (EthPort* port : ended) port->Stop();
  }
  for (OpenDevice* device : all) {
    if (device->port->running() || now < device->next_start) continue;
    device->next_start = now + kStartPeriod;
    if (device->port->Start().ok()) changed = true;
  }
  return changed;
}

void ControlThread::ReopenReturned() {
  for (const api::Queue& queue : full_.queues()) {
    const auto open = queues_.find(queue.name());
    if (open != queues_.end() && !IsThereAgain(*open->second)) continue;
    const absl::Status status = Reopen(queue);
    // Tried every second, told once.
    std::string& told = why_not_open_[queue.name()];
    const bool is_news = told != status.message();
    told = std::string(status.message());
    if (is_news && !status.ok()) {
      Log("queue ", queue.name(), ": can't be opened again: ", told);
    }
  }
}

absl::Status ControlThread::Reopen(const api::Queue& queue) {
  std::vector<NameHold> holds;
  for (const InterfaceUse& use : InterfacesOf(queue, 0)) {
    auto hold = Hold(use, names_);
    if (!hold.ok()) return hold.status();
    holds.push_back(*std::move(hold));
  }
  const auto open = queues_.find(queue.name());
  if (open != queues_.end()) {
    std::unique_ptr<OpenDevice> closing = std::move(open->second);
    queues_.erase(open);
    UpdateLiveness(full_);
    const absl::Status published = PublishAnew(full_, /*config_changed=*/false);
    if (!published.ok()) {
      queues_[queue.name()] = std::move(closing);
      return published;
    }
    compiler_.Unlearn(closing->id);
    options_.devices->Close(std::move(closing));
  }
  auto device = options_.devices->Open(queue, AddressesOf(full_, queue.name()));
  if (!device.ok()) return device.status();
  Log("queue ", queue.name(), ": opened again");
  queues_[queue.name()] = *std::move(device);
  std::move(holds.begin(), holds.end(), std::back_inserter(held_));
  UpdateLiveness(full_);
  Republish("a queue is there again");
  return absl::OkStatus();
}

// The kernel sends nothing to the neighbours that godwit uses, so it would
// not notice that one has moved: those it is unsure of are asked again, and
// gateways are kept resolved.
void ControlThread::KeepNeighbours() {
  const Clock::time_point now = Clock::now();
  if (now < next_neighbours_) return;
  next_neighbours_ = now + kNeighbourPeriod;
  const std::shared_ptr<const Observation> seen = watch_->Current();
  for (const NeighbourEntry& entry : seen->neighbours) {
    if (entry.state != NeighbourState::kStale) continue;
    for (const auto& [name, device] : uplinks_) {
      if (device->kernel_ifindex != entry.ifindex) continue;
      watch_->Resolve(entry.ifindex, entry.address).IgnoreError();
    }
  }
}

void ControlThread::DefendAddresses() {
  const Clock::time_point now = Clock::now();
  if (!defence_.IsDue(now)) return;
  std::vector<AddressDefence::Link> links;
  for (const auto& [name, device] : uplinks_) {
    if (device->kernel_ifindex == 0) continue;
    links.push_back({name, device->kernel_interface, device->kernel_ifindex});
  }
  if (own_generation_ != generation_) {
    own_generation_ = generation_;
    own_ = OwnOf(full_);
  }
  defence_.Turn(links, own_, *watch_, now);
}

}  // namespace godwit
