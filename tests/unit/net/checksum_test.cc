// SPDX-License-Identifier: BSD-3-Clause
// CHK-02, CHK-03, IPH-11, UDP-02: sums in full and by change, held against the
// plain sum of tests/support.
#include "dataplane/net/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/bytes.h"

namespace godwit {
namespace {

constexpr uint16_t kCorners[] = {0x0000, 0xffff, 0x0001, 0xfffe, 0x8000};

uint16_t Word(const Bytes& bytes, size_t at) {
  uint16_t word;
  std::memcpy(&word, bytes.data() + at, 2);
  return word;
}

// Loaded from the wire, as checksum.h has it.
uint16_t PlainChecksum(const Bytes& bytes) {
  return __builtin_bswap16(static_cast<uint16_t>(~PlainSum(bytes)));
}

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}
  uint32_t Below(uint32_t limit) {
    return static_cast<uint32_t>(random_() % limit);
  }
  // One in four is a corner.
  uint16_t Field() {
    const uint64_t value = random_();
    return value % 4 == 0 ? kCorners[(value >> 8) % std::size(kCorners)]
                          : static_cast<uint16_t>(value >> 16);
  }
  IpAddress Address(bool v4) {
    IpAddress address;
    for (size_t i = 0; i < 16; i += 2) {
      const uint16_t word = Field();
      std::memcpy(&address.bytes[i], &word, 2);
    }
    return v4 ? IpAddress::FromV4(&address.bytes[0]) : address;
  }
  Bytes Message(size_t size) {
    Bytes bytes(size);
    for (size_t i = 0; i + 1 < size; i += 2) {
      const uint16_t word = Field();
      std::memcpy(&bytes[i], &word, 2);
    }
    if (size % 2 != 0) bytes[size - 1] = static_cast<uint8_t>(random_());
    return bytes;
  }

 private:
  std::mt19937_64 random_;
};

TEST(ChecksumTest, Rfc1071Example) {
  // RFC 1071 3: the sum of these is ddf2.
  const Bytes bytes = FromHex("0001 f203 f4f5 f6f7");
  EXPECT_EQ(FoldSum(AddBytes(0, bytes.data(), bytes.size())),
            __builtin_bswap16(0xddf2));
}

TEST(ChecksumTest, Rfc1624Example) {
  // RFC 1624 4: where the older equation went wrong. 5555 -> 3285, the sum of
  // the rest being cd7a.
  ChecksumDelta delta;
  delta.Remove16(__builtin_bswap16(0x5555));
  delta.Add16(__builtin_bswap16(0x3285));
  EXPECT_EQ(ApplyDelta(__builtin_bswap16(0xdd2f), delta.value()), 0);
}

TEST(ChecksumTest, FullSumIsThePlainSumAtEverySizeAndPlace) {
  Draw draw(1);
  for (size_t size = 0; size < 200; ++size) {
    for (size_t skip = 0; skip < 8; ++skip) {
      const Bytes all = draw.Message(size + skip);
      const Bytes bytes(all.begin() + static_cast<ptrdiff_t>(skip), all.end());
      ASSERT_EQ(Checksum(all.data() + skip, size), PlainChecksum(bytes));
    }
  }
}

TEST(ChecksumTest, FullSumCarriesAllItCan) {
  const Bytes ones(65535, 0xff);
  EXPECT_EQ(Checksum(ones.data(), ones.size()), PlainChecksum(ones));
  EXPECT_EQ(FoldSum(~uint64_t{0}), 0xffff);
  EXPECT_EQ(FoldSum(0), 0);
}

TEST(ChecksumTest, PseudoHeadersOfBothFamilies) {
  Draw draw(2);
  for (int i = 0; i < 1000; ++i) {
    const bool v4 = i % 2 == 0;
    const IpAddress from = draw.Address(v4);
    const IpAddress to = draw.Address(v4);
    const auto protocol = static_cast<uint8_t>(draw.Below(256));
    const Bytes l4 = draw.Message(draw.Below(100));
    Bytes all;
    for (const IpAddress& address : {from, to}) {
      all.insert(all.end(), address.bytes.begin() + (address.IsV4() ? 12 : 0),
                 address.bytes.end());
    }
    Put32(all, l4.size());
    Put32(all, protocol);
    Append(all, l4);
    const uint64_t sum =
        PseudoHeaderSum(from, to, protocol, static_cast<uint32_t>(l4.size()));
    ASSERT_EQ(Checksum(l4.data(), l4.size(), sum), PlainChecksum(all));
  }
}

