// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/history.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace godwit {

void History::Applied(Entry entry) {
  entries_.push_back(std::move(entry));
  if (entries_.size() > kKept + 1) entries_.pop_front();
}

absl::StatusOr<History::Entry> History::Find(uint64_t generation) const {
  for (const Entry& entry : entries_) {
    if (entry.generation == generation) return entry;
  }
  return absl::NotFoundError(absl::StrCat(
      "generation ", generation, " is not kept: there are ",
      absl::StrJoin(entries_, ", ", [](std::string* out, const Entry& entry) {
        absl::StrAppend(out, entry.generation);
      })));
}

absl::StatusOr<History::Entry> History::Previous() const {
  if (trial_) return trial_->back_to;
  if (!entries_.empty()) {
    const std::string now = entries_.back().config.SerializeAsString();
    const auto differs = [&now](const Entry& entry) {
      return entry.config.SerializeAsString() != now;
    };
    const auto found =
        std::find_if(entries_.rbegin(), entries_.rend(), differs);
    if (found != entries_.rend()) return *found;
  }
  return absl::FailedPreconditionError(
      "there is nothing to go back to: no other configuration is kept");
}

void History::StartTrial(Clock::time_point now, Clock::duration within) {
  Trial trial;
  trial.generation = entries_.back().generation;
  trial.back_to = entries_[entries_.size() - 2];
  trial.deadline = now + within;
  trial_ = std::move(trial);
  next_try_ = trial_->deadline;
}

absl::Status History::CheckNoTrial(Clock::time_point now) const {
  if (!trial_) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "generation ", trial_->generation, " waits to be confirmed, for ",
      SecondsLeft(now, trial_->deadline),
      ": `config confirm` keeps it, `config rollback` takes it back"));
}

bool History::IsDue(Clock::time_point now) const {
  return trial_ && now >= next_try_;
}

bool History::RevertFailed(Clock::time_point now, const std::string& why) {
  next_try_ = now + kRetry;
  return std::exchange(trial_->failure, why) != why;
}

std::string SecondsLeft(History::Clock::time_point now,
                        History::Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::seconds>(deadline - now);
  return absl::StrCat(std::max<int64_t>(left.count(), 0), "s");
}

}  // namespace godwit
