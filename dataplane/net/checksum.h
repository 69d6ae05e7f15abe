// SPDX-License-Identifier: BSD-3-Clause
// Internet checksums: full sums (RFC 1071) and incremental ones (RFC 1624).
// Values are as loaded from the wire on a little-endian machine; the one's
// complement sum does not mind (RFC 1071 2.B), so nothing is swapped.
#ifndef GODWIT_DATAPLANE_NET_CHECKSUM_H_
#define GODWIT_DATAPLANE_NET_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/net/address.h"

namespace godwit {

// Folds a one's complement sum of many words to 16 bits.
constexpr uint16_t FoldSum(uint64_t sum) {
  sum = (sum & 0xffffffffU) + (sum >> 32);
  sum = (sum & 0xffffffffU) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// Adds `size` bytes to a running sum; an odd last byte counts as the first of
// its word (RFC 1071).
inline uint64_t AddBytes(uint64_t sum, const void* bytes, size_t size) {
  const auto* at = static_cast<const uint8_t*>(bytes);
  for (; size >= 4; size -= 4, at += 4) {
    uint32_t word;
    std::memcpy(&word, at, 4);
    sum += word;
  }
  if (size >= 2) {
    uint16_t word;
    std::memcpy(&word, at, 2);
    sum += word;
    at += 2;
    size -= 2;
  }
  if (size == 1) sum += *at;
  return sum;
}

// Whether an IPv4 header without options sums up to "nothing wrong" (RFC 791):
// FoldSum(AddBytes(0, header, 20)) == 0xffff in half the instructions. Words of
// 64 bits are added with the carry brought round; then each rotation by half a
// word brings both halves' sum, carry included, to the upper half.
inline bool IsPlainIpv4Sum(const void* header) {
  unsigned long long first;
  unsigned long long second;
  uint32_t third;
  const auto* at = static_cast<const uint8_t*>(header);
  std::memcpy(&first, at, 8);
  std::memcpy(&second, at + 8, 8);
  std::memcpy(&third, at + 16, 4);
  unsigned long long sum;
  const bool carry = __builtin_add_overflow(first, second, &sum);
  // Two 32-bit halves and no carry out: `third` and the carry fit in.
  sum += sum << 32 | sum >> 32;
  uint64_t upper = (sum >> 32) + third + (carry ? 1 : 0);
  upper = (upper & 0xffffffffU) + (upper >> 32);
  auto half = static_cast<uint32_t>(upper);
  half += half << 16 | half >> 16;
  return half >> 16 == 0xffff;
}

inline uint64_t AddAddress(uint64_t sum, const IpAddress& address) {
  return address.IsV4() ? AddBytes(sum, address.V4Bytes(), 4)
                        : AddBytes(sum, address.bytes.data(), 16);
}

// The pseudo header of TCP, UDP (RFC 9293 3.1, RFC 768) and everything over
// IPv6 (RFC 8200 8.1), ICMPv6 too. `l4_size` in bytes.
inline uint64_t PseudoHeaderSum(const IpAddress& source,
                                const IpAddress& destination, uint8_t protocol,
                                uint32_t l4_size) {
  uint64_t sum = AddAddress(AddAddress(0, source), destination);
  sum += __builtin_bswap32(l4_size);
  sum += static_cast<uint32_t>(protocol) << 8;
  return sum;
}

// What a checksum field holds for these bytes, `sum` being what came before.
inline uint16_t Checksum(const void* bytes, size_t size, uint64_t sum = 0) {
  return static_cast<uint16_t>(~FoldSum(AddBytes(sum, bytes, size)));
}

// The change of a sum when some fields are replaced: ~m + m' of RFC 1624
// equation 3. Accumulate with Remove and Add, apply with Apply.
class ChecksumDelta {
 public:
  constexpr void Remove16(uint16_t wire) {
    sum_ += static_cast<uint16_t>(~wire);
  }
  constexpr void Add16(uint16_t wire) { sum_ += wire; }
  // `address` is taken in its own family's size; removing one and adding
  // another must be of one family.
  void RemoveAddress(const IpAddress& address) {
    sum_ += static_cast<uint16_t>(~FoldSum(AddAddress(0, address)));
  }
  void AddAddressBytes(const IpAddress& address) {
    sum_ += FoldSum(AddAddress(0, address));
  }
  constexpr uint16_t value() const { return FoldSum(sum_); }

 private:
  uint64_t sum_ = 0;
};

// HC' = ~(~HC + delta), RFC 1624 equation 3: what full recomputation gives.
// 0xffff comes out only where it went in and `delta` is 0, "nothing changed";
// with any other delta the result is 0 to 0xfffe. UDP's callers write 0xffff
// for 0 (RFC 768).
constexpr uint16_t ApplyDelta(uint16_t checksum, uint16_t delta) {
  // Of two 16-bit words: folded once.
  const uint32_t sum = uint32_t{static_cast<uint16_t>(~checksum)} + delta;
  return static_cast<uint16_t>(~(sum + (sum >> 16)));
}

// The delta of the opposite rewrite.
constexpr uint16_t NegateDelta(uint16_t delta) {
  return static_cast<uint16_t>(~delta);
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_CHECKSUM_H_
