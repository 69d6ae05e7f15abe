// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/verdict.h"

#include "gtest/gtest.h"

namespace godwit {
namespace {

using State = HealthVerdict::State;
constexpr auto kPassed = HealthVerdict::Outcome::kPassed;
constexpr auto kFailed = HealthVerdict::Outcome::kFailed;
constexpr auto kNotRun = HealthVerdict::Outcome::kNotRun;

TEST(HealthVerdictTest, FirstCheckDecides) {
  HealthVerdict good(2, 3, State::kUnknown);
  EXPECT_FALSE(good.up());
  EXPECT_TRUE(good.Take(kPassed));
  EXPECT_TRUE(good.up());
  HealthVerdict bad(2, 3, State::kUnknown);
  EXPECT_FALSE(bad.Take(kFailed));  // it was not up before
  EXPECT_EQ(bad.state(), State::kDown);
}

TEST(HealthVerdictTest, FallsAfterThatManyFailuresInARow) {
  HealthVerdict verdict(2, 3, State::kUp);
  EXPECT_FALSE(verdict.Take(kFailed));
  EXPECT_FALSE(verdict.Take(kFailed));
  EXPECT_EQ(verdict.against(), 2u);
  EXPECT_TRUE(verdict.up());
  EXPECT_TRUE(verdict.Take(kFailed));
  EXPECT_FALSE(verdict.up());
}

TEST(HealthVerdictTest, OnePassBetweenStartsTheCountAnew) {
  HealthVerdict verdict(2, 2, State::kUp);
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(verdict.Take(kFailed));
    EXPECT_FALSE(verdict.Take(kPassed));
  }
  EXPECT_TRUE(verdict.up());
}

TEST(HealthVerdictTest, RisesAfterThatManyPassesInARow) {
  HealthVerdict verdict(2, 3, State::kDown);
  EXPECT_FALSE(verdict.Take(kPassed));
  EXPECT_FALSE(verdict.Take(kFailed));
  EXPECT_FALSE(verdict.Take(kPassed));
  EXPECT_TRUE(verdict.Take(kPassed));
  EXPECT_TRUE(verdict.up());
}

TEST(HealthVerdictTest, WhatWasNotRunSaysNothing) {
  HealthVerdict verdict(1, 2, State::kUp);
  EXPECT_FALSE(verdict.Take(kFailed));
  EXPECT_FALSE(verdict.Take(kNotRun));
  EXPECT_TRUE(verdict.up());
  EXPECT_TRUE(verdict.Take(kFailed));
  HealthVerdict unknown(1, 1, State::kUnknown);
  EXPECT_FALSE(unknown.Take(kNotRun));
  EXPECT_EQ(unknown.state(), State::kUnknown);
}

TEST(HealthVerdictTest, NewCountsKeepTheState) {
  HealthVerdict verdict(2, 3, State::kUp);
  EXPECT_FALSE(verdict.Take(kFailed));
  verdict.Recount(1, 1);
  EXPECT_TRUE(verdict.up());
  EXPECT_TRUE(verdict.Take(kFailed));
}

}  // namespace
}  // namespace godwit
