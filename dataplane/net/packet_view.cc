// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/net/packet_view.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"

namespace godwit {
namespace {

constexpr size_t kMaxExtHeaders = 8;
constexpr size_t kMaxExtBytes = 512;

template <class Header>
const Header* At(const uint8_t* frame, size_t offset) {
  return reinterpret_cast<const Header*>(frame + offset);
}

// RFC 7126 4: what an edge drops. Copied flag and class are part of the type.
bool IsDeniedOption(uint8_t type) {
  switch (type) {
    case 7:    // record route
    case 11:   // probe MTU, RFC 1063
    case 12:   // reply MTU
    case 30:   // RFC 3692 experiments
    case 68:   // timestamp
    case 82:   // traceroute, RFC 1393
    case 94:   // RFC 3692
    case 131:  // loose source route
    case 136:  // stream identifier
    case 137:  // strict source route
    case 158:  // RFC 3692
    case 222:  // RFC 3692
      return true;
    default:
      return false;
  }
}

ParseError CheckOptions(const uint8_t* options, size_t size) {
  for (size_t at = 0; at < size;) {
    const uint8_t type = options[at];
    if (type == 0) return ParseError::kNone;  // end of list
    if (type == 1) {                          // no operation
      ++at;
      continue;
    }
    if (at + 1 >= size) return ParseError::kIpOptBad;
    const size_t length = options[at + 1];
    if (length < 2 || at + length > size) return ParseError::kIpOptBad;
    if (IsDeniedOption(type)) return ParseError::kIpOptDenied;
    at += length;
  }
  return ParseError::kNone;
}

// FRG-08, FRG-14, ADV-31, ADV-35; `payload` is the fragment's own part.
ParseError CheckFragment(PacketView& view, size_t offset, bool more,
                         size_t payload) {
  view.fragment_offset = static_cast<uint16_t>(offset);
  view.more_fragments = more;
  if (offset == 0 && !more) return ParseError::kNone;  // atomic: RFC 6946
  if (payload == 0) return ParseError::kFragLen;
  if (more && payload % 8 != 0) return ParseError::kFragAlign;
  if (offset + payload > 65535) return ParseError::kFragLen;
  if (offset == 8 && view.protocol == kProtoTcp) return ParseError::kFragTiny;
  view.fragment = offset == 0 ? FragmentKind::kFirst : FragmentKind::kLater;
  return ParseError::kNone;
}

ParseError ReadTcp(const uint8_t* frame, size_t l4_size, PacketView& view) {
  const auto* tcp = At<TcpHeader>(frame, view.l4_offset);
  view.source_l4port = tcp->source.host();
  view.destination_l4port = tcp->destination.host();
  view.l4_flags = tcp->flags & 0x3f;
  if (tcp->header_size() < sizeof(TcpHeader) || tcp->header_size() > l4_size) {
    return ParseError::kTcpDoff;
  }
  const unsigned kinds = view.l4_flags & (kTcpSyn | kTcpFin | kTcpRst);
  view.bad_tcp_flags =
      (view.l4_flags & (kinds - 1U) & kinds) != 0 && (kinds & kTcpSyn) != 0;
  if ((view.l4_flags & (kTcpSyn | kTcpFin | kTcpRst | kTcpAck)) == 0) {
    view.bad_tcp_flags = true;
  }
  return ParseError::kNone;
}

ParseError ReadUdp(const uint8_t* frame, size_t l4_size, PacketView& view) {
  const auto* udp = At<UdpHeader>(frame, view.l4_offset);
  view.source_l4port = udp->source.host();
  view.destination_l4port = udp->destination.host();
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
  if ((view.protocol == kProtoIcmp) != view.is_v4 &&
      (view.protocol == kProtoIcmp || view.protocol == kProtoIcmpv6)) {
    return ParseError::kNhBad;
  }
  if (view.protocol == kProtoIcmpv6 && view.is_v4) return ParseError::kNhBad;
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
    const ParseError error = CheckOptions(frame + l3 + sizeof(Ipv4Header),
                                          header - sizeof(Ipv4Header));
    if (error != ParseError::kNone) return error;
  }
  if ((ip->fragment.host() & 0x3fff) != 0) {
    const ParseError error = CheckFragment(
        view, ip->fragment_offset(), ip->more_fragments(), total - header);
    if (error != ParseError::kNone) return error;
  }
  return ReadL4(frame, readable, view);
}

// One extension header of a type that has its length in 8-byte units.
ParseError CheckHopByHop(const uint8_t* options, size_t size) {
  for (size_t at = 0; at < size;) {
    const uint8_t type = options[at];
    if (type == 0) {  // Pad1
      ++at;
      continue;
    }
    if (at + 1 >= size) return ParseError::kV6EhTrunc;
    if (type == 0xc2) return ParseError::kV6Jumbo;  // RFC 2675
    at += 2U + options[at + 1];
    if (at > size) return ParseError::kV6EhTrunc;
  }
  return ParseError::kNone;
}

// Walks the chain (V6-01) and leaves l4_offset, protocol and the fragment.
ParseError WalkExtensions(const uint8_t* frame, size_t readable,
                          uint8_t next_header, PacketView& view) {
  const size_t first = view.l3_offset + sizeof(Ipv6Header);
  const size_t packet_end = size_t{view.l3_offset} + view.l3_size;
  const size_t end = packet_end < readable ? packet_end : readable;
  size_t at = first;
  bool fragmented = false;
  for (size_t headers = 0;; ++headers) {
    view.protocol = next_header;
    view.l4_offset = static_cast<uint16_t>(at);
    const bool known =
        next_header == kProtoHopByHop || next_header == kProtoRouting ||
        next_header == kProtoFragment || next_header == kProtoAuth ||
        next_header == kProtoDestOptions;
    if (!known) break;
    if (headers == kMaxExtHeaders) return ParseError::kV6EhLimit;
    if (at + 8 > end) return ParseError::kV6EhTrunc;
    const auto* ext = At<Ipv6ExtHeader>(frame, at);
    size_t size = (size_t{ext->length} + 1) * 8;
    if (next_header == kProtoAuth) size = (size_t{ext->length} + 2) * 4;
    if (next_header == kProtoFragment) size = sizeof(Ipv6FragmentHeader);
    if (at + size > packet_end) return ParseError::kV6EhTrunc;
    if (at + size - first > kMaxExtBytes) return ParseError::kV6EhLimit;
    if (at + size > end) return ParseError::kV6EhTrunc;
    if (next_header == kProtoHopByHop) {
      if (headers != 0) return ParseError::kV6EhOrder;
      const ParseError error = CheckHopByHop(frame + at + 2, size - 2);
      if (error != ParseError::kNone) return error;
    } else if (next_header == kProtoRouting) {
      const uint8_t type = frame[at + 2];
      const uint8_t segments_left = frame[at + 3];
      if (type == 0 || type == 1 || type == 3 || segments_left != 0) {
        return ParseError::kV6Routing;  // RFC 5095, RFC 9288 3.5.2
      }
    } else if (next_header == kProtoAuth) {
      view.has_ah = true;
    } else if (next_header == kProtoFragment) {
      if (fragmented) return ParseError::kV6EhOrder;
      fragmented = true;
      const auto* fragment = At<Ipv6FragmentHeader>(frame, at);
      view.fragment_field = static_cast<uint16_t>(at);
      view.fragment_id = fragment->id.wire();
      view.protocol = fragment->next_header;
      const ParseError error =
          CheckFragment(view, fragment->offset(), fragment->more_fragments(),
                        packet_end - at - size);
      if (error != ParseError::kNone) return error;
    }
    next_header = ext->next_header;
    at += size;
    if (view.fragment == FragmentKind::kLater) {
      view.protocol = next_header;
      view.l4_offset = static_cast<uint16_t>(at);
      break;
    }
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
  if (payload == 0 && frame_size > l3 + sizeof(Ipv6Header) &&
      ip->next_header == kProtoHopByHop) {
    return ParseError::kV6Jumbo;  // RFC 2675, not supported
  }
  if (payload == 0 && ip->next_header != kProtoNone) return ParseError::kIp6Len;
  if (payload + sizeof(Ipv6Header) > 65535) return ParseError::kIp6Len;
  view.l3_size = static_cast<uint16_t>(sizeof(Ipv6Header) + payload);
  const ParseError error =
      WalkExtensions(frame, readable, ip->next_header, view);
  if (error != ParseError::kNone) return error;
  return ReadL4(frame, readable, view);
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
  return is_v4 ? ParseIpv4(frame, readable, frame_size, view)
               : ParseIpv6(frame, readable, frame_size, view);
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
  if (type == kEtherTypeIpv4) {
    return ParseIp(frame, readable, frame_size, at, true, view);
  }
  if (type == kEtherTypeIpv6) {
    return ParseIp(frame, readable, frame_size, at, false, view);
  }
  view.kind = type == kEtherTypeArp ? FrameKind::kArp : FrameKind::kOther;
  return ParseError::kNone;
}

QuoteError ParseQuote(const uint8_t* frame, size_t offset, size_t end,
                      bool is_v4, QuoteView& quote) {
  quote = QuoteView{};
  quote.is_v4 = is_v4;
  quote.l3_offset = static_cast<uint16_t>(offset);
  size_t at = offset;
  if (is_v4) {
    if (offset + sizeof(Ipv4Header) > end) return QuoteError::kShort;
    const auto* ip = At<Ipv4Header>(frame, offset);
    if (ip->version() != 4 || ip->header_size() < sizeof(Ipv4Header)) {
      return QuoteError::kBad;
    }
    quote.source = IpAddress::FromV4(ip->source);
    quote.destination = IpAddress::FromV4(ip->destination);
    quote.protocol = ip->protocol;
    quote.later_fragment = ip->fragment_offset() != 0;
    at += ip->header_size();
  } else {
    if (offset + sizeof(Ipv6Header) > end) return QuoteError::kShort;
    const auto* ip = At<Ipv6Header>(frame, offset);
    if (ip->version() != 6) return QuoteError::kBad;
    quote.source = IpAddress::FromV6(ip->source);
    quote.destination = IpAddress::FromV6(ip->destination);
    PacketView inner;
    inner.l3_offset = static_cast<uint16_t>(offset);
    // The quote may be cut off: what is there bounds the walk.
    inner.l3_size = static_cast<uint16_t>(end - offset);
    const ParseError error = WalkExtensions(frame, end, ip->next_header, inner);
    quote.later_fragment = inner.fragment == FragmentKind::kLater;
    if (error != ParseError::kNone && error != ParseError::kFragAlign &&
        error != ParseError::kNhBad) {
      return QuoteError::kBad;
    }
    quote.protocol = inner.protocol;
    at = inner.l4_offset;
  }
  if (quote.later_fragment) return QuoteError::kNone;
  quote.l4_offset = static_cast<uint16_t>(at);
  if (at + 8 > end) return QuoteError::kShort;  // ICE-26
  quote.l4_quoted = static_cast<uint16_t>(end - at);
  const bool icmp =
      quote.protocol == kProtoIcmp || quote.protocol == kProtoIcmpv6;
  if (icmp) {
    const auto* header = At<IcmpHeader>(frame, at);
    quote.icmp_type = header->type;
    if (IsEchoRequest(quote.protocol, header->type)) {
      quote.source_l4port = header->id.host();
    } else if (IsEchoReply(quote.protocol, header->type)) {
      quote.destination_l4port = header->id.host();
    }
  } else {
    const auto* udp = At<UdpHeader>(frame, at);  // TCP's are at the same place
    quote.source_l4port = udp->source.host();
    quote.destination_l4port = udp->destination.host();
  }
  return QuoteError::kNone;
}

}  // namespace godwit
