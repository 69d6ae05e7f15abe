// SPDX-License-Identifier: BSD-3-Clause
// Traffic through one device under test: its flows are begun and each seen
// through once both ways, then rate or latency is measured one way.
#ifndef GODWIT_BENCH_END_TO_END_TRIAL_H_
#define GODWIT_BENCH_END_TO_END_TRIAL_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/end_to_end/frames.h"
#include "bench/end_to_end/link.h"

namespace godwit {

enum class Way : uint8_t { kIn, kOut };  // towards the queue, the uplink

struct Traffic {
  FrameKind kind;
  // The service's own program begins the flows, from the service address.
  bool originated = false;
  // The device only swaps link addresses: nothing is begun, all comes back.
  bool plain = false;
  uint32_t flows = 0;
  // Frame sizes without FCS, flow by flow; too small ones are the least.
  std::vector<uint16_t> sizes = {0};
  IpAddress service;
  IpAddress unicast;
};

// What a measurement saw. `wrong` are frames with anything else than what they
// must have; all are looked at when flows begin, one of a burst afterwards.
struct Outcome {
  uint64_t sent = 0;
  uint64_t received = 0;  // of them, in the end
  uint64_t looked_at = 0;
  uint64_t wrong = 0;
  double packets_per_second = 0;
  double p50_ns = 0;  // lower quartile of windows of 5 ms
  double p99_ns = 0;
  double p99_all_ns = 0;  // of all
  uint64_t late = 0;  // bursts sent later than the pace wanted, by their length
  uint64_t flood = 0;        // frames of a flood that were sent
  uint64_t flood_taken = 0;  // of them, those that the link had room for
  double flood_per_second = 0;
  double goodput = 0;  // of what was sent beside a flood, the share that came
};

class Trial {
 public:
  // `device_mac`: of the device under test, towards the uplink and the queue.
  Trial(const Traffic& traffic, Link& uplink, Link& queue,
        const MacAddress& uplink_mac, const MacAddress& queue_mac);

  // Every flow begun and seen through, both ways; whatever got lost is sent
  // again for some seconds. False if some flow never was.
  bool Establish(Outcome& outcome);
  // As fast as it goes. Received frames a second, the upper
  // quartile of milliseconds.
  Outcome Rate(Way way, double seconds);
  // `pace` frames a second, in small bursts.
  Outcome Latency(Way way, double seconds, double pace);
  // `pace` frames a second and beside them, on the same link, those of `flood`,
  // `flood_pace` a second (0: none). What the link has no room for is lost, of
  // either, as on a wire.
  Outcome Flooded(Way way, double seconds, double pace, const FrameTable& flood,
                  double flood_pace);
  LinkEnds EndsOf(Way way) { return SideOf(way).link; }
  const Traffic& traffic() const { return traffic_; }

 private:
  struct Side {
    Link* sender;
    Link* receiver;
    LinkEnds link;
  };
  class Seen;

  Side SideOf(Way way);
  Endpoints FirstEnds(uint32_t number) const;
  FrameTable TableOf(Way way, const FrameKind& kind) const;
  uint16_t SizeOf(uint32_t number) const;
  bool IsOurs(const rte_mbuf& mbuf) const;
  bool PassAll(Way way, const FrameKind& kind, Outcome& outcome);
  bool Look(Way way, std::span<const uint8_t> frame, Outcome& outcome);
  // What there is to receive, with `each` called for every frame of ours.
  template <class Each>
  uint32_t Receive(Link& link, Each each);
  void AnswerOnly(Link& link);
  void Drain();
  template <class Each>
  void ReceiveTail(Side& side, Outcome& outcome, Each each);

  Traffic traffic_;
  Link& uplink_;
  Link& queue_;
  MacAddress uplink_mac_;
  MacAddress queue_mac_;
  std::vector<uint32_t> order_;  // position -> flow
  // Originated flows: the source that each has outside; l4port 0: not known.
  std::vector<uint16_t> outside_;
  std::unique_ptr<FrameTable> in_;
  std::unique_ptr<FrameTable> out_;
  uint32_t at_in_ = 0;
  uint32_t at_out_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_BENCH_END_TO_END_TRIAL_H_
