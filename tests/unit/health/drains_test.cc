// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/drains.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace godwit {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Drains::Clock::time_point At(int64_t ms) {
  return Drains::Clock::time_point(milliseconds(ms));
}

TEST(DrainsTest, IsOverWhenItsDeadlineComesAndTellsOnce) {
  Drains drains;
  drains.Set("q0", seconds(10), At(0));
  drains.Set("q1", seconds(20), At(0));
  EXPECT_THAT(drains.Turn(At(9'999)), IsEmpty());
  EXPECT_FALSE(drains.IsOver("q0"));
  EXPECT_THAT(drains.Turn(At(10'000)), ElementsAre("q0"));
  EXPECT_TRUE(drains.IsOver("q0"));
  EXPECT_FALSE(drains.IsOver("q1"));
  EXPECT_THAT(drains.Turn(At(15'000)), IsEmpty());
  EXPECT_THAT(drains.Turn(At(25'000)), ElementsAre("q1"));
}

TEST(DrainsTest, TheLastWordCounts) {
  Drains drains;
  EXPECT_FALSE(drains.Set("q0", seconds(10), At(0)));
  EXPECT_FALSE(drains.Set("q0", seconds(10), At(5'000)));
  EXPECT_THAT(drains.Turn(At(10'000)), IsEmpty());
  EXPECT_THAT(drains.Turn(At(15'000)), ElementsAre("q0"));
  EXPECT_TRUE(drains.Set("q0", {}, At(15'001))) << "it was over";
  EXPECT_FALSE(drains.IsOver("q0"));
  EXPECT_THAT(drains.Turn(At(1'000'000)), IsEmpty());
}

TEST(DrainsTest, ForgetsQueuesThatAreNotDrainedAnyMore) {
  Drains drains;
  drains.Set("q0", seconds(10), At(0));
  drains.Set("q1", seconds(10), At(0));
  drains.KeepOnly({"q1", "q2"});
  EXPECT_THAT(drains.Turn(At(10'000)), ElementsAre("q1"));
  drains.KeepOnly({});
  EXPECT_FALSE(drains.IsOver("q1"));
}

TEST(DrainsTest, SaysHowLongStill) {
  Drains drains;
  EXPECT_EQ(drains.TextOf("q0", At(0)), "");
  drains.Set("q0", seconds(10), At(0));
  EXPECT_EQ(drains.TextOf("q0", At(0)), "no flows after 10s");
  EXPECT_EQ(drains.TextOf("q0", At(8'001)), "no flows after 2s");
  drains.Turn(At(10'000));
  EXPECT_EQ(drains.TextOf("q0", At(10'001)), "its deadline has come: no flows");
}

TEST(DrainsTest, TakesDeadlinesOfASecondToADay) {
  for (const milliseconds within :
       {milliseconds(0), milliseconds(1000), milliseconds(hours(24))}) {
    EXPECT_TRUE(Drains::Check(within).ok()) << within.count();
  }
  for (const int64_t within_ms : {-1, 1, 999, 24 * 3'600'000 + 1}) {
    EXPECT_FALSE(Drains::Check(milliseconds(within_ms)).ok()) << within_ms;
  }
}

}  // namespace
}  // namespace godwit
