// SPDX-License-Identifier: BSD-3-Clause
// A packet on the wrong worker -> the ring of its owner, in bursts. One ring
// for each pair of workers: a producer that lost its CPU in the middle of an
// enqueue then holds up nobody else.
#ifndef GODWIT_DATAPLANE_STAGE_HANDOFF_H_
#define GODWIT_DATAPLANE_STAGE_HANDOFF_H_

#include <rte_ring.h>

#include <memory>
#include <string>
#include <vector>

#include "dataplane/stage/burst.h"

namespace godwit {

class Handoff {
 public:
  // Packets, a power of two: what a worker that lost its CPU for some tens of
  // milliseconds is owed meanwhile.
  static constexpr unsigned kRingSize = 8192;

  // nullptr where no memory is left. `prefix` makes ring names unique.
  static std::unique_ptr<Handoff> Create(unsigned workers,
                                         const std::string& prefix);
  ~Handoff();
  Handoff(const Handoff&) = delete;
  Handoff& operator=(const Handoff&) = delete;

  // False if the ring is full: the packet is still the caller's.
  bool Give(unsigned from, unsigned to, rte_mbuf* mbuf) {
    return rte_ring_sp_enqueue(Ring(from, to), mbuf) == 0;
  }
  uint16_t Take(unsigned from, unsigned to, rte_mbuf** mbufs,
                uint16_t capacity) {
    return static_cast<uint16_t>(rte_ring_sc_dequeue_burst(
        Ring(from, to), reinterpret_cast<void**>(mbufs), capacity, nullptr));
  }
  unsigned workers() const { return workers_; }

 private:
  explicit Handoff(unsigned workers) : workers_(workers) {}
  rte_ring* Ring(unsigned from, unsigned to) {
    return rings_[from * workers_ + to];
  }
  unsigned workers_;
  std::vector<rte_ring*> rings_;  // nullptr on the diagonal
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_HANDOFF_H_
