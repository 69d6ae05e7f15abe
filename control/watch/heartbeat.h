// SPDX-License-Identifier: BSD-3-Clause
// Asks neighbours, several times a second, whether they still answer. By
// itself the kernel takes half a minute to notice that a router is dead whose
// link is up (RFC 4861 7.3, base_reachable_time): too long where another could
// take over.
//
// One question goes to the neighbour's own address, by the kernel; it is
// silent when it has left kMisses in a row unanswered. What is silent is left
// to the kernel, which gives it up 3 s later, until it answers again.
#ifndef GODWIT_CONTROL_WATCH_HEARTBEAT_H_
#define GODWIT_CONTROL_WATCH_HEARTBEAT_H_

#include <chrono>
#include <map>
#include <set>
#include <vector>

#include "control/watch/neighbour_request.h"
#include "control/watch/observation.h"

namespace godwit {

class Heartbeat {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kPeriod{250};
  static constexpr int kMisses = 2;

  // Whom to ask from now on: neighbours that the kernel keeps resolved. True if
  // they are others than before.
  bool Watch(const std::set<NeighbourKey>& wanted, Clock::time_point now);
  // Hears and asks when it is time, through `socket`; true if a neighbour fell
  // silent or is back.
  bool Turn(NetlinkSocket& socket, Clock::time_point now);
  // max(): never.
  Clock::time_point next() const;
  // Whether an event is of the questions' own making: what `known` has of that
  // neighbour is still right.
  bool IsEcho(const nlmsghdr& event, const Observation& known) const;
  // Sets `silent` of those that are.
  void Mark(std::vector<NeighbourEntry>& neighbours) const;

 private:
  struct Beat {
    bool asked = false;
    int misses = 0;
    bool silent() const { return misses >= kMisses; }
  };
  static void Ask(NetlinkSocket& socket, const NeighbourKey& key);

  std::map<NeighbourKey, Beat> beats_;
  Clock::time_point next_{};
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_WATCH_HEARTBEAT_H_
