// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/flow_hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <random>
#include <unordered_set>
#include <vector>

namespace godwit {
namespace {

using Block = std::array<uint8_t, 16>;
using Key = std::array<uint8_t, kFlowHashBytes>;

// FIPS 197 5.1.1, from the definition: the inverse in GF(2^8), then the affine
// transformation.
uint8_t Multiply(uint8_t a, uint8_t b) {
  unsigned product = 0;
  for (unsigned x = a, y = b; y != 0; y >>= 1) {
    if ((y & 1) != 0) product ^= x;
    x = (x << 1) ^ ((x & 0x80) != 0 ? 0x11bu : 0u);
  }
  return static_cast<uint8_t>(product);
}

uint8_t SubByte(uint8_t value) {
  uint8_t inverse = 1;
  for (int i = 0; i < 254; ++i) inverse = Multiply(inverse, value);
  uint8_t result = 0x63;
  for (int i = 0; i < 5; ++i) result ^= std::rotl(inverse, i);
  return result;
}

const std::array<uint8_t, 256>& Sbox() {
  static const std::array<uint8_t, 256> table = [] {
    std::array<uint8_t, 256> t;
    for (size_t i = 0; i < 256; ++i) t[i] = SubByte(static_cast<uint8_t>(i));
    return t;
  }();
  return table;
}

Block Xor(Block a, const Block& b) {
  for (size_t i = 0; i < 16; ++i) a[i] ^= b[i];
  return a;
}

// One AES round: ShiftRows, SubBytes, MixColumns, AddRoundKey.
Block AesRound(const Block& in, const Block& round_key) {
  Block shifted;
  for (size_t column = 0; column < 4; ++column) {
    for (size_t row = 0; row < 4; ++row) {
      shifted[column * 4 + row] = Sbox()[in[(column + row) % 4 * 4 + row]];
    }
  }
  Block mixed;
  for (size_t i = 0; i < 16; ++i) {
    const size_t column = i / 4 * 4;
    mixed[i] = static_cast<uint8_t>(
        Multiply(shifted[i], 2) ^ Multiply(shifted[column + (i + 1) % 4], 3) ^
        shifted[column + (i + 2) % 4] ^ shifted[column + (i + 3) % 4]);
  }
  return Xor(mixed, round_key);
}

// The plain twin of FlowHash.
uint64_t PlainFlowHash(const FlowHashSeed& seed, const Key& key) {
  Block start;
  Block round_key;
  std::memcpy(start.data(), &seed[0], 16);
  std::memcpy(round_key.data(), &seed[16], 16);
  std::array<Block, 8> word;
  for (uint8_t i = 0; i < 8; ++i) {
    word[i] = start;
    for (size_t byte = 0; byte < 16; byte += 4) word[i][byte] ^= i + 1;
    for (int round = 0; round < 10; ++round)
      word[i] = AesRound(word[i], round_key);
  }
  Block sum = word[3];
  for (size_t lane = 0; lane < 3; ++lane) {
    Block block{};
    std::memcpy(block.data(), &key[lane * 16], lane == 2 ? 8 : 16);
    block = Xor(block, word[lane]);
    for (size_t round = 4; round < 7; ++round)
      block = AesRound(block, word[round]);
    sum = Xor(sum, block);
  }
  for (const size_t round : {size_t{7}, size_t{4}, size_t{5}})
    sum = AesRound(sum, word[round]);
  uint64_t low;
  std::memcpy(&low, sum.data(), 8);
  return low;
}

template <size_t kBytes>
std::array<uint8_t, kBytes> RandomBytes(std::mt19937_64& random) {
  std::array<uint8_t, kBytes> bytes;
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

TEST(FlowHashTest, TwinKnowsAes) {
  EXPECT_EQ(Sbox()[0x00], 0x63);
  EXPECT_EQ(Sbox()[0x53], 0xed);  // FIPS 197 4.2.1's example
}

TEST(FlowHashTest, EqualsItsPlainTwin) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const auto seed = RandomBytes<32>(random);
    const auto key = RandomBytes<kFlowHashBytes>(random);
    ASSERT_EQ(FlowHash(seed)(key.data()), PlainFlowHash(seed, key)) << i;
  }
}

TEST(FlowHashTest, ReadsExactlyItsKey) {
  std::mt19937_64 random(2);
  const FlowHash hash(RandomBytes<32>(random));
  auto padded = RandomBytes<kFlowHashBytes + 2>(random);
  const uint64_t before = hash(&padded[1]);
  padded.front() ^= 1;
  padded.back() ^= 1;
  EXPECT_EQ(hash(&padded[1]), before);
}

// Each key bit flips each hash bit in half of the cases: 2000 draws, so five
// standard deviations are 0.056.
TEST(FlowHashTest, EveryKeyBitReachesEveryHashBit) {
  constexpr int kDraws = 2000;
  std::mt19937_64 random(3);
  const FlowHash hash(RandomBytes<32>(random));
  for (size_t bit = 0; bit < kFlowHashBytes * 8; ++bit) {
    std::array<int, 64> flips{};
    for (int draw = 0; draw < kDraws; ++draw) {
      auto key = RandomBytes<kFlowHashBytes>(random);
      const uint64_t before = hash(key.data());
      key[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
      const uint64_t changed = before ^ hash(key.data());
      for (size_t i = 0; i < 64; ++i)
        flips[i] += static_cast<int>(changed >> i & 1);
    }
    for (size_t i = 0; i < 64; ++i) {
      ASSERT_NEAR(flips[i] / double{kDraws}, 0.5, 0.07)
          << "key bit " << bit << ", hash bit " << i;
    }
  }
}

// Chi-squared of counted keys (the flows of a scan: one address after the
// other, one l4port after the other) over 4096 buckets by low and by high
// bits: 4095 +- 6 * 90.5.
TEST(FlowHashTest, SpreadsKeysThatCountUp) {
  std::mt19937_64 random(4);
  const FlowHash hash(RandomBytes<32>(random));
  for (size_t counted : {size_t{12}, size_t{28}, size_t{32}}) {
    std::vector<double> low(4096);
    std::vector<double> high(4096);
    Key key{};
    for (uint32_t i = 0; i < 1 << 20; ++i) {
      std::memcpy(&key[counted], &i, 4);
      const uint64_t value = hash(key.data());
      ++low[value & 4095];
      ++high[value >> 52];
    }
    for (const auto& buckets : {low, high}) {
      double chi_squared = 0;
      for (double count : buckets)
        chi_squared += (count - 256) * (count - 256) / 256;
      EXPECT_NEAR(chi_squared, 4095, 543) << "counted at byte " << counted;
    }
  }
}

// 2^22 keys in 2^64 values: a single collision has a chance of 5e-7.
TEST(FlowHashTest, SimilarKeysDoNotCollide) {
  std::mt19937_64 random(5);
  const FlowHash hash(RandomBytes<32>(random));
  std::unordered_set<uint64_t> seen;
  Key key{};
  for (uint32_t address = 0; address < 1 << 11; ++address) {
    for (uint32_t l4port = 0; l4port < 1 << 11; ++l4port) {
      std::memcpy(&key[12], &address, 4);
      std::memcpy(&key[32], &l4port, 4);
      ASSERT_TRUE(seen.insert(hash(key.data())).second);
    }
  }
}

TEST(FlowHashTest, OtherSeedOtherHash) {
  std::mt19937_64 random(6);
  const auto key = RandomBytes<kFlowHashBytes>(random);
  const auto seed = RandomBytes<32>(random);
  for (size_t bit = 0; bit < 256; ++bit) {
    auto other = seed;
    other[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    const uint64_t changed =
        FlowHash(seed)(key.data()) ^ FlowHash(other)(key.data());
    EXPECT_GT(std::popcount(changed), 8) << "seed bit " << bit;
  }
}

}  // namespace
}  // namespace godwit
