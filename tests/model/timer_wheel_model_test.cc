// SPDX-License-Identifier: BSD-3-Clause
// Random operations on TimerWheel against a std::map of deadlines: what is due
// goes exactly when it is due (P19), however time is cut up (P20).
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "dataplane/table/timer_wheel.h"
#include "tests/model/seed.h"

namespace godwit {
namespace {

constexpr uint32_t kEntries = 500;
constexpr uint32_t kPlenty = 1'000'000'000;

class Model {
 public:
  Model(uint32_t start, uint64_t seed)
      : random_(seed), now_(start), links_(kEntries), wheel_(links_, start) {}

  void Run(int operations) {
    for (int i = 0; i < operations; ++i) {
      const auto entry = static_cast<uint32_t>(random_() % kEntries);
      const auto filed = deadlines_.find(entry);
      ASSERT_EQ(wheel_.IsFiled(entry), filed != deadlines_.end());
      const uint64_t dice = random_() % 8;
      if (dice == 0) {
        Advance();
      } else if (filed == deadlines_.end()) {
        deadlines_[entry] = now_ + DrawTimeout();
        wheel_.Add(entry, deadlines_[entry]);
      } else if (dice < 3) {
        wheel_.Remove(entry);
        deadlines_.erase(filed);
      } else if (dice < 5) {
        const uint32_t deadline = now_ + DrawTimeout();
        const bool earlier = TickAfter(filed->second, deadline);
        filed->second = deadline;
        // Later: only the entry knows.
        if (earlier) wheel_.Move(entry, deadline);
      }
      if (testing::Test::HasFatalFailure()) return;
    }
  }

 private:
  // Near ones, those about the wheel's size, far ones.
  uint32_t DrawTimeout() {
    const uint32_t bound[] = {3, 50, 2 * TimerWheel::kSlots, 80'000};
    return static_cast<uint32_t>(random_() % bound[random_() % 4]);
  }

  void Advance() {
    const uint32_t step[] = {0, 1, 2, 40, 5000};
    now_ += static_cast<uint32_t>(random_() % (step[random_() % 5] + 1));
    std::map<uint32_t, uint32_t> due;
    for (const auto& [entry, deadline] : deadlines_) {
      if (TickAfter(now_, deadline)) due[entry] = deadline;
    }
    // In one go or bit by bit: the same entries go.
    const uint32_t budget = random_() % 2 == 0 ? kPlenty : 16;
    uint32_t steps;
    do {
      steps = wheel_.Advance(now_, budget,
                             [&](uint32_t entry) { return Visit(entry, due); });
      ASSERT_LE(steps, budget);
    } while (steps == budget);
    ASSERT_TRUE(due.empty()) << "late: entry " << due.begin()->first;
    ASSERT_EQ(wheel_.Lag(now_), 0u);
  }

  std::optional<uint32_t> Visit(uint32_t entry,
                                std::map<uint32_t, uint32_t>& due) {
    const auto known = deadlines_.find(entry);
    if (known == deadlines_.end()) {
      ADD_FAILURE() << "entry " << entry << " is not filed";
      return std::nullopt;
    }
    if (!TickAfter(now_, known->second)) return known->second;
    EXPECT_EQ(due.erase(entry), 1u);
    deadlines_.erase(known);
    return std::nullopt;
  }

  std::mt19937_64 random_;
  uint32_t now_;
  std::vector<TimerWheel::Link> links_;
  TimerWheel wheel_;
  std::map<uint32_t, uint32_t> deadlines_;
};

TEST(TimerWheelModelTest, EqualsAMap) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (const uint32_t start :
       {0u, UINT32_MAX - 1'000'000u, uint32_t{INT32_MAX} - 1'000'000u}) {
    SCOPED_TRACE("start " + std::to_string(start));
    Model model(start, seed);
    model.Run(200'000);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace godwit
