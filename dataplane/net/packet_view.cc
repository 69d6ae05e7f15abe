// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/net/packet_view.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/extension_headers.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/ip_options.h"

namespace godwit {
namespace {

template <class Header>
const Header* At(const uint8_t* frame, size_t offset) {
  return reinterpret_cast<const Header*>(frame + offset);
}

// FRG-08, FRG-14, ADV-31, ADV-35. `before` is what the reassembled packet has
// in front of the first fragment's part, as its length field counts; `payload`
// is this fragment's part, both in bytes.
ParseError CheckFragment(PacketView& view, size_t offset, bool more,
                         size_t before, size_t payload) {
  view.fragment_offset = static_cast<uint16_t>(offset);
  view.more_fragments = more;
  if (offset == 0 && !more) return ParseError::kNone;  // atomic: RFC 6946
  if (payload == 0) return ParseError::kFragLen;
  if (more && payload % 8 != 0) return ParseError::kFragAlign;
  if (before + offset + payload > 65535) return ParseError::kFragLen;
  if (offset == 8 && view.protocol == kProtoTcp) return ParseError::kFragTiny;
  view.fragment = offset == 0 ? FragmentKind::kFirst : FragmentKind::kLater;
  return ParseError::kNone;
}

ParseError ReadTcp(const uint8_t* frame, size_t l4_size, PacketView& view) {
  const auto* tcp = At<TcpHeader>(frame, view.l4_offset);
  view.source_l4port = tcp->source.host();
  view.destination_l4port = tcp->destination.host();
  view.l4_flags = tcp->flags & 0x3f;
  if (tcp->header_size() < sizeof(TcpHeader)) return ParseError::kTcpDoff;
  if (tcp->header_size() > l4_size) {
    return view.fragment == FragmentKind::kFirst ? ParseError::kFragTiny
                                                 : ParseError::kTcpDoff;
  }
  view.bad_tcp_flags = TcpFlagsAreBad(view.l4_flags);
  return ParseError::kNone;
}

ParseError ReadUdp(const uint8_t* frame, size_t l4_size, PacketView& view) {
  const auto* udp = At<UdpHeader>(frame, view.l4_offset);
  view.source_l4port = udp->source.host();
  view.destination_l4port = udp->destination.host();
  view.l4_flags = udp->checksum == 0 ? kUdpNoChecksum : 0;
  // The first fragment says the length of the whole datagram.
  const size_t length = udp->length.host();
  if (length < sizeof(UdpHeader)) return ParseError::kUdpLen;
  if (view.fragment == FragmentKind::kWhole && length > l4_size) {
    return ParseError::kUdpLen;
  }
  return ParseError::kNone;
}

void ReadIcmp(const uint8_t* frame, PacketView& view) {
  const auto* icmp = At<IcmpHeader>(frame, view.l4_offset);
  view.l4_flags = icmp->type;
  view.icmp_code = icmp->code;
  if (IsEchoRequest(view.protocol, icmp->type)) {
    view.source_l4port = icmp->id.host();
  } else if (IsEchoReply(view.protocol, icmp->type)) {
    view.destination_l4port = icmp->id.host();
  }
}

ParseError ReadL4(const uint8_t* frame, size_t readable, PacketView& view) {
  if (view.fragment == FragmentKind::kLater) return ParseError::kNone;
  const bool first = view.fragment == FragmentKind::kFirst;
  const ParseError too_short =
      first ? ParseError::kFragTiny : ParseError::kL4Short;
  const size_t l4_size = view.l4_size();
  size_t needed = 0;
  switch (view.protocol) {
    case kProtoTcp:
      needed = sizeof(TcpHeader);
      break;
    case kProtoUdp:
    case kProtoIcmp:
    case kProtoIcmpv6:
      needed = 8;
      break;
    default:
      return ParseError::kNone;
  }
  if (l4_size < needed || view.l4_offset + needed > readable) return too_short;
  const uint8_t other_icmp = view.is_v4 ? kProtoIcmpv6 : kProtoIcmp;
  if (view.protocol == other_icmp) return ParseError::kNhBad;
  ParseError error = ParseError::kNone;
  if (view.protocol == kProtoTcp) {
    error = ReadTcp(frame, l4_size, view);
  } else if (view.protocol == kProtoUdp) {
    error = ReadUdp(frame, l4_size, view);
  } else {
    ReadIcmp(frame, view);
    return ParseError::kNone;
  }
  if (error != ParseError::kNone) return error;
  if (view.source_l4port == 0 || view.destination_l4port == 0) {
    return ParseError::kPortZero;
  }
  return ParseError::kNone;
}

ParseError ParseIpv4(const uint8_t* frame, size_t readable, size_t frame_size,
                     PacketView& view) {
  const size_t l3 = view.l3_offset;
  if (frame_size < l3 + sizeof(Ipv4Header) ||
      readable < l3 + sizeof(Ipv4Header)) {
    return ParseError::kIp4Short;
  }
  const auto* ip = At<Ipv4Header>(frame, l3);
  if (ip->version() != 4) return ParseError::kIp4Version;
  const size_t header = ip->header_size();
  if (header < sizeof(Ipv4Header)) return ParseError::kIp4Ihl;
  const size_t total = ip->total_length.host();
  if (total < header) return ParseError::kIp4Len;
  if (l3 + total > frame_size || l3 + header > readable) {
    return ParseError::kIp4Trunc;
  }
  if (FoldSum(AddBytes(0, ip, header)) != 0xffff) return ParseError::kIp4Csum;
  view.l3_size = static_cast<uint16_t>(total);
  view.l4_offset = static_cast<uint16_t>(l3 + header);
  view.protocol = ip->protocol;
  view.fragment_id = ip->id.wire();
  if (header > sizeof(Ipv4Header)) {
    const ParseError error = CheckIpOptions(frame + l3 + sizeof(Ipv4Header),
                                            header - sizeof(Ipv4Header));
    if (error != ParseError::kNone) return error;
  }
  if ((ip->fragment.host() & 0x3fff) != 0) {
    const ParseError error =
        CheckFragment(view, ip->fragment_offset(), ip->more_fragments(), header,
                      total - header);
    if (error != ParseError::kNone) return error;
  }
  return ParseError::kNone;
}

// The chain of extension headers, and what the fragment header among them says.
ParseError ReadExtensions(const uint8_t* frame, size_t readable,
                          uint8_t next_header, PacketView& view) {
  const size_t first = view.l3_offset + sizeof(Ipv6Header);
  const size_t packet_end = size_t{view.l3_offset} + view.l3_size;
  ExtensionChain chain;
  const ParseError error =
      WalkExtensions(frame, first, packet_end, readable, next_header, chain);
  view.protocol = chain.protocol;
  view.l4_offset = static_cast<uint16_t>(chain.l4_offset);
  view.has_ah = chain.has_ah;
  if (error != ParseError::kNone) return error;
  if (chain.fragment_at != 0) {
    const auto* fragment = At<Ipv6FragmentHeader>(frame, chain.fragment_at);
    view.fragment_field = static_cast<uint16_t>(chain.fragment_at);
    view.fragment_id = fragment->id.wire();
    const size_t part = chain.fragment_at + sizeof(Ipv6FragmentHeader);
    const ParseError bad =
        CheckFragment(view, fragment->offset(), fragment->more_fragments(),
                      chain.fragment_at - first, packet_end - part);
    if (bad != ParseError::kNone) return bad;
  }
  return view.protocol == kProtoNone ? ParseError::kNhBad : ParseError::kNone;
}

ParseError ParseIpv6(const uint8_t* frame, size_t readable, size_t frame_size,
                     PacketView& view) {
  const size_t l3 = view.l3_offset;
  if (frame_size < l3 + sizeof(Ipv6Header) ||
      readable < l3 + sizeof(Ipv6Header)) {
    return ParseError::kIp6Short;
  }
  const auto* ip = At<Ipv6Header>(frame, l3);
  if (ip->version() != 6) return ParseError::kIp6Version;
  const size_t payload = ip->payload_length.host();
  if (l3 + sizeof(Ipv6Header) + payload > frame_size) {
    return ParseError::kIp6Len;
  }
  if (payload == 0 && ip->next_header != kProtoNone) {
    const bool jumbo = ip->next_header == kProtoHopByHop &&
                       AsksForJumbo(frame, l3 + sizeof(Ipv6Header), readable);
    return jumbo ? ParseError::kV6Jumbo : ParseError::kIp6Len;
  }
  if (payload + sizeof(Ipv6Header) > 65535) return ParseError::kIp6Len;
  // Mapped: as an IpAddress it would pass for one of the other family.
  if (IpAddress::FromV6(ip->source).IsV4() ||
      IpAddress::FromV6(ip->destination).IsV4()) {
    return ParseError::kIp6Mapped;
  }
  view.l3_size = static_cast<uint16_t>(sizeof(Ipv6Header) + payload);
  return ReadExtensions(frame, readable, ip->next_header, view);
}

}  // namespace

bool IsIcmpError(uint8_t protocol, uint8_t type) {
  if (protocol == kProtoIcmpv6) return type < 128;
  if (protocol != kProtoIcmp) return false;
  return type == kIcmpUnreachable || type == kIcmpQuench ||
         type == kIcmpRedirect || type == kIcmpTimeExceeded ||
         type == kIcmpParameterProblem;
}

bool IsEchoRequest(uint8_t protocol, uint8_t type) {
  return (protocol == kProtoIcmp && type == kIcmpEcho) ||
         (protocol == kProtoIcmpv6 && type == kIcmpv6Echo);
}

bool IsEchoReply(uint8_t protocol, uint8_t type) {
  return (protocol == kProtoIcmp && type == kIcmpEchoReply) ||
         (protocol == kProtoIcmpv6 && type == kIcmpv6EchoReply);
}

ParseError ParseIp(const uint8_t* frame, size_t readable, size_t frame_size,
                   size_t l3_offset, bool is_v4, PacketView& view) {
  view.kind = FrameKind::kIp;
  view.is_v4 = is_v4;
  view.l3_offset = static_cast<uint16_t>(l3_offset);
  const ParseError error = is_v4 ? ParseIpv4(frame, readable, frame_size, view)
                                 : ParseIpv6(frame, readable, frame_size, view);
  return error == ParseError::kNone ? ReadL4(frame, readable, view) : error;
}

ParseError ParseFrame(const uint8_t* frame, size_t readable, size_t frame_size,
                      PacketView& view) {
  view = PacketView{};
  if (frame_size < sizeof(EthHeader) || readable < sizeof(EthHeader)) {
    return ParseError::kL2Short;
  }
  size_t at = sizeof(EthHeader);
  uint16_t type = At<EthHeader>(frame, 0)->ether_type.host();
  if (type == kEtherTypeVlan || type == kEtherTypeQinq) {
    if (readable < at + sizeof(VlanTag)) return ParseError::kL2Short;
    const auto* tag = At<VlanTag>(frame, at);
    view.vlan_tci = tag->tci.host();
    if (tag->vid() == 4095) return ParseError::kL2Vlan;
    type = tag->ether_type.host();
    at += sizeof(VlanTag);
    if (type == kEtherTypeVlan || type == kEtherTypeQinq) {
      return ParseError::kL2Vlan;
    }
  }
  view.l3_offset = static_cast<uint16_t>(at);
  const bool is_v4 = type == kEtherTypeIpv4;
  if (is_v4 || type == kEtherTypeIpv6) {
    return ParseIp(frame, readable, frame_size, at, is_v4, view);
  }
  view.kind = type == kEtherTypeArp ? FrameKind::kArp : FrameKind::kOther;
  return ParseError::kNone;
}

}  // namespace godwit
