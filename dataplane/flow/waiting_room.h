// SPDX-License-Identifier: BSD-3-Clause
// Packets that wait for a neighbour (L2-14). They wait as they came, are tried
// again whenever a snapshot is new, and leave as a drop after three seconds:
// the kernel has asked three times by then (RFC 4861 MAX_UNICAST_SOLICIT).
#ifndef GODWIT_DATAPLANE_FLOW_WAITING_ROOM_H_
#define GODWIT_DATAPLANE_FLOW_WAITING_ROOM_H_

#include <array>
#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/snapshot/adjacency.h"
#include "dataplane/table/timer_wheel.h"

struct rte_mbuf;

namespace godwit {

class WaitingRoom {
 public:
  static constexpr uint16_t kMax = 256;  // in all
  static constexpr uint16_t kMaxPerNeighbour = 8;
  static constexpr uint32_t kPatience = 31;  // ticks
  static constexpr uint32_t kAskAgain = 10;  // ticks

  struct Guest {
    rte_mbuf* mbuf = nullptr;
    IpAddress next_hop;
    DeviceId device = kNoDevice;
    uint32_t since = 0;
  };
  enum class Entry { kWaits, kWaitsAndAsk, kFull };

  // kWaitsAndAsk: nobody has asked for this neighbour in the last second.
  Entry Enter(rte_mbuf* mbuf, DeviceId device, const IpAddress& next_hop,
              uint32_t since, uint32_t now) {
    uint16_t same = 0;
    for (uint16_t i = 0; i < count_; ++i) {
      same = static_cast<uint16_t>(same + (guests_[i].device == device &&
                                           guests_[i].next_hop == next_hop));
    }
    if (count_ == kMax || same >= kMaxPerNeighbour) return Entry::kFull;
    guests_[count_++] = {mbuf, next_hop, device, since};
    return Asked(device, next_hop, now) ? Entry::kWaits : Entry::kWaitsAndAsk;
  }
  uint16_t count() const { return count_; }
  // Hands all guests out; the room is empty then.
  template <class Visit>
  void Leave(Visit&& visit) {
    const uint16_t leaving = count_;
    const std::array<Guest, kMax> guests = guests_;
    count_ = 0;
    for (uint16_t i = 0; i < leaving; ++i) visit(guests[i]);
  }

 private:
  struct Question {
    IpAddress next_hop;
    DeviceId device = kNoDevice;
    uint32_t asked = 0;
  };
  // Remembers the last few questions; forgetting one only means asking again.
  bool Asked(DeviceId device, const IpAddress& next_hop, uint32_t now) {
    for (Question& question : questions_) {
      if (question.device != device || !(question.next_hop == next_hop)) {
        continue;
      }
      if (now - question.asked < kAskAgain) return true;
      question.asked = now;
      return false;
    }
    questions_[next_question_] = {next_hop, device, now};
    next_question_ =
        static_cast<uint16_t>((next_question_ + 1) % questions_.size());
    return false;
  }
  uint16_t count_ = 0;
  uint16_t next_question_ = 0;
  std::array<Guest, kMax> guests_{};
  std::array<Question, 64> questions_{};
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_WAITING_ROOM_H_
