// SPDX-License-Identifier: BSD-3-Clause
// No test here waits: what time it is, is said.
#include "control/daemon/watchdog.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace godwit {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class WatchdogTest : public ::testing::Test {
 protected:
  Watchdog Make(Watchdog::Clock::duration limit) {
    return Watchdog(
        limit, 2, [this](unsigned worker) { return turns_[worker]; },
        [this] { ++told_; });
  }
  void Turn() {
    ++turns_[0];
    ++turns_[1];
  }

  const Watchdog::Clock::time_point now_{hours(1000)};
  uint64_t turns_[2] = {7, 7};
  int told_ = 0;
};

TEST_F(WatchdogTest, TellsFourTimesInTheLimitWhileAllTurn) {
  Watchdog watchdog = Make(seconds(60));
  for (int second = 0; second < 120; ++second) {
    Turn();
    watchdog.Look(now_ + seconds(second));
  }
  EXPECT_EQ(told_, 8);
}

TEST_F(WatchdogTest, OneWorkerThatStandsStillIsEnoughToBeSilent) {
  Watchdog watchdog = Make(seconds(60));
  Turn();
  watchdog.Look(now_);
  EXPECT_EQ(told_, 1);
  for (int second = 1; second < 600; ++second) {
    ++turns_[0];
    watchdog.Look(now_ + seconds(second));
  }
  EXPECT_EQ(told_, 1);
  ++turns_[1];  // it was only slow
  watchdog.Look(now_ + seconds(600));
  EXPECT_EQ(told_, 2);
}

TEST_F(WatchdogTest, WorkersThatHaveNeverTurnedAreNotToldOf) {
  Watchdog watchdog = Make(seconds(60));
  watchdog.Look(now_);
  EXPECT_EQ(told_, 0);
}

TEST_F(WatchdogTest, NobodyWaitsNobodyIsTold) {
  Watchdog watchdog = Make({});
  for (int second = 0; second < 10; ++second) {
    Turn();
    watchdog.Look(now_ + seconds(second));
  }
  EXPECT_EQ(told_, 0);
}

TEST(WatchdogLimitTest, IsWhatSystemdAsksOfThisProcess) {
  unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(WatchdogLimit(), Watchdog::Clock::duration::zero());
  setenv("WATCHDOG_USEC", "60000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid() + 1).c_str(), 1);
  EXPECT_EQ(WatchdogLimit(), Watchdog::Clock::duration::zero());
  setenv("WATCHDOG_USEC", "60000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(WatchdogLimit(), seconds(60));
  // The program that an upgrade puts into this process is asked the same.
  EXPECT_EQ(WatchdogLimit(), seconds(60));
}

}  // namespace
}  // namespace godwit
