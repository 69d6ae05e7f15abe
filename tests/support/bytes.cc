// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/bytes.h"

#include <cctype>
#include <cstdlib>

#include "dataplane/net/check.h"

namespace godwit {

void Put16(Bytes& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

void Put32(Bytes& out, size_t value) {
  Put16(out, value >> 16);
  Put16(out, value);
}

void Set16(Bytes& out, size_t at, size_t value) {
  out[at] = static_cast<uint8_t>(value >> 8);
  out[at + 1] = static_cast<uint8_t>(value);
}

void Set32(Bytes& out, size_t at, size_t value) {
  Set16(out, at, value >> 16);
  Set16(out, at + 2, value);
}

void Append(Bytes& out, const Bytes& more) {
  out.insert(out.end(), more.begin(), more.end());
}

void PadTo(Bytes& out, size_t unit) {
  out.resize((out.size() + unit - 1) / unit * unit);
}

uint16_t PlainSum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? uint32_t{bytes[i]} << 8 : bytes[i];
    if (sum > 0xffff) sum -= 0xffff;  // the carry comes round at once
  }
  return static_cast<uint16_t>(sum);
}

Bytes FromHex(std::string_view text) {
  Bytes bytes;
  std::string digits;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    GODWIT_CHECK(std::isxdigit(static_cast<unsigned char>(c)) != 0);
    digits.push_back(c);
    if (digits.size() < 2) continue;
    bytes.push_back(
        static_cast<uint8_t>(std::strtoul(digits.c_str(), nullptr, 16)));
    digits.clear();
  }
  GODWIT_CHECK(digits.empty());
  return bytes;
}

std::string ToHex(const Bytes& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace godwit
