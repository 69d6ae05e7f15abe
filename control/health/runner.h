// SPDX-License-Identifier: BSD-3-Clause
// The process that runs checks, seen from both its ends. It is a child of the
// daemon, small and with nothing of it: no device, no huge page, no thread. For
// each check it forks one process more, which may block and is killed with all
// that it has started when its time is over. So nothing that a server or an
// operator's program does can hold up the control thread.
#ifndef GODWIT_CONTROL_HEALTH_RUNNER_H_
#define GODWIT_CONTROL_HEALTH_RUNNER_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/health/check.h"
#include "control/plumb/child.h"
#include "control/plumb/netns.h"

namespace godwit {

// Never blocks.
class CheckRunner {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~CheckRunner() = default;
  // Every check that is started has one result later, whatever happens.
  virtual void Start(uint64_t id, const Check& check,
                     Clock::time_point now) = 0;
  virtual std::vector<CheckResult> Take(Clock::time_point now) = 0;
};

// A runner in a process; begun with the first check, and again, at most once a
// second, should it have gone. Checks that were lost with it were not run.
class RunnerProcess final : public CheckRunner {
 public:
  // `command` is a program that calls RunChecks with kRunnerFd.
  explicit RunnerProcess(std::vector<std::string> command);
  ~RunnerProcess() override;

  void Start(uint64_t id, const Check& check, Clock::time_point now) override;
  std::vector<CheckResult> Take(Clock::time_point now) override;
  pid_t pid() const { return pid_; }  // 0: there is none

 private:
  // Empty if it runs, else why not.
  std::string Begin(Clock::time_point now);
  void End();
  void GiveUp(const std::string& why);
  bool IsStuck(Clock::time_point now) const;

  const std::vector<std::string> command_;
  pid_t pid_ = 0;
  OwnedFd fd_{-1};
  Clock::time_point not_before_{};
  std::map<uint64_t, Clock::time_point> under_way_;  // and when it must be over
  std::vector<CheckResult> results_;
};

constexpr int kRunnerFd = kChildSocket;

// The process itself: until the other end of `fd` is closed. The exit code.
int RunChecks(int fd);

}  // namespace godwit

#endif  // GODWIT_CONTROL_HEALTH_RUNNER_H_