// A million messages, each with some of its 16-bit fields changed. A sum of
// nothing but zeros has two names and is left out: no header is all zero.
TEST(ChecksumTest, ChangeIsFullRecomputation) {
  Draw draw(3);
  for (int i = 0; i < 1'000'000; ++i) {
    const size_t size = 2 + draw.Below(39);
    Bytes bytes = draw.Message(size);
    bytes[0] |= 1;
    const uint16_t before = PlainChecksum(bytes);
    ChecksumDelta delta;
    for (uint32_t changes = draw.Below(4); changes > 0; --changes) {
      const size_t at = draw.Below(static_cast<uint32_t>(size / 2)) * 2;
      uint16_t fresh = draw.Field();
      if (at == 0) fresh |= 1;
      delta.Remove16(Word(bytes, at));
      delta.Add16(fresh);
      std::memcpy(&bytes[at], &fresh, 2);
    }
    const uint16_t after = PlainChecksum(bytes);
    ASSERT_EQ(ApplyDelta(before, delta.value()), after) << ToHex(bytes);
    ASSERT_EQ(ApplyDelta(after, NegateDelta(delta.value())), before);
  }
}

TEST(ChecksumTest, ChangeOfAddressesIsFullRecomputation) {
  Draw draw(4);
  for (int i = 0; i < 100'000; ++i) {
    const bool v4 = i % 2 == 0;
    const IpAddress old = draw.Address(v4);
    const IpAddress fresh = draw.Address(v4);
    const IpAddress peer = draw.Address(v4);
    if (!v4 && (old.IsV4() || fresh.IsV4() || peer.IsV4())) continue;
    const Bytes l4 = draw.Message(draw.Below(64));
    const auto size = static_cast<uint32_t>(l4.size());
    const auto full = [&](const IpAddress& local) {
      return Checksum(l4.data(), l4.size(),
                      PseudoHeaderSum(local, peer, 17, size));
    };
    ChecksumDelta delta;
    delta.RemoveAddress(old);
    delta.AddAddressBytes(fresh);
    ASSERT_EQ(ApplyDelta(full(old), delta.value()), full(fresh));
  }
}

// CHK-01: what was wrong stays wrong by the same amount.
TEST(ChecksumTest, ChangeRepairsNothing) {
  Draw draw(5);
  for (int i = 0; i < 100'000; ++i) {
    Bytes bytes = draw.Message(20);
    bytes[0] |= 1;
    const auto error = static_cast<uint16_t>(1 + draw.Below(0xfffe));
    const auto bad = static_cast<uint16_t>(PlainChecksum(bytes) ^ error);
    const bool same = bad % 0xffff == PlainChecksum(bytes) % 0xffff;
    const uint16_t fresh = draw.Field();
    ChecksumDelta delta;
    delta.Remove16(Word(bytes, 10));
    delta.Add16(fresh);
    std::memcpy(&bytes[10], &fresh, 2);
    const uint16_t after = ApplyDelta(bad, delta.value());
    ASSERT_EQ(after % 0xffff == PlainChecksum(bytes) % 0xffff, same);
  }
}

TEST(ChecksumTest, NamesOfZero) {
  ChecksumDelta nothing;
  EXPECT_EQ(ApplyDelta(0xffff, nothing.value()), 0xffff);
  EXPECT_EQ(ApplyDelta(0, nothing.value()), 0);
  ChecksumDelta same;
  same.Remove16(0x1234);
  same.Add16(0x1234);
  EXPECT_EQ(ApplyDelta(0, same.value()), 0);
  // UDP's "computed as zero" (G3): the result is written as 0xffff again.
  EXPECT_EQ(ApplyDelta(0xffff, same.value()), 0);
}

}  // namespace
}  // namespace godwit
