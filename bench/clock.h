// SPDX-License-Identifier: BSD-3-Clause
// What the issues count in: TSC clocks a packet. Taken from the thread's CPU
// time, so that a neighbour on the same CPU doesn't count.
#ifndef GODWIT_BENCH_CLOCK_H_
#define GODWIT_BENCH_CLOCK_H_

#include <benchmark/benchmark.h>
#include <time.h>
#include <x86intrin.h>

#include <chrono>
#include <cstdint>

namespace godwit {

// Measured once, in 20 ms.
inline double ClocksPerNs() {
  static const double value = [] {
    const auto start = std::chrono::steady_clock::now();
    const uint64_t clocks = __rdtsc();
    while (std::chrono::steady_clock::now() - start <
           std::chrono::milliseconds(20)) {
    }
    const std::chrono::duration<double, std::nano> took =
        std::chrono::steady_clock::now() - start;
    return static_cast<double>(__rdtsc() - clocks) / took.count();
  }();
  return value;
}

// Made before the loop of a benchmark; Done() after it writes the counters
// "clk" (a packet), "packets" (a rate) and "checksum".
class PacketMeter {
 public:
  explicit PacketMeter(benchmark::State& state)
      : state_(state), start_ns_(CpuNs()) {}
  void Done(uint64_t packets, uint64_t checksum) {
    const double took_ns = CpuNs() - start_ns_;
    const auto count = static_cast<double>(packets);
    state_.counters["clk"] = took_ns * ClocksPerNs() / count;
    state_.counters["packets"] =
        benchmark::Counter(count, benchmark::Counter::kIsRate);
    state_.counters["checksum"] = static_cast<double>(checksum % 1'000'000);
  }

 private:
  static double CpuNs() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 +
           static_cast<double>(now.tv_nsec);
  }

  benchmark::State& state_;
  double start_ns_;
};

}  // namespace godwit

#endif  // GODWIT_BENCH_CLOCK_H_
