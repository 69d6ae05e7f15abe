// SPDX-License-Identifier: BSD-3-Clause
#include "tests/shadow/model_packet.h"

#include <algorithm>

namespace godwit::shadow {
namespace {

constexpr unsigned kHopByHop = 0;
constexpr unsigned kRouting = 43;
constexpr unsigned kFragmentHeader = 44;
constexpr unsigned kAuthentication = 51;
constexpr unsigned kNoNext = 59;
constexpr unsigned kDestinationOptions = 60;

// IPH-08: RFC 7126 for an edge.
void ReadOptions(Packet& packet, size_t end) {
  const std::set<unsigned> refused = {7,  11,  12,  30,  68,  82,
                                      94, 131, 136, 137, 158, 222};
  for (size_t at = 20; at < end;) {
    const unsigned type = packet.bytes.at(at);
    if (type == 0) return;
    if (type == 1) {
      ++at;
      continue;
    }
    const unsigned length = at + 1 < end ? packet.bytes.at(at + 1) : 0;
    if (length < 2 || at + length > end) {
      packet.ip.insert("ipopt_bad");
      return;
    }
    if (refused.contains(type)) {
      packet.ip.insert("ipopt_" + std::to_string(type));
    }
    at += length;
  }
}

// IPH-01, as far as it is a packet at all.
bool ReadIp4(Packet& packet) {
  if (packet.bytes.size() < 20) {
    packet.ip.insert("ip4_short");
    return false;
  }
  const unsigned version = packet.bytes.at(0) >> 4;
  const size_t header = (packet.bytes.at(0) & 0xfU) * 4U;
  const size_t total = Read16(packet.bytes, 2);
  if (version != 4) packet.ip.insert("ip4_version");
  if (header < 20) packet.ip.insert("ip4_ihl");
  if (total < header || total < 20) packet.ip.insert("ip4_len");
  if (total > packet.bytes.size() || header > packet.bytes.size()) {
    packet.ip.insert("ip4_trunc");
  }
  if (!packet.ip.empty()) {
    packet.ip.insert("ip4_csum");  // or not: whoever looks first
    return false;
  }
  packet.bytes.resize(total);
  if (Sum().Add(Slice(packet.bytes, 0, header)).value() != 0) {
    packet.ip.insert("ip4_csum");
  }
  ReadOptions(packet, header);
  packet.source = Address::At(packet.bytes, 12, false);
  packet.destination = Address::At(packet.bytes, 16, false);
  packet.protocol = packet.bytes.at(9);
  packet.l4 = header;
  packet.id = Read16(packet.bytes, 4);
  packet.id_at = 4;
  const unsigned cut = Read16(packet.bytes, 6);
  packet.offset = (cut & 0x1fffU) * 8U;
  packet.more = (cut & 0x2000U) != 0;
  packet.fragment = packet.more || packet.offset != 0;
  return packet.ip.empty();
}

struct Walk6 {
  unsigned headers = 0;
  size_t length = 0;
  bool cut = false;  // a fragment header was there
};

// V6-02: of its options only the jumbogram's counts, and all must be there.
void ReadHopByHop(Packet& packet, size_t at, size_t end) {
  while (at < end) {
    const unsigned type = packet.bytes.at(at);
    if (type == 0) {
      ++at;
      continue;
    }
    if (type == 0xc2) packet.ip.insert("v6_jumbo");
    if (at + 1 == end || at + 2 + packet.bytes.at(at + 1) > end) {
      packet.ip.insert("v6_eh_trunc");
      return;
    }
    at += 2U + packet.bytes.at(at + 1);
  }
}

// One extension header; false: the end of the walk.
bool ReadExtension(Packet& packet, Walk6& walk) {
  const unsigned kind = packet.protocol;
  const size_t left = packet.bytes.size() - packet.l4;
  const bool known = kind == kHopByHop || kind == kRouting ||
                     kind == kFragmentHeader || kind == kAuthentication ||
                     kind == kDestinationOptions;
  if (!known) return false;
  if (left < 8) {
    packet.ip.insert("v6_eh_trunc");
    return false;
  }
  const size_t units = packet.bytes.at(packet.l4 + 1);
  size_t size = (units + 1) * 8;
  if (kind == kAuthentication) size = (units + 2) * 4;
  if (kind == kFragmentHeader) size = 8;
  if (size > left || size < 8) {
    packet.ip.insert("v6_eh_trunc");
    return false;
  }
  ++walk.headers;
  walk.length += size;
  if (walk.headers > 8 || walk.length > 512) packet.ip.insert("v6_eh_limit");
  if (kind == kHopByHop && walk.headers > 1) packet.ip.insert("v6_eh_order");
  if (kind == kHopByHop) {
    ReadHopByHop(packet, packet.l4 + 2, packet.l4 + size);
  }
  if (kind == kAuthentication) packet.authenticated = true;
  if (kind == kRouting) {
    const unsigned type = packet.bytes.at(packet.l4 + 2);
    if (type == 0 || type == 1 || type == 3) packet.ip.insert("v6_routing");
    if (packet.bytes.at(packet.l4 + 3) != 0) {
      packet.nat_faults.insert("v6_routing");
      packet.may.insert("v6_routing");
    }
  }
  if (kind == kFragmentHeader) {
    if (walk.cut) packet.ip.insert("v6_eh_order");
    walk.cut = true;
    const unsigned cut = Read16(packet.bytes, packet.l4 + 2);
    packet.offset = cut & 0xfff8U;
    packet.more = (cut & 1) != 0;
    packet.fragment = packet.more || packet.offset != 0;
    packet.id_at = packet.l4 + 4;
    packet.id = Read32(packet.bytes, packet.id_at);
  }
  packet.protocol = packet.bytes.at(packet.l4);
  packet.l4 += size;
  // What stands behind a later fragment's header is no header.
  return packet.offset == 0;
}

bool ReadIp6(Packet& packet) {
  if (packet.bytes.size() < 40) {
    packet.ip.insert("ip6_short");
    return false;
  }
  if (packet.bytes.at(0) >> 4 != 6) packet.ip.insert("ip6_version");
  const size_t payload = Read16(packet.bytes, 4);
  if (payload == 0 || 40 + payload > packet.bytes.size()) {
    packet.ip.insert("ip6_len");
    // With a hop-by-hop header it may have been meant as a jumbogram.
    packet.ip.insert("v6_jumbo");
  }
  if (!packet.ip.empty()) return false;
  packet.bytes.resize(40 + payload);
  packet.source = Address::At(packet.bytes, 8, true);
  packet.destination = Address::At(packet.bytes, 24, true);
  const Address mapped = Address::Of("::ffff:0:0");
  if (packet.source.In(mapped, 96) || packet.destination.In(mapped, 96)) {
    packet.ip.insert("ip6_mapped");
  }
  packet.protocol = packet.bytes.at(6);
  packet.l4 = 40;
  Walk6 walk;
  while (ReadExtension(packet, walk)) {
  }
  return packet.ip.empty();
}

void ReadCut(Packet& packet) {
  const size_t length = packet.bytes.size() - packet.l4;
  if (packet.more && length % 8 != 0) packet.ip.insert("frag_align");
  if (length == 0 || packet.offset + length > 65535) {
    packet.ip.insert("frag_len");
  }
  if (packet.protocol == kTcp && packet.offset == 8) {
    packet.ip.insert("frag_tiny");
  }
}

void ReadTcp(Packet& packet, size_t length) {
  const size_t header = (packet.bytes.at(packet.l4 + 12) >> 4) * 4U;
  packet.flags = packet.bytes.at(packet.l4 + 13) & 0x3fU;
  if (header < 20) {
    packet.l4_faults.insert("tcp_doff");
  } else if (header > length) {
    packet.l4_faults.insert(packet.fragment ? "frag_tiny" : "tcp_doff");
  }
  const bool syn = (packet.flags & kSyn) != 0;
  if (packet.flags == 0 || (syn && (packet.flags & (kFin | kRst)) != 0)) {
    packet.nat_faults.insert("tcp_flags");
  }
  // UDP-09 is about UDP, but no TCP has such an l4port either.
  if (packet.source_l4port == 0 || packet.destination_l4port == 0) {
    packet.may.insert("port_zero");
  }
}

void ReadL4(Packet& packet) {
  const size_t length = packet.bytes.size() - packet.l4;
  const bool tcp = packet.protocol == kTcp;
  if (packet.protocol == kNoNext && packet.v6) packet.ip.insert("nh_bad");
  if (packet.protocol == (packet.v6 ? kIcmp4 : kIcmp6)) {
    packet.ip.insert("nh_bad");
  }
  if (!tcp && packet.protocol != kUdp && !packet.Icmp()) return;
  if (length < (tcp ? 20U : 8U)) {
    packet.l4_faults.insert(packet.fragment ? "frag_tiny" : "l4_short");
    return;
  }
  if (packet.Icmp()) {
    packet.type = packet.bytes.at(packet.l4);
    packet.code = packet.bytes.at(packet.l4 + 1);
    const unsigned id = Read16(packet.bytes, packet.l4 + 4);
    if (packet.Request()) packet.source_l4port = id;
    if (packet.Reply()) packet.destination_l4port = id;
    return;
  }
  packet.source_l4port = Read16(packet.bytes, packet.l4);
  packet.destination_l4port = Read16(packet.bytes, packet.l4 + 2);
  if (tcp) {
    ReadTcp(packet, length);
    return;
  }
  const size_t said = Read16(packet.bytes, packet.l4 + 4);
  if (said < 8 || (!packet.fragment && said > length)) {
    packet.l4_faults.insert("udp_len");
  }
  if (packet.source_l4port == 0 || packet.destination_l4port == 0) {
    packet.l4_faults.insert("port_zero");
  }
}

// To the l4 header of a quoted IPv6 packet; false: it is cut off before.
bool WalkQuote(const Bytes& inner, Quote& quote) {
  const std::set<unsigned> known = {kHopByHop, kRouting, kFragmentHeader,
                                    kAuthentication, kDestinationOptions};
  while (known.contains(quote.protocol)) {
    if (inner.size() < quote.l4 + 8) return false;
    const size_t units = inner.at(quote.l4 + 1);
    size_t size = (units + 1) * 8;
    if (quote.protocol == kAuthentication) size = (units + 2) * 4;
    if (quote.protocol == kFragmentHeader) {
      size = 8;
      quote.later_fragment = Read16(inner, quote.l4 + 2) >= 8;
    }
    quote.protocol = inner.at(quote.l4);
    quote.l4 += size;
    if (quote.later_fragment) return false;
  }
  return true;
}

}  // namespace

bool Packet::Error() const {
  if (!Icmp()) return false;
  if (v6) return type < 128;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

size_t Packet::ChecksumAt() const {
  if (protocol == kTcp) return l4 + 16;
  if (protocol == kUdp) return l4 + 6;
  return Icmp() ? l4 + 2 : 0;
}

bool Packet::ChecksumHolds() const {
  const size_t at = ChecksumAt();
  if (at == 0) return true;
  if (protocol == kUdp && Read16(bytes, at) == 0) return true;
  // UDP may have more bytes behind it; its sum goes as far as it says.
  Bytes covered = L4();
  if (protocol == kUdp) covered.resize(Read16(bytes, l4 + 4));
  return L4Sum(source, destination, protocol, covered).value() == 0;
}

Packet Read(const Bytes& bytes, bool v6) {
  Packet packet;
  packet.bytes = bytes;
  packet.v6 = v6;
  if (!(packet.v6 ? ReadIp6(packet) : ReadIp4(packet))) return packet;
  if (packet.fragment) ReadCut(packet);
  if (packet.First()) ReadL4(packet);
  return packet;
}

Quote ReadQuote(const Packet& error) {
  Quote quote;
  quote.at = error.l4 + 8;
  const Bytes inner = Slice(error.bytes, quote.at, error.bytes.size());
  quote.v6 = error.v6;
  const size_t least = quote.v6 ? 40 : 20;
  if (inner.size() < least || inner.at(0) >> 4 != (quote.v6 ? 6U : 4U)) {
    return quote;
  }
  quote.l4 = quote.v6 ? 40 : (inner.at(0) & 0xfU) * 4U;
  quote.source = Address::At(inner, quote.v6 ? 8 : 12, quote.v6);
  quote.destination = Address::At(inner, quote.v6 ? 24 : 16, quote.v6);
  quote.protocol = inner.at(quote.v6 ? 6 : 9);
  if (quote.v6 && !WalkQuote(inner, quote)) return quote;
  if (!quote.v6) {
    if (quote.l4 < 20 || inner.size() < quote.l4) return quote;
    quote.header_sum_right = Sum().Add(Slice(inner, 0, quote.l4)).value() == 0;
    quote.later_fragment = (Read16(inner, 6) & 0x1fffU) != 0;
  }
  if (inner.size() < quote.l4 + 8) return quote;
  const bool icmp = quote.protocol == (quote.v6 ? kIcmp6 : kIcmp4);
  quote.from.address = quote.source;
  quote.to.address = quote.destination;
  if (icmp) {
    const unsigned type = inner.at(quote.l4);
    const unsigned id = Read16(inner, quote.l4 + 4);
    const bool request = type == (quote.v6 ? 128U : 8U);
    const bool reply = type == (quote.v6 ? 129U : 0U);
    (request ? quote.from : quote.to).l4port = id;
    quote.about_error = !request && !reply;
    quote.readable = request || reply;
    return quote;
  }
  quote.from.l4port = Read16(inner, quote.l4);
  quote.to.l4port = Read16(inner, quote.l4 + 2);
  quote.readable = quote.protocol == kTcp || quote.protocol == kUdp;
  return quote;
}

}  // namespace godwit::shadow
