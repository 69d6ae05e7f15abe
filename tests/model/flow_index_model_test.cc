// SPDX-License-Identifier: BSD-3-Clause
// Random operations on FlowIndex against a std::map of hash and value.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "dataplane/table/flow_index.h"
#include "dataplane/table/memory.h"
#include "tests/model/seed.h"

namespace godwit {
namespace {

constexpr auto kInserted = FlowIndex::InsertResult::kInserted;

// How hashes are drawn: all bits at random, or so that tags and buckets
// collide.
enum class Hashes { kRandom, kFewTags, kFewBuckets };

class Model {
 public:
  Model(uint32_t buckets, Hashes kind, uint64_t seed)
      : kind_(kind),
        random_(seed),
        memory_(BigMemory::Map(FlowIndex::BytesFor(buckets), HugePages::kOff)),
        index_(memory_.bytes(), buckets) {}

  void Run(int operations) {
    // Phases of filling and of draining, so that all loads are passed.
    for (int i = 0; i < operations; ++i) {
      const bool filling = i / 5000 % 2 == 0;
      const uint64_t dice = random_() % 10;
      if (dice < (filling ? 7 : 2)) {
        Insert();
      } else if (dice < 9) {
        Erase();
      } else {
        Miss();
      }
      if (i % 1000 == 0) Compare();
      if (testing::Test::HasFatalFailure()) return;
    }
    Compare();
  }
  uint64_t most() const { return most_; }
  uint64_t refused() const { return refused_; }

 private:
  uint64_t DrawHash() {
    const uint64_t hash = random_();
    if (kind_ == Hashes::kFewTags) return hash & 0x0003'ffff'ffff'ffff;
    if (kind_ == Hashes::kFewBuckets) return hash & 0xffff'ffff'ffff'fff3;
    return hash;
  }
  uint32_t Find(uint64_t hash) const {
    return index_.Find(hash, [&](uint32_t value) {
      const auto found = hash_of_.find(value);
      EXPECT_NE(found, hash_of_.end()) << "a value that is not there";
      return found != hash_of_.end() && found->second == hash;
    });
  }

  void Insert() {
    const uint64_t hash = DrawHash();
    if (Find(hash) != FlowIndex::kNone) return;
    const uint32_t value = next_value_++;
    if (index_.Insert(hash, value) == kInserted) {
      hash_of_[value] = hash;
      values_.push_back(value);
      ASSERT_EQ(Find(hash), value);
    } else {
      ++refused_;
      ASSERT_EQ(Find(hash), FlowIndex::kNone);
    }
    ASSERT_EQ(index_.size(), hash_of_.size());
    most_ = std::max(most_, index_.size());
  }

  void Erase() {
    if (values_.empty()) return;
    std::swap(values_[random_() % values_.size()], values_.back());
    const uint32_t value = values_.back();
    const uint64_t hash = hash_of_.at(value);
    ASSERT_EQ(Find(hash), value);
    ASSERT_FALSE(index_.Erase(hash, next_value_));
    ASSERT_TRUE(index_.Erase(hash, value));
    values_.pop_back();
    hash_of_.erase(value);
    ASSERT_FALSE(index_.Erase(hash, value));
    ASSERT_EQ(Find(hash), FlowIndex::kNone);
  }

  void Miss() {
    const uint64_t hash = DrawHash();
    const bool known = std::ranges::any_of(
        hash_of_, [&](const auto& entry) { return entry.second == hash; });
    ASSERT_EQ(Find(hash) != FlowIndex::kNone, known);
  }

  // Both ways: the index has exactly what the map has, and finds all of it.
  void Compare() {
    std::vector<uint32_t> contents;
    index_.ForEach([&](uint32_t value) { contents.push_back(value); });
    std::ranges::sort(contents);
    std::vector<uint32_t> expected;
    for (const auto& [value, hash] : hash_of_) {
      expected.push_back(value);
      ASSERT_EQ(Find(hash), value);
      const uint32_t candidate = index_.Candidate(hash);
      ASSERT_NE(candidate, FlowIndex::kNone);
      ASSERT_EQ(hash_of_.at(candidate) >> 48, hash >> 48);
    }
    ASSERT_EQ(contents, expected);
  }

  Hashes kind_;
  std::mt19937_64 random_;
  BigMemory memory_;
  FlowIndex index_;
  std::map<uint32_t, uint64_t> hash_of_;
  std::vector<uint32_t> values_;
  uint32_t next_value_ = 0;
  uint64_t most_ = 0;
  uint64_t refused_ = 0;
};

TEST(FlowIndexModelTest, EqualsAMap) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (const Hashes kind :
       {Hashes::kRandom, Hashes::kFewTags, Hashes::kFewBuckets}) {
    for (const uint32_t buckets : {2u, 4u, 16u, 128u}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(kind)) + ", " +
                   std::to_string(buckets) + " buckets");
      Model model(buckets, kind, seed + buckets);
      model.Run(40'000);
      if (testing::Test::HasFatalFailure()) return;
      // It was worth it: the index has been full.
      EXPECT_GT(model.refused(), 0u);
      if (kind == Hashes::kRandom) {
        EXPECT_GT(static_cast<double>(model.most()),
                  FlowIndex::kMaxLoad * 8 * buckets);
      }
    }
  }
}

}  // namespace
}  // namespace godwit
