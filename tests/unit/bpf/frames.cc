// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/bpf/frames.h"

#include <cstddef>

#include "dataplane/net/address.h"
#include "dataplane/net/check.h"

namespace godwit {
namespace {

uint8_t High(size_t value) { return static_cast<uint8_t>(value >> 8); }
uint8_t Low(size_t value) { return static_cast<uint8_t>(value); }

Bytes AddressBytes(const std::string& text, size_t size) {
  const auto address = IpAddress::Parse(text);
  if (!address.has_value()) {  // a mapped one, which Parse refuses
    GODWIT_CHECK(text.rfind("::ffff:", 0) == 0);
    const auto v4 = IpAddress::Parse(text.substr(7));
    GODWIT_CHECK(v4.has_value());
    return Bytes(v4->bytes.begin(), v4->bytes.end());
  }
  GODWIT_CHECK(address->IsV4() == (size == 4));
  return Bytes(address->bytes.end() - static_cast<ptrdiff_t>(size),
               address->bytes.end());
}

}  // namespace

Bytes operator+(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Bytes L4(uint16_t source, uint16_t destination) {
  Bytes header{High(source), Low(source), High(destination), Low(destination)};
  header.resize(20);
  header[12] = 0x50;
  return header;
}

Bytes IcmpMessage(uint8_t type, uint8_t code, uint16_t id, const Bytes& rest) {
  return Bytes{type, code, 0, 0, High(id), Low(id), 0, 1} + rest;
}

Bytes V4(const std::string& source, const std::string& destination,
         uint8_t protocol, const Bytes& payload, const Ipv4Extra& extra) {
  const size_t header = 20 + 4 * size_t{extra.options};
  const size_t total = header + payload.size();
  const size_t ihl = extra.ihl != 0 ? extra.ihl : header / 4;
  const Bytes fixed{Low(0x40 + ihl),
                    0,
                    High(total),
                    Low(total),
                    0x12,
                    0x34,
                    High(extra.fragment),
                    Low(extra.fragment),
                    64,
                    protocol,
                    0,
                    0};
  return fixed + AddressBytes(source, 4) + AddressBytes(destination, 4) +
         Bytes(4 * size_t{extra.options}, 1) + payload;
}

Bytes V6(const std::string& source, const std::string& destination,
         uint8_t next_header, const Bytes& payload, uint8_t hop_limit) {
  const Bytes fixed{
      0x60,        0,        0, 0, High(payload.size()), Low(payload.size()),
      next_header, hop_limit};
  return fixed + AddressBytes(source, 16) + AddressBytes(destination, 16) +
         payload;
}

Bytes Ext(uint8_t next_header, unsigned size, const Bytes& rest) {
  Bytes header(size);
  header[0] = next_header;
  header[1] = Low(size / 8 - 1);
  return header + rest;
}

Bytes AuthExt(uint8_t next_header, unsigned size, const Bytes& rest) {
  Bytes header(size);
  header[0] = next_header;
  header[1] = Low(size / 4 - 2);
  return header + rest;
}

Bytes FragmentExt(uint8_t next_header, uint16_t offset_flags,
                  const Bytes& rest) {
  // The length byte is reserved here: a number in it must not be believed.
  return Bytes{next_header, 0xff, High(offset_flags), Low(offset_flags), 0, 0,
               0,           7} +
         rest;
}

Bytes FrameOfType(uint16_t ether_type, const Bytes& payload) {
  return Bytes{0x02,
               0,
               0,
               0,
               0,
               1,
               0x02,
               0,
               0,
               0,
               0,
               2,
               High(ether_type),
               Low(ether_type)} +
         payload;
}

Bytes Frame(const Bytes& packet) {
  return FrameOfType(packet[0] >> 4 == 6 ? 0x86dd : 0x0800, packet);
}

Bytes Tagged(uint16_t ether_type, uint16_t tci, const Bytes& frame) {
  Bytes tagged(frame.begin(), frame.begin() + 12);
  tagged =
      tagged + Bytes{High(ether_type), Low(ether_type), High(tci), Low(tci)};
  tagged.insert(tagged.end(), frame.begin() + 12, frame.end());
  return tagged;
}

}  // namespace godwit
