// SPDX-License-Identifier: BSD-3-Clause
// A fuzzer's bytes, taken one after the other. Behind the end are zeros, so
// that every input means something and a shorter one means less.
#ifndef GODWIT_TESTS_FUZZ_SUPPORT_INPUT_H_
#define GODWIT_TESTS_FUZZ_SUPPORT_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/support/bytes.h"

namespace godwit {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  uint8_t Byte() { return at_ == end_ ? uint8_t{0} : *at_++; }
  uint16_t Word() {
    const uint8_t high = Byte();
    return static_cast<uint16_t>(high << 8 | Byte());
  }
  uint32_t Long() {
    const uint32_t high = Word();
    return high << 16 | Word();
  }
  // In [0, bound); bound is 1-256.
  size_t Below(size_t bound) { return Byte() % bound; }
  bool Flag() { return (Byte() & 1) != 0; }
  // At most so many.
  Bytes Take(size_t wanted) {
    const uint8_t* const from = at_;
    at_ += std::min(wanted, left());
    return Bytes(from, at_);
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_SUPPORT_INPUT_H_
