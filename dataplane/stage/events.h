// SPDX-License-Identifier: BSD-3-Clause
// What workers tell the control thread: which neighbours they need, what they
// heard from a queue's far end. Bounded; when it is full an event is lost,
// counted, and asked again later, because the packet that needs it waits.
#ifndef GODWIT_DATAPLANE_STAGE_EVENTS_H_
#define GODWIT_DATAPLANE_STAGE_EVENTS_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/snapshot/adjacency.h"

namespace godwit {

enum class EventKind : uint8_t {
  kResolve,    // a neighbour is needed: `device`, `address`
  kNeighbour,  // a queue's far end is heard: `device`, `address`, `mac`
  kNoL4Port,   // an allocation failed: `address` is the remote end
  kFewL4Ports  // one that did not had four fifths taken before: the same
};

struct Event {
  EventKind kind = EventKind::kResolve;
  DeviceId device = kNoDevice;
  MacAddress mac{};
  IpAddress address;
};

// One producer (a worker), one consumer (the control thread).
class EventSink {
 public:
  static constexpr uint32_t kCapacity = 1024;

  bool Post(const Event& event) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == kCapacity) {
      lost_.store(lost_.load(std::memory_order_relaxed) + 1,
                  std::memory_order_relaxed);
      return false;
    }
    events_[head % kCapacity] = event;
    head_.store(head + 1, std::memory_order_release);
    return true;
  }
  bool Take(Event& event) {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return false;
    event = events_[tail % kCapacity];
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<uint32_t> head_{0};
  alignas(64) std::atomic<uint32_t> tail_{0};
  std::atomic<uint64_t> lost_{0};
  std::array<Event, kCapacity> events_;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_EVENTS_H_
