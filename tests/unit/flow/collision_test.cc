// SPDX-License-Identifier: BSD-3-Clause
// Who chooses what he sends can't choose where it lies in the table, unless he
// has its key; and who has it gets two cache lines and no more (ADV-53).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <random>
#include <vector>

#include "dataplane/flow/flow_table.h"
#include "dataplane/net/check.h"
#include "dataplane/net/headers.h"
#include "dataplane/table/flow_hash.h"
#include "dataplane/table/flow_index.h"
#include "dataplane/table/memory.h"

namespace godwit {

// Where an index has a key.
class FlowIndexPeer {
 public:
  // The two buckets that a key can be in, the lower number first.
  static std::pair<uint32_t, uint32_t> PairOf(const FlowIndex& index,
                                              uint64_t hash) {
    const uint32_t home = index.HomeOf(hash);
    return std::minmax(home, index.OtherOf(home, FlowIndex::TagOf(hash)));
  }
  static bool ReadsTwoLines(const FlowIndex& index, uint64_t hash) {
    const auto& home = index.buckets_[index.HomeOf(hash)];
    return home.keys_away != 0;
  }
};

namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

FlowHashSeed RandomSeed(std::mt19937_64& random) {
  FlowHashSeed seed;
  for (uint8_t& byte : seed) byte = static_cast<uint8_t>(random());
  return seed;
}

// What a client of [2001:db8:53::53]:53 may choose: the last half of its
// address and its l4port.
FlowKey KeyFrom(uint64_t address, uint16_t l4port) {
  FlowKey key;
  key.local = *IpAddress::Parse("2001:db8:53::53");
  key.remote = *IpAddress::Parse("2001:db8:c::");
  std::memcpy(&key.remote.bytes[8], &address, sizeof(address));
  key.local_l4port = 53;
  key.remote_l4port = l4port;
  key.protocol = kProtoUdp;
  return key;
}

// CRC-32C, which tables without a key often hash with, bit by bit.
uint32_t Crc(const FlowKey& key) {
  std::array<uint8_t, sizeof(key)> bytes;
  std::memcpy(bytes.data(), &key, sizeof(key));
  uint32_t crc = 0;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    }
  }
  return crc;
}

// Finds the low half of an address for which the CRC is what is wanted: the
// CRC is linear, so each bit of the address adds its own word to it.
class CrcForger {
 public:
  CrcForger() {
    const uint32_t none = Crc(KeyFrom(0, 0));
    for (uint32_t bit = 0; bit < 32; ++bit) {
      Row row = {Crc(KeyFrom(uint64_t{1} << (bit + 32), 0)) ^ none, 1U << bit};
      Reduce(row);
      GODWIT_CHECK(row.word != 0);
      rows_[31U - static_cast<uint32_t>(std::countl_zero(row.word))] = row;
    }
  }
  uint64_t Forge(uint32_t high, uint16_t l4port, uint32_t wanted) const {
    Row row = {Crc(KeyFrom(high, l4port)) ^ wanted, 0};
    Reduce(row);
    return uint64_t{row.bits} << 32 | high;
  }

 private:
  struct Row {
    uint32_t word = 0;
    uint32_t bits = 0;
  };
  void Reduce(Row& row) const {
    for (uint32_t bit = 32; bit-- != 0;) {
      if ((row.word >> bit & 1) == 0 || rows_[bit].word == 0) continue;
      row.word ^= rows_[bit].word;
      row.bits ^= rows_[bit].bits;
    }
  }
  std::array<Row, 32> rows_{};
};

// What lookups of all `keys` cost in an index of their own.
struct Cost {
  uint64_t refused = 0;
  double two_lines = 0;  // the share that reads a second one
  double compares = 0;   // entries looked at, on average
  uint32_t p99_compares = 0;
  uint32_t most_compares = 0;
};
Cost CostOf(const FlowHash& hash, const std::vector<FlowKey>& keys) {
  const uint32_t buckets = FlowIndex::BucketsFor(keys.size());
  const BigMemory memory =
      BigMemory::Map(FlowIndex::BytesFor(buckets), HugePages::kOff);
  FlowIndex index(memory.bytes(), buckets);
  Cost cost;
  for (uint32_t i = 0; i < keys.size(); ++i) {
    cost.refused +=
        index.Insert(hash(&keys[i]), i) == FlowIndex::InsertResult::kFull;
  }
  std::array<uint64_t, 17> looked_at{};
  for (uint32_t i = 0; i < keys.size(); ++i) {
    uint32_t compares = 0;
    index.Find(hash(&keys[i]), [&](uint32_t found) {
      ++compares;
      return found == i;
    });
    ++looked_at[compares];
    cost.compares += compares;
    cost.most_compares = std::max(cost.most_compares, compares);
    cost.two_lines += FlowIndexPeer::ReadsTwoLines(index, hash(&keys[i]));
  }
  const auto count = static_cast<double>(keys.size());
  for (uint64_t seen = 0; static_cast<double>(seen) < 0.99 * count;) {
    seen += looked_at[cost.p99_compares++];
  }
  cost.compares /= count;
  cost.two_lines /= count;
  return cost;
}

