// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/damping.h"

#include "gtest/gtest.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const IpAddress kOne = *IpAddress::Parse("192.0.2.53");
const IpAddress kOther = *IpAddress::Parse("2001:db8:53::53");

Damping::Clock::time_point At(int64_t s) {
  return Damping::Clock::time_point(seconds(s));
}

TEST(DampingTest, TheFirstFourComeBackAtOnce) {
  Damping damping;
  for (const int64_t s : {0, 1, 2, 3}) {
    damping.Withdrawn(kOne, At(s));
    EXPECT_EQ(damping.Wait(kOne, At(s)), milliseconds(0)) << s;
  }
}

TEST(DampingTest, TheFifthWithinSecondsWaits) {
  Damping damping;
  for (const int64_t s : {0, 1, 2, 3, 4}) damping.Withdrawn(kOne, At(s));
  const auto wait = damping.Wait(kOne, At(4));
  EXPECT_GT(wait, seconds(150));
  EXPECT_LT(wait, seconds(170));
  EXPECT_GT(damping.Wait(kOne, At(4) + wait - seconds(1)), milliseconds(0));
  EXPECT_EQ(damping.Wait(kOne, At(4) + wait + milliseconds(1)),
            milliseconds(0));
  EXPECT_EQ(damping.Wait(kOther, At(4)), milliseconds(0));
}

TEST(DampingTest, AnotherHalfLifeIsAnotherWait) {
  Damping damping;
  damping.SetHalfLife(seconds(6));
  for (int i = 0; i < 5; ++i) damping.Withdrawn(kOne, At(0));
  EXPECT_GT(damping.Wait(kOne, At(0)), seconds(15));
  EXPECT_LT(damping.Wait(kOne, At(0)), seconds(18));
  damping.SetHalfLife(seconds(0));
  EXPECT_EQ(damping.Wait(kOne, At(0)), milliseconds(0));
  for (int i = 0; i < 9; ++i) damping.Withdrawn(kOne, At(0));
  EXPECT_EQ(damping.Wait(kOne, At(0)), milliseconds(0));
}

TEST(DampingTest, RareOnesAreNotHeldBack) {
  Damping damping;
  for (int64_t s = 0; s < 36'000; s += 120) {
    damping.Withdrawn(kOne, At(s));
    EXPECT_EQ(damping.Wait(kOne, At(s)), milliseconds(0)) << s;
  }
}

TEST(DampingTest, NoneWaitsLongerThanThreeHalfLives) {
  Damping damping;
  for (int i = 0; i < 1000; ++i) damping.Withdrawn(kOne, At(0));
  EXPECT_LE(damping.Wait(kOne, At(0)), seconds(180) + milliseconds(1));
}

TEST(DampingTest, ForgetsWhatIsLongAgo) {
  Damping damping;
  damping.Withdrawn(kOne, At(0));
  damping.Tidy(At(60));
  EXPECT_EQ(damping.size(), 1u);
  damping.Tidy(At(600));
  EXPECT_EQ(damping.size(), 0u);
}

}  // namespace
}  // namespace godwit
