// SPDX-License-Identifier: BSD-3-Clause
// The table room: hash, index, wheel, random numbers. Bursts of 64, shuffled
// keys, entries whose hot part is one cache line. "calibration" is what the
// machine takes for shuffled reads of as many 64-byte lines in bursts of 32.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "bench/clock.h"
#include "bench/size.h"
#include "dataplane/net/check.h"
#include "dataplane/table/flow_hash.h"
#include "dataplane/table/flow_index.h"
#include "dataplane/table/memory.h"
#include "dataplane/table/random_stream.h"
#include "dataplane/table/timer_wheel.h"

namespace godwit {
namespace {

constexpr size_t kBurst = 64;

struct Key {
  std::array<uint64_t, 5> words;
};
static_assert(sizeof(Key) == kFlowHashBytes);

// As a flow table's entry is: what a lookup reads in one line of two.
struct alignas(64) Entry {
  Key key;
  uint64_t verdict;
  uint64_t rest[10];
};
static_assert(sizeof(Entry) == 128);

FlowHashSeed BenchSeed() {
  FlowHashSeed seed;
  for (uint8_t i = 0; i < seed.size(); ++i)
    seed[i] = static_cast<uint8_t>(i * 7);
  return seed;
}

void FlowHashBench(benchmark::State& state) {
  const FlowHash hash(BenchSeed());
  std::array<Key, kBurst> keys{};
  for (size_t i = 0; i < kBurst; ++i) keys[i].words[4] = i;
  uint64_t checksum = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    for (const Key& key : keys) checksum += hash(&key);
    keys[0].words[0] = checksum;
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * kBurst, checksum);
}
BENCHMARK(FlowHashBench);

void RandomStreamBench(benchmark::State& state) {
  RandomStream random(BenchSeed());
  uint64_t checksum = 0;
  PacketMeter meter(state);
  for (auto _ : state) checksum += random.Below(64512);
  meter.Done(static_cast<uint64_t>(state.iterations()), checksum);
}
BENCHMARK(RandomStreamBench);

// `flows` entries, two keys each (as the two sides of a flow are), and the
// keys in a shuffled order.
struct Table {
  explicit Table(uint32_t flows)
      : hash(BenchSeed()),
        buckets(FlowIndex::BucketsFor(uint64_t{2} * flows)),
        memory(BigMemory::Map(
            FlowIndex::BytesFor(buckets) + BytesToTake<Entry>(flows),
            HugePages::kAuto)),
        rest(memory.bytes().subspan(FlowIndex::BytesFor(buckets))),
        entries(Take<Entry>(rest, flows)),
        index(memory.bytes(), buckets) {
    std::mt19937_64 random(42);
    for (uint32_t i = 0; i < flows; ++i) {
      for (uint64_t& word : entries[i].key.words) word = random();
      entries[i].verdict = i;
      for (uint32_t side = 0; side < 2; ++side) Insert(i, side);
    }
    for (uint32_t i = 0; i < 2 * flows; ++i) order.push_back(i);
    std::ranges::shuffle(order, random);
    for (uint32_t value : order) keys.push_back(KeyOf(value));
  }
  // The other side's key is the same with its ends exchanged.
  Key KeyOf(uint32_t value) const {
    Key key = entries[value >> 1].key;
    if ((value & 1) != 0) std::swap(key.words[0], key.words[2]);
    return key;
  }
  bool Matches(uint32_t value, const Key& key) const {
    const Key& stored = entries[value >> 1].key;
    const size_t first = (value & 1) != 0 ? 2 : 0;
    return stored.words[first] == key.words[0] &&
           stored.words[1] == key.words[1] &&
           stored.words[2 - first] == key.words[2] &&
           stored.words[3] == key.words[3] && stored.words[4] == key.words[4];
  }
  void Insert(uint32_t flow, uint32_t side) {
    const uint32_t value = flow << 1 | side;
    const Key key = KeyOf(value);
    GODWIT_CHECK(index.Insert(hash(&key), value) ==
                 FlowIndex::InsertResult::kInserted);
  }

  FlowHash hash;
  uint32_t buckets;
  BigMemory memory;
  std::span<std::byte> rest;
  std::span<Entry> entries;
  FlowIndex index;
  std::vector<uint32_t> order;
  std::vector<Key> keys;  // as they arrive: read in sequence, like packets
};

// Hash, bucket, entry, verdict; every key is known.
void FlowIndexFindBench(benchmark::State& state) {
  const Table table(static_cast<uint32_t>(state.range(0)));
  uint64_t checksum = 0;
  uint64_t missed = 0;
  size_t at = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    std::array<uint64_t, kBurst> hash;
    if (at + kBurst > table.keys.size()) at = 0;
    const Key* keys = &table.keys[at];
    at += kBurst;
    for (size_t i = 0; i < kBurst; ++i) {
      hash[i] = table.hash(&keys[i]);
      table.index.Prefetch(hash[i]);
    }
    for (size_t i = 0; i < kBurst; ++i) {
      const uint32_t candidate = table.index.Candidate(hash[i]);
      if (candidate != FlowIndex::kNone)
        __builtin_prefetch(&table.entries[candidate >> 1]);
    }
    for (size_t i = 0; i < kBurst; ++i) {
      const uint32_t found = table.index.Find(hash[i], [&](uint32_t value) {
        return table.Matches(value, keys[i]);
      });
      if (found == FlowIndex::kNone) {
        ++missed;
      } else {
        checksum += table.entries[found >> 1].verdict;
      }
    }
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * kBurst, checksum);
  GODWIT_CHECK(missed == 0);
  state.counters["load"] = static_cast<double>(table.index.size()) /
                           static_cast<double>(table.index.slots());
}

