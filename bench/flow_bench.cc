// SPDX-License-Identifier: BSD-3-Clause
// The flow room: choosing an l4port while a destination fills up, asking a
// flow index of 128-byte entries as the flow table does; TCP's table.
#include <benchmark/benchmark.h>
#include <x86intrin.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <vector>

#include "bench/clock.h"
#include "bench/size.h"
#include "dataplane/flow/l4port_pool.h"
#include "dataplane/flow/tcp_state.h"
#include "dataplane/net/check.h"
#include "dataplane/table/flow_hash.h"
#include "dataplane/table/flow_index.h"
#include "dataplane/table/memory.h"

namespace godwit {
namespace {

constexpr uint32_t kBlock = 64512;  // 1024-65535

// Single measurements; one costs two reads of the TSC (about 10 ns), which
// are left in.
class Latencies {
 public:
  Latencies() { clocks_.reserve(1 << 22); }
  void Add(uint64_t clocks) {
    if (clocks_.size() < clocks_.capacity())
      clocks_.push_back(static_cast<uint32_t>(clocks));
  }
  void Report(benchmark::State& state) {
    std::ranges::sort(clocks_);
    const auto at = [&](double share) {
      const auto rank = share * static_cast<double>(clocks_.size() - 1);
      return clocks_[static_cast<size_t>(rank)] / ClocksPerNs();
    };
    state.counters["p50_ns"] = at(0.5);
    state.counters["p99_ns"] = at(0.99);
    state.counters["p999_ns"] = at(0.999);
  }

 private:
  std::vector<uint32_t> clocks_;
};

struct alignas(64) Entry {
  uint64_t destination;
  uint64_t l4port;
  uint64_t rest[14];
};

// Flows of one worker towards some destinations, as the flow table keeps them.
class Flows {
 public:
  explicit Flows(uint32_t capacity)
      : buckets_(FlowIndex::BucketsFor(uint64_t{2} * capacity)),
        memory_(BigMemory::Map(FlowIndex::BytesFor(buckets_) +
                                   BytesToTake<Entry>(capacity) +
                                   L4portPool::BytesFor(capacity),
                               HugePages::kAuto)),
        rest_(memory_.bytes().subspan(FlowIndex::BytesFor(buckets_))),
        entries_(Take<Entry>(rest_, capacity)),
        index_(memory_.bytes(), buckets_),
        hash_(FlowHashSeed{1}),
        pool_(std::make_unique<L4portPool>(rest_, capacity,
                                           RandomStream::Seed{2})) {
    pool_->SetBlock(Block());
    for (uint32_t i = 0; i < capacity; ++i) free_.push_back(i);
    std::ranges::shuffle(free_, std::mt19937(3));
  }

  L4portPool::Candidate Draw(uint64_t destination) {
    const L4portPool::Candidate first = pool_->Draw(destination);
    index_.Prefetch(Hash(destination, first.l4port));
    return first;
  }
  L4portResult Allocate(uint64_t destination) {
    return Allocate(destination, pool_->Draw(destination));
  }
  L4portResult Allocate(uint64_t destination, L4portPool::Candidate first) {
    return pool_->Allocate(destination, first, [&](uint16_t l4port) {
      return index_.Find(Hash(destination, l4port), [&](uint32_t value) {
        return entries_[value].destination == destination &&
               entries_[value].l4port == l4port;
      }) != FlowIndex::kNone;
    });
  }
  void Store(uint64_t destination, uint16_t l4port) {
    const uint32_t entry = free_.back();
    free_.pop_back();
    entries_[entry].destination = destination;
    entries_[entry].l4port = l4port;
    GODWIT_CHECK(index_.Insert(Hash(destination, l4port), entry) ==
                 FlowIndex::InsertResult::kInserted);
    live_.push_back(entry);
  }
  // Ends any one flow.
  void EndOne(std::mt19937_64& random) {
    std::swap(live_[random() % live_.size()], live_.back());
    const uint32_t entry = live_.back();
    live_.pop_back();
    const uint64_t destination = entries_[entry].destination;
    const auto l4port = static_cast<uint16_t>(entries_[entry].l4port);
    GODWIT_CHECK(index_.Erase(Hash(destination, l4port), entry));
    pool_->Free(destination, l4port);
    free_.push_back(entry);
  }
  L4portPool& pool() { return *pool_; }

