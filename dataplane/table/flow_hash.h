// SPDX-License-Identifier: BSD-3-Clause
// The keyed hash of a flow's 40-byte key, in 12 AES rounds.
//
//   lane i = aes3(key[i] ^ secret[i])        i = 0, 1, 2 (the last 8 bytes
//   wide) hash   = low half of aes3(lane 0 ^ lane 1 ^ lane 2 ^ secret[3])
//
// Who does not know the secret can't aim flows at one bucket. Two keys that
// differ in one lane never collide before the last step (each lane is a
// permutation); two that differ in several must cancel differences through
// three AES rounds, where any differential has at least nine active S-boxes,
// so a probability of at most 2^-54: less than meeting by chance in the about
// 37 bits (bucket and tag) that flow_index uses. Independent lanes let the CPU
// overlap their rounds.
#ifndef GODWIT_DATAPLANE_TABLE_FLOW_HASH_H_
#define GODWIT_DATAPLANE_TABLE_FLOW_HASH_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace godwit {

inline constexpr size_t kFlowHashBytes = 40;

// 32 random bytes, kept secret; part of the state that outlives the process.
using FlowHashSeed = std::array<uint8_t, 32>;

// The seed, spread over the hash's four whitening words and four round keys.
// Made once; immutable; no pointers inside.
class FlowHash {
 public:
  explicit FlowHash(const FlowHashSeed& seed) {
    const __m128i start = Load(&seed[0]);
    const __m128i round_key = Load(&seed[16]);
    for (int i = 0; i < 8; ++i) {
      __m128i word = _mm_xor_si128(start, _mm_set1_epi32(i + 1));
      for (int round = 0; round < 10; ++round) {
        word = _mm_aesenc_si128(word, round_key);
      }
      words_[i] = word;
    }
  }

  // The hash of the kFlowHashBytes bytes at `key` (any alignment).
  uint64_t operator()(const void* key) const {
    const auto* bytes = static_cast<const uint8_t*>(key);
    __m128i a = _mm_xor_si128(Load(bytes), words_[0]);
    __m128i b = _mm_xor_si128(Load(bytes + 16), words_[1]);
    __m128i c = _mm_xor_si128(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes + 32)),
        words_[2]);
    for (size_t round = 4; round < 7; ++round) {
      a = _mm_aesenc_si128(a, words_[round]);
      b = _mm_aesenc_si128(b, words_[round]);
      c = _mm_aesenc_si128(c, words_[round]);
    }
    __m128i sum = _mm_xor_si128(_mm_xor_si128(a, b),  //
                                _mm_xor_si128(c, words_[3]));
    sum = _mm_aesenc_si128(sum, words_[7]);
    sum = _mm_aesenc_si128(sum, words_[4]);
    sum = _mm_aesenc_si128(sum, words_[5]);
    return static_cast<uint64_t>(_mm_cvtsi128_si64(sum));
  }

 private:
  static __m128i Load(const uint8_t* bytes) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  }

  // 0-3 whiten, 4-7 are round keys.
  __m128i words_[8];
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_TABLE_FLOW_HASH_H_
