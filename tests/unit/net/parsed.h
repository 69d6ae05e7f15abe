// SPDX-License-Identifier: BSD-3-Clause
// Parsing in memory of exactly the right size, so that AddressSanitizer sees
// the first byte read past the end.
#ifndef GODWIT_TESTS_UNIT_NET_PARSED_H_
#define GODWIT_TESTS_UNIT_NET_PARSED_H_

#include <algorithm>
#include <memory>
#include <ostream>

#include "dataplane/net/packet_view.h"
#include "tests/support/bytes.h"

namespace godwit {

inline void PrintTo(ParseError error, std::ostream* out) {
  *out << "ParseError " << static_cast<int>(error);
}
inline void PrintTo(QuoteError error, std::ostream* out) {
  *out << "QuoteError " << static_cast<int>(error);
}

class ExactCopy {
 public:
  ExactCopy(const Bytes& bytes, size_t size)
      : bytes_(std::make_unique<uint8_t[]>(size)) {
    std::copy_n(bytes.begin(), size, bytes_.get());
  }
  const uint8_t* get() const { return bytes_.get(); }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
};

struct Parsed {
  ParseError error;
  PacketView view;
};

// The first `size` bytes of `frame`, as if the frame ended there.
inline Parsed ParseCut(const Bytes& frame, size_t size) {
  const ExactCopy copy(frame, size);
  Parsed parsed;
  parsed.error = ParseFrame(copy.get(), size, size, parsed.view);
  return parsed;
}

inline Parsed ParseAll(const Bytes& frame) {
  return ParseCut(frame, frame.size());
}

inline ParseError ErrorOf(const Bytes& frame) { return ParseAll(frame).error; }

// The IPv4 header checksum of an untagged frame, made right, of a header that
// claims to go on behind the frame's end as far as there is one.
inline void FixIpv4Checksum(Bytes& frame, size_t l3_offset = 14) {
  const size_t size =
      std::min<size_t>((frame[l3_offset] & 15U) * 4U, frame.size() - l3_offset);
  Set16(frame, l3_offset + 10, 0);
  const auto begin = frame.begin() + static_cast<ptrdiff_t>(l3_offset);
  const Bytes header(begin, begin + static_cast<ptrdiff_t>(size));
  Set16(frame, l3_offset + 10, static_cast<uint16_t>(~PlainSum(header)));
}

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_NET_PARSED_H_
