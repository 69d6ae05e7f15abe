// SPDX-License-Identifier: BSD-3-Clause
// Expiry in bounded steps: a wheel of kSlots lists, one per tick.
//
// Theory of operation. Time is a count of ticks (uint32, of 100 ms or any
// other length) that may wrap; deadlines lie within 2^31 ticks of it. An entry
// with deadline d is due when tick d is over, that is at the first now > d: a
// deadline made as now + timeout is then never early and at most one tick
// late, however far into its tick `now` was read.
// An entry is filed in the list of its deadline's tick, or of the last tick
// the wheel reaches, if that is sooner. The wheel doesn't know deadlines: when
// a list's tick is over, each entry of it is shown to the caller, who says
// "gone" or its deadline as it is now, under which it is filed again. So a
// deadline that moves later costs nothing (a packet only writes the entry), a
// far one is looked at once a round (kSlots ticks, 410 s at 100 ms), and only
// one that moves earlier must be told (Move).
// All work is done by Advance() within a budget; what is left over is late,
// not lost.
//
// Memory: 8 bytes an entry (the caller's link array) and 16 KiB.
#ifndef GODWIT_DATAPLANE_TABLE_TIMER_WHEEL_H_
#define GODWIT_DATAPLANE_TABLE_TIMER_WHEEL_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/net/check.h"

namespace godwit {

// True if tick `a` is later than tick `b`, over the wrap too.
constexpr bool TickAfter(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(a - b) > 0;
}

// Written by: the lcore that owns it, alone.
class TimerWheel {
 public:
  static constexpr uint32_t kSlots = 4096;

  // One per entry, indexed by entry number; the wheel's own while it lives.
  struct Link {
    uint32_t next;
    uint32_t prev;  // an entry, or kSlotMark | slot for the first of a list
  };

  // `links` outlives the wheel and is overwritten; entries are numbers below
  // its size, which is at most 2^31 - 1. `now` is the current tick.
  TimerWheel(std::span<Link> links, uint32_t now) : links_(links), next_(now) {
    GODWIT_CHECK(links.size() < kSlotMark);
    heads_.fill(kNone);
    std::fill(links.begin(), links.end(), Link{kNone, kNone});
  }

  void Prefetch(uint32_t entry) const { __builtin_prefetch(&links_[entry], 1); }

  bool IsFiled(uint32_t entry) const { return links_[entry].prev != kNone; }

  // `entry` is not filed. A deadline that is past comes up next.
  void Add(uint32_t entry, uint32_t deadline) {
    GODWIT_CHECK(!IsFiled(entry));
    const auto ahead = static_cast<int32_t>(deadline - next_);
    File(entry, ahead < 0 ? 0 : static_cast<uint32_t>(ahead));
  }

  // `entry` is filed; it no longer is.
  void Remove(uint32_t entry) {
    const Link link = links_[entry];
    GODWIT_CHECK(link.prev != kNone);
    if ((link.prev & kSlotMark) != 0) {
      heads_[link.prev & (kSlots - 1)] = link.next;
    } else {
      links_[link.prev].next = link.next;
    }
    if (link.next != kNone) links_[link.next].prev = link.prev;
    links_[entry].prev = kNone;
  }

  // For a deadline that moves earlier.
  void Move(uint32_t entry, uint32_t deadline) {
    Remove(entry);
    Add(entry, deadline);
  }

  // Looks at what is filed for ticks before `now`, at most `budget` steps (an
  // entry is one, a tick is one), and returns the steps taken: less than the
  // budget means there is nothing left to do. visit(entry) returns the entry's
  // deadline as it is now, or nullopt if the entry is gone; meanwhile it is
  // not filed. visit may Add, Remove and Move other entries.
  template <class Visit>
  uint32_t Advance(uint32_t now, uint32_t budget, Visit&& visit) {
    // A round late or more: every list is overdue, no need to go round twice.
    if (TickAfter(now, next_) && now - next_ > kSlots) next_ = now - kSlots;
    uint32_t steps = 0;
    while (TickAfter(now, next_) && steps < budget) {
      ++steps;
      const uint32_t entry = heads_[next_ & (kSlots - 1)];
      if (entry == kNone) {
        ++next_;
        continue;
      }
      Remove(entry);
      const uint32_t following = heads_[next_ & (kSlots - 1)];
      if (following != kNone) __builtin_prefetch(&links_[following], 1);
      const std::optional<uint32_t> deadline = visit(entry);
      if (!deadline.has_value()) continue;
      // Not into the list at hand: that would show it again at once.
      const auto ahead = static_cast<int32_t>(*deadline - next_);
      File(entry, ahead < 1 ? 1 : static_cast<uint32_t>(ahead));
    }
    return steps;
  }

  // Ticks that are over but not yet worked off.
  uint32_t Lag(uint32_t now) const {
    return TickAfter(now, next_) ? now - next_ : 0;
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kSlotMark = uint32_t{1} << 31;
  static_assert((kSlots & (kSlots - 1)) == 0);

  void File(uint32_t entry, uint32_t ahead) {
    const uint32_t slot = (next_ + std::min(ahead, kSlots - 1)) & (kSlots - 1);
    const uint32_t first = heads_[slot];
    links_[entry] = {first, kSlotMark | slot};
    if (first != kNone) links_[first].prev = entry;
    heads_[slot] = entry;
  }

  std::span<Link> links_;
  uint32_t next_;  // ticks before this one are worked off
  std::array<uint32_t, kSlots> heads_;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_TABLE_TIMER_WHEEL_H_
