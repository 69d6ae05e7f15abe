// SPDX-License-Identifier: BSD-3-Clause
// The buffers that an AF_XDP socket's rings hold. The driver of 22.11 forgets
// them when it closes (some 2,000 each time); we take them back.
#ifndef GODWIT_DATAPLANE_DEVICE_XSK_RINGS_H_
#define GODWIT_DATAPLANE_DEVICE_XSK_RINGS_H_

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <vector>

namespace godwit {

// The fill and completion rings that the driver makes.
inline constexpr uint32_t kXskFillSlots = 4096;
inline constexpr uint32_t kXskCompletionSlots = 2048;
// Buffers that the driver puts into the fill ring at the start.
inline constexpr uint32_t kXskFillBuffers = 2048;

// Every buffer of `pool` in the four rings of `socket`, whose receive and
// transmit rings have `slots` each. Nobody may use the port meanwhile, and it
// must not be started again: these buffers are the caller's to free once the
// socket is closed. Waits up to 100 ms for frames that are being sent.
std::vector<rte_mbuf*> BuffersInXskRings(int socket, uint32_t slots,
                                         const rte_mempool& pool);

// What the kernel counts of a socket and the driver does not.
struct XskLosses {
  uint64_t rx_ring_full = 0;  // frames without room in the receive ring
  uint64_t tx_invalid = 0;    // descriptors it would not send
};
XskLosses LossesOf(int socket);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_XSK_RINGS_H_
