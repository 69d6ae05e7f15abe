// SPDX-License-Identifier: BSD-3-Clause
// Addresses that are never valid on a wire (RFC 6890, RFC 1812 5.3.7).
#include "dataplane/stage/decide.h"

namespace godwit {
namespace {

struct Block {
  uint8_t bytes[4];
  uint8_t length;
};

bool IsIn(const Block& block, const uint8_t* address) {
  const auto load = [](const uint8_t* b) {
    return static_cast<uint32_t>(b[0]) << 24 |
           static_cast<uint32_t>(b[1]) << 16 |
           static_cast<uint32_t>(b[2]) << 8 | b[3];
  };
  const uint32_t mask = ~uint32_t{0} << (32 - block.length);
  return ((load(address) ^ load(block.bytes)) & mask) == 0;
}

template <size_t kSize>
bool IsInAny(const Block (&blocks)[kSize], const uint8_t* address) {
  for (const Block& block : blocks) {
    if (IsIn(block, address)) return true;
  }
  return false;
}

constexpr Block kNever[] = {{{0, 0, 0, 0}, 8},
                            {{127, 0, 0, 0}, 8},
                            {{169, 254, 0, 0}, 16},
                            {{240, 0, 0, 0}, 4}};
constexpr Block kPrivate[] = {{{10, 0, 0, 0}, 8},      {{172, 16, 0, 0}, 12},
                              {{192, 168, 0, 0}, 16},  {{100, 64, 0, 0}, 10},
                              {{192, 0, 2, 0}, 24},    {{198, 18, 0, 0}, 15},
                              {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24}};
// The first 32 bits tell.
constexpr Block kNeverV6[] = {{{0xfe, 0xc0, 0, 0}, 10}};
constexpr Block kPrivateV6[] = {{{0x20, 0x01, 0x0d, 0xb8}, 32},
                                {{0x3f, 0xff, 0, 0}, 20},  // RFC 9637
                                {{0xfc, 0, 0, 0}, 7}};

bool IsNever(const IpAddress& address) {
  if (address.IsV4()) return IsInAny(kNever, address.V4Bytes());
  return address.IsZero() || address.IsLoopback() ||
         IsInAny(kNeverV6, address.bytes.data());
}

bool IsPrivate(const IpAddress& address) {
  return address.IsV4() ? IsInAny(kPrivate, address.V4Bytes())
                        : IsInAny(kPrivateV6, address.bytes.data());
}

}  // namespace

bool IsMartianSource(const IpAddress& address, Martians rule) {
  if (rule == Martians::kOff) return false;
  if (IsNever(address) || address.IsMulticast()) return true;
  return rule == Martians::kStrict && IsPrivate(address);
}

bool IsMartianDestination(const IpAddress& address, Martians rule) {
  return rule != Martians::kOff && IsNever(address);
}

}  // namespace godwit
