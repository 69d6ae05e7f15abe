// SPDX-License-Identifier: BSD-3-Clause
// How much to measure: GODWIT_BENCH_SIZE=smoke|full, as scripts/bench sets it;
// count, where instructions are counted instead of clocks (instructions.py).
#ifndef GODWIT_BENCH_SIZE_H_
#define GODWIT_BENCH_SIZE_H_

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace godwit {

enum class BenchSize : uint8_t { kSmoke, kFull, kCount };

inline BenchSize SizeOfBench() {
  const char* text = std::getenv("GODWIT_BENCH_SIZE");
  const std::string_view size = text == nullptr ? "" : text;
  if (size == "full") return BenchSize::kFull;
  return size == "count" ? BenchSize::kCount : BenchSize::kSmoke;
}

inline bool IsFullSize() { return SizeOfBench() == BenchSize::kFull; }

}  // namespace godwit

#endif  // GODWIT_BENCH_SIZE_H_
