// SPDX-License-Identifier: BSD-3-Clause
// No test here waits: what time it is, is said.
#include "control/intent/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace godwit {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class HistoryTest : public ::testing::Test {
 protected:
  // The next generation is a config of that name.
  void Apply(const std::string& name) {
    History::Entry entry;
    entry.generation = ++generation_;
    entry.how = "config apply " + name;
    entry.config.mutable_node()->set_name(name);
    history_.Applied(entry);
  }

  static std::string Name(const absl::StatusOr<History::Entry>& entry) {
    return entry.ok() ? entry->config.node().name()
                      : std::string(entry.status().message());
  }

  // Any moment will do.
  const History::Clock::time_point now_{hours(1000)};
  History history_;
  uint64_t generation_ = 0;
};

TEST_F(HistoryTest, KeepsTheLastTenBesideTheOneInEffect) {
  for (int i = 1; i <= 30; ++i) {
    Apply(std::to_string(i));
    EXPECT_EQ(history_.entries().size(), i < 11 ? i : 11);
  }
  for (uint64_t generation = 20; generation <= 30; ++generation) {
    EXPECT_EQ(Name(history_.Find(generation)), std::to_string(generation));
  }
  const auto gone = history_.Find(19);
  EXPECT_EQ(gone.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(gone.status().message(),
            "generation 19 is not kept: there are 20, 21, 22, 23, 24, 25, 26, "
            "27, 28, 29, 30");
}

TEST_F(HistoryTest, ThePreviousOneIsTheLastThatDiffers) {
  EXPECT_THAT(Name(history_.Previous()), HasSubstr("nothing to go back to"));
  Apply("a");
  EXPECT_THAT(Name(history_.Previous()), HasSubstr("nothing to go back to"));
  Apply("b");
  Apply("c");
  Apply("c");
  EXPECT_EQ(Name(history_.Previous()), "b");
  Apply("b");  // it was gone back to
  EXPECT_EQ(Name(history_.Previous()), "c");
  EXPECT_EQ(history_.Previous()->generation, 4);
}

TEST_F(HistoryTest, ATrialIsDueWhenItsTimeIsOverAndNotBefore) {
  EXPECT_FALSE(history_.IsDue(now_));
  Apply("a");
  Apply("b");
  history_.StartTrial(now_, seconds(60));
  ASSERT_TRUE(history_.trial());
  EXPECT_EQ(history_.trial()->generation, 2);
  EXPECT_EQ(history_.trial()->back_to.generation, 1);
  EXPECT_FALSE(history_.IsDue(now_));
  EXPECT_FALSE(history_.IsDue(now_ + seconds(60) - milliseconds(1)));
  EXPECT_TRUE(history_.IsDue(now_ + seconds(60)));
  EXPECT_TRUE(history_.IsDue(now_ + hours(1)));
}

TEST_F(HistoryTest, AConfirmedTrialIsNeverDue) {
  Apply("a");
  Apply("b");
  history_.StartTrial(now_, seconds(60));
  history_.EndTrial();
  EXPECT_FALSE(history_.trial());
  EXPECT_FALSE(history_.IsDue(now_ + hours(1)));
  EXPECT_TRUE(history_.CheckNoTrial(now_).ok());
}

TEST_F(HistoryTest, NothingElseChangesDuringATrial) {
  Apply("a");
  Apply("b");
  EXPECT_TRUE(history_.CheckNoTrial(now_).ok());
  history_.StartTrial(now_, seconds(60));
  const absl::Status refused = history_.CheckNoTrial(now_ + milliseconds(100));
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused.message(),
            "generation 2 waits to be confirmed, for 60s: `config confirm` "
            "keeps it, `config rollback` takes it back");
}

TEST_F(HistoryTest, ARollbackDuringATrialTakesItBackEvenIfItChangedNothing) {
  Apply("a");
  Apply("b");
  Apply("b");
  history_.StartTrial(now_, seconds(60));
  EXPECT_EQ(history_.Previous()->generation, 2);
}

TEST_F(HistoryTest, WhatTheTrialGoesBackToIsKeptByTheTrial) {
  Apply("a");
  Apply("b");
  history_.StartTrial(now_, seconds(60));
  for (int i = 0; i < 20; ++i) Apply("c");
  EXPECT_EQ(history_.trial()->back_to.config.node().name(), "a");
}

TEST_F(HistoryTest, GoingBackIsTriedAgainAndSaidOncePerReason) {
  Apply("a");
  Apply("b");
  history_.StartTrial(now_, seconds(60));
  const auto late = now_ + seconds(60);
  EXPECT_TRUE(history_.RevertFailed(late, "the device is busy"));
  EXPECT_EQ(history_.trial()->failure, "the device is busy");
  EXPECT_FALSE(history_.IsDue(late + History::kRetry - milliseconds(1)));
  EXPECT_TRUE(history_.IsDue(late + History::kRetry));
  const auto later = late + History::kRetry;
  EXPECT_FALSE(history_.RevertFailed(later, "the device is busy"));
  EXPECT_TRUE(history_.RevertFailed(later, "the device is gone"));
  EXPECT_TRUE(history_.IsDue(later + History::kRetry));
}

TEST_F(HistoryTest, SecondsAreRoundedUpAndNeverNegative) {
  EXPECT_EQ(SecondsLeft(now_, now_ + milliseconds(59001)), "60s");
  EXPECT_EQ(SecondsLeft(now_, now_ + seconds(59)), "59s");
  EXPECT_EQ(SecondsLeft(now_, now_ - hours(1)), "0s");
}

}  // namespace
}  // namespace godwit
