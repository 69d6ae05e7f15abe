// SPDX-License-Identifier: BSD-3-Clause
// The real workers, tables, rings and buffers of the dataplane, without a NIC:
// packets in -> packets out, and what was counted.
//
// The workers take turns in the caller's thread, on a clock that stands still
// unless told otherwise, with fixed secrets: a walk goes the same way each
// time. After every Send it aborts (GODWIT_CHECK) if
//   - received + generated = delivered + sent + punted + consumed + dropped +
//     held does not hold,
//   - the workers counted other bytes in and out of a device than it saw, or
//     other inbound flows of the queues together than of the tables,
//   - a buffer is lost, or in two places,
//   - a frame left whose length or IPv4 header sum is wrong, or with a word of
//     the receive side's for the transmit side,
//   - a counter went backwards,
//   - an uplink was given a source that is neither a unicast nor a service
//     address (from the kernel: link-local and unspecified pass).
// At its end everything held must end too, and all buffers be back.
#ifndef GODWIT_TESTS_SUPPORT_WALK_H_
#define GODWIT_TESTS_SUPPORT_WALK_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/flow/flow_table.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/stage/counters.h"
#include "dataplane/stage/events.h"
#include "dataplane/stage/handoff.h"
#include "dataplane/worker/worker.h"
#include "tests/support/packet_builder.h"
#include "tests/support/snapshot_builder.h"

namespace godwit {

// A frame that left, and where.
struct Arrival {
  std::string device;
  Bytes frame;
  size_t L3() const;  // where the IP header begins
  // From the IP header up.
  Bytes Packet() const;
  friend bool operator==(const Arrival&, const Arrival&) = default;
};
void PrintTo(const Arrival& arrival, std::ostream* out);

// A frame that came by an uplink, alone or among others that all ended as it
// did, and what decided.
struct WalkStep {
  const Device& uplink;
  const ServiceTable& services;
  const NatConfig& nat;
  uint64_t world;  // another number, another table; of all walks
  const Bytes& frame;
  std::string_view ending;
};

class Walk {
 public:
  struct Options {
    unsigned workers = 1;       // 1-5
    uint32_t max_flows = 1024;  // of each worker
  };
  explicit Walk(const SnapshotBuilder& world) : Walk(world, Options{}) {}
  Walk(const SnapshotBuilder& world, const Options& options);
  ~Walk();
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  // One frame into `device`, and all that leaves before the workers have
  // nothing left to do, by device. Successive frames come to successive rxqs,
  // so with several workers most are with the wrong one first.
  std::vector<Arrival> Send(std::string_view device, const Bytes& frame) {
    return SendAll(device, {frame});
  }
  std::vector<Arrival> Send(std::string_view device,
                            const PacketBuilder& packet) {
    return Send(device, packet.Frame());
  }
  // As one burst.
  std::vector<Arrival> SendAll(std::string_view device,
                               const std::vector<Bytes>& frames);
  // Sees each step of all walks of this program, save for those that are sent
  // in buffers: for what is to judge as the stages do.
  using Witness = std::function<void(const WalkStep& step)>;
  static void SetWitness(Witness witness);
  // In a chain of buffers, cut at `cuts` (ascending offsets in the frame).
  std::vector<Arrival> SendCut(std::string_view device, const Bytes& frame,
                               const std::vector<size_t>& cuts);
  // Buffers of the caller's own making, of Lanes' pool.
  std::vector<Arrival> SendBuffers(std::string_view device,
                                   const std::vector<rte_mbuf*>& buffers);
  // So many buffers are the caller's from now on: they are not lost.
  void CallerHolds(unsigned buffers) { callers_ = buffers; }

  // What the world has become; the workers see it in their next turn, which
  // they take here. What that lets out is returned.
  std::vector<Arrival> Publish(const SnapshotBuilder& world);
  // Lets time pass, then the workers take their turns.
  std::vector<Arrival> Wait(double seconds);

  // Lets time pass that the workers notice with what comes next.
  void Later(double seconds);

  // By name, those that are not 0, since the start. "received", "generated",
  // "held" too.
  std::map<std::string, uint64_t> counters() const;
  // Refused for want of an l4port of it.
  uint64_t ExhaustedAt(std::string_view unicast) const;
  // How the packets of the last Send, Publish or Wait ended: the names of the
  // verdicts in the enum's order, "sent" or "consumed sent sent"; "held" is
  // not an end.
  const std::string& ending() const { return ending_; }
  // Live mappings and inbound flows, of all workers.
  uint64_t mappings() const;
  uint64_t inbound() const;
  uint64_t InboundOf(std::string_view queue) const;
  // What is published, and up to where all workers have judged their flows.
  uint64_t generation() const { return generation_; }
  uint64_t judged() const;
  // What the workers told the control side since.
  std::vector<Event> TakeEvents();
  // What they told of mappings since, worker by worker.
  std::vector<MappingRecord> TakeMappings();
  // l4ports that rest.
  uint64_t resting() const;
  uint64_t handed_over() const { return Sum().handed_out; }
  // On the way to `device`.
  uint64_t DroppedAt(std::string_view device) const;
  // Events that found their sink full.
  uint64_t lost_events() const;

 private:
  static constexpr size_t kQueueIds = 64;

  void AddWorker(unsigned index, uint32_t max_flows);
  std::unique_ptr<Snapshot> Furnish(const SnapshotBuilder& world);
  DeviceId IdOf(std::string_view device) const;
  std::vector<Arrival> TakeTurns();
  void Inject(DeviceId device, rte_mbuf* mbuf);
  void Collect(std::vector<Arrival>& arrivals);
  static void CheckHeader(const Arrival& arrival);
  void CheckSource(const Device& device, const Arrival& arrival) const;
  void CheckBooks();
  void CheckDevicesAndQueues(const Counts& sum) const;
  void Testify(DeviceId device, const std::vector<Bytes>& frames) const;
  uint64_t Held() const;
  Counts Sum() const;
  void SetClock();

  uint32_t now_ = 1000;  // tick
  unsigned next_lane_ = 0;
  uint64_t world_ = 0;  // of WalkStep
  uint64_t generation_ = 0;
  bool kernel_speaks_ = false;  // the last frame in was the kernel's
  std::map<DeviceId, uint64_t> bytes_in_;
  std::map<DeviceId, uint64_t> bytes_out_;
  std::string ending_;
  unsigned callers_ = 0;
  std::array<uint64_t, kVerdicts> last_{};        // when the books were checked
  std::vector<std::span<const char>> forbidden_;  // until the turns are over
  std::vector<Device> devices_;                   // of the last snapshot
  std::shared_ptr<const NatConfig> nat_;
  ServiceTable service_table_;
  TickClock clock_;
  Publisher publisher_;
  Ownership ownership_;
  std::unique_ptr<QueueUse[]> queue_use_;
  std::unique_ptr<Handoff> handoff_;
  std::atomic<uint64_t> asked_{0};
  std::vector<std::unique_ptr<FlowTable>> tables_;
  std::vector<std::unique_ptr<Counters>> counters_;
  std::vector<std::unique_ptr<EventSink>> events_;
  std::vector<std::unique_ptr<MappingLog>> mapping_logs_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_SUPPORT_WALK_H_
