// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <vector>

namespace godwit {
namespace {

constexpr uint32_t kPlenty = 1'000'000'000;

// A wheel and the deadlines of its entries; notes when which entry went.
struct Fixture {
  explicit Fixture(uint32_t start) : wheel(links, start) {}

  void Add(uint32_t entry, uint32_t deadline) {
    deadlines[entry] = deadline;
    wheel.Add(entry, deadline);
  }
  uint32_t Advance(uint32_t now, uint32_t budget = kPlenty) {
    return wheel.Advance(now, budget,
                         [&](uint32_t entry) -> std::optional<uint32_t> {
                           ++visits;
                           if (!TickAfter(now, deadlines[entry]))
                             return deadlines[entry];
                           gone[entry] = now;
                           return std::nullopt;
                         });
  }

  std::vector<TimerWheel::Link> links{1000};
  TimerWheel wheel;
  std::map<uint32_t, uint32_t> deadlines;
  std::map<uint32_t, uint32_t> gone;  // entry -> tick
  uint32_t visits = 0;
};

// TMR-13: the timers of the contract and the ones that have broken elsewhere,
// from a start in the middle of nowhere and across the wrap of the count.
TEST(TimerWheelTest, IsExactForEveryTimeout) {
  const std::vector<uint32_t> timeouts_s = {
      0, 1, 60, 240, 300, 409, 410, 523, 524, 525, 819, 7440, 7441, 86400};
  for (uint32_t start : {0u, 12345u, UINT32_MAX - 5000u, INT32_MAX - 10u}) {
    Fixture fixture(start);
    for (uint32_t i = 0; i < timeouts_s.size(); ++i) {
      fixture.Add(i, start + timeouts_s[i] * 10);
    }
    for (uint32_t elapsed = 0; elapsed <= 864'010; ++elapsed) {
      fixture.Advance(start + elapsed);
    }
    ASSERT_EQ(fixture.gone.size(), timeouts_s.size());
    for (uint32_t i = 0; i < timeouts_s.size(); ++i) {
      EXPECT_EQ(fixture.gone[i], start + timeouts_s[i] * 10 + 1) << i;
    }
  }
}

// A packet moves the deadline and doesn't touch the wheel.
TEST(TimerWheelTest, FollowsADeadlineThatMovedLater) {
  Fixture fixture(0);
  fixture.Add(1, 100);
  fixture.Advance(50);
  fixture.deadlines[1] = 150;
  for (uint32_t now = 51; now < 300; ++now) fixture.Advance(now);
  EXPECT_EQ(fixture.gone[1], 151u);
  EXPECT_EQ(fixture.visits, 2u);
}

TEST(TimerWheelTest, MovesADeadlineEarlier) {
  Fixture fixture(0);
  fixture.Add(1, 74'400);
  fixture.deadlines[1] = 20;
  fixture.wheel.Move(1, 20);
  fixture.Advance(20);
  EXPECT_TRUE(fixture.gone.empty());
  fixture.Advance(21);
  EXPECT_EQ(fixture.gone[1], 21u);
}

TEST(TimerWheelTest, RemoveTakesFromAnyPlaceOfAList) {
  for (uint32_t removed : {1u, 2u, 3u}) {
    Fixture fixture(0);
    for (uint32_t entry : {1u, 2u, 3u}) fixture.Add(entry, 10);
    fixture.wheel.Remove(removed);
    EXPECT_FALSE(fixture.wheel.IsFiled(removed));
    fixture.Advance(11);
    EXPECT_EQ(fixture.gone.size(), 2u);
    EXPECT_FALSE(fixture.gone.contains(removed));
    fixture.Add(removed, 20);
    fixture.Advance(21);
    EXPECT_EQ(fixture.gone.size(), 3u);
  }
}

// The sides of a translated flow end together: one's visit removes the other.
TEST(TimerWheelTest, VisitMayRemoveAndAddOthers) {
  std::vector<TimerWheel::Link> links(10);
  TimerWheel wheel(links, 0);
  for (uint32_t entry = 0; entry < 8; ++entry) wheel.Add(entry, 5);
  std::vector<uint32_t> seen;
  wheel.Advance(6, kPlenty, [&](uint32_t entry) -> std::optional<uint32_t> {
    seen.push_back(entry);
    const uint32_t other = entry ^ 1;
    if (other < 8 && wheel.IsFiled(other)) wheel.Remove(other);
    if (entry < 8 && !wheel.IsFiled(9)) wheel.Add(9, 3);
    return std::nullopt;
  });
  // Four of eight, and entry 9, whose deadline was past already, each time.
  EXPECT_EQ(seen.size(), 8u);
}

TEST(TimerWheelTest, KeepsItsBudgetAndLosesNothing) {
  Fixture fixture(0);
  for (uint32_t entry = 0; entry < 1000; ++entry) fixture.Add(entry, 3);
  uint32_t calls = 0;
  while (fixture.gone.size() < 1000) {
    const uint32_t visits = fixture.visits;
    EXPECT_LE(fixture.Advance(4, 32), 32u);
    EXPECT_LE(fixture.visits - visits, 32u);
    EXPECT_EQ(fixture.wheel.Lag(4) > 0, calls < 31);
    ++calls;
  }
  EXPECT_EQ(calls, 32u);  // 4 ticks and 1000 entries
}

// A visitor that knows nothing better than a deadline gone by is asked again
// a tick later, not for ever.
TEST(TimerWheelTest, PastDeadlineFromVisitComesUpATickLater) {
  std::vector<TimerWheel::Link> links(1);
  TimerWheel wheel(links, 0);
  wheel.Add(0, 0);
  uint32_t visits = 0;
  wheel.Advance(10, kPlenty, [&](uint32_t) -> std::optional<uint32_t> {
    ++visits;
    return 0;
  });
  EXPECT_EQ(visits, 10u);
  EXPECT_TRUE(wheel.IsFiled(0));
}

// Asleep for a day: one round of the wheel and everything due is gone.
TEST(TimerWheelTest, CatchesUpAfterALongSleep) {
  Fixture fixture(0);
  for (uint32_t entry = 0; entry < 100; ++entry) fixture.Add(entry, entry * 50);
  fixture.Add(100, 900'000);
  EXPECT_LE(fixture.Advance(864'000), TimerWheel::kSlots + 101);
  EXPECT_EQ(fixture.gone.size(), 100u);
  EXPECT_EQ(fixture.wheel.Lag(864'000), 0u);
  for (uint32_t now = 864'001; now < 900'003; ++now) fixture.Advance(now);
  EXPECT_EQ(fixture.gone[100], 900'001u);
}

TEST(TimerWheelTest, TimeThatStandsStillOrGoesBackDoesNothing) {
  Fixture fixture(1000);
  fixture.Add(1, 1000);
  EXPECT_EQ(fixture.Advance(1000), 0u);
  EXPECT_EQ(fixture.Advance(10), 0u);
  EXPECT_EQ(fixture.wheel.Lag(10), 0u);
  fixture.Advance(1001);
  EXPECT_EQ(fixture.gone[1], 1001u);
}

TEST(TimerWheelTest, RefusesToFileTwice) {
  Fixture fixture(0);
  EXPECT_DEATH(fixture.wheel.Remove(1), "CHECK failed");
  fixture.Add(1, 5);
  EXPECT_DEATH(fixture.wheel.Add(1, 5), "CHECK failed");
}

}  // namespace
}  // namespace godwit
