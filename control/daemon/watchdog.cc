// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon/watchdog.h"

#include <systemd/sd-daemon.h>

#include <utility>

namespace godwit {

Watchdog::Watchdog(Clock::duration limit, unsigned workers, TurnsOf turns_of,
                   std::function<void()> tell)
    : limit_(limit),
      turns_of_(std::move(turns_of)),
      tell_(std::move(tell)),
      turns_(workers) {
  for (unsigned i = 0; i < workers; ++i) turns_[i] = turns_of_(i);
}

void Watchdog::Look(Clock::time_point now) {
  if (limit_ == Clock::duration::zero() || now < next_) return;
  for (unsigned i = 0; i < turns_.size(); ++i) {
    if (turns_of_(i) == turns_[i]) return;
  }
  for (unsigned i = 0; i < turns_.size(); ++i) turns_[i] = turns_of_(i);
  next_ = now + limit_ / 4;
  tell_();
}

Watchdog::Clock::duration WatchdogLimit() {
  uint64_t usec = 0;
  // An upgrade is another program in this process, and asks again. Programs
  // that godwit starts are not watched: their process is not the one named.
  if (sd_watchdog_enabled(/*unset_environment=*/0, &usec) <= 0) return {};
  return std::chrono::microseconds(usec);
}

void TellSystemd() { sd_notify(/*unset_environment=*/0, "WATCHDOG=1"); }

}  // namespace godwit
