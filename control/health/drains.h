// SPDX-License-Identifier: BSD-3-Clause
// Drains with a deadline: until then a drained queue keeps its flows, then it
// is like one without a link. The deadline is no part of the configuration.
// Control thread only.
#ifndef GODWIT_CONTROL_HEALTH_DRAINS_H_
#define GODWIT_CONTROL_HEALTH_DRAINS_H_

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace godwit {

class Drains {
 public:
  using Clock = std::chrono::steady_clock;

  // A deadline that may be: none (0), or 1s to 24h.
  static absl::Status Check(std::chrono::milliseconds within);

  // The last word counts: with 0 the queue has no deadline any more. True if
  // one had come, which is taken back.
  bool Set(const std::string& queue, std::chrono::milliseconds within,
           Clock::time_point now);
  // Of all queues but these: they are not drained any more, or gone.
  void KeepOnly(const std::set<std::string>& drained);

  // The queues whose deadline has come since the last turn.
  std::vector<std::string> Turn(Clock::time_point now);

  bool IsOver(const std::string& queue) const;
  // For people; empty without a deadline.
  std::string TextOf(const std::string& queue, Clock::time_point now) const;

 private:
  struct Drain {
    Clock::time_point deadline;
    bool is_over = false;
  };
  std::map<std::string, Drain> drains_;  // by queue
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_HEALTH_DRAINS_H_
