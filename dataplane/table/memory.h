// SPDX-License-Identifier: BSD-3-Clause
// Big zeroed memory for tables, on huge pages where the system has them: a
// table of millions of flows is read at random, and on 4 KiB pages each read
// would cost a page walk too.
#ifndef GODWIT_DATAPLANE_TABLE_MEMORY_H_
#define GODWIT_DATAPLANE_TABLE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "dataplane/net/check.h"

namespace godwit {

// What the caller asks for (`dataplane.hugepages` of the config).
enum class HugePages {
  kAuto,         // from the reserved pool if it has enough, else kTransparent
  kRequired,     // from the reserved pool
  kTransparent,  // 2 MiB pages if the kernel can
  kOff,
};

// What it got: pages from the reserved pool, 2 MiB pages if the kernel can
// (transparent), or ordinary ones.
enum class PageKind { kReservedHuge, kTransparentHuge, kOrdinary };

// A mapping: zeroed, populated (no page fault later), aligned to 2 MiB unless
// kOff, released when destroyed. Movable only.
class BigMemory {
 public:
  BigMemory() = default;
  // `bytes` > 0. Not enough memory, or kRequired and no reserved huge pages:
  // the result is empty() and nothing stays mapped.
  static BigMemory Map(size_t bytes, HugePages huge_pages);
  // The same, of the empty file `fd`, which gets as many bytes in whole 2 MiB
  // pages and keeps them when this is gone. The caller's `fd` may be closed.
  // Not enough room: empty().
  static BigMemory MapFile(int fd, size_t bytes);

  BigMemory(BigMemory&& other) noexcept { *this = std::move(other); }
  BigMemory& operator=(BigMemory&& other) noexcept;
  ~BigMemory() { Unmap(); }

  bool empty() const { return bytes_.empty(); }
  // Exactly as many bytes as were asked for.
  std::span<std::byte> bytes() const { return bytes_; }
  PageKind page_kind() const { return page_kind_; }

 private:
  void Unmap();

  std::span<std::byte> bytes_;
  size_t mapped_ = 0;  // bytes_ rounded up to whole pages
  PageKind page_kind_ = PageKind::kOrdinary;
};

// Bytes that Take() uses for `count` objects of T.
template <class T>
constexpr size_t BytesToTake(size_t count) {
  return (count * sizeof(T) + 63) & ~size_t{63};
}

// The first bytes of `memory` as `count` objects of T; `memory` then begins
// behind them, at the next cache line. CHECKs that there is room and that the
// start is aligned. The objects are what the bytes say: zero after Map().
template <class T>
std::span<T> Take(std::span<std::byte>& memory, size_t count) {
  static_assert(std::is_trivially_copyable_v<T>);
  const size_t bytes = BytesToTake<T>(count);
  GODWIT_CHECK(bytes <= memory.size());
  GODWIT_CHECK(reinterpret_cast<uintptr_t>(memory.data()) % alignof(T) == 0);
  T* first = reinterpret_cast<T*>(memory.data());
  memory = memory.subspan(bytes);
  return {first, count};
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_TABLE_MEMORY_H_
