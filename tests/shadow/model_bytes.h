// SPDX-License-Identifier: BSD-3-Clause
// The shadow model's own bytes, addresses and checksums: slow, and nobody
// else's.
#ifndef GODWIT_TESTS_SHADOW_MODEL_BYTES_H_
#define GODWIT_TESTS_SHADOW_MODEL_BYTES_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace godwit::shadow {

using Bytes = std::vector<uint8_t>;

unsigned Read16(const Bytes& bytes, size_t at);
uint32_t Read32(const Bytes& bytes, size_t at);
void Write16(Bytes& bytes, size_t at, unsigned value);
void Write32(Bytes& bytes, size_t at, uint32_t value);
// [from, to), as far as there is.
Bytes Slice(const Bytes& bytes, size_t from, size_t to);
std::string Hex(const Bytes& bytes);

struct Address {
  bool v6 = false;
  std::array<uint8_t, 16> octets{};  // v4: the first four

  static Address Of(const std::string& text);
  static Address At(const Bytes& bytes, size_t at, bool v6);
  size_t size() const { return v6 ? 16 : 4; }
  Bytes bytes() const { return {octets.begin(), octets.begin() + Signed()}; }
  std::string ToString() const;
  // The first `length` bits are `network`'s.
  bool In(const Address& network, unsigned length) const;
  auto operator<=>(const Address&) const = default;

 private:
  std::ptrdiff_t Signed() const { return v6 ? 16 : 4; }
};
void WriteAddress(Bytes& bytes, size_t at, const Address& address);

// An address with an l4port, or with an echo's identifier.
struct End {
  Address address;
  unsigned l4port = 0;
  auto operator<=>(const End&) const = default;
  std::string ToString() const;
};

// One's complement sums are numbers modulo 65535; 0 is written as 0 here.
class Sum {
 public:
  Sum& Add(const Bytes& bytes);  // an odd last byte is a high one
  Sum& Add16(uint64_t value) {
    value_ = (value_ + value % 65535) % 65535;
    return *this;
  }
  Sum& Take(const Sum& other) { return Add16(65535 - other.value_); }
  unsigned value() const { return static_cast<unsigned>(value_); }

 private:
  uint64_t value_ = 0;
};

// The sum that an l4 checksum is made of, its field as it stands there: 0
// modulo 65535 if the checksum is right. ICMP of IPv4 has no addresses in it.
Sum L4Sum(const Address& source, const Address& destination, unsigned protocol,
          const Bytes& l4);

}  // namespace godwit::shadow

#endif  // GODWIT_TESTS_SHADOW_MODEL_BYTES_H_
