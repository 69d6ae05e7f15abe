// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/damping.h"

#include <algorithm>
#include <cmath>

namespace godwit {
namespace {

using Seconds = std::chrono::duration<double>;

}  // namespace

void Damping::SetHalfLife(std::chrono::milliseconds half_life) {
  half_life_ = half_life;
  if (half_life.count() == 0) history_.clear();
}

double Damping::PenaltyAt(const History& history, Clock::time_point now) const {
  const double half_lives = Seconds(now - history.since) / Seconds(half_life_);
  return history.penalty * std::exp2(-half_lives);
}

void Damping::Withdrawn(const IpAddress& address, Clock::time_point now) {
  if (half_life_.count() == 0) return;
  History& history = history_[address];
  if (history.is_suppressed && PenaltyAt(history, now) < kReuseAt) {
    history.is_suppressed = false;
  }
  history.penalty = std::min(PenaltyAt(history, now) + kPenalty, kCeiling);
  history.since = now;
  if (history.penalty > kSuppressAt) history.is_suppressed = true;
}

Damping::Clock::duration Damping::Wait(const IpAddress& address,
                                       Clock::time_point now) const {
  const auto found = history_.find(address);
  if (found == history_.end() || !found->second.is_suppressed) return {};
  const double penalty = PenaltyAt(found->second, now);
  if (penalty < kReuseAt) return {};
  return std::chrono::ceil<std::chrono::milliseconds>(
      Seconds(half_life_) * std::log2(penalty / kReuseAt));
}

void Damping::Tidy(Clock::time_point now) {
  std::erase_if(history_, [this, now](const auto& entry) {
    return PenaltyAt(entry.second, now) < kReuseAt / 8;
  });
}

}  // namespace godwit
