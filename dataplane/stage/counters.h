// SPDX-License-Identifier: BSD-3-Clause
// One counter per Verdict and worker, and how they are read as one exact cut.
//
// The contract's rule 7 must hold whenever it is asked: received + generated =
// delivered + sent + punted + consumed + dropped + held. Each worker's own
// counts obey it between two packets, with what it handed over and took over
// on either side. To add up several workers, the cut must be consistent: no
// packet may be counted as taken over that is not yet counted as handed over.
// As in Chandy and Lamport 1985: the reader moves an epoch; a worker copies
// its counters when it first sees the new one, and looks for it after taking
// packets off a ring and before counting them.
#ifndef GODWIT_DATAPLANE_STAGE_COUNTERS_H_
#define GODWIT_DATAPLANE_STAGE_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "dataplane/snapshot/adjacency.h"
#include "dataplane/snapshot/nat_config.h"
#include "dataplane/stage/verdict.h"

namespace godwit {

inline constexpr size_t kMaxDevices = 1024;

struct DeviceCounts {
  uint64_t received = 0;
  uint64_t received_bytes = 0;  // as drivers count them: without the FCS
  uint64_t sent = 0;
  uint64_t sent_bytes = 0;
  uint64_t dropped = 0;      // on the way to it
  uint64_t handed_over = 0;  // received here, owned elsewhere
};

// Plain numbers: a worker's own, or a copy, or a sum.
struct Counts {
  uint64_t received = 0;
  uint64_t generated = 0;
  uint64_t handed_out = 0;
  uint64_t handed_in = 0;
  uint64_t waiting = 0;  // for a neighbour or a first fragment, now
  // Of Verdict::kDropNatNoPort, by UnicastId: who had none left.
  std::array<uint64_t, kMaxUnicast> no_l4port{};
  std::array<uint64_t, kVerdicts> verdicts{};
  std::array<DeviceCounts, kMaxDevices> devices{};

  void Add(const Counts& other);
  // In rings between workers, and waiting. Counted for itself, not worked out
  // from the rule, so that the rule can fail.
  uint64_t Held() const { return handed_out - handed_in + waiting; }
  uint64_t Dropped() const;
};

// Written by: its worker. Read through the copy alone.
class alignas(64) Counters {
 public:
  Counts counts;

  void Count(Verdict verdict, uint64_t packets = 1) {
    counts.verdicts[static_cast<size_t>(verdict)] += packets;
  }

  // Worker: once a turn, and after taking packets off a ring, before they are
  // counted. Copies when asked to.
  // `waiting` is how many packets this worker holds.
  void CopyIfAsked(uint64_t waiting) {
    const uint64_t asked = asked_->load(std::memory_order_acquire);
    if (asked != copied_.load(std::memory_order_relaxed)) [[unlikely]] {
      counts.waiting = waiting;
      copy_ = counts;
      copied_.store(asked, std::memory_order_release);
    }
  }

  void Bind(const std::atomic<uint64_t>* asked) { asked_ = asked; }
  bool HasCopy(uint64_t asked) const {
    return copied_.load(std::memory_order_acquire) == asked;
  }
  const Counts& copy() const { return copy_; }

 private:
  const std::atomic<uint64_t>* asked_ = nullptr;
  alignas(64) std::atomic<uint64_t> copied_{0};
  Counts copy_;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_COUNTERS_H_
