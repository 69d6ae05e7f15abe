// SPDX-License-Identifier: BSD-3-Clause
#include "control/state/state_keeper.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

using Clock = std::chrono::steady_clock;

int64_t MsSince(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() -
                                                               start)
      .count();
}

template <class Map>
std::map<std::string, uint32_t> Copy(const Map& from) {
  return {from.begin(), from.end()};
}

RulesUsed RulesOf(const std::vector<Flow>& flows) {
  RulesUsed used;
  for (const Flow& flow : flows) {
    if (flow.kind != FlowKind::kOriginated) continue;
    if (flow.source_rule == SourceRule::kAsIs) {
      used.direct = true;
    } else if (flow.binding == kNoFlow) {
      used.per_destination = true;
    } else {
      used.endpoint_independent = true;
    }
  }
  return used;
}

}  // namespace

StateKeeper::StateKeeper(const std::string& folder,
                         const std::string& control_socket,
                         std::function<void(const std::string&)> tell)
    : tell_(std::move(tell)) {
  auto store = StateStore::Open(folder, control_socket);
  if (store.ok()) {
    store_ = *std::move(store);
  } else {
    tell_(absl::StrCat("state: will not outlive this process: ",
                       store.status().message()));
  }
}

StateKeeper::~StateKeeper() {
  if (store_ != nullptr && !written_) store_->RemoveOwn();
}

void StateKeeper::Read(uint32_t longest) {
  if (store_ == nullptr) return;
  std::string why_not;
  left_ = store_->ReadNode(why_not);
  if (!why_not.empty()) {
    tell_(absl::StrCat("state: what was left is not taken over: ", why_not));
  }
  if (!left_) return;
  interfaces_left_ = store_->ReadInterfaces(*left_);
  identity_.clock = TickClock(left_->clock_start(), left_->cycles_per_tick());
  identity_.owner_secret = left_->owner_secret();
  std::memcpy(identity_.hash_seed.data(), left_->hash_seed().data(),
              identity_.hash_seed.size());
  const Clock::time_point start = Clock::now();
  std::vector<std::string> problems;
  FlowReader reader =
      store_->ReadFlows(*left_, identity_.clock.Now(), longest, problems);
  for (const std::string& problem : problems)
    tell_(absl::StrCat("state: ", problem));
  const FlowReader::Counts& counts = reader.counts();
  flows_ = std::move(reader).flows();
  if (counts.taken + counts.ended + counts.damaged == 0) return;
  tell_(absl::StrCat("state: ", counts.taken, " flows were left, ",
                     counts.ended, " more have ended since, ", counts.damaged,
                     " are damaged and left out; read in ", MsSince(start),
                     " ms"));
}

std::vector<std::span<Flow>> StateKeeper::MakeEntries(unsigned workers,
                                                      uint32_t each) {
  if (store_ == nullptr) return {};
  const auto make = [&] {
    entries_.clear();
    for (unsigned worker = 0; worker < workers; ++worker) {
      BigMemory memory = store_->MakeFlowFile(worker, each);
      if (memory.empty()) return false;
      entries_.push_back(std::move(memory));
    }
    return true;
  };
  bool made = make();
  if (!made) {
    // Not beside the predecessor's: those have been read.
    entries_.clear();
    store_->RemoveOthers();
    made = make();
  }
  if (!made) {
    tell_(absl::StrCat("state: will not outlive this process: no room for ",
                       FlowRegionBytes(each) * workers >> 20, " MiB"));
    entries_.clear();
    store_->Remove();
    store_.reset();
    return {};
  }
  std::vector<std::span<Flow>> entries;
  for (unsigned worker = 0; worker < workers; ++worker) {
    FlowRegionHeader header;
    header.run = store_->run();
    header.worker = worker;
    header.capacity = each;
    entries.push_back(BeginFlowRegion(entries_[worker].bytes(), header));
  }
  return entries;
}

void StateKeeper::Restore(Compiler& compiler) const {
  if (!left_) return;
  Numbers numbers;
  numbers.services = Copy(left_->services());
  numbers.queues = Copy(left_->queues());
  for (const std::string& text : left_->unicast()) {
    numbers.unicast.push_back(IpAddress::Parse(text).value_or(IpAddress{}));
  }
  compiler.Restore(numbers, RulesOf(flows_));
}

void StateKeeper::TakeOver(
    const std::function<Adopted(std::span<Flow>)>& adopt) {
  if (flows_.empty()) return;
  const Clock::time_point start = Clock::now();
  const Adopted adopted = adopt(flows_);
  flows_ = {};
  tell_(absl::StrCat("state: ", adopted.kept, " flows go on, ", adopted.ended,
                     " are of what is no longer configured, ", adopted.refused,
                     " found no place; in ", MsSince(start), " ms"));
}

void StateKeeper::Write(const Numbers& numbers,
                        const std::vector<std::string>& interfaces) {
  if (store_ == nullptr) return;
  if (written_ != numbers) WriteNode(numbers);
  if (!written_ || written_interfaces_ == interfaces) return;
  written_interfaces_ = interfaces;
  const absl::Status status = store_->WriteInterfaces(interfaces);
  if (!status.ok()) {
    tell_(absl::StrCat("state: a start after this would not know what was ",
                       "made: ", status.message()));
  }
}

void StateKeeper::WriteNode(const Numbers& numbers) {
  state::Node node;
  node.set_workers(static_cast<uint32_t>(entries_.size()));
  node.set_clock_start(identity_.clock.start());
  node.set_cycles_per_tick(identity_.clock.cycles_per_tick());
  node.set_owner_secret(identity_.owner_secret);
  node.set_hash_seed(identity_.hash_seed.data(), identity_.hash_seed.size());
  node.mutable_services()->insert(numbers.services.begin(),
                                  numbers.services.end());
  node.mutable_queues()->insert(numbers.queues.begin(), numbers.queues.end());
  for (const IpAddress& address : numbers.unicast) {
    node.add_unicast(address.IsUnspecified() ? "" : address.ToString());
  }
  const absl::Status status = store_->Write(node);
  if (!status.ok()) {
    tell_(absl::StrCat("state: a start after this would know less: ",
                       status.message()));
    return;
  }
  if (!written_) store_->RemoveOthers();
  written_ = numbers;
}

void StateKeeper::Rest() {
  if (store_ != nullptr && written_) store_->Rest();
}

}  // namespace godwit
