// SPDX-License-Identifier: BSD-3-Clause
#include "tests/shadow/model_bytes.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>

namespace godwit::shadow {

unsigned Read16(const Bytes& bytes, size_t at) {
  return bytes.at(at) * 256U + bytes.at(at + 1);
}

uint32_t Read32(const Bytes& bytes, size_t at) {
  return Read16(bytes, at) * 65536U + Read16(bytes, at + 2);
}

void Write16(Bytes& bytes, size_t at, unsigned value) {
  bytes.at(at) = static_cast<uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<uint8_t>(value);
}

void Write32(Bytes& bytes, size_t at, uint32_t value) {
  Write16(bytes, at, value >> 16);
  Write16(bytes, at + 2, value & 0xffff);
}

Bytes Slice(const Bytes& bytes, size_t from, size_t to) {
  to = std::min(to, bytes.size());
  from = std::min(from, to);
  return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(from),
               bytes.begin() + static_cast<std::ptrdiff_t>(to));
}

std::string Hex(const Bytes& bytes) {
  const char* digits = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += digits[byte / 16];
    text += digits[byte % 16];
  }
  return text;
}

Address Address::Of(const std::string& text) {
  Address address;
  address.v6 = text.find(':') != std::string::npos;
  const int family = address.v6 ? AF_INET6 : AF_INET;
  if (inet_pton(family, text.c_str(), address.octets.data()) != 1) std::abort();
  return address;
}

Address Address::At(const Bytes& bytes, size_t at, bool v6) {
  Address address;
  address.v6 = v6;
  for (size_t i = 0; i < address.size(); ++i) {
    address.octets.at(i) = bytes.at(at + i);
  }
  return address;
}

std::string Address::ToString() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(v6 ? AF_INET6 : AF_INET, octets.data(), text, sizeof text);
  return text;
}

bool Address::In(const Address& network, unsigned length) const {
  if (v6 != network.v6) return false;
  for (unsigned bit = 0; bit < length; ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if ((octets.at(bit / 8) & mask) != (network.octets.at(bit / 8) & mask)) {
      return false;
    }
  }
  return true;
}

void WriteAddress(Bytes& bytes, size_t at, const Address& address) {
  for (size_t i = 0; i < address.size(); ++i) {
    bytes.at(at + i) = address.octets.at(i);
  }
}

std::string End::ToString() const {
  const std::string text = address.ToString();
  return (address.v6 ? "[" + text + "]" : text) + ":" + std::to_string(l4port);
}

Sum& Sum::Add(const Bytes& bytes) {
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const unsigned low = i + 1 < bytes.size() ? bytes.at(i + 1) : 0;
    Add16(bytes.at(i) * 256U + low);
  }
  return *this;
}

Sum L4Sum(const Address& source, const Address& destination, unsigned protocol,
          const Bytes& l4) {
  Sum sum;
  if (protocol != 1) {
    sum.Add(source.bytes()).Add(destination.bytes());
    sum.Add16(protocol).Add16(l4.size());
  }
  return sum.Add(l4);
}

}  // namespace godwit::shadow
