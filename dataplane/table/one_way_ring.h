// SPDX-License-Identifier: BSD-3-Clause
// What one thread tells another, in order. Bounded: what finds it full is
// lost, and counted.
#ifndef GODWIT_DATAPLANE_TABLE_ONE_WAY_RING_H_
#define GODWIT_DATAPLANE_TABLE_ONE_WAY_RING_H_

#include <array>
#include <atomic>
#include <cstdint>

namespace godwit {

// One producer, one consumer; neither ever waits.
template <class Item, uint32_t capacity>
class OneWayRing {
 public:
  static constexpr uint32_t kCapacity = capacity;
  static_assert((capacity & (capacity - 1)) == 0, "numbers wrap");

  bool Post(const Item& item) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == kCapacity) {
      lost_.store(lost_.load(std::memory_order_relaxed) + 1,
                  std::memory_order_relaxed);
      return false;
    }
    items_[head % kCapacity] = item;
    head_.store(head + 1, std::memory_order_release);
    return true;
  }
  bool Take(Item& item) {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return false;
    item = items_[tail % kCapacity];
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<uint32_t> head_{0};
  alignas(64) std::atomic<uint32_t> tail_{0};
  std::atomic<uint64_t> lost_{0};
  std::array<Item, kCapacity> items_;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_TABLE_ONE_WAY_RING_H_
