// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/net/address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdio>

namespace godwit {
namespace {

std::optional<unsigned> ParseNumber(std::string_view text, unsigned limit) {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end || value > limit) {
    return std::nullopt;
  }
  return value;
}

// Whether the first `bits` (0-128) of the 16 bytes are the same.
bool SamePrefix(const IpAddress& a, const IpAddress& b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (std::memcmp(a.bytes.data(), b.bytes.data(), whole) != 0) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const unsigned mask = 0xff00U >> rest;
  return ((a.bytes[whole] ^ b.bytes[whole]) & mask) == 0;
}

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  // inet_pton stops at the first NUL; what is behind it would be ignored.
  if (text.size() >= INET6_ADDRSTRLEN ||
      text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string copy(text);
  uint8_t wire[16];
  if (inet_pton(AF_INET, copy.c_str(), wire) == 1) return FromV4(wire);
  if (inet_pton(AF_INET6, copy.c_str(), wire) == 1) {
    const IpAddress address = FromV6(wire);
    if (address.IsV4()) return std::nullopt;
    return address;
  }
  return std::nullopt;
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  if (IsV4()) {
    inet_ntop(AF_INET, V4Bytes(), text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, bytes.data(), text, sizeof(text));
  }
  return text;
}

std::optional<Prefix> Prefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const unsigned limit = address->IsV4() ? 32 : 128;
  if (slash == std::string_view::npos) {
    return Prefix{*address, static_cast<uint8_t>(limit)};
  }
  const auto length = ParseNumber(text.substr(slash + 1), limit);
  if (!length) return std::nullopt;
  return Prefix{*address, static_cast<uint8_t>(*length)};
}

bool Prefix::Contains(const IpAddress& other) const {
  return address.IsV4() == other.IsV4() &&
         SamePrefix(address, other, WideLength());
}

Prefix Prefix::Masked() const {
  Prefix masked = *this;
  const unsigned whole = WideLength() / 8;
  if (whole == 16) return masked;
  const unsigned keep = 0xff00U >> (WideLength() % 8);
  masked.address.bytes[whole] =
      static_cast<uint8_t>(masked.address.bytes[whole] & keep);
  std::memset(masked.address.bytes.data() + whole + 1, 0, 15 - whole);
  return masked;
}

std::optional<std::pair<IpAddress, IpAddress>> Prefix::Edges() const {
  constexpr unsigned kLongestWithEdges = 30;
  if (!address.IsV4() || length > kLongestWithEdges) return std::nullopt;
  const IpAddress first = Masked().address;
  IpAddress last = first;
  for (unsigned bit = WideLength(); bit < 128; ++bit) {
    last.bytes[bit / 8] =
        static_cast<uint8_t>(last.bytes[bit / 8] | 0x80U >> (bit % 8));
  }
  return std::pair(first, last);
}

std::string Prefix::ToString() const {
  return address.ToString() + "/" + std::to_string(length);
}

std::optional<AddressAndPort> AddressAndPort::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed =
      host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::Parse(host);
  const auto l4port = ParseNumber(text.substr(colon + 1), 65535);
  if (!address || !l4port || address->IsV4() == bracketed) return std::nullopt;
  return AddressAndPort{*address, static_cast<uint16_t>(*l4port)};
}

std::string AddressAndPort::ToString() const {
  const std::string host = address.ToString();
  return (address.IsV4() ? host : "[" + host + "]") + ":" +
         std::to_string(l4port);
}

std::string MacToString(const MacAddress& mac) {
  char text[18];
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
                mac[1], mac[2], mac[3], mac[4], mac[5]);
  return text;
}

std::optional<MacAddress> ParseMac(std::string_view text) {
  MacAddress mac{};
  if (text.size() != 17) return std::nullopt;
  for (size_t i = 0; i < mac.size(); ++i) {
    const char* digits = text.data() + i * 3;
    const auto [stop, error] = std::from_chars(digits, digits + 2, mac[i], 16);
    if (error != std::errc() || stop != digits + 2) return std::nullopt;
    if (i + 1 < mac.size() && digits[2] != ':') return std::nullopt;
  }
  return mac;
}

}  // namespace godwit
