// SPDX-License-Identifier: BSD-3-Clause
// The net room: reading headers, a sum in full and by its difference.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/clock.h"
#include "bench/workload.h"
#include "dataplane/net/check.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/packet_view.h"
#include "tests/support/packet_samples.h"

namespace godwit {
namespace {

constexpr uint32_t kFrames = 1024;  // all of them fit the first caches

std::vector<Bytes> Datagrams(Family family) {
  std::vector<Bytes> frames;
  const IpAddress service =
      *IpAddress::Parse(family == Family::kV4 ? "192.0.2.53" : "2001:db8::53");
  for (uint32_t i = 0; i < kFrames; ++i) {
    const AddressAndPort remote = RemoteEnd(family, i);
    const Frame frame = UdpFrame({remote.address, service, remote.l4port, 53});
    frames.emplace_back(frame.bytes.begin(), frame.bytes.begin() + frame.size);
  }
  return frames;
}

void ParseBench(benchmark::State& state, const std::vector<Bytes>& frames) {
  uint64_t checksum = 0;
  uint64_t refused = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    for (const Bytes& frame : frames) {
      PacketView view;
      refused += ParseFrame(frame.data(), frame.size(), frame.size(), view) !=
                 ParseError::kNone;
      checksum += view.source_l4port + view.l4_offset;
    }
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * frames.size(),
             checksum);
  GODWIT_CHECK(refused == 0);
}

void ChecksumBench(benchmark::State& state) {
  std::vector<uint8_t> bytes(static_cast<size_t>(state.range(0)));
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(i * 7);
  }
  uint64_t checksum = 0;
  PacketMeter meter(state);
  for (auto _ : state) {
    for (int i = 0; i < 64; ++i) {
      benchmark::DoNotOptimize(bytes.data());
      benchmark::ClobberMemory();
      checksum += Checksum(bytes.data(), bytes.size());
    }
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * 64, checksum);
}
BENCHMARK(ChecksumBench)->Arg(20)->Arg(64)->Arg(1480);

// An address and an l4port replaced: what a translation does to a sum.
void ChecksumDeltaBench(benchmark::State& state) {
  const uint16_t delta = [] {
    ChecksumDelta change;
    change.RemoveAddress(*IpAddress::Parse("192.0.2.53"));
    change.AddAddressBytes(*IpAddress::Parse("198.51.100.7"));
    change.Remove16(0x1234);
    change.Add16(0x4321);
    return change.value();
  }();
  std::vector<uint16_t> sums(kFrames);
  for (uint32_t i = 0; i < kFrames; ++i) {
    sums[i] = static_cast<uint16_t>(i * 2551);
  }
  const std::vector<uint16_t> before = sums;
  PacketMeter meter(state);
  for (auto _ : state) {
    for (uint16_t& sum : sums) sum = ApplyDelta(sum, delta);
    benchmark::ClobberMemory();
    for (uint16_t& sum : sums) sum = ApplyDelta(sum, NegateDelta(delta));
    benchmark::ClobberMemory();
  }
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < kFrames; ++i) {
    // There and back; 0 and 0xffff are one sum.
    GODWIT_CHECK(sums[i] % 0xffff == before[i] % 0xffff);
    checksum += sums[i];
  }
  meter.Done(static_cast<uint64_t>(state.iterations()) * 2 * kFrames, checksum);
}
BENCHMARK(ChecksumDeltaBench);

void RegisterAll() {
  const auto add = [](const std::string& name, std::vector<Bytes> frames) {
    benchmark::RegisterBenchmark(
        ("ParseBench/" + name).c_str(),
        [frames = std::move(frames)](benchmark::State& state) {
          ParseBench(state, frames);
        });
  };
  add("udp_v4", Datagrams(Family::kV4));
  add("udp_v6", Datagrams(Family::kV6));
  std::vector<Bytes> every_kind;
  for (const PacketSample& sample : PacketSamples()) {
    every_kind.push_back(sample.packet.Frame());
  }
  add("every_kind", std::move(every_kind));
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
