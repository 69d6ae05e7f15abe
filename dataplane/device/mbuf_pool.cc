// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/mbuf_pool.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <linux/bpf.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include <algorithm>

namespace godwit {
namespace {

// Buffers that each lcore keeps at hand, at most one and a half times this.
constexpr uint32_t kCache = 256;
constexpr uint32_t kMinCount = 1024;
constexpr uint32_t kPage = 4096;
// A worker's bursts and its share of hand-over rings.
constexpr uint32_t kInFlightPerWorker = 2048;

// The pool `create` asks for, each object padded to exactly a page.
rte_mempool* CreatePaged(const MbufPoolOptions& create, uint32_t count) {
  constexpr unsigned kFlags = RTE_MEMPOOL_F_NO_SPREAD;
  const uint32_t fixed =
      static_cast<uint32_t>(sizeof(rte_mbuf)) + create.meta_size;
  // Found by asking, so that what DPDK puts around an object is its own affair.
  uint32_t data_room = create.data_room;
  while (rte_mempool_calc_obj_size(fixed + data_room + 8, kFlags, nullptr) <=
         kPage) {
    data_room += 8;
  }
  rte_mempool* pool = rte_mempool_create_empty(
      create.name.c_str(), count, fixed + data_room, kCache,
      sizeof(rte_pktmbuf_pool_private),
      create.numa < 0 ? SOCKET_ID_ANY : create.numa, kFlags);
  if (pool == nullptr) return nullptr;
  rte_pktmbuf_pool_private settings = {};
  settings.mbuf_data_room_size = static_cast<uint16_t>(data_room);
  settings.mbuf_priv_size = create.meta_size;
  rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
  rte_pktmbuf_pool_init(pool, &settings);
  const int populated = rte_mempool_populate_default(pool);
  if (populated < 0) {
    rte_mempool_free(pool);
    rte_errno = -populated;
    return nullptr;
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

uint32_t PoolMib(const rte_mempool& pool) {
  uint64_t bytes = 0;
  const rte_mempool_memhdr* memory = nullptr;
  STAILQ_FOREACH(memory, &pool.mem_list, next) bytes += memory->len;
  return static_cast<uint32_t>((bytes >> 20) + 1);
}

}  // namespace

absl::StatusOr<rte_mempool*> CreateMbufPool(const MbufPoolOptions& options) {
  if (options.meta_size % RTE_MBUF_PRIV_ALIGN != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("pool ", options.name, ": meta of ", options.meta_size,
                     " bytes is not a multiple of ", RTE_MBUF_PRIV_ALIGN));
  }
  const uint32_t count = std::max(options.count, kMinCount);
  rte_mempool* pool =
      options.paged ? CreatePaged(options, count)
                    : rte_pktmbuf_pool_create(
                          options.name.c_str(), count, kCache,
                          options.meta_size, options.data_room,
                          options.numa < 0 ? SOCKET_ID_ANY : options.numa);
  if (pool == nullptr) {
    const bool paged = options.paged || rte_eal_has_hugepages() == 0;
    return absl::ResourceExhaustedError(absl::StrCat(
        "pool ", options.name, ": no ", count, " buffers (",
        MbufPoolMib(count, options.meta_size, options.data_room, paged),
        " MiB): ", rte_strerror(rte_errno)));
  }
  return pool;
}

void FreeMbufPool(rte_mempool* pool) { rte_mempool_free(pool); }

uint32_t MbufCount(uint64_t ring_slots, uint32_t workers) {
  const uint64_t wanted =
      ring_slots + uint64_t{workers} * (kInFlightPerWorker + 2 * kCache);
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(wanted, kMinCount, uint64_t{1} << 24));
}

uint32_t MbufPoolMib(uint32_t count, uint16_t meta_size, uint16_t data_room,
                     bool paged) {
  uint32_t object = rte_mempool_calc_obj_size(
      static_cast<uint32_t>(sizeof(rte_mbuf)) + meta_size + data_room, 0,
      nullptr);
  if (paged) object = std::max(object, kPage);
  const uint64_t bytes = uint64_t{count} * (object + sizeof(void*));
  return static_cast<uint32_t>((bytes >> 20) + 1);
}

std::string CheckXskPool(const rte_mempool& pool) {
  if (pool.nb_mem_chunks != 1) {
    // Of the last hugepages a pool takes what there is, piece by piece.
    return absl::StrCat("no ", pool.size, " buffers (", PoolMib(pool),
                        " MiB) in one piece, as AF_XDP needs them, but in ",
                        pool.nb_mem_chunks,
                        ": too few hugepages are free, or --iova-mode is pa");
  }
  const uint32_t object =
      rte_mempool_calc_obj_size(pool.elt_size, pool.flags, nullptr);
  if (object != kPage) {
    return absl::StrCat("a buffer takes ", object,
                        " bytes, AF_XDP needs a page of ", kPage);
  }
  return "";
}

std::vector<void*> TakeBeyondUmem(rte_mempool& pool) {
  const uint32_t object =
      rte_mempool_calc_obj_size(pool.elt_size, pool.flags, nullptr);
  const rte_mempool_memhdr* memory = STAILQ_FIRST(&pool.mem_list);
  const char* end = static_cast<const char*>(memory->addr) +
                    uint64_t{pool.populated_size} * object;
  std::vector<void*> buffers(rte_mempool_avail_count(&pool));
  std::vector<void*> beyond;
  if (rte_mempool_get_bulk(&pool, buffers.data(),
                           static_cast<unsigned>(buffers.size())) != 0) {
    return beyond;
  }
  std::erase_if(buffers, [&](void* buffer) {
    const char* start = static_cast<const char*>(buffer) - pool.header_size;
    if (start + object <= end) return false;
    beyond.push_back(buffer);
    return true;
  });
  rte_mempool_put_bulk(&pool, buffers.data(),
                       static_cast<unsigned>(buffers.size()));
  return beyond;
}

uint32_t XskMaxFrame(const rte_mempool& pool) {
  const uint32_t object =
      rte_mempool_calc_obj_size(pool.elt_size, pool.flags, nullptr);
  const uint32_t front =
      pool.header_size + static_cast<uint32_t>(sizeof(rte_mbuf)) +
      rte_pktmbuf_priv_size(const_cast<rte_mempool*>(&pool)) +
      RTE_PKTMBUF_HEADROOM + XDP_PACKET_HEADROOM + pool.trailer_size;
  return object > front ? object - front : 0;
}

}  // namespace godwit
