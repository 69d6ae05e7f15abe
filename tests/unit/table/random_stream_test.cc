// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/random_stream.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <vector>

namespace godwit {
namespace {

// FIPS 197 appendix C.1: key 00 01 .. 0f, plaintext 00 11 .. ff; the counter
// block is the plaintext.
TEST(RandomStreamTest, IsAesInCounterMode) {
  RandomStream::Seed seed;
  for (uint8_t i = 0; i < 16; ++i) {
    seed[i] = i;
    seed[16 + i] = static_cast<uint8_t>(i * 0x11);
  }
  RandomStream stream(seed);
  std::array<uint32_t, 4> words;
  for (uint32_t& word : words) word = stream.Next32();
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), words.data(), 16);
  const std::array<uint8_t, 16> ciphertext = {
      0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
      0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
  EXPECT_EQ(bytes, ciphertext);
}

// A block never comes twice: the counter moves on, over refills too.
TEST(RandomStreamTest, BlocksDiffer) {
  RandomStream stream(RandomStream::Seed{});
  std::set<std::vector<uint32_t>> seen;
  for (int i = 0; i < 10'000; ++i) {
    std::vector<uint32_t> block;
    for (int word = 0; word < 4; ++word) block.push_back(stream.Next32());
    ASSERT_TRUE(seen.insert(block).second) << i;
  }
}

TEST(RandomStreamTest, BelowIsEvenAndInRange) {
  RandomStream stream(RandomStream::Seed{});
  EXPECT_EQ(stream.Below(1), 0u);
  for (uint32_t bound : {2u, 3u, 64u, 1000u}) {
    std::vector<double> count(bound);
    const double expected = 1000;
    for (uint32_t i = 0; i < bound * 1000; ++i) {
      const uint32_t drawn = stream.Below(bound);
      ASSERT_LT(drawn, bound);
      ++count[drawn];
    }
    double chi_squared = 0;
    for (double c : count)
      chi_squared += (c - expected) * (c - expected) / expected;
    EXPECT_LT(chi_squared, bound + 8 * std::sqrt(2.0 * bound)) << bound;
  }
}

TEST(RandomStreamTest, SystemSeedsDiffer) {
  EXPECT_NE(RandomStream::SystemSeed(), RandomStream::SystemSeed());
}

}  // namespace
}  // namespace godwit
