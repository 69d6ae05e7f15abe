// SPDX-License-Identifier: BSD-3-Clause
// What is given out by shares: answers by a token bucket on the tick clock
// (RFC 1812 4.3.2.8; RFC 4443 2.4f: a bucket, not a bare timer), a worker's
// time for frames to the kernel.
#ifndef GODWIT_DATAPLANE_TABLE_TOKEN_BUCKET_H_
#define GODWIT_DATAPLANE_TABLE_TOKEN_BUCKET_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace godwit {

class TokenBucket {
 public:
  static constexpr uint32_t kTicksPerSecond = 10;

  // At most `depth` at once, `rate` a second in the long run; both 1-100000.
  constexpr TokenBucket(uint32_t rate, uint32_t depth)
      : rate_(rate),
        depth_(depth),
        tenths_(uint64_t{depth} * kTicksPerSecond) {}

  bool Take(uint32_t now) {
    const uint32_t elapsed = now - last_;  // over the wrap too
    if (elapsed != 0) {
      tenths_ = std::min(tenths_ + uint64_t{elapsed} * rate_,
                         uint64_t{depth_} * kTicksPerSecond);
      last_ = now;
    }
    if (tenths_ < kTicksPerSecond) return false;
    tenths_ -= kTicksPerSecond;
    return true;
  }

 private:
  uint32_t rate_;
  uint32_t depth_;
  uint64_t tenths_;  // tenths of a token
  uint32_t last_ = 0;
};

// What a frame for the kernel is, to a worker that can't send them all.
enum class KernelClass : uint8_t {
  kLink,  // from this link for sure: ARP, ND, TTL 255 (RFC 5082), multicast
  kTalk,  // of a TCP connection in which the kernel has answered
  kTcp,   // other TCP: who opens one
  kOther,
};

// How much of its time a worker spends on frames for the kernel while other
// packets wait.
//
// A frame for the kernel costs a system call, ten times what any other packet
// costs: who sends to the unicast address as fast as a link goes would have all
// of a worker's time. A worker that keeps up with its rxqs sends what there is
// to send. One that was behind a moment ago gives each class few frames at
// once, so that no ring overflows meanwhile, and one part in kShare of its
// time; the rest is dropped before the call. What the kernel answers is bounded
// with it. So a flood of one class takes nothing from another: strangers can
// neither send as a neighbour nor in a connection whose numbers they don't
// know.
//
// Written by: its worker. Times are cycles of the TSC.
class KernelShare {
 public:
  static constexpr size_t kClasses = 4;
  static constexpr int64_t kShare = 64;
  static constexpr uint16_t kFewFrames = 8;
  static constexpr uint32_t kTurnsToForget = 8;
  static constexpr uint64_t kDepthsPerSecond = 10'000;

  explicit KernelShare(uint64_t cycles_per_second = 0)
      : depth_(static_cast<int64_t>(cycles_per_second / kDepthsPerSecond)) {
    credit_.fill(depth_);
  }

  // After each turn: whether some rxq had a full burst.
  void EndTurn(bool is_behind) {
    if (is_behind) {
      turns_limited_ = kTurnsToForget;
    } else if (turns_limited_ != 0) {
      --turns_limited_;
    }
  }
  bool IsLimited() const { return turns_limited_ != 0; }

  // A call is about to be made.
  void Begin(uint64_t now) {
    sent_.fill(0);
    const uint64_t most = static_cast<uint64_t>(depth_) * 2 * kShare;
    const auto earned =
        static_cast<int64_t>(std::min(now - last_, most)) / kShare;
    last_ = now;
    for (int64_t& credit : credit_) credit = std::min(credit + earned, depth_);
  }
  // Whether one more frame of `kind` may be in it.
  bool May(KernelClass kind) {
    const auto i = static_cast<size_t>(kind);
    if (credit_[i] < 0 || sent_[i] == kFewFrames) return false;
    ++sent_[i];
    return true;
  }
  // The call has ended, with `frames` in all: those of a class pay its part, a
  // tenth of the depth each at most. A call lasts longer where this thread lost
  // its CPU in it, often to the very program that the frame was for.
  void End(uint16_t frames, uint64_t now) {
    if (frames == 0) return;
    constexpr int64_t kFramesOfDepth = 10;
    const int64_t each = std::min(static_cast<int64_t>((now - last_) / frames),
                                  depth_ / kFramesOfDepth);
    for (size_t i = 0; i < kClasses; ++i) credit_[i] -= each * sent_[i];
  }

 private:
  int64_t depth_;
  std::array<int64_t, kClasses> credit_;
  std::array<uint16_t, kClasses> sent_{};  // of the call that goes on
  uint64_t last_ = 0;
  uint32_t turns_limited_ = 0;
};

// In which TCP connections the kernel has said something other than SYN or RST,
// lately: there is somebody at the other end who has its sequence numbers. By
// their hash, which is keyed; where two have one place the later has it.
//
// Written by: its worker. The kernel sends a connection's segments where its
// segments come from (a TAP's rxqs follow its txqs).
class KernelTalks {
 public:
  static constexpr size_t kPlaces = 2048;
  static constexpr uint32_t kForget =
      300 * TokenBucket::kTicksPerSecond;  // over any keepalive of BGP

  void Note(uint64_t hash, uint32_t now) {
    place_[hash % kPlaces] = {Tag(hash), now};
  }
  bool Knows(uint64_t hash, uint32_t now) const {
    const Place& place = place_[hash % kPlaces];
    return place.tag == Tag(hash) && now - place.when < kForget;
  }

 private:
  struct Place {
    uint32_t tag = 0;  // 0: nobody
    uint32_t when = 0;
  };
  static uint32_t Tag(uint64_t hash) {
    return static_cast<uint32_t>(hash >> 32) | 1;
  }
  std::array<Place, kPlaces> place_{};
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_TABLE_TOKEN_BUCKET_H_
