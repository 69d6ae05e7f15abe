// SPDX-License-Identifier: BSD-3-Clause
// Bytes as tests write and read them, most significant first.
#ifndef GODWIT_TESTS_SUPPORT_BYTES_H_
#define GODWIT_TESTS_SUPPORT_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace godwit {

using Bytes = std::vector<uint8_t>;

// The lower 16 or 32 bits of `value`.
void Put16(Bytes& out, size_t value);
void Put32(Bytes& out, size_t value);
void Set16(Bytes& out, size_t at, size_t value);
void Set32(Bytes& out, size_t at, size_t value);
void Append(Bytes& out, const Bytes& more);
// Zeros up to the next multiple of `unit` bytes.
void PadTo(Bytes& out, size_t unit);

// "de ad be ef", spaces or none.
Bytes FromHex(std::string_view text);
std::string ToHex(const Bytes& bytes);

// The one's complement sum of RFC 1071, word by word with its carry: slow,
// obvious, and other code than dataplane/net/checksum.h.
uint16_t PlainSum(const Bytes& bytes);

}  // namespace godwit

#endif  // GODWIT_TESTS_SUPPORT_BYTES_H_
