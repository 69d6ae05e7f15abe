// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/heartbeat.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "control/watch/kernel_tables.h"

namespace godwit {
namespace {

// One that the kernel asks for, and has an answer of.
bool CanBeAsked(const absl::StatusOr<NeighbourEntry>& entry) {
  return entry.ok() && entry->usable() &&
         entry->state != NeighbourState::kPermanent &&
         entry->state != NeighbourState::kNoArp;
}

}  // namespace

bool Heartbeat::Watch(const std::set<NeighbourKey>& wanted,
                      Clock::time_point now) {
  if (beats_.empty()) next_ = now + kPeriod;
  bool changed = beats_.size() != wanted.size();
  std::map<NeighbourKey, Beat> beats;
  for (const NeighbourKey& key : wanted) {
    const auto known = beats_.find(key);
    changed = changed || known == beats_.end();
    beats[key] = known == beats_.end() ? Beat() : known->second;
  }
  beats_ = std::move(beats);
  return changed;
}

Heartbeat::Clock::time_point Heartbeat::next() const {
  return beats_.empty() ? Clock::time_point::max() : next_;
}

void Heartbeat::Ask(NetlinkSocket& socket, const NeighbourKey& key) {
  // From any state but PROBE it asks at once; setting one clears the flag that
  // keeps the neighbour.
  for (const uint16_t state : {uint16_t{NUD_STALE}, uint16_t{NUD_PROBE}}) {
    if (!SetNeighbour(socket, key, state, "asking a gateway").ok()) return;
  }
  UseNeighbour(socket, key, Keeping::kKeep).IgnoreError();
}

bool Heartbeat::IsEcho(const nlmsghdr& event, const Observation& known) const {
  if (beats_.empty() || event.nlmsg_type != RTM_NEWNEIGH) return false;
  const auto now = NeighbourIn(event);
  if (!now || !beats_.contains({now->ifindex, now->address})) return false;
  const NeighbourEntry* before =
      FindNeighbour(known, now->ifindex, now->address);
  return before != nullptr && before->usable() && now->usable() &&
         before->mac == now->mac;
}

bool Heartbeat::Turn(NetlinkSocket& socket, Clock::time_point now) {
  if (now < next()) return false;
  next_ = now + kPeriod;
  bool changed = false;
  for (auto& [key, beat] : beats_) {
    const auto entry = ReadNeighbour(socket, key.ifindex, key.address);
    const bool was_silent = beat.silent();
    if (!CanBeAsked(entry) || entry->state == NeighbourState::kReachable) {
      beat.misses = 0;
    } else if (beat.asked && !was_silent &&
               entry->state == NeighbourState::kProbe) {
      ++beat.misses;
    }
    changed = changed || beat.silent() != was_silent;
    beat.asked = CanBeAsked(entry) && !beat.silent();
    if (beat.asked) Ask(socket, key);
  }
  return changed;
}

void Heartbeat::Mark(std::vector<NeighbourEntry>& neighbours) const {
  for (NeighbourEntry& entry : neighbours) {
    const auto beat = beats_.find({entry.ifindex, entry.address});
    entry.silent = beat != beats_.end() && beat->second.silent();
  }
}

}  // namespace godwit
