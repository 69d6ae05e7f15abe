// SPDX-License-Identifier: BSD-3-Clause
// Tells systemd that the node still works (WatchdogSec= of the unit): the
// control thread comes by, and every worker has turned since. One that stands
// still strands its flows for good, so the daemon is better started anew.
#ifndef GODWIT_CONTROL_DAEMON_WATCHDOG_H_
#define GODWIT_CONTROL_DAEMON_WATCHDOG_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace godwit {

class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;
  // How many turns a worker has made.
  using TurnsOf = std::function<uint64_t(unsigned worker)>;

  // `tell` must be called at least once in `limit`; 0: nobody waits for it.
  Watchdog(Clock::duration limit, unsigned workers, TurnsOf turns_of,
           std::function<void()> tell);

  // Now and then, and often: tells, but at most four times in `limit`, and not
  // while a worker has not moved since the last time.
  void Look(Clock::time_point now);

 private:
  const Clock::duration limit_;
  const TurnsOf turns_of_;
  const std::function<void()> tell_;
  std::vector<uint64_t> turns_;
  Clock::time_point next_{};
};

// What systemd asks of this process; 0: nothing.
Watchdog::Clock::duration WatchdogLimit();
void TellSystemd();

}  // namespace godwit

#endif  // GODWIT_CONTROL_DAEMON_WATCHDOG_H_
