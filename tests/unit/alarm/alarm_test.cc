// SPDX-License-Identifier: BSD-3-Clause
#include "control/alarm/alarm.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// LOG-06
TEST(LineBudgetTest, WritesSoManyInASecondAndCountsTheRest) {
  LineBudget budget;
  const LineBudget::Clock::time_point start{seconds(100)};
  unsigned written = 0;
  for (unsigned i = 0; i < 50; ++i) written += budget.Take(10, start);
  EXPECT_EQ(written, 10u);
  EXPECT_EQ(budget.left_out(), 40u);
  EXPECT_FALSE(budget.Take(10, start + milliseconds(999)));
  EXPECT_TRUE(budget.Take(10, start + seconds(1)));
  EXPECT_EQ(budget.left_out(), 41u);
}

TEST(LineBudgetTest, SaysWhatIsLeftOutOnceASecondAtMost) {
  LineBudget budget;
  const LineBudget::Clock::time_point start{seconds(100)};
  EXPECT_EQ(budget.TakeLeftOut(start), 0u);
  for (unsigned i = 0; i < 5; ++i) budget.Take(1, start);
  EXPECT_EQ(budget.TakeLeftOut(start), 4u);
  EXPECT_EQ(budget.TakeLeftOut(start + seconds(2)), 0u);
  for (unsigned i = 0; i < 3; ++i) budget.Take(1, start + seconds(2));
  EXPECT_EQ(budget.TakeLeftOut(start + seconds(2)), 2u);
  // Lines that never pause keep nothing from being said.
  uint64_t said = 0;
  for (unsigned ms = 2001; ms <= 6000; ++ms) {
    budget.Take(1, start + milliseconds(ms));
    said += budget.TakeLeftOut(start + milliseconds(ms));
  }
  EXPECT_GT(said, 3000u);
}

// EXH-03
TEST(HighWaterTest, SaysItOnceUntilThereWasRoom) {
  HighWater water;
  EXPECT_FALSE(water.Rises(0, 1000));
  EXPECT_FALSE(water.Rises(799, 1000));
  EXPECT_TRUE(water.Rises(800, 1000));
  EXPECT_FALSE(water.Rises(1000, 1000));
  EXPECT_FALSE(water.Rises(700, 1000));
  EXPECT_FALSE(water.Rises(900, 1000));
  EXPECT_FALSE(water.Rises(699, 1000));
  EXPECT_TRUE(water.Rises(801, 1000));
}

// LOG-01, LOG-02: all that is in a line.
TEST(MappingTextTest, NamesWhenWhoAndWhatButNotWhereTo) {
  MappingRecord record;
  record.originator = *IpAddress::Parse("10.64.0.2");
  record.originator_l4port = 40000;
  record.given_l4port = 31245;
  record.protocol = 17;
  const std::chrono::system_clock::time_point when{milliseconds(1764038401399)};
  EXPECT_EQ(
      MappingText(record, when, "crawl0", *IpAddress::Parse("203.0.113.7")),
      "begins 2025-11-25T02:40:01.3Z udp 10.64.0.2:40000 crawl0 "
      "203.0.113.7:31245");
  record.originator = *IpAddress::Parse("fd00::5");
  record.protocol = 58;
  record.kind = MappingRecord::Kind::kEnds;
  EXPECT_EQ(
      MappingText(record, when, "crawl0", *IpAddress::Parse("2001:db8:7::7")),
      "ends 2025-11-25T02:40:01.3Z icmp [fd00::5]:40000 crawl0 "
      "[2001:db8:7::7]:31245");
}

}  // namespace
}  // namespace godwit