 private:
  static std::vector<uint16_t> Block() {
    std::vector<uint16_t> block(kBlock);
    for (uint32_t i = 0; i < kBlock; ++i)
      block[i] = static_cast<uint16_t>(1024 + i);
    return block;
  }
  uint64_t Hash(uint64_t destination, uint16_t l4port) const {
    const std::array<uint64_t, 5> key = {destination, 1, l4port, 2, 3};
    return hash_(key.data());
  }

  uint32_t buckets_;
  BigMemory memory_;
  std::span<std::byte> rest_;
  std::span<Entry> entries_;
  FlowIndex index_;
  FlowHash hash_;
  std::unique_ptr<L4portPool> pool_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> live_;
};

// One flow ends, one begins, at a fill of range(0) in a thousand of all
// l4ports of one destination. Measured: Allocate() alone, one by one.
void L4portPoolBench(benchmark::State& state) {
  Flows flows(1 << 17);
  std::mt19937_64 random(42);
  const uint64_t destination = random();
  const uint64_t fill =
      uint64_t{kBlock} * static_cast<uint64_t>(state.range(0)) / 1000;
  for (uint64_t i = 0; i < fill; ++i)
    flows.Store(destination, flows.Allocate(destination).l4port);
  Latencies latencies;
  uint64_t checksum = 0;
  uint64_t refused = 0;
  for (auto _ : state) {
    const uint64_t start = __rdtsc();
    const L4portResult result = flows.Allocate(destination);
    latencies.Add(__rdtsc() - start);
    if (result.status != L4portStatus::kOk) {
      ++refused;
      continue;
    }
    checksum += result.l4port;
    flows.Store(destination, result.l4port);
    flows.EndOne(random);
  }
  GODWIT_CHECK(refused == 0);
  latencies.Report(state);
  state.counters["checksum"] = static_cast<double>(checksum % 1'000'000);
}
BENCHMARK(L4portPoolBench)->Arg(0)->Arg(500)->Arg(900)->Arg(990)->Arg(999);

// The same as the flows of a burst of 32 are made: all drawn and prefetched,
// then all taken. Measured: both steps of each.
void L4portPoolBurstBench(benchmark::State& state) {
  constexpr size_t kBurst = 32;
  Flows flows(1 << 17);
  std::mt19937_64 random(42);
  const uint64_t destination = random();
  const uint64_t fill =
      uint64_t{kBlock} * static_cast<uint64_t>(state.range(0)) / 1000;
  for (uint64_t i = 0; i < fill; ++i)
    flows.Store(destination, flows.Allocate(destination).l4port);
  Latencies latencies;
  uint64_t checksum = 0;
  for (auto _ : state) {
    std::array<L4portPool::Candidate, kBurst> first;
    std::array<uint64_t, kBurst> took;
    for (size_t i = 0; i < kBurst; ++i) {
      const uint64_t start = __rdtsc();
      first[i] = flows.Draw(destination);
      took[i] = __rdtsc() - start;
    }
    for (size_t i = 0; i < kBurst; ++i) {
      const uint64_t start = __rdtsc();
      const L4portResult result = flows.Allocate(destination, first[i]);
      latencies.Add(took[i] + __rdtsc() - start);
      GODWIT_CHECK(result.status == L4portStatus::kOk);
      checksum += result.l4port;
      flows.Store(destination, result.l4port);
    }
    for (size_t i = 0; i < kBurst; ++i) flows.EndOne(random);
  }
  latencies.Report(state);
  state.counters["packets"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBurst,
                         benchmark::Counter::kIsRate);
  state.counters["checksum"] = static_cast<double>(checksum % 1'000'000);
}
BENCHMARK(L4portPoolBurstBench)->Arg(0)->Arg(500)->Arg(900)->Arg(990);

// From no flow to one destination to its last l4port and the refusal.
void L4portPoolFillBench(benchmark::State& state) {
  uint64_t checksum = 0;
  Latencies latencies;
  for (auto _ : state) {
    state.PauseTiming();
    auto flows = std::make_unique<Flows>(1 << 17);
    state.ResumeTiming();
    uint32_t given = 0;
    for (;;) {
      const uint64_t start = __rdtsc();
      const L4portResult result = flows->Allocate(7);
      latencies.Add(__rdtsc() - start);
      if (result.status != L4portStatus::kOk) break;
      flows->Store(7, result.l4port);
      checksum += result.l4port;
      ++given;
    }
    GODWIT_CHECK(given == kBlock);
    state.PauseTiming();
    flows.reset();
    state.ResumeTiming();
  }
  latencies.Report(state);
  state.counters["packets"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBlock,
                         benchmark::Counter::kIsRate);
  state.counters["checksum"] = static_cast<double>(checksum % 1'000'000);
}
BENCHMARK(L4portPoolFillBench)->Unit(benchmark::kMillisecond);

// Many destinations with a few flows each: nothing becomes dense.
void L4portPoolSparseBench(benchmark::State& state) {
  const auto live = static_cast<uint32_t>(state.range(0));
  Flows flows(live + 1);
  std::mt19937_64 random(42);
  std::vector<uint64_t> destinations(live / 4);
  for (uint64_t& destination : destinations) destination = random();
  const auto begin_one = [&] {
    const uint64_t destination = destinations[random() % destinations.size()];
    const uint64_t start = __rdtsc();
    const L4portResult result = flows.Allocate(destination);
    const uint64_t took = __rdtsc() - start;
    GODWIT_CHECK(result.status == L4portStatus::kOk);
    flows.Store(destination, result.l4port);
    return took;
  };
  for (uint32_t i = 0; i < live; ++i) begin_one();
  Latencies latencies;
  for (auto _ : state) {
    flows.EndOne(random);
    latencies.Add(begin_one());
  }
  GODWIT_CHECK(flows.pool().dense_destinations() == 0);
  latencies.Report(state);
  state.counters["checksum"] = static_cast<double>(random() % 1'000'000);
}

// One destination, all l4ports taken.
void SetBlockBench(benchmark::State& state) {
  Flows flows(1 << 17);
  for (uint32_t i = 0; i < kBlock; ++i)
    flows.Store(7, flows.Allocate(7).l4port);
  std::vector<uint16_t> block(kBlock - 2);
  for (uint32_t i = 0; i < kBlock - 2; ++i)
    block[i] = static_cast<uint16_t>(1026 + i);
  for (auto _ : state) flows.pool().SetBlock(block);
  state.counters["checksum"] = flows.pool().dense_destinations();
}
BENCHMARK(SetBlockBench)->Unit(benchmark::kMicrosecond);

void TcpStateBench(benchmark::State& state) {
  std::mt19937 random(42);
  std::vector<uint8_t> packets(4096);
  for (uint8_t& packet : packets) packet = static_cast<uint8_t>(random());
  auto tcp_state = TcpState::kClosed;
  uint64_t checksum = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    for (const uint8_t packet : packets) {
      const TcpSide side{static_cast<uint8_t>(packet >> 7)};
      tcp_state = TcpNext(tcp_state, side, TcpEventOf(packet)).next;
      checksum += static_cast<uint8_t>(tcp_state);
    }
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * 4096, checksum);
}
BENCHMARK(TcpStateBench);

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  benchmark::RegisterBenchmark("L4portPoolSparseBench",
                               godwit::L4portPoolSparseBench)
      ->Arg(godwit::IsFullSize() ? 1 << 20 : 1 << 16);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
