// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/random_stream.h"

#include <sys/random.h>

#include <cstring>

#include "dataplane/net/check.h"

namespace godwit {
namespace {

// FIPS 197 5.2: one step of the key schedule.
template <int kRoundConstant>
__m128i NextRoundKey(__m128i key) {
  __m128i word = _mm_aeskeygenassist_si128(key, kRoundConstant);
  word = _mm_shuffle_epi32(word, 0xff);
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

}  // namespace

RandomStream::RandomStream(const Seed& seed) {
  __m128i* const key = round_keys_;
  key[0] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&seed[0]));
  key[1] = NextRoundKey<0x01>(key[0]);
  key[2] = NextRoundKey<0x02>(key[1]);
  key[3] = NextRoundKey<0x04>(key[2]);
  key[4] = NextRoundKey<0x08>(key[3]);
  key[5] = NextRoundKey<0x10>(key[4]);
  key[6] = NextRoundKey<0x20>(key[5]);
  key[7] = NextRoundKey<0x40>(key[6]);
  key[8] = NextRoundKey<0x80>(key[7]);
  key[9] = NextRoundKey<0x1b>(key[8]);
  key[10] = NextRoundKey<0x36>(key[9]);
  std::memcpy(&counter_low_, &seed[16], 8);
  std::memcpy(&counter_high_, &seed[24], 8);
}

RandomStream::Seed RandomStream::SystemSeed() {
  Seed seed;
  GODWIT_CHECK(getrandom(seed.data(), seed.size(), 0) ==
               static_cast<ssize_t>(seed.size()));
  return seed;
}

void RandomStream::Refill() {
  __m128i block[kBlocks];
  for (__m128i& b : block) {
    b = _mm_set_epi64x(static_cast<int64_t>(counter_high_),
                       static_cast<int64_t>(counter_low_++));
    b = _mm_xor_si128(b, round_keys_[0]);
  }
  for (size_t round = 1; round < 10; ++round) {
    for (__m128i& b : block) b = _mm_aesenc_si128(b, round_keys_[round]);
  }
  for (size_t i = 0; i < kBlocks; ++i) {
    block[i] = _mm_aesenclast_si128(block[i], round_keys_[10]);
    _mm_store_si128(reinterpret_cast<__m128i*>(&words_[i * 4]), block[i]);
  }
  position_ = 0;
}

}  // namespace godwit
