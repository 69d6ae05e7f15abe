// SPDX-License-Identifier: BSD-3-Clause
// IP addresses and prefixes, both families in one 16-byte form, and their text.
#ifndef GODWIT_DATAPLANE_NET_ADDRESS_H_
#define GODWIT_DATAPLANE_NET_ADDRESS_H_

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace godwit {

// An IPv6 address, or an IPv4 address in its mapped form ::ffff:a.b.c.d
// (RFC 4291 2.5.5.2), in wire order. A mapped address never comes from an IPv6
// packet: packet_view refuses those, so the form is unambiguous.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  // `wire` is the four bytes as they stand in a header.
  static IpAddress FromV4(const void* wire) {
    uint32_t value;
    std::memcpy(&value, wire, 4);
    // Two words at once: read back as words, at full speed, soon after.
    const uint64_t words[2] = {0, kV4Marker | uint64_t{value} << 32};
    return FromV6(words);
  }
  static IpAddress FromV6(const void* wire) {
    IpAddress address;
    std::memcpy(address.bytes.data(), wire, 16);
    return address;
  }
  // Reads "192.0.2.1" or "2001:db8::1"; nullopt for anything else, a mapped
  // or a scoped address too.
  static std::optional<IpAddress> Parse(std::string_view text);

  uint64_t high() const {
    uint64_t value;
    std::memcpy(&value, bytes.data(), 8);
    return value;
  }
  uint64_t low() const {
    uint64_t value;
    std::memcpy(&value, &bytes[8], 8);
    return value;
  }
  bool IsV4() const {
    return high() == 0 && static_cast<uint32_t>(low()) == kV4Marker;
  }
  bool IsZero() const { return high() == 0 && low() == 0; }
  // The four bytes of an IPv4 address in wire order, as a number.
  uint32_t V4Wire() const {
    uint32_t value;
    std::memcpy(&value, &bytes[12], 4);
    return value;
  }
  const uint8_t* V4Bytes() const { return &bytes[12]; }

  // 224/4 (RFC 5771), ff00::/8 (RFC 4291).
  bool IsMulticast() const {
    return IsV4() ? (bytes[12] & 0xf0) == 0xe0 : bytes[0] == 0xff;
  }
  // 169.254/16 (RFC 3927), fe80::/10.
  bool IsLinkLocal() const {
    if (IsV4()) return bytes[12] == 169 && bytes[13] == 254;
    return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
  }
  // 127/8, ::1.
  bool IsLoopback() const {
    if (IsV4()) return bytes[12] == 127;
    return high() == 0 && low() == uint64_t{1} << 56;
  }
  // 0.0.0.0, ::.
  bool IsUnspecified() const { return IsZero() || (IsV4() && V4Wire() == 0); }

  std::string ToString() const;  // RFC 5952 text

  friend bool operator==(const IpAddress& a, const IpAddress& b) {
    return a.high() == b.high() && a.low() == b.low();
  }
  friend std::strong_ordering operator<=>(const IpAddress& a,
                                          const IpAddress& b) {
    return std::memcmp(a.bytes.data(), b.bytes.data(), 16) <=> 0;
  }

 private:
  // Bytes 8-11 of a mapped address, as loaded on a little-endian machine.
  static constexpr uint32_t kV4Marker = 0xffff0000U;
};
static_assert(sizeof(IpAddress) == 16);

// An address block. `length` counts in the family's own bits: 0-32 or 0-128.
// Host bits are kept as written: "198.51.100.7/24" is an interface address.
struct Prefix {
  IpAddress address;
  uint8_t length = 0;

  // Reads "ADDR/LEN", or a bare address as its host prefix.
  static std::optional<Prefix> Parse(std::string_view text);
  // `length` as a length over all 16 bytes (IPv4: 96 more).
  unsigned WideLength() const {
    return address.IsV4() ? 96U + length : unsigned{length};
  }
  bool Contains(const IpAddress& other) const;
  Prefix Masked() const;  // host bits cleared
  // The first and the last address of an IPv4 network: they mean all of it (RFC
  // 919, RFC 1122 3.2.1.3), and no host has them. nullopt where hosts have all:
  // in one of two addresses (RFC 3021) or one, and in IPv6.
  std::optional<std::pair<IpAddress, IpAddress>> Edges() const;
  std::string ToString() const;
  friend bool operator==(const Prefix&, const Prefix&) = default;
  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

// "ADDR:PORT", IPv6 in brackets; nullopt for anything else.
struct AddressAndPort {
  IpAddress address;
  uint16_t l4port = 0;
  static std::optional<AddressAndPort> Parse(std::string_view text);
  std::string ToString() const;
  friend bool operator==(const AddressAndPort&,
                         const AddressAndPort&) = default;
};

using MacAddress = std::array<uint8_t, 6>;
// As == does, in two loads: that one is a call.
inline bool IsSame(const MacAddress& a, const MacAddress& b) {
  uint32_t head[2];
  uint16_t tail[2];
  std::memcpy(&head[0], a.data(), 4);
  std::memcpy(&head[1], b.data(), 4);
  std::memcpy(&tail[0], &a[4], 2);
  std::memcpy(&tail[1], &b[4], 2);
  return ((head[0] ^ head[1]) | static_cast<uint32_t>(tail[0] ^ tail[1])) == 0;
}
std::string MacToString(const MacAddress& mac);  // "02:00:00:00:00:01"
std::optional<MacAddress> ParseMac(std::string_view text);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_ADDRESS_H_
