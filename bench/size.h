// SPDX-License-Identifier: BSD-3-Clause
// How much to measure: GODWIT_BENCH_SIZE=smoke|full, as scripts/bench sets it.
#ifndef GODWIT_BENCH_SIZE_H_
#define GODWIT_BENCH_SIZE_H_

#include <cstdlib>
#include <string_view>

namespace godwit {

inline bool IsFullSize() {
  const char* size = std::getenv("GODWIT_BENCH_SIZE");
  return size != nullptr && std::string_view(size) == "full";
}

}  // namespace godwit

#endif  // GODWIT_BENCH_SIZE_H_
