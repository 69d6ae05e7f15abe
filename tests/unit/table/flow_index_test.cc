// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/flow_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "dataplane/table/memory.h"

namespace godwit {

// Reaches the tag comparison, to hold it to its plain twin.
class FlowIndexPeer {
 public:
  static uint32_t TagMatches(const std::array<uint16_t, 8>& tags, uint8_t used,
                             uint16_t tag) {
    FlowIndex::Bucket bucket{};
    std::ranges::copy(tags, bucket.tag);
    bucket.used = used;
    return FlowIndex::TagMatches(bucket, tag);
  }
  static uint64_t KeysAway(const FlowIndex& index) {
    uint64_t away = 0;
    for (const auto& bucket : index.buckets_) away += bucket.keys_away;
    return away;
  }
};

namespace {

constexpr auto kInserted = FlowIndex::InsertResult::kInserted;
constexpr auto kFull = FlowIndex::InsertResult::kFull;

// An index whose values are numbers of `hashes`.
struct Fixture {
  explicit Fixture(uint32_t buckets)
      : memory(BigMemory::Map(FlowIndex::BytesFor(buckets), HugePages::kOff)),
        index(memory.bytes(), buckets) {}

  uint32_t Find(uint32_t value) const {
    return index.Find(hashes[value],
                      [&](uint32_t v) { return hashes[v] == hashes[value]; });
  }
  FlowIndex::InsertResult Insert(uint64_t hash) {
    hashes.push_back(hash);
    const auto value = static_cast<uint32_t>(hashes.size() - 1);
    const FlowIndex::InsertResult result = index.Insert(hash, value);
    if (result == kFull) hashes.pop_back();
    return result;
  }
  std::vector<uint32_t> Contents() const {
    std::vector<uint32_t> values;
    index.ForEach([&](uint32_t value) { values.push_back(value); });
    std::ranges::sort(values);
    return values;
  }

  BigMemory memory;
  FlowIndex index;
  std::vector<uint64_t> hashes;
};

TEST(FlowIndexTest, TagMatchesEqualsItsPlainTwin) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    std::array<uint16_t, 8> tags;
    for (uint16_t& tag : tags)
      tag = static_cast<uint16_t>(random() % 3 * 32767);
    const auto used = static_cast<uint8_t>(random());
    const auto tag = static_cast<uint16_t>(random() % 3 * 32767);
    uint32_t expected = 0;
    for (uint32_t slot = 0; slot < 8; ++slot) {
      if ((used >> slot & 1) != 0 && tags[slot] == tag) expected |= 1u << slot;
    }
    ASSERT_EQ(FlowIndexPeer::TagMatches(tags, used, tag), expected);
  }
}

