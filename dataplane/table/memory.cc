// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace godwit {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kOrdinaryPage = size_t{4} << 10;

// Linux 6.1; Debian 12's libc does not name it.
constexpr int kMadviseCollapse = 25;

size_t RoundUp(size_t bytes, size_t page) {
  return (bytes + page - 1) / page * page;
}

std::byte* MapPages(size_t bytes, int flags) {
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return start == MAP_FAILED ? nullptr : static_cast<std::byte*>(start);
}

// Transparent huge pages need a start at a 2 MiB boundary: maps one huge page
// more and gives back what lies outside.
std::byte* MapAligned(size_t bytes) {
  std::byte* start = MapPages(bytes + kHugePage, 0);
  if (start == nullptr) return nullptr;
  const size_t misfit = reinterpret_cast<uintptr_t>(start) % kHugePage;
  const size_t before = misfit == 0 ? 0 : kHugePage - misfit;
  if (before > 0) munmap(start, before);
  munmap(start + before + bytes, kHugePage - before);
  return start + before;
}

}  // namespace

BigMemory BigMemory::Map(size_t bytes, HugePages huge_pages) {
  GODWIT_CHECK(bytes > 0);
  BigMemory memory;
  std::byte* start = nullptr;
  memory.mapped_ = RoundUp(bytes, kHugePage);
  if (huge_pages == HugePages::kAuto || huge_pages == HugePages::kRequired) {
    memory.page_kind_ = PageKind::kReservedHuge;
    start = MapPages(memory.mapped_, MAP_HUGETLB | MAP_POPULATE);
  }
  if (start == nullptr && huge_pages == HugePages::kRequired) return {};
  if (start == nullptr && huge_pages != HugePages::kOff) {
    start = MapAligned(memory.mapped_);
    memory.page_kind_ = PageKind::kOrdinary;
    if (start != nullptr && madvise(start, memory.mapped_, MADV_HUGEPAGE) == 0)
      memory.page_kind_ = PageKind::kTransparentHuge;
  }
  if (start == nullptr) {
    memory.mapped_ = RoundUp(bytes, kOrdinaryPage);
    memory.page_kind_ = PageKind::kOrdinary;
    start = MapPages(memory.mapped_, 0);
  }
  if (start == nullptr) return {};
  memory.bytes_ = {start, bytes};
  // Populated now, so that the fast path never faults. A kernel before 5.14
  // does not know the advice; then the first touch faults, nothing worse.
  if (memory.page_kind_ != PageKind::kReservedHuge &&
      madvise(start, memory.mapped_, MADV_POPULATE_WRITE) != 0 &&
      errno == ENOMEM) {
    return {};  // the destructor of `memory` unmaps
  }
  return memory;
}

BigMemory BigMemory::MapFile(int fd, size_t bytes) {
  GODWIT_CHECK(bytes > 0);
  BigMemory memory;
  memory.mapped_ = RoundUp(bytes, kHugePage);
  if (ftruncate(fd, static_cast<off_t>(memory.mapped_)) != 0) return {};
  std::byte* start = MapAligned(memory.mapped_);
  if (start == nullptr) return {};
  memory.bytes_ = {start, bytes};
  if (mmap(start, memory.mapped_, PROT_READ | PROT_WRITE,
           MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
    return {};
  }
  // Holes become huge pages at once, whatever the mount says. An older kernel,
  // or another file system, has ordinary pages.
  if (madvise(start, memory.mapped_, kMadviseCollapse) == 0) {
    memory.page_kind_ = PageKind::kTransparentHuge;
  }
  // The advice itself is unknown before Linux 5.14; all else is a lack of room.
  if (madvise(start, memory.mapped_, MADV_POPULATE_WRITE) != 0 &&
      errno != EINVAL) {
    return {};
  }
  return memory;
}

BigMemory& BigMemory::operator=(BigMemory&& other) noexcept {
  if (this == &other) return *this;
  Unmap();
  bytes_ = std::exchange(other.bytes_, {});
  mapped_ = std::exchange(other.mapped_, 0);
  page_kind_ = other.page_kind_;
  return *this;
}

void BigMemory::Unmap() {
  if (!bytes_.empty()) munmap(bytes_.data(), mapped_);
  bytes_ = {};
}

}  // namespace godwit
