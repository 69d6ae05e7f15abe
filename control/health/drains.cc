// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/drains.h"

#include "absl/strings/str_cat.h"

namespace godwit {

absl::Status Drains::Check(std::chrono::milliseconds within) {
  if (within.count() == 0 ||
      (within >= std::chrono::seconds(1) && within <= std::chrono::hours(24))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("deadline: ", within.count(), "ms is not from 1s to 24h"));
}

bool Drains::Set(const std::string& queue, std::chrono::milliseconds within,
                 Clock::time_point now) {
  const bool was_over = IsOver(queue);
  drains_.erase(queue);
  if (within.count() != 0) drains_[queue].deadline = now + within;
  return was_over;
}

void Drains::KeepOnly(const std::set<std::string>& drained) {
  std::erase_if(drains_, [&drained](const auto& drain) {
    return !drained.contains(drain.first);
  });
}

std::vector<std::string> Drains::Turn(Clock::time_point now) {
  std::vector<std::string> over;
  for (auto& [queue, drain] : drains_) {
    if (drain.is_over || now < drain.deadline) continue;
    drain.is_over = true;
    over.push_back(queue);
  }
  return over;
}

bool Drains::IsOver(const std::string& queue) const {
  const auto drain = drains_.find(queue);
  return drain != drains_.end() && drain->second.is_over;
}

std::string Drains::TextOf(const std::string& queue,
                           Clock::time_point now) const {
  const auto drain = drains_.find(queue);
  if (drain == drains_.end()) return "";
  if (drain->second.is_over) return "its deadline has come: no flows";
  const auto left =
      std::chrono::ceil<std::chrono::seconds>(drain->second.deadline - now);
  return absl::StrCat("no flows after ", left.count(), "s");
}

}  // namespace godwit