TEST(FlowIndexTest, FindsWhatWasInserted) {
  Fixture fixture(64);
  EXPECT_EQ(fixture.index.Candidate(7), FlowIndex::kNone);
  EXPECT_EQ(fixture.Insert(0xabcd'0000'0000'0007), kInserted);
  EXPECT_EQ(fixture.index.Candidate(fixture.hashes[0]), 0u);
  EXPECT_EQ(fixture.Find(0), 0u);
  EXPECT_EQ(fixture.index.size(), 1u);
  EXPECT_TRUE(fixture.index.Erase(fixture.hashes[0], 0));
  EXPECT_EQ(fixture.Find(0), FlowIndex::kNone);
  EXPECT_FALSE(fixture.index.Erase(fixture.hashes[0], 0));
  EXPECT_EQ(fixture.index.size(), 0u);
}

// Same tag, same bucket, other key: only the caller's comparison tells.
TEST(FlowIndexTest, ComparesTheRealKey) {
  Fixture fixture(64);
  const uint64_t twin = uint64_t{1} << 40;  // not among tag and bucket bits
  EXPECT_EQ(fixture.Insert(5), kInserted);
  EXPECT_EQ(fixture.Insert(5 | twin), kInserted);
  EXPECT_EQ(fixture.Find(0), 0u);
  EXPECT_EQ(fixture.Find(1), 1u);
  const auto nobody = [](uint32_t) { return false; };
  EXPECT_EQ(fixture.index.Find(5, nobody), FlowIndex::kNone);
  EXPECT_FALSE(fixture.index.Erase(5, 2));
  EXPECT_TRUE(fixture.index.Erase(5, 1));
  EXPECT_EQ(fixture.Find(0), 0u);
}

// Sixteen keys of one tag and home fill both its buckets; the seventeenth
// finds no chain, and changes nothing.
TEST(FlowIndexTest, RefusesWithoutChangingAnything) {
  Fixture fixture(64);
  for (uint64_t i = 0; i < 16; ++i) {
    ASSERT_EQ(fixture.Insert(i << 20 | 9), kInserted);
  }
  const std::vector<uint32_t> before = fixture.Contents();
  EXPECT_EQ(fixture.Insert(uint64_t{16} << 20 | 9), kFull);
  EXPECT_EQ(fixture.Contents(), before);
  EXPECT_EQ(fixture.index.size(), 16u);
  for (uint32_t value = 0; value < 16; ++value) {
    EXPECT_EQ(fixture.Find(value), value);
  }
  EXPECT_TRUE(fixture.index.Erase(fixture.hashes[3], 3));
  EXPECT_EQ(fixture.Insert(uint64_t{16} << 20 | 9), kInserted);
}

TEST(FlowIndexTest, ReachesItsLoadWithRandomKeys) {
  for (uint32_t buckets : {2u, 16u, 1024u, 65536u}) {
    Fixture fixture(buckets);
    std::mt19937_64 random(buckets);
    while (fixture.Insert(random()) == kInserted) {
    }
    const double load = static_cast<double>(fixture.index.size()) /
                        static_cast<double>(fixture.index.slots());
    EXPECT_GT(load, FlowIndex::kMaxLoad) << buckets << " buckets";
    for (uint32_t value = 0; value < fixture.index.size(); ++value) {
      ASSERT_EQ(fixture.Find(value), value);
    }
    RecordProperty("load_" + std::to_string(buckets), std::to_string(load));
  }
}

// A count that stayed would cost every later miss a second cache line.
TEST(FlowIndexTest, CountsWhoIsAway) {
  Fixture fixture(16);
  std::mt19937_64 random(3);
  // Filled, half emptied and filled again: keys move away and home again.
  for (int round = 0; round < 20; ++round) {
    while (fixture.Insert(random()) == kInserted) {
    }
    for (uint32_t value = 0; value < fixture.hashes.size(); value += 2)
      fixture.index.Erase(fixture.hashes[value], value);
  }
  EXPECT_GT(FlowIndexPeer::KeysAway(fixture.index), 0u);
  EXPECT_LT(FlowIndexPeer::KeysAway(fixture.index), fixture.index.size());
  for (uint32_t value = 0; value < fixture.hashes.size(); ++value)
    fixture.index.Erase(fixture.hashes[value], value);
  EXPECT_EQ(fixture.index.size(), 0u);
  EXPECT_EQ(FlowIndexPeer::KeysAway(fixture.index), 0u);
}

TEST(FlowIndexTest, BucketsForKeepsTheLoad) {
  for (const uint64_t keys : std::initializer_list<uint64_t>{
           0, 1, 6, 13, 14, 1000, 8'388'608, 100'000'000}) {
    const uint32_t buckets = FlowIndex::BucketsFor(keys);
    EXPECT_TRUE(std::has_single_bit(buckets));
    EXPECT_GE(buckets, 2u);
    EXPECT_LE(static_cast<double>(keys) / (8.0 * buckets), FlowIndex::kMaxLoad);
  }
  EXPECT_EQ(FlowIndex::BucketsFor(2 << 20), 1u << 19);
}

TEST(FlowIndexTest, ClearsTheMemoryItIsGiven) {
  BigMemory memory = BigMemory::Map(FlowIndex::BytesFor(4), HugePages::kOff);
  std::ranges::fill(memory.bytes(), std::byte{0xff});
  const FlowIndex index(memory.bytes(), 4);
  index.ForEach([](uint32_t) { ADD_FAILURE(); });
  EXPECT_DEATH(FlowIndex(memory.bytes(), 3), "CHECK failed");
  EXPECT_DEATH(FlowIndex(memory.bytes(), 8), "CHECK failed");
}

}  // namespace
}  // namespace godwit
