// SPDX-License-Identifier: BSD-3-Clause
// Unpredictable numbers at table speed: AES-128 in counter mode. A program that
// sees the l4ports of its own flows learns nothing about the next ones (RFC
// 6056 3.2), which a linear generator would let it compute.
#ifndef GODWIT_DATAPLANE_TABLE_RANDOM_STREAM_H_
#define GODWIT_DATAPLANE_TABLE_RANDOM_STREAM_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace godwit {

// Written by: its owner alone.
class RandomStream {
 public:
  // The AES key (16 bytes) and the first counter block (16 bytes, taken as a
  // little-endian number in each half; the low half counts).
  using Seed = std::array<uint8_t, 32>;

  explicit RandomStream(const Seed& seed);

  // A seed from the kernel; aborts if there is none to be had.
  static Seed SystemSeed();

  uint32_t Next32() {
    if (position_ == words_.size()) [[unlikely]]
      Refill();
    return words_[position_++];
  }

  // Uniform in [0, bound), 1 <= bound <= 65536; uneven by less than 2^-16.
  uint32_t Below(uint32_t bound) {
    return static_cast<uint32_t>((uint64_t{Next32()} * bound) >> 32);
  }

 private:
  static constexpr size_t kBlocks = 8;  // in flight together: hides latency

  void Refill();

  __m128i round_keys_[11];
  uint64_t counter_low_;
  uint64_t counter_high_;
  alignas(16) std::array<uint32_t, kBlocks * 4> words_;
  size_t position_ = kBlocks * 4;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_TABLE_RANDOM_STREAM_H_
