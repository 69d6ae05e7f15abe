// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace godwit {
namespace {

// Bytes of this process's address space.
size_t AddressSpace() {
  std::ifstream file("/proc/self/statm");
  size_t pages = 0;
  file >> pages;
  return pages * 4096;
}

TEST(BigMemoryTest, IsZeroedAlignedAndWritable) {
  for (const HugePages huge_pages :
       {HugePages::kAuto, HugePages::kTransparent, HugePages::kOff}) {
    const BigMemory memory = BigMemory::Map(5'000'000, huge_pages);
    ASSERT_EQ(memory.bytes().size(), 5'000'000u);
    const auto start = reinterpret_cast<uintptr_t>(memory.bytes().data());
    const size_t page = huge_pages == HugePages::kOff ? 4096u : 2u << 20;
    EXPECT_EQ(start % page, 0u);
    EXPECT_TRUE(std::ranges::all_of(
        memory.bytes(), [](std::byte b) { return b == std::byte{0}; }));
    std::ranges::fill(memory.bytes(), std::byte{0xff});
  }
}

TEST(BigMemoryTest, GivesBackWhatItMapped) {
  constexpr size_t kBytes = size_t{64} << 20;
  BigMemory::Map(kBytes, HugePages::kAuto);  // whatever is lazily set up
  const size_t before = AddressSpace();
  for (const HugePages huge_pages :
       {HugePages::kAuto, HugePages::kTransparent, HugePages::kOff}) {
    BigMemory memory = BigMemory::Map(kBytes, huge_pages);
    EXPECT_GE(AddressSpace(), before + kBytes);
    BigMemory moved = std::move(memory);
    EXPECT_EQ(moved.bytes().size(), kBytes);
    moved = BigMemory::Map(kBytes, huge_pages);
    EXPECT_LT(AddressSpace(), before + 2 * kBytes);
    moved = {};
    EXPECT_EQ(AddressSpace(), before);
  }
}

TEST(BigMemoryTest, TooMuchIsEmpty) {
  const size_t before = AddressSpace();
  for (HugePages huge_pages : {HugePages::kAuto, HugePages::kRequired,
                               HugePages::kTransparent, HugePages::kOff}) {
    EXPECT_TRUE(BigMemory::Map(size_t{1} << 50, huge_pages).empty());
  }
  EXPECT_EQ(AddressSpace(), before);
}

// Whichever way the machine is set up, "required" is never less.
TEST(BigMemoryTest, RequiredIsReservedHugePagesOrNothing) {
  const BigMemory memory = BigMemory::Map(4096, HugePages::kRequired);
  if (!memory.empty()) {
    EXPECT_EQ(memory.page_kind(), PageKind::kReservedHuge);
  }
}

TEST(TakeTest, CutsMemoryAtCacheLines) {
  const BigMemory memory = BigMemory::Map(4096, HugePages::kOff);
  std::span<std::byte> rest = memory.bytes();
  const std::span<uint32_t> first = Take<uint32_t>(rest, 17);
  const std::span<uint64_t> second = Take<uint64_t>(rest, 1);
  EXPECT_EQ(first.size(), 17u);
  EXPECT_EQ(reinterpret_cast<std::byte*>(second.data()) -
                reinterpret_cast<std::byte*>(first.data()),
            128);
  EXPECT_EQ(rest.size(), 4096u - 192u);
  EXPECT_EQ(BytesToTake<uint32_t>(17) + BytesToTake<uint64_t>(1), 192u);
  EXPECT_DEATH(Take<std::byte>(rest, 4096), "CHECK failed");
}

}  // namespace
}  // namespace godwit