std::vector<FlowKey> RandomKeys(std::mt19937_64& random, size_t count) {
  std::vector<FlowKey> keys;
  for (size_t i = 0; i < count; ++i) {
    keys.push_back(KeyFrom(random(), static_cast<uint16_t>(random())));
  }
  return keys;
}

void ExpectAsUniform(const Cost& chosen, const Cost& uniform) {
  EXPECT_EQ(chosen.refused, 0u);
  EXPECT_LE(chosen.p99_compares, 2 * uniform.p99_compares);
  EXPECT_NEAR(chosen.compares, uniform.compares, 0.01);
  EXPECT_NEAR(chosen.two_lines, uniform.two_lines, 0.03);
  EXPECT_LE(chosen.most_compares, 8u);
}

// A million tuples that a table without a key would have in one bucket.
TEST(CollisionTest, Adv53WhatCollidesWithoutAKeySpreadsEvenly) {
  constexpr uint32_t kKeys = 1'000'000;
  const CrcForger forger;
  std::vector<FlowKey> chosen;
  for (uint32_t i = 0; i < kKeys; ++i) {
    const auto l4port = static_cast<uint16_t>(1024 + i % 60000);
    chosen.push_back(KeyFrom(forger.Forge(i, l4port, 0x5eed5eed), l4port));
  }
  for (uint32_t i = 0; i < kKeys; i += 9973) {
    ASSERT_EQ(Crc(chosen[i]), 0x5eed5eedU) << i;
  }
  std::mt19937_64 random(53);
  const FlowHash hash(RandomSeed(random));
  ExpectAsUniform(CostOf(hash, chosen),
                  CostOf(hash, RandomKeys(random, kKeys)));
}

// Tuples that lie in one bucket of ours, under another key: it is not the same
// at two starts, and no other is of use.
TEST(CollisionTest, Adv53WhatCollidesUnderAnotherKeySpreadsEvenly) {
  constexpr size_t kKeys = 4000;
  std::mt19937_64 random(5353);
  const FlowHash other(FlowHashSeed{});
  std::vector<FlowKey> chosen;
  while (chosen.size() < kKeys) {
    const FlowKey key = KeyFrom(random(), static_cast<uint16_t>(random()));
    if ((other(&key) & 511) == 7) chosen.push_back(key);
  }
  // That they were chosen well: there they can't even all lie.
  EXPECT_GT(CostOf(other, chosen).two_lines, 0.99);
  for (int start = 0; start < 8; ++start) {
    const FlowHash hash(RandomSeed(random));
    ExpectAsUniform(CostOf(hash, chosen),
                    CostOf(hash, RandomKeys(random, kKeys)));
  }
}

// Who has the key of a running node fills two buckets with his flows. Then
// they get no entry, which costs their packets nothing but that; whoever is in
// these buckets stays, and all others are as they were.
TEST(CollisionTest, Adv53WhoHasTheKeyFillsTwoBucketsAndNoMore) {
  FlowTable::Options options;
  options.max_flows = 1024;
  options.huge_pages = HugePages::kOff;
  std::mt19937_64 random(535353);
  options.seed = RandomSeed(random);
  FlowTable table(options);
  const uint32_t buckets = FlowIndex::BucketsFor(2 * options.max_flows);
  const BigMemory memory =
      BigMemory::Map(FlowIndex::BytesFor(buckets), HugePages::kOff);
  const FlowIndex twin(memory.bytes(), buckets);
  const auto pair_of = [&](const FlowKey& key) {
    return FlowIndexPeer::PairOf(twin, table.HashOf(key));
  };
  const auto make = [&table](const FlowKey& key) {
    Flow flow;
    flow.kind = FlowKind::kInbound;
    flow.local = key.local;
    flow.remote = key.remote;
    flow.local_l4port = flow.external_l4port = key.local_l4port;
    flow.remote_l4port = key.remote_l4port;
    flow.protocol = key.protocol;
    flow.queue = 2;
    flow.deadline = 3000;
    Flow* made = nullptr;
    return table.MakeInbound(flow, made) == FlowTable::Made::kYes;
  };
  const FlowKey victim = KeyFrom(1, 4000);
  ASSERT_TRUE(make(victim));
  std::vector<FlowKey> others = RandomKeys(random, 200);
  std::erase_if(others, [&](const FlowKey& key) {
    return pair_of(key) == pair_of(victim) || !make(key);
  });
  size_t made = 0;
  for (size_t tried = 0; tried < 40;) {
    const FlowKey key = KeyFrom(random(), static_cast<uint16_t>(random()));
    if (pair_of(key) != pair_of(victim)) continue;
    ++tried;
    made += make(key);
  }
  // 16 places, some of them another's.
  EXPECT_THAT(made, AllOf(Ge(8u), Le(15u)));
  EXPECT_NE(table.Find(table.HashOf(victim), victim, 0), nullptr);
  for (const FlowKey& key : others) {
    EXPECT_NE(table.Find(table.HashOf(key), key, 0), nullptr);
  }
  EXPECT_EQ(table.inbound(), 1 + others.size() + made);
}

}  // namespace
}  // namespace godwit
