// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/handoff.h"

#include <rte_mbuf.h>

namespace godwit {

std::unique_ptr<Handoff> Handoff::Create(unsigned workers,
                                         const std::string& prefix) {
  std::unique_ptr<Handoff> handoff(new Handoff(workers));
  for (unsigned from = 0; from < workers; ++from) {
    for (unsigned to = 0; to < workers; ++to) {
      rte_ring* ring = nullptr;
      if (from != to) {
        const std::string name =
            prefix + std::to_string(from) + "_" + std::to_string(to);
        ring = rte_ring_create(name.c_str(), kRingSize, SOCKET_ID_ANY,
                               RING_F_SP_ENQ | RING_F_SC_DEQ);
        if (ring == nullptr) return nullptr;
      }
      handoff->rings_.push_back(ring);
    }
  }
  return handoff;
}

Handoff::~Handoff() {
  for (rte_ring* ring : rings_) {
    if (ring == nullptr) continue;
    void* mbuf = nullptr;
    while (rte_ring_sc_dequeue(ring, &mbuf) == 0) {
      rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
    }
    rte_ring_free(ring);
  }
}

}  // namespace godwit
