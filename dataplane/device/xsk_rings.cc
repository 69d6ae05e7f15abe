// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/xsk_rings.h"

#include <linux/if_xdp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <optional>

namespace godwit {
namespace {

// One ring as it is mapped into this process.
class Ring {
 public:
  Ring(uint8_t* base, const xdp_ring_offset& offset, uint32_t slots,
       uint32_t entry_size)
      : base_(base), offset_(offset), mask_(slots - 1), entry_(entry_size) {}

  uint32_t producer() const { return Load(offset_.producer); }
  uint32_t consumer() const { return Load(offset_.consumer); }
  // A fill or completion entry is an address; a descriptor begins with one.
  uint64_t address(uint32_t index) const {
    uint64_t value;
    __builtin_memcpy(&value, base_ + offset_.desc + (index & mask_) * entry_,
                     sizeof(value));
    return value;
  }

 private:
  uint32_t Load(uint64_t offset) const {
    return std::atomic_ref(*reinterpret_cast<uint32_t*>(base_ + offset))
        .load(std::memory_order_acquire);
  }

  uint8_t* base_;
  xdp_ring_offset offset_;
  uint32_t mask_;
  uint32_t entry_;
};

// Where the driver mapped the part of the socket at `offset`; a bound socket
// can't be mapped a second time.
uint8_t* FindMapping(uint64_t inode, uint64_t offset) {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return nullptr;
  uint8_t* found = nullptr;
  char line[512];
  while (found == nullptr && fgets(line, sizeof(line), maps) != nullptr) {
    unsigned long begin = 0;
    unsigned long line_offset = 0;
    unsigned long line_inode = 0;
    if (sscanf(line, "%lx-%*x %*s %lx %*s %lu", &begin, &line_offset,
               &line_inode) == 3 &&
        line_inode == inode && line_offset == offset) {
      found = reinterpret_cast<uint8_t*>(begin);
    }
  }
  fclose(maps);
  return found;
}

// More than the copying path of the kernel can have in hand.
constexpr uint32_t kMaxKept = 64;

struct Rings {
  Ring rx, tx, fill, completion;
};

std::optional<Rings> FindRings(int socket, uint32_t slots) {
  xdp_mmap_offsets offsets;
  socklen_t size = sizeof(offsets);
  struct stat info;
  if (getsockopt(socket, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0 ||
      size != sizeof(offsets) || fstat(socket, &info) != 0) {
    return std::nullopt;
  }
  uint8_t* const rx = FindMapping(info.st_ino, XDP_PGOFF_RX_RING);
  uint8_t* const tx = FindMapping(info.st_ino, XDP_PGOFF_TX_RING);
  uint8_t* const fill = FindMapping(info.st_ino, XDP_UMEM_PGOFF_FILL_RING);
  uint8_t* const completion =
      FindMapping(info.st_ino, XDP_UMEM_PGOFF_COMPLETION_RING);
  if (rx == nullptr || tx == nullptr || fill == nullptr ||
      completion == nullptr) {
    return std::nullopt;
  }
  return Rings{
      Ring(rx, offsets.rx, slots, sizeof(xdp_desc)),
      Ring(tx, offsets.tx, slots, sizeof(xdp_desc)),
      Ring(fill, offsets.fr, kXskFillSlots, sizeof(uint64_t)),
      Ring(completion, offsets.cr, kXskCompletionSlots, sizeof(uint64_t))};
}

}  // namespace

std::vector<rte_mbuf*> BuffersInXskRings(int socket, uint32_t slots,
                                         const rte_mempool& pool) {
  std::vector<rte_mbuf*> buffers;
  const std::optional<Rings> rings = FindRings(socket, slots);
  if (!rings.has_value()) return buffers;

  // What has left the transmit ring is on its way until it is completed.
  for (int i = 0; i < 100; ++i) {
    if (rings->tx.consumer() == rings->completion.producer()) break;
    usleep(1000);
  }
  // The socket's memory begins at the page of the pool's one piece; an entry
  // names a mempool object, in whose front the mbuf is (architecture: the
  // driver's get_base_addr and reserve_fill_queue_zc).
  constexpr uint64_t kPageMask = 4095;
  const uint64_t memory =
      reinterpret_cast<uint64_t>(STAILQ_FIRST(&pool.mem_list)->addr);
  const uint64_t base = (memory & ~kPageMask) + pool.header_size;
  const auto take = [&](const Ring& ring, uint32_t begin, uint32_t end) {
    for (uint32_t i = begin; i != end; ++i) {
      const uint64_t object = ring.address(i) & XSK_UNALIGNED_BUF_ADDR_MASK;
      buffers.push_back(reinterpret_cast<rte_mbuf*>(base + object));
    }
  };
  // A frame that found the receive ring full left its buffer with the kernel,
  // which uses it for the next: it is what was taken from the fill ring last.
  uint32_t kept = rings->fill.consumer() - rings->rx.producer();
  if (kept > kMaxKept) kept = 0;  // zero-copy: the NIC has its own; lost
  take(rings->fill, rings->fill.consumer() - kept, rings->fill.producer());
  take(rings->rx, rings->rx.consumer(), rings->rx.producer());
  take(rings->tx, rings->tx.consumer(), rings->tx.producer());
  take(rings->completion, rings->completion.consumer(),
       rings->completion.producer());
  return buffers;
}

XskLosses LossesOf(int socket) {
  xdp_statistics statistics = {};
  socklen_t size = sizeof(statistics);
  if (getsockopt(socket, SOL_XDP, XDP_STATISTICS, &statistics, &size) != 0) {
    return {};
  }
  return {statistics.rx_ring_full, statistics.tx_invalid_descs};
}

}  // namespace godwit
