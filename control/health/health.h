// SPDX-License-Identifier: BSD-3-Clause
// The health of all queues that have a `health:`. Control thread only; never
// blocks.
#ifndef GODWIT_CONTROL_HEALTH_HEALTH_H_
#define GODWIT_CONTROL_HEALTH_HEALTH_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "control/api/godwit.pb.h"
#include "control/health/check.h"
#include "control/health/runner.h"
#include "control/health/verdict.h"

namespace godwit {

class QueueHealth {
 public:
  using Clock = std::chrono::steady_clock;
  // "queue dns0: ...": what an operator should know.
  using Log = std::function<void(const std::string&)>;

  QueueHealth(std::unique_ptr<CheckRunner> runner, Log log);
  ~QueueHealth();

  // From now on the checks of `config`, which has its defaults. A queue that
  // had a check keeps its state; one that was `trusted` without is up until
  // its checks say otherwise; the first check of any other decides.
  void Configure(const api::Config& config,
                 const std::function<bool(const std::string&)>& trusted,
                 Clock::time_point now);
  enum class News : uint8_t {
    kNone,
    kReason,  // why a queue is not up may have changed
    kState,   // a queue went up or down
  };
  // Takes results and starts what is due.
  News Turn(Clock::time_point now);

  // True without a check.
  bool IsUp(const std::string& queue) const;
  // Why it is not up, or what may bring it down soon; empty if all is well.
  std::string ReasonOf(const std::string& queue) const;
  // Some queue has not had its first result.
  bool AwaitsFirst() const;

 private:
  struct Entry {
    Check check;
    Clock::duration interval{};
    Clock::duration first_gap{};  // from the first check to the second
    HealthVerdict verdict;
    Clock::time_point next;  // check's start
    uint64_t under_way = 0;  // its number; 0: none
    std::string reason;
  };

  bool Take(const CheckResult& result);

  const std::unique_ptr<CheckRunner> runner_;
  const Log log_;
  std::map<std::string, Entry> entries_;  // by the queue's name
  uint64_t last_id_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_HEALTH_HEALTH_H_
