// SPDX-License-Identifier: BSD-3-Clause
// One worker with the real tables, stages and buffers between ring devices:
// frames in, clocks and checked frames out. A uplink "wan0", service queues,
// each with a service of an IPv4 and an IPv6 address, udp/53.
//
// What is timed is Worker::Turn() with one burst in its rxq: all stages, and
// what the rings take to give and accept pointers (a few clocks a packet). The
// frames are where filling the ring left them (the second cache), the first
// line of each buffer in the first cache, as a driver leaves it.
// Filling and emptying the rings, and looking at what came out, is not.
#ifndef GODWIT_BENCH_PIPELINE_H_
#define GODWIT_BENCH_PIPELINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/workload.h"
#include "dataplane/worker/worker.h"
#include "tests/support/lanes.h"

namespace godwit {

// Clocks of each burst, by stage.
struct StageClocks {
  static constexpr const char* kNames[] = {"rx",       "parse",   "find",
                                           "make_hop", "rewrite", "guard_tx"};
  static constexpr size_t kStages = std::size(kNames);
  std::array<std::vector<uint32_t>, kStages> bursts;
};

class Pipeline {
 public:
  static constexpr uint16_t kBurst = Burst::kMax;
  static constexpr uint32_t kBatch = 15 * kBurst;  // what the rings hold

  struct Options {
    uint32_t max_flows = 1024;
    unsigned services = 1;
    unsigned queues = 1;  // of every service
  };
  explicit Pipeline(const Options& options);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Up to kBatch frames into `device`; every one must come out of a device.
  // `arrived` is given each, in order. Adds the clocks of each full burst.
  using Arrived = std::function<void(DeviceId, std::span<const uint8_t>)>;
  void Send(DeviceId device, std::span<const Frame> frames,
            std::vector<uint32_t>& clocks, const Arrived& arrived);
  // The same, stage by stage, in the order of Worker::Process.
  void SendByStage(DeviceId device, std::span<const Frame> frames,
                   StageClocks& clocks, const Arrived& arrived);
  // What callgrind counts from here on are the instructions of CountedTurn.
  void CountFromHere() { counting_ = true; }
  // Ends `count` flows of `kind`, picked all over the first `span` entries.
  void EndFlows(FlowKind kind, uint32_t count, uint32_t span);

  // Marks all live flows; how many of those are left. One that ended and was
  // made again is not.
  void MarkFlows();
  uint32_t MarkedFlows();

  // Address of service `number` in [0, services).
  IpAddress Service(Family family, unsigned number = 0) const;
  IpAddress Unicast(Family family) const;
  DeviceId uplink() const { return uplink_; }
  DeviceId queue_device(unsigned number) const { return queues_[number]; }
  FlowTable& flows() { return *flows_; }
  uint64_t Count(Verdict verdict) const {
    return counters_->counts.verdicts[static_cast<size_t>(verdict)];
  }
  uint64_t received() const { return counters_->counts.received; }
  // 64-byte lines that looking up any of `flows` may read: index and entries.
  size_t LinesRead(uint32_t flows) const;

 private:
  void Fill(DeviceId device, std::span<const Frame> frames);
  void TouchBuffers(size_t at, size_t end);
  void Drain(uint32_t sent, const Arrived& arrived);
  void TurnByStage(DeviceId device, StageClocks& clocks);

  uint32_t CountedTurn();

  // First: starts the EAL, which knows the TSC.
  Lanes& lanes_;
  TickClock clock_;
  Publisher publisher_{1};
  Ownership ownership_{1, 0x5eed};
  std::vector<QueueUse> queue_use_;
  std::unique_ptr<Handoff> handoff_;
  std::atomic<uint64_t> asked_{0};
  std::unique_ptr<FlowTable> flows_;
  std::unique_ptr<Counters> counters_;
  EventSink events_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Burst> burst_;
  DeviceId uplink_ = kNoDevice;
  std::vector<DeviceId> queues_;
  std::array<rte_mbuf*, kBatch> sent_;
  volatile uint64_t touched_ = 0;
  uint32_t end_at_ = 0;
  bool counting_ = false;
};

}  // namespace godwit

#endif  // GODWIT_BENCH_PIPELINE_H_
