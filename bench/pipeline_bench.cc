// SPDX-License-Identifier: BSD-3-Clause
// All stages on real buffers, without a device (pipeline.h). Minimal UDP
// datagrams with right checksums, shuffled; every packet that comes out is
// looked at: device, addresses, checksums; and what was counted afterwards.
//
// "clk" is the median burst's TSC clocks a packet, "calib" what one shuffled
// read of a cache line takes over the same footprint (calibration.h), "packets"
// the rate with each batch of 15 bursts taken as its median. A table holds
// twice the flows of the row.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include "bench/calibration.h"
#include "bench/clock.h"
#include "bench/pipeline.h"
#include "bench/size.h"

namespace godwit {
namespace {

constexpr uint16_t kServiceL4Port = 53;
constexpr uint16_t kOriginL4Port = 443;
constexpr uint32_t kBatch = Pipeline::kBatch;

enum class Kind : uint8_t { kSteering, kTranslation };
enum class Way : uint8_t { kIn, kOut };

Frame Turned(const Frame& frame) {
  const Endpoints ends = EndpointsOf({frame.bytes.data(), frame.size});
  return UdpFrame({ends.destination, ends.source, ends.destination_l4port,
                   ends.source_l4port});
}

Frame FrameFrom(std::span<const uint8_t> bytes) {
  Frame frame{};
  frame.size = static_cast<uint16_t>(bytes.size());
  std::ranges::copy(bytes, frame.bytes.begin());
  return frame;
}

// What comes out, held against what is right; any difference aborts.
class Inspector {
 public:
  Inspector(const Pipeline& pipeline, Kind kind, Way way, Family family)
      : pipeline_(pipeline), kind_(kind), way_(way) {
    unicast_ = pipeline.Unicast(family);
  }
  void Look(const Frame& sent, DeviceId device,
            std::span<const uint8_t> frame) {
    const std::span<const uint8_t> before(sent.bytes.data(), sent.size);
    GODWIT_CHECK(frame.size() == before.size());
    const DeviceId right =
        way_ == Way::kIn ? pipeline_.queue_device(0) : pipeline_.uplink();
    GODWIT_CHECK(device == right);
    checksum_ += frame[33] + frame[37];
    if (kind_ == Kind::kSteering) {  // unchanged from the IP header up
      GODWIT_CHECK(std::ranges::equal(frame.subspan(14), before.subspan(14)));
      return;
    }
    GODWIT_CHECK(ChecksumsHold(frame));
    const Endpoints was = EndpointsOf(before);
    const Endpoints is = EndpointsOf(frame);
    if (way_ == Way::kOut) {
      GODWIT_CHECK(is.source == unicast_);
      GODWIT_CHECK(is.destination == was.destination &&
                   is.destination_l4port == was.destination_l4port);
    } else {
      GODWIT_CHECK(was.destination == unicast_ && is.destination != unicast_);
      GODWIT_CHECK(is.source == was.source &&
                   is.source_l4port == was.source_l4port);
    }
  }
  uint64_t checksum() const { return checksum_; }

 private:
  const Pipeline& pipeline_;
  Kind kind_;
  Way way_;
  IpAddress unicast_;
  uint64_t checksum_ = 0;
};

// Frame `number` of those that begin a flow: a client's, or the service's own
// program's, from the service address (the mistake godwit makes harmless).
Frame FirstFrame(const Pipeline& pipeline, Kind kind, Family family,
                 unsigned services, uint32_t number) {
  const AddressAndPort remote = RemoteEnd(family, number);
  const IpAddress service = pipeline.Service(family, number % services);
  if (kind == Kind::kSteering) {
    return UdpFrame({remote.address, service, remote.l4port, kServiceL4Port});
  }
  return UdpFrame({service, remote.address, remote.l4port, kOriginL4Port});
}

DeviceId SenderOf(const Pipeline& pipeline, Way way) {
  return way == Way::kIn ? pipeline.uplink() : pipeline.queue_device(0);
}

Way FirstWay(Kind kind) {
  return kind == Kind::kSteering ? Way::kIn : Way::kOut;
}
Way Opposite(Way way) { return way == Way::kIn ? Way::kOut : Way::kIn; }
Verdict EndOf(Way way) {
  return way == Way::kIn ? Verdict::kDelivered : Verdict::kSent;
}

// A pipeline with `flows` live flows of one kind, and their packets.
struct Established {
  Established(Kind kind, Family family, uint32_t flows, unsigned services);

