// SPDX-License-Identifier: BSD-3-Clause
// Wire order as a type: a Be16 can't be mixed up with a host number.
#ifndef GODWIT_DATAPLANE_NET_BYTEORDER_H_
#define GODWIT_DATAPLANE_NET_BYTEORDER_H_

#include <cstdint>

namespace godwit {

// 16 bits as they stand on the wire. `wire()` is for checksum arithmetic only.
class [[gnu::packed]] Be16 {
 public:
  constexpr Be16() = default;
  constexpr explicit Be16(uint16_t host) : wire_(__builtin_bswap16(host)) {}
  static constexpr Be16 FromWire(uint16_t wire) {
    Be16 value;
    value.wire_ = wire;
    return value;
  }
  constexpr uint16_t host() const { return __builtin_bswap16(wire_); }
  constexpr uint16_t wire() const { return wire_; }
  friend constexpr bool operator==(Be16, Be16) = default;

 private:
  uint16_t wire_ = 0;
};
static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);

// 32 bits as they stand on the wire.
class [[gnu::packed]] Be32 {
 public:
  constexpr Be32() = default;
  constexpr explicit Be32(uint32_t host) : wire_(__builtin_bswap32(host)) {}
  static constexpr Be32 FromWire(uint32_t wire) {
    Be32 value;
    value.wire_ = wire;
    return value;
  }
  constexpr uint32_t host() const { return __builtin_bswap32(wire_); }
  constexpr uint32_t wire() const { return wire_; }
  friend constexpr bool operator==(Be32, Be32) = default;

 private:
  uint32_t wire_ = 0;
};
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_BYTEORDER_H_
