// SPDX-License-Identifier: BSD-3-Clause
// Packet buffers. One pool for the daemon, sized from the rings it feeds, and
// one of the same make for each AF_XDP port (its memory is the socket's).
#ifndef GODWIT_DATAPLANE_DEVICE_MBUF_POOL_H_
#define GODWIT_DATAPLANE_DEVICE_MBUF_POOL_H_

#include <absl/status/statusor.h>
#include <rte_mempool.h>

#include <cstdint>
#include <string>
#include <vector>

namespace godwit {

struct MbufPoolOptions {
  std::string name;        // 1-20 characters, unique in the process
  uint32_t count = 0;      // 1,024 and more
  uint16_t meta_size = 0;  // of each buffer's private area; a multiple of 8
  // Headroom (128) and the frame. Frames that are longer come in chains.
  uint16_t data_room = 2176;
  int numa = -1;  // -1: any
  // AF_XDP: each buffer fills a page, with what is left over as data room. The
  // driver hands the kernel as many bytes as the objects have, but in memory
  // they keep within pages: the last ones would be past the end of what the
  // kernel knows, which takes them from the fill ring and never gives them
  // back.
  bool paged = false;
};

// Freed with FreeMbufPool. RESOURCE_EXHAUSTED where memory does not reach.
absl::StatusOr<rte_mempool*> CreateMbufPool(const MbufPoolOptions& options);
void FreeMbufPool(rte_mempool* pool);

// Buffers that some rings can hold at once, with what `workers` have in their
// bursts and caches; each ring by its size.
uint32_t MbufCount(uint64_t ring_slots, uint32_t workers);

// What `count` buffers of this make take, in MiB, rounded up: for
// EalOptions::memory_mib. `paged`: for AF_XDP, or without hugepages, when no
// buffer crosses a page of 4 KiB.
uint32_t MbufPoolMib(uint32_t count, uint16_t meta_size, uint16_t data_room,
                     bool paged);

// Empty if AF_XDP can take its frames straight from `pool`, else why not: one
// contiguous piece, and a buffer with everything around it within a page.
std::string CheckXskPool(const rte_mempool& pool);

// Takes out of a full pool the buffers that the AF_XDP driver of 22.11 does not
// tell the kernel of, and gives them to the caller: it counts a pool's memory
// without the gaps at the ends of huge pages, so that the last few lie behind
// what is registered, and every frame sent from one would be lost. They are
// put back before the pool is freed.
std::vector<void*> TakeBeyondUmem(rte_mempool& pool);

// The longest frame, with its link header, that AF_XDP receives into a buffer
// of `pool`: less than the data room, the kernel keeps 256 bytes in front.
uint32_t XskMaxFrame(const rte_mempool& pool);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_MBUF_POOL_H_