  Pipeline pipeline;
  std::vector<Frame> first;  // the way that began the flows; shuffled
  std::vector<Frame> back;   // the other way; shuffled on its own
};

Established::Established(Kind kind, Family family, uint32_t flows,
                         unsigned services)
    : pipeline({.max_flows = 2 * flows, .services = services}) {
  const Way way = FirstWay(kind);
  std::vector<uint32_t> clocks;
  for (uint32_t i = 0; i < flows; ++i) {
    first.push_back(FirstFrame(pipeline, kind, family, services, i));
  }
  // Entries are given out in order: the packets come in another, always.
  std::mt19937_64 random(42);
  Inspector there(pipeline, kind, way, family);
  for (uint32_t at = 0; at < flows; at += kBatch) {
    const auto batch =
        std::span(first).subspan(at, std::min(kBatch, flows - at));
    size_t next = 0;
    pipeline.Send(SenderOf(pipeline, way), batch, clocks,
                  [&](DeviceId device, std::span<const uint8_t> frame) {
                    there.Look(batch[next++], device, frame);
                    back.push_back(Turned(FrameFrom(frame)));
                  });
  }
  std::ranges::shuffle(first, random);
  std::ranges::shuffle(back, random);
  Inspector home(pipeline, kind, Opposite(way), family);
  for (uint32_t at = 0; at < flows; at += kBatch) {
    const auto batch =
        std::span(back).subspan(at, std::min(kBatch, flows - at));
    size_t next = 0;
    pipeline.Send(SenderOf(pipeline, Opposite(way)), batch, clocks,
                  [&](DeviceId device, std::span<const uint8_t> frame) {
                    home.Look(batch[next++], device, frame);
                  });
  }
  const uint32_t live = kind == Kind::kSteering ? pipeline.flows().inbound()
                                                : pipeline.flows().mappings();
  GODWIT_CHECK(live == flows);
}

// The world of the last row serves the next one, if it is the same.
Established& EstablishedFor(Kind kind, Family family, uint32_t flows,
                            unsigned services) {
  struct Key {
    Kind kind;
    Family family;
    uint32_t flows;
    unsigned services;
    bool operator==(const Key&) const = default;
  };
  static std::unique_ptr<Established> world;
  static Key key{};
  const Key wanted = {kind, family, flows, services};
  if (world == nullptr || !(key == wanted)) {
    world.reset();
    world = std::make_unique<Established>(kind, family, flows, services);
    key = wanted;
  }
  return *world;
}

void Report(benchmark::State& state, std::vector<uint32_t>& clocks,
            size_t lines, uint64_t checksum) {
  state.counters["clk"] = Median(clocks) / Pipeline::kBurst;
  state.counters["calib"] = CalibrationClocks(lines);
  state.counters["packets"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBatch,
                         benchmark::Counter::kIsRate);
  state.counters["frames"] = static_cast<double>(state.iterations()) * kBatch;
  state.counters["checksum"] = static_cast<double>(checksum % 1'000'000);
}

// Seconds that the bursts from `from` on took, each counted as their median: a
// burst that lost its CPU is the machine's.
double SecondsOf(const std::vector<uint32_t>& clocks, size_t from) {
  std::vector<uint32_t> batch(
      clocks.begin() + static_cast<std::ptrdiff_t>(from), clocks.end());
  const auto bursts = static_cast<double>(batch.size());
  return Median(batch) * bursts / ClocksPerNs() / 1e9;
}

// kBatch frames of `frames` from `at` on, round and round.
std::span<const Frame> NextBatch(const std::vector<Frame>& frames, size_t& at,
                                 std::vector<Frame>& wrapped) {
  if (at + kBatch <= frames.size()) {
    at += kBatch;
    return std::span(frames).subspan(at - kBatch, kBatch);
  }
  wrapped.clear();
  for (uint32_t i = 0; i < kBatch; ++i) {
    wrapped.push_back(frames[(at + i) % frames.size()]);
  }
  at = (at + kBatch) % frames.size();
  return wrapped;
}

void FoundBench(benchmark::State& state, Kind kind, Way way, Family family,
                uint32_t flows, unsigned services) {
  Established& world = EstablishedFor(kind, family, flows, services);
  Pipeline& pipeline = world.pipeline;
  const auto& frames = way == FirstWay(kind) ? world.first : world.back;
  Inspector inspector(pipeline, kind, way, family);
  const uint64_t ended = pipeline.Count(EndOf(way));
  const uint64_t received = pipeline.received();
  pipeline.MarkFlows();
  std::vector<uint32_t> clocks;
  std::vector<Frame> wrapped;
  size_t at = 0;
  pipeline.CountFromHere();
  for (auto _ : state) {
    const size_t from = clocks.size();
    const auto batch = NextBatch(frames, at, wrapped);
    size_t next = 0;
    pipeline.Send(SenderOf(pipeline, way), batch, clocks,
                  [&](DeviceId device, std::span<const uint8_t> frame) {
                    inspector.Look(batch[next++], device, frame);
                  });
    state.SetIterationTime(SecondsOf(clocks, from));
  }
  const uint64_t packets = static_cast<uint64_t>(state.iterations()) * kBatch;
  GODWIT_CHECK(pipeline.received() - received == packets);
  GODWIT_CHECK(pipeline.Count(EndOf(way)) - ended == packets);
  GODWIT_CHECK(pipeline.MarkedFlows() == flows);  // a lookup run makes none
  Report(state, clocks, pipeline.LinesRead(flows), inspector.checksum());
}

// A row more: where the clocks of a found flow go.
void StagesBench(benchmark::State& state, Kind kind, Way way, Family family,
                 uint32_t flows) {
  Established& world = EstablishedFor(kind, family, flows, 1);
  Pipeline& pipeline = world.pipeline;
  const auto& frames = way == FirstWay(kind) ? world.first : world.back;
  Inspector inspector(pipeline, kind, way, family);
  StageClocks clocks;
  pipeline.MarkFlows();
  std::vector<Frame> wrapped;
  size_t at = 0;
  for (auto _ : state) {
    const size_t from = clocks.bursts[0].size();
    const auto batch = NextBatch(frames, at, wrapped);
    size_t next = 0;
    pipeline.SendByStage(SenderOf(pipeline, way), batch, clocks,
                         [&](DeviceId device, std::span<const uint8_t> frame) {
                           inspector.Look(batch[next++], device, frame);
                         });
    double seconds = 0;
    for (const auto& stage : clocks.bursts) seconds += SecondsOf(stage, from);
    state.SetIterationTime(seconds);
  }
  GODWIT_CHECK(pipeline.MarkedFlows() == flows);
  double sum = 0;
  for (size_t i = 0; i < StageClocks::kStages; ++i) {
    const double clk = Median(clocks.bursts[i]) / Pipeline::kBurst;
    state.counters[std::string("clk_") + StageClocks::kNames[i]] = clk;
    sum += clk;
  }
  state.counters["clk"] = sum;
  state.counters["packets"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBatch,
                         benchmark::Counter::kIsRate);
}

// Every packet begins a flow, in a table that is `percent` full; as many end
// between two batches, picked all over the table.
void NewBench(benchmark::State& state, Kind kind, Family family,
              uint32_t capacity, uint32_t percent) {
  Pipeline pipeline({.max_flows = capacity});
  std::vector<uint32_t> clocks;
  uint32_t number = 0;
  Inspector inspector(pipeline, kind, FirstWay(kind), family);
  const auto begin = [&](Kind what, uint32_t count) {
    std::vector<Frame> frames;
    for (uint32_t i = 0; i < count; ++i) {
      frames.push_back(FirstFrame(pipeline, what, family, 1, number++));
    }
    size_t next = 0;
    Inspector look(pipeline, what, FirstWay(what), family);
    Inspector& by = what == kind ? inspector : look;
    pipeline.Send(SenderOf(pipeline, FirstWay(what)), frames, clocks,
                  [&](DeviceId device, std::span<const uint8_t> frame) {
                    by.Look(frames[next++], device, frame);
                  });
  };
  // Half of either kind: neither may fill a table alone (flow_table.h).
  const uint32_t base = capacity / 100 * percent;
  for (uint32_t at = 0; at < base; at += kBatch) {
    begin(at / kBatch % 2 == 0 ? Kind::kSteering : Kind::kTranslation,
          std::min(kBatch, base - at));
  }
  const FlowKind flow_kind =
      kind == Kind::kSteering ? FlowKind::kInbound : FlowKind::kOriginated;
  clocks.clear();
  pipeline.CountFromHere();
  for (auto _ : state) {
    const size_t from = clocks.size();
    begin(kind, kBatch);
    state.SetIterationTime(SecondsOf(clocks, from));
    GODWIT_CHECK(pipeline.flows().inbound() + pipeline.flows().mappings() ==
                 base + kBatch);
    pipeline.EndFlows(flow_kind, kBatch, base + kBatch);
  }
  GODWIT_CHECK(pipeline.flows().evicted() == 0);
  Report(state, clocks, pipeline.LinesRead(base + kBatch),
         inspector.checksum());
}

// As many batches as show every flow twice, and enough for a median.
int64_t BatchesFor(uint32_t flows) {
  if (SizeOfBench() == BenchSize::kCount) return 16;
  const uint32_t least = IsFullSize() ? 4'000'000 : 200'000;
  return std::max(least, 2 * flows) / kBatch + 1;
}

void Register(const std::string& name, int64_t batches, auto run) {
  benchmark::RegisterBenchmark(name.c_str(), run)
      ->UseManualTime()
      ->Iterations(batches);
}

void RegisterFound(Kind kind, Family family, uint32_t flows,
                   unsigned services) {
  const std::string tail = std::string(family == Family::kV4 ? "v4/" : "v6/") +
                           std::to_string(flows) +
                           (services == 1 ? "" : "/services:10000");
  const Way first = FirstWay(kind);
  const bool steering = kind == Kind::kSteering;
  for (const Way way : {first, Opposite(first)}) {
    const char* name = steering ? (way == first ? "SteerIn/" : "SteerReply/")
                                : (way == first ? "NatOut/" : "NatReturn/");
    Register(name + tail, BatchesFor(flows), [=](benchmark::State& state) {
      FoundBench(state, kind, way, family, flows, services);
    });
  }
}

void RegisterAll() {
  std::vector<uint32_t> sizes = {1 << 10, 1 << 16};
  if (IsFullSize()) sizes = {1 << 10, 1 << 16, 1 << 20, 1 << 22};
  if (SizeOfBench() == BenchSize::kCount) sizes = {1 << 10};
  const uint32_t middle = 1 << 16;
  for (const Kind kind : {Kind::kSteering, Kind::kTranslation}) {
    const Way way = FirstWay(kind);
    const std::string name =
        kind == Kind::kSteering ? "StagesSteerIn/v4/" : "StagesNatOut/v4/";
    for (const Family family : {Family::kV4, Family::kV6}) {
      for (const uint32_t flows : sizes) {
        RegisterFound(kind, family, flows, 1);
      }
    }
    for (const uint32_t flows : sizes) {
      Register(name + std::to_string(flows), BatchesFor(flows),
               [=](benchmark::State& state) {
                 StagesBench(state, kind, way, Family::kV4, flows);
               });
    }
    if (kind == Kind::kSteering) {
      RegisterFound(kind, Family::kV4, middle, 10'000);
    }
  }
  const uint32_t capacity = IsFullSize() ? 1 << 20 : 1 << 16;
  for (const Kind kind : {Kind::kSteering, Kind::kTranslation}) {
    for (const uint32_t percent : {0U, 50U, 90U}) {
      const std::string name =
          kind == Kind::kSteering ? "NewInbound/v4/" : "NewMapping/v4/";
      Register(
          name + std::to_string(capacity) + "/full:" + std::to_string(percent),
          BatchesFor(1), [=](benchmark::State& state) {
            NewBench(state, kind, Family::kV4, capacity, percent);
          });
    }
  }
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
