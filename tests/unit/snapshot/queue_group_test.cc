// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/snapshot/queue_group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

namespace godwit {
namespace {

using Members = std::vector<QueueGroup::Member>;

// The hash that leads to row `row`, as queue_group.h has it.
uint64_t HashOfRow(uint32_t row) { return uint64_t{row} << 40; }

std::vector<QueueId> Rows(const QueueGroup& group) {
  std::vector<QueueId> rows;
  for (uint32_t row = 0; row < QueueGroup::kRows; ++row) {
    rows.push_back(group.Choose(HashOfRow(row)));
  }
  return rows;
}

Members Equal(size_t count, QueueId first = 1) {
  Members members;
  for (size_t i = 0; i < count; ++i) {
    members.push_back({static_cast<QueueId>(first + i), 1});
  }
  return members;
}

std::map<QueueId, double> Shares(const Members& members) {
  std::map<QueueId, double> shares;
  for (const QueueId queue : Rows(QueueGroup(members))) {
    shares[queue] += 1.0 / QueueGroup::kRows;
  }
  return shares;
}

TEST(QueueGroupTest, NobodyAndOnlyOne) {
  EXPECT_TRUE(QueueGroup().empty());
  EXPECT_TRUE(QueueGroup(Members{}).empty());
  EXPECT_EQ(QueueGroup(Members{}).Choose(12345), 0);
  const QueueGroup one(Members{{7, 3}});
  EXPECT_FALSE(one.empty());
  for (const QueueId queue : Rows(one)) EXPECT_EQ(queue, 7);
  EXPECT_EQ(one.Choose(~uint64_t{0}), 7);
}

TEST(QueueGroupTest, EveryRowIsReachedByEveryHash) {
  const auto rows = Rows(QueueGroup(Equal(4)));
  const QueueGroup group(Equal(4));
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t hash = random();
    ASSERT_EQ(group.Choose(hash), rows[(hash >> 40) % QueueGroup::kRows]);
  }
}

TEST(QueueGroupTest, OrderOfMembersDoesNotMatter) {
  Members members = {{3, 10}, {9, 1}, {4, 7}, {40000, 65535}};
  const auto rows = Rows(QueueGroup(members));
  std::mt19937 random(1);
  for (int i = 0; i < 5; ++i) {
    std::shuffle(members.begin(), members.end(), random);
    EXPECT_EQ(Rows(QueueGroup(members)), rows);
  }
}

// ANY-26: of one that goes only its own rows move; of one that comes only its
// share, from everywhere.
TEST(QueueGroupTest, OnlyTheRowsOfTheOneThatGoesMove) {
  for (const size_t count : {2U, 3U, 8U, 16U, 64U}) {
    const Members all = Equal(count, 100);
    const auto before = Rows(QueueGroup(all));
    for (size_t gone = 0; gone < count; gone += 1 + count / 8) {
      Members fewer = all;
      fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(gone));
      const auto after = Rows(QueueGroup(fewer));
      size_t moved = 0;
      for (size_t row = 0; row < before.size(); ++row) {
        if (before[row] == all[gone].queue) {
          ++moved;
          ASSERT_NE(after[row], all[gone].queue);
        } else {
          ASSERT_EQ(after[row], before[row]);
        }
      }
      const double share = static_cast<double>(moved) / QueueGroup::kRows;
      EXPECT_LE(share, 1.0 / static_cast<double>(count) + 0.02);
    }
  }
}

// More weight for one: rows only move to it.
TEST(QueueGroupTest, WeightOnlyDrawsRows) {
  Members members = {{1, 10}, {2, 10}, {3, 10}};
  const auto before = Rows(QueueGroup(members));
  members[1].weight = 15;
  const auto after = Rows(QueueGroup(members));
  for (size_t row = 0; row < before.size(); ++row) {
    ASSERT_TRUE(after[row] == before[row] || after[row] == 2) << row;
  }
  EXPECT_NE(before, after);
}

// Within 2 % of all, for whatever numbers the queues have.
TEST(QueueGroupTest, SharesFollowWeights) {
  std::mt19937 random(2);
  const auto below = [&random](uint32_t limit) {
    return static_cast<uint32_t>(random() % limit);
  };
  for (int round = 0; round < 60; ++round) {
    Members members;
    std::set<QueueId> used;
    double total = 0;
    const size_t count = 2 + below(8);
    while (members.size() < count) {
      const auto id = static_cast<QueueId>(round % 2 == 0 ? 1 + below(20)
                                                          : 1 + below(65535));
      if (!used.insert(id).second) continue;
      const uint32_t weight = 1 + below(round % 3 == 0 ? 1 : 100);
      members.push_back({id, weight});
      total += weight;
    }
    auto shares = Shares(members);
    for (const auto& member : members) {
      EXPECT_NEAR(shares[member.queue], member.weight / total, 0.02)
          << "queue " << member.queue << " of " << count << " in round "
          << round;
    }
  }
}

// Every two of forty, and every eight neighbours.
TEST(QueueGroupTest, EqualWeightsShareEquallyWhateverTheirNumbers) {
  for (QueueId a = 1; a <= 40; ++a) {
    for (QueueId b = static_cast<QueueId>(a + 1); b <= 40; ++b) {
      EXPECT_NEAR(Shares({{a, 1}, {b, 1}})[a], 0.5, 0.02) << a << " " << b;
    }
    auto shares = Shares(Equal(8, a));
    for (QueueId queue = a; queue < a + 8; ++queue) {
      EXPECT_NEAR(shares[queue], 0.125, 0.01) << queue << " from " << a;
    }
  }
}

TEST(QueueGroupTest, ExtremeWeights) {
  const auto shares = Shares({{1, 65535}, {2, 1}});
  EXPECT_GT(shares.at(1), 0.999);
}

}  // namespace
}  // namespace godwit
