// SPDX-License-Identifier: BSD-3-Clause
// What this machine takes, now, to read memory at random: stands beside every
// figure, so that a slow or noisy machine shows itself.
#ifndef GODWIT_BENCH_CALIBRATION_H_
#define GODWIT_BENCH_CALIBRATION_H_

#include <benchmark/benchmark.h>
#include <x86intrin.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "dataplane/table/memory.h"

namespace godwit {

// Of measurements of one thing: what a preempted one says does not count.
inline double Median(std::vector<uint32_t>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// TSC clocks a line: shuffled reads of `lines` lines of 64 bytes, prefetched in
// bursts of 32; the median of groups of
// bursts.
inline double CalibrationClocks(size_t lines) {
  constexpr size_t kBurst = 32;
  constexpr size_t kGroup = 32 * kBurst;  // so long that overlap is little
  constexpr size_t kMostGroups = 1 << 12;
  const BigMemory memory = BigMemory::Map(lines * 64, HugePages::kAuto);
  const std::span<std::byte> bytes = memory.bytes();
  std::vector<uint32_t> order(lines);
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::shuffle(order, std::mt19937_64(42));
  std::vector<uint32_t> clocks;
  uint64_t sum = 0;
  for (int round = 0; round < 2; ++round) {
    clocks.clear();
    for (size_t at = 0; at + kGroup <= lines && clocks.size() < kMostGroups;
         at += kGroup) {
      const uint64_t start = __rdtsc();
      for (size_t first = at; first < at + kGroup; first += kBurst) {
        for (size_t i = first; i < first + kBurst; ++i) {
          __builtin_prefetch(&bytes[size_t{order[i]} * 64]);
        }
        for (size_t i = first; i < first + kBurst; ++i) {
          sum += static_cast<uint64_t>(bytes[size_t{order[i]} * 64]);
        }
      }
      clocks.push_back(static_cast<uint32_t>(__rdtsc() - start));
    }
  }
  benchmark::DoNotOptimize(sum);
  return Median(clocks) / kGroup;
}

}  // namespace godwit

#endif  // GODWIT_BENCH_CALIBRATION_H_
