// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/support/oracle.h"

#include <algorithm>
#include <vector>

#include "dataplane/net/check.h"

namespace godwit {
namespace {

constexpr uint8_t kIcmp4 = 1;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmp6 = 58;

unsigned Word(const Bytes& bytes, size_t at) {
  return bytes[at] * 256U + bytes[at + 1];
}

Bytes Part(const Bytes& bytes, size_t from, size_t to) {
  return Bytes(bytes.begin() + static_cast<ptrdiff_t>(from),
               bytes.begin() + static_cast<ptrdiff_t>(to));
}

std::optional<PlainIp> ReadV4(const Bytes& packet) {
  if (packet.size() < 20) return std::nullopt;
  PlainIp ip;
  ip.v4 = true;
  ip.l4 = (packet[0] & 15U) * 4U;
  ip.end = Word(packet, 2);
  ip.protocol = packet[9];
  const unsigned field = Word(packet, 6);
  ip.later = (field & 0x1fff) != 0;
  ip.fragment = (field & 0x3fff) != 0;
  if (ip.l4 < 20 || ip.end < ip.l4 || ip.end > packet.size()) {
    return std::nullopt;
  }
  return ip;
}

std::optional<PlainIp> ReadV6(const Bytes& packet) {
  if (packet.size() < 40) return std::nullopt;
  PlainIp ip;
  ip.end = 40 + Word(packet, 4);
  ip.protocol = packet[6];
  ip.l4 = 40;
  if (ip.end > packet.size()) return std::nullopt;
  while (ip.protocol == 0 || ip.protocol == 43 || ip.protocol == 44 ||
         ip.protocol == 51 || ip.protocol == 60) {
    if (ip.l4 + 8 > ip.end) return std::nullopt;
    const uint8_t type = ip.protocol;
    size_t size = packet[ip.l4 + 1] * 8U + 8U;
    if (type == 51) size = packet[ip.l4 + 1] * 4U + 8U;
    if (type == 44) {
      size = 8;
      const unsigned field = Word(packet, ip.l4 + 2);
      ip.fragment_header = ip.l4;
      ip.later = field >= 8;
      ip.fragment = ip.later || (field & 1) != 0;
    }
    ip.protocol = packet[ip.l4];
    ip.l4 += size;
    if (ip.l4 > ip.end) return std::nullopt;
    if (ip.later) return ip;
  }
  return ip;
}

// Where the checksum stands in the l4 header; 0: nowhere.
size_t SumAt(uint8_t protocol) {
  if (protocol == kTcp) return 16;
  if (protocol == kUdp) return 6;
  return protocol == kIcmp4 || protocol == kIcmp6 ? 2 : 0;
}

}  // namespace

std::optional<PlainIp> ReadIp(const Bytes& packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4) return ReadV4(packet);
  return packet[0] >> 4 == 6 ? ReadV6(packet) : std::nullopt;
}

bool IsError(const Bytes& packet, const PlainIp& ip) {
  if (!ip.IsIcmp() || ip.later || ip.l4 >= ip.end) return false;
  const uint8_t type = packet[ip.l4];
  if (!ip.v4) return type < 128;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

std::optional<uint16_t> L4Residue(const Bytes& packet, const PlainIp& ip) {
  const size_t at = SumAt(ip.protocol);
  if (ip.fragment || at == 0 || ip.l4 + at + 2 > ip.end) return std::nullopt;
  if (ip.protocol == kUdp && Word(packet, ip.l4 + 6) == 0) return std::nullopt;
  Bytes summed;
  if (ip.protocol != kIcmp4) {
    summed = ip.v4 ? Part(packet, 12, 20) : Part(packet, 8, 40);
    Put32(summed, ip.end - ip.l4);
    Put32(summed, ip.protocol);
  }
  Append(summed, Part(packet, ip.l4, ip.end));
  return static_cast<uint16_t>(~PlainSum(summed));
}

void CheckOnlyTranslated(const Bytes& in, const Bytes& out) {
  GODWIT_CHECK(in.size() == out.size());
  const auto ip = ReadIp(in);
  const auto after = ReadIp(out);
  GODWIT_CHECK(ip.has_value() && after.has_value());
  GODWIT_CHECK(ip->v4 == after->v4 && ip->l4 == after->l4);
  std::vector<bool> free(in.size(), false);
  const auto may = [&free](size_t from, size_t to) {
    for (size_t i = from; i < std::min(to, free.size()); ++i) free[i] = true;
  };
  if (ip->v4) {
    may(8, 9);    // time to live
    may(10, 20);  // its sum, the addresses
    may(4, ip->fragment ? 6 : 4);
  } else {
    may(7, 40);
    if (ip->fragment) may(ip->fragment_header + 4, ip->fragment_header + 8);
  }
  const size_t sum = SumAt(ip->protocol);
  if (!ip->later && sum != 0) {
    may(ip->l4 + (ip->IsIcmp() ? 4 : 0), ip->l4 + (ip->IsIcmp() ? 6 : 4));
    may(ip->l4 + sum, ip->l4 + sum + 2);
  }
  for (size_t i = 0; i < in.size(); ++i) {
    GODWIT_CHECK(free[i] || in[i] == out[i]);
  }
  const auto before = L4Residue(in, *ip);
  GODWIT_CHECK(before == L4Residue(out, *after));
}

Bytes PacketOf(const Bytes& frame) {
  if (frame.size() < 14) return {};
  const size_t l3 = Word(frame, 12) == 0x8100 ? 18 : 14;
  if (frame.size() < l3) return {};
  const unsigned type = Word(frame, l3 - 2);
  if (type != 0x0800 && type != 0x86dd) return {};
  Bytes packet = Part(frame, l3, frame.size());
  const auto ip = ReadIp(packet);
  if (!ip || ip->v4 != (type == 0x0800)) return {};
  packet.resize(ip->end);
  return packet;
}

}  // namespace godwit
