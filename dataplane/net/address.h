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

namespace godwit {

// An IPv6 address, or an IPv4 address in its mapped form ::ffff:a.b.c.d
// (RFC 4291 2.5.5.2), in wire order. A mapped address never comes from an IPv6
// packet: packet_view refuses those, so the form is unambiguous.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  // `wire` is the four bytes as they stand in a header.
  static IpAddress FromV4(const void* wire) {
    IpAddress address;
    address.bytes[10] = 0xff;
    address.bytes[11] = 0xff;
    std::memcpy(&address.bytes[12], wire, 4);
    return address;
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
    uint64_t marker;
    std::memcpy(&marker, &bytes[4], 8);
    return high() == 0 && marker == kV4Marker;
  }
  bool IsZero() const { return high() == 0 && low() == 0; }
  // The four bytes of an IPv4 address in wire order, as a number.
  uint32_t V4Wire() const {
    uint32_t value;
    std::memcpy(&value, &bytes[12], 4);
    return value;
  }
  const uint8_t* V4Bytes() const { return &bytes[12]; }

  bool IsMulticast() const;    // 224/4 (RFC 5771), ff00::/8 (RFC 4291)
  bool IsLinkLocal() const;    // 169.254/16 (RFC 3927), fe80::/10
  bool IsLoopback() const;     // 127/8, ::1
  bool IsUnspecified() const;  // 0.0.0.0, ::

  std::string ToString() const;  // RFC 5952 text

  friend bool operator==(const IpAddress& a, const IpAddress& b) {
    return a.high() == b.high() && a.low() == b.low();
  }
  friend std::strong_ordering operator<=>(const IpAddress& a,
                                          const IpAddress& b) {
    return std::memcmp(a.bytes.data(), b.bytes.data(), 16) <=> 0;
  }

 private:
  // Bytes 4-11 of a mapped address, as loaded on a little-endian machine.
  static constexpr uint64_t kV4Marker = 0xffff000000000000ULL;
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
std::string MacToString(const MacAddress& mac);  // "02:00:00:00:00:01"
std::optional<MacAddress> ParseMac(std::string_view text);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_ADDRESS_H_
