// SPDX-License-Identifier: BSD-3-Clause
// What was measured in windows of time, and what of it counts.
#ifndef GODWIT_BENCH_END_TO_END_DELAYS_H_
#define GODWIT_BENCH_END_TO_END_DELAYS_H_

#include <rte_cycles.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace godwit {

// What is measured in windows of time counts as it was in the quietest quarter:
// others have these CPUs too.
inline constexpr double kQuiet = 0.25;
inline constexpr size_t kLeastInWindow = 1000;

// The value that `share` of the others are below.
inline double Quantile(std::vector<double>& values, double share) {
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(
                           share * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, at);
  return *at;
}

// How long frames were under way, in the order they came, in windows of time.
class Delays {
 public:
  // Memory for all of them is there, and touched, before the first.
  explicit Delays(size_t most) : clocks_(most) { windows_.push_back(0); }
  void Add(uint64_t clocks) {
    if (count_ == clocks_.size()) return;
    clocks_[count_++] =
        static_cast<uint32_t>(std::min<uint64_t>(clocks, UINT32_MAX));
  }
  void BeginWindow() { windows_.push_back(count_); }

  double PercentileNs(double share) { return ShareOf(0, count_, share); }
  // Of the window that a quarter are better than.
  double TypicalPercentileNs(double share) {
    std::vector<double> all;
    for (size_t i = 1; i < windows_.size(); ++i) {
      if (windows_[i] - windows_[i - 1] < kLeastInWindow) continue;
      all.push_back(ShareOf(windows_[i - 1], windows_[i], share));
    }
    return all.empty() ? PercentileNs(share) : Quantile(all, kQuiet);
  }

 private:
  // Reorders within the range.
  double ShareOf(size_t begin, size_t end, double share) {
    if (begin == end) return 0;
    const auto first = clocks_.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = clocks_.begin() + static_cast<std::ptrdiff_t>(end);
    const auto at = first + static_cast<std::ptrdiff_t>(
                                share * static_cast<double>(end - begin));
    std::nth_element(first, at, last);
    return *at * 1e9 / static_cast<double>(rte_get_tsc_hz());
  }

  std::vector<uint32_t> clocks_;
  std::vector<size_t> windows_;
  size_t count_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_BENCH_END_TO_END_DELAYS_H_