// The same footprint (index and hot half of the entries), two lines a packet.
void CalibrationBench(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  const size_t index_bytes =
      FlowIndex::BytesFor(FlowIndex::BucketsFor(uint64_t{2} * flows));
  const size_t lines = index_bytes / 64 + flows;
  const BigMemory memory = BigMemory::Map(lines * 64, HugePages::kAuto);
  std::vector<uint32_t> order(lines);
  for (uint32_t i = 0; i < lines; ++i) order[i] = i;
  std::ranges::shuffle(order, std::mt19937_64(42));
  uint64_t checksum = 0;
  size_t at = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    if (at + 32 > lines) at = 0;
    for (size_t i = 0; i < 32; ++i)
      __builtin_prefetch(&memory.bytes()[size_t{order[at + i]} * 64]);
    for (size_t i = 0; i < 32; ++i)
      checksum +=
          static_cast<uint64_t>(memory.bytes()[size_t{order[at + i]} * 64]);
    at += 32;
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * 32, checksum);
}

// Keys that are not there: the first packet of a flow.
void FlowIndexMissBench(benchmark::State& state) {
  const Table table(static_cast<uint32_t>(state.range(0)));
  std::mt19937_64 random(7);
  std::vector<uint64_t> hashes(1 << 16);
  for (uint64_t& hash : hashes) hash = random();
  uint64_t found = 0;
  size_t at = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    const uint64_t* burst = &hashes[at];
    at = (at + kBurst) % hashes.size();
    for (size_t i = 0; i < kBurst; ++i) table.index.Prefetch(burst[i]);
    for (size_t i = 0; i < kBurst; ++i) {
      found += table.index.Find(burst[i], [](uint32_t) { return false; }) !=
               FlowIndex::kNone;
    }
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * kBurst, found);
  GODWIT_CHECK(found == 0);
}

// One key comes and one goes, at a load of range(1) percent.
void FlowIndexChurnBench(benchmark::State& state) {
  const uint32_t buckets =
      FlowIndex::BucketsFor(static_cast<uint64_t>(state.range(0)));
  const BigMemory memory =
      BigMemory::Map(FlowIndex::BytesFor(buckets), HugePages::kAuto);
  FlowIndex index(memory.bytes(), buckets);
  const size_t keys =
      index.slots() / 100 * static_cast<uint64_t>(state.range(1));
  std::mt19937_64 random(42);
  std::vector<uint64_t> hashes(keys + kBurst);
  for (uint64_t& hash : hashes) hash = random();
  uint64_t full = 0;
  for (uint32_t i = 0; i < keys; ++i)
    full += index.Insert(hashes[i], i) == FlowIndex::InsertResult::kFull;
  // The oldest goes; its successor takes its value and a fresh hash.
  uint32_t oldest = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    std::array<uint64_t, kBurst> fresh;
    for (uint64_t& hash : fresh) {
      hash = random();
      index.Prefetch(hash);
    }
    for (uint32_t i = 0; i < kBurst; ++i)
      index.Prefetch(hashes[(oldest + i) % keys]);
    for (uint32_t i = 0; i < kBurst; ++i) {
      index.Erase(hashes[oldest], oldest);
      hashes[oldest] = fresh[i];
      full += index.Insert(fresh[i], oldest) == FlowIndex::InsertResult::kFull;
      oldest = oldest + 1 == keys ? 0 : oldest + 1;
    }
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * kBurst, index.size());
  GODWIT_CHECK(full == 0);
}

// Per entry: filed, moved later by the entry alone, looked at, gone.
void TimerWheelBench(benchmark::State& state) {
  const auto entries = static_cast<uint32_t>(state.range(0));
  std::vector<TimerWheel::Link> links(entries);
  std::vector<uint32_t> deadline(entries);
  std::vector<uint32_t> order(entries);
  for (uint32_t i = 0; i < entries; ++i) order[i] = i;
  std::ranges::shuffle(order, std::mt19937_64(42));
  const auto wheel = std::make_unique<TimerWheel>(links, 0);
  uint32_t now = 0;
  uint64_t gone = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    for (uint32_t entry : order) {
      deadline[entry] = now + 3000;  // 300 s
      wheel->Add(entry, now + 2900);
    }
    for (uint32_t end = now + 3001; now != end; ++now) {
      wheel->Advance(now + 1, UINT32_MAX,
                     [&](uint32_t entry) -> std::optional<uint32_t> {
                       if (!TickAfter(now + 1, deadline[entry]))
                         return deadline[entry];
                       ++gone;
                       return std::nullopt;
                     });
    }
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * entries, gone);
  GODWIT_CHECK(gone == static_cast<uint64_t>(state.iterations()) * entries);
}

void RegisterAll() {
  std::vector<int64_t> sizes = {1 << 10, 1 << 16};
  if (IsFullSize()) sizes = {1 << 10, 1 << 16, 1 << 20, 1 << 22};
  for (const int64_t flows : sizes) {
    benchmark::RegisterBenchmark("FlowIndexFindBench", FlowIndexFindBench)
        ->Arg(flows);
    benchmark::RegisterBenchmark("CalibrationBench", CalibrationBench)
        ->Arg(flows);
    benchmark::RegisterBenchmark("FlowIndexMissBench", FlowIndexMissBench)
        ->Arg(flows);
    for (const int64_t load : {50, 85}) {
      benchmark::RegisterBenchmark("FlowIndexChurnBench", FlowIndexChurnBench)
          ->Args({2 * flows, load});
    }
  }
  benchmark::RegisterBenchmark("TimerWheelBench", TimerWheelBench)
      ->Arg(1 << 10)
      ->Arg(IsFullSize() ? 1 << 20 : 1 << 16)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  godwit::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
