// SPDX-License-Identifier: BSD-3-Clause
// How a trial receives, for all that measure.
#ifndef GODWIT_BENCH_END_TO_END_RECEIVE_H_
#define GODWIT_BENCH_END_TO_END_RECEIVE_H_

#include <rte_cycles.h>

#include <cstdint>
#include <span>

#include "bench/end_to_end/trial.h"

namespace godwit {

// So long nothing may come, until what is missing counts as lost: a worker that
// lost its CPU has it back by then.
inline constexpr double kTail_s = 0.1;
// Rings are emptied in several bursts when the generator was away.
inline constexpr int kMostBursts = 8;
inline constexpr uint16_t kPacedBurst = 16;
inline constexpr uint32_t kAnswerEvery = 64;

inline uint64_t Clocks(double seconds) {
  return static_cast<uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz()));
}

inline std::span<const uint8_t> FrameOf(const rte_mbuf& mbuf) {
  return {rte_pktmbuf_mtod(&mbuf, const uint8_t*), mbuf.pkt_len};
}

template <class Each>
uint32_t Trial::Receive(Link& link, Each each) {
  Link::Received frames;
  uint32_t ours = 0;
  for (int burst = 0; burst < kMostBursts; ++burst) {
    const uint16_t count = link.Receive(frames);
    for (uint16_t i = 0; i < count; ++i) {
      const rte_mbuf& mbuf = *frames[i];
      if (IsOurs(mbuf)) [[likely]] {
        each(mbuf, i);
        ++ours;
      } else {
        link.Answer(FrameOf(mbuf));
      }
    }
    rte_pktmbuf_free_bulk(frames.data(), count);
    if (count < kLinkBurst) break;
  }
  return ours;
}

template <class Each>
void Trial::ReceiveTail(Side& side, Outcome& outcome, Each each) {
  side.sender->Forget();
  for (uint64_t last = rte_rdtsc(); outcome.received < outcome.sent &&
                                    rte_rdtsc() < last + Clocks(kTail_s);) {
    const uint32_t count = Receive(*side.receiver, each);
    if (count != 0) last = rte_rdtsc();
    outcome.received += count;
    AnswerOnly(*side.sender);
  }
}

}  // namespace godwit

#endif  // GODWIT_BENCH_END_TO_END_RECEIVE_H_
