// SPDX-License-Identifier: BSD-3-Clause
// Random operations on L4portPool against a std::set of (destination, l4port):
// nothing is given out twice (P2) or from outside the block (P4), and free +
// used = block after any history of successes and failures (P5).
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dataplane/flow/l4port_pool.h"
#include "dataplane/table/memory.h"
#include "tests/model/seed.h"

namespace godwit {
namespace {

using Flow = std::pair<uint64_t, uint16_t>;

RandomStream::Seed PoolSeed(uint64_t seed) {
  RandomStream::Seed bytes{};
  for (size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<uint8_t>(seed >> (8 * i));
  return bytes;
}

// Any subset of `size` l4ports.
std::vector<uint16_t> DrawBlock(uint32_t size, std::mt19937_64& random) {
  std::vector<uint16_t> all(65536);
  for (uint32_t i = 0; i < 65536; ++i) all[i] = static_cast<uint16_t>(i);
  std::ranges::shuffle(all, random);
  all.resize(size);
  std::ranges::sort(all);
  return all;
}

class Model {
 public:
  Model(uint32_t block_size, uint32_t max_flows, uint64_t seed)
      : random_(seed),
        max_flows_(max_flows),
        memory_(
            BigMemory::Map(L4portPool::BytesFor(max_flows), HugePages::kOff)) {
    const std::vector<uint16_t> block = DrawBlock(block_size, random_);
    block_.insert(block.begin(), block.end());
    pool_ = std::make_unique<L4portPool>(memory_.bytes(), max_flows,
                                         PoolSeed(seed));
    pool_->SetBlock(block);
    for (uint64_t& destination : destinations_) destination = random_();
  }

  void Run(int operations) {
    for (int i = 0; i < operations; ++i) {
      // Long phases, so that destinations fill up and empty again.
      const bool filling = i / 20'000 % 3 != 2;
      if (random_() % 100 < (filling ? 70 : 20)) {
        Allocate(DrawDestination());
      } else {
        FreeOne();
      }
      if (random_() % 50'000 == 0) SetBlock();
      ASSERT_EQ(pool_->live(), flows_.size());
      if (testing::Test::HasFatalFailure()) return;
    }
    for (const uint64_t destination : destinations_) FillUp(destination);
    while (!flows_.empty()) FreeOne();
    ASSERT_EQ(pool_->live(), 0u);
    ASSERT_EQ(pool_->dense_destinations(), 0u);
  }
  uint64_t exhausted() const { return exhausted_; }

 private:
  // Half of all goes to the first, a quarter to the second, ...
  uint64_t DrawDestination() {
    const size_t zeros = static_cast<size_t>(std::countr_zero(random_()));
    return destinations_[std::min(zeros, std::size(destinations_) - 1)];
  }
  size_t UsedOfBlock(uint64_t destination) const {
    return static_cast<size_t>(
        std::ranges::count_if(block_, [&](uint16_t l4port) {
          return flows_.contains({destination, l4port});
        }));
  }

  L4portStatus Allocate(uint64_t destination) {
    if (flows_.size() == max_flows_) return L4portStatus::kNoMemory;
    const L4portResult result = pool_->Allocate(destination, [&](uint16_t p) {
      return flows_.contains({destination, p});
    });
    if (result.status == L4portStatus::kOk) {
      EXPECT_TRUE(block_.contains(result.l4port));
      EXPECT_TRUE(flows_.insert({destination, result.l4port}).second);
      order_.push_back({destination, result.l4port});
    } else {
      ++exhausted_;
      EXPECT_EQ(result.status, L4portStatus::kExhausted);
      EXPECT_EQ(UsedOfBlock(destination), block_.size());
    }
    return result.status;
  }

  void FreeOne() {
    if (order_.empty()) return;
    std::swap(order_[random_() % order_.size()], order_.back());
    const Flow flow = order_.back();
    order_.pop_back();
    flows_.erase(flow);
    pool_->Free(flow.first, flow.second);
  }

  // P5: exactly as many successes as there are free l4ports.
  void FillUp(uint64_t destination) {
    while (Allocate(destination) == L4portStatus::kOk) {
    }
    if (flows_.size() < max_flows_) {
      ASSERT_EQ(UsedOfBlock(destination), block_.size());
    }
  }

  void SetBlock() {
    const auto size = static_cast<uint32_t>(block_.size());
    const uint32_t sizes[] = {size, size / 2 + 1, std::min(size * 2, 65536u)};
    const std::vector<uint16_t> block =
        DrawBlock(sizes[random_() % 3], random_);
    block_ = {block.begin(), block.end()};
    pool_->SetBlock(block);
  }

  std::mt19937_64 random_;
  uint32_t max_flows_;
  BigMemory memory_;
  std::set<uint16_t> block_;
  std::unique_ptr<L4portPool> pool_;
  uint64_t destinations_[6];
  std::set<Flow> flows_;
  std::vector<Flow> order_;
  uint64_t exhausted_ = 0;
};

TEST(L4portPoolModelTest, EqualsASet) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (const uint32_t block_size :
       {1u, 2u, 16u, 64u, 65u, 200u, 1000u, 5000u}) {
    SCOPED_TRACE("block of " + std::to_string(block_size));
    Model model(block_size, 1 << 18, seed);
    model.Run(200'000);
    if (testing::Test::HasFatalFailure()) return;
    EXPECT_GT(model.exhausted(), 0u);
  }
}

// 64,512 of 64,512, and no more.
TEST(L4portPoolModelTest, EqualsASetOnTheWholeRange) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Model model(64512, 1 << 20, seed);
  model.Run(400'000);
}

// Everything that can happen in a 16-port pool, three originators to one
// destination each, up to depth 12: each step one of them takes an l4port or
// gives back its oldest. The l4ports differ by chance, what is possible
// doesn't.
class Exhaustive {
 public:
  static constexpr int kDepth = 12;
  static constexpr uint32_t kOriginators = 3;

  explicit Exhaustive(uint64_t seed)
      : memory_(BigMemory::Map(L4portPool::BytesFor(64), HugePages::kOff)),
        pool_(
            std::make_unique<L4portPool>(memory_.bytes(), 64, PoolSeed(seed))) {
    pool_->SetBlock(Block());
    // Thirteen are taken beforehand, so that twelve steps can exhaust it.
    for (int i = 0; i < 13; ++i) Take(kOriginators);
  }

  // Steps are undone by their opposites, so that one pool serves the whole
  // tree, and its history is the longest of all.
  void Walk(int depth) {
    if (depth == 0 || testing::Test::HasFatalFailure()) return;
    for (uint32_t originator = 0; originator < kOriginators; ++originator) {
      const bool took = Take(originator);
      ASSERT_EQ(took, used_before_ < 16) << "depth " << depth;
      if (took) {
        Walk(depth - 1);
        const uint16_t newest = held_[originator].back();
        held_[originator].pop_back();
        Give(newest);
      }
      if (held_[originator].empty()) continue;
      const uint16_t oldest = held_[originator].front();
      held_[originator].erase(held_[originator].begin());
      Give(oldest);
      Walk(depth - 1);
      // Which l4port comes back is chance; that one does, is not.
      ASSERT_TRUE(Take(originator));
      std::rotate(held_[originator].begin(), held_[originator].end() - 1,
                  held_[originator].end());
    }
  }
  uint64_t steps() const { return steps_; }

 private:
  static constexpr uint64_t kDestination = 42;
  static std::vector<uint16_t> Block() {
    std::vector<uint16_t> block;
    for (uint16_t i = 0; i < 16; ++i)
      block.push_back(static_cast<uint16_t>(5000 + i));
    return block;
  }
  bool Take(uint32_t originator) {
    ++steps_;
    used_before_ = used_.size();
    const L4portResult result = pool_->Allocate(
        kDestination, [&](uint16_t p) { return used_.contains(p); });
    EXPECT_EQ(result.status,
              used_before_ < 16 ? L4portStatus::kOk : L4portStatus::kExhausted);
    if (result.status != L4portStatus::kOk) return false;
    EXPECT_TRUE(result.l4port >= 5000 && result.l4port < 5016);
    EXPECT_TRUE(used_.insert(result.l4port).second);
    held_[originator].push_back(result.l4port);
    EXPECT_EQ(pool_->live(), used_.size());
    return true;
  }
  void Give(uint16_t l4port) {
    used_.erase(l4port);
    pool_->Free(kDestination, l4port);
  }

  BigMemory memory_;
  std::unique_ptr<L4portPool> pool_;
  std::set<uint16_t> used_;
  std::vector<uint16_t> held_[kOriginators + 1];
  size_t used_before_ = 0;
  uint64_t steps_ = 0;
};

TEST(L4portPoolModelTest, SixteenL4portsExhaustively) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Exhaustive exhaustive(seed);
  exhaustive.Walk(Exhaustive::kDepth);
  RecordProperty("steps", std::to_string(exhaustive.steps()));
}

}  // namespace
}  // namespace godwit
