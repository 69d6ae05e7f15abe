// SPDX-License-Identifier: BSD-3-Clause
// ParseQuote: the packet inside an ICMP error, which may be cut off anywhere.
#include "dataplane/net/extension_headers.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/ip_options.h"
#include "dataplane/net/packet_view.h"

namespace godwit {
namespace {

template <class Header>
const Header* At(const uint8_t* frame, size_t offset) {
  return reinterpret_cast<const Header*>(frame + offset);
}

// The IP header of the quote; `l4` is where it ends.
QuoteError ReadIpv4(const uint8_t* frame, size_t offset, size_t end,
                    QuoteView& quote, size_t& l4) {
  if (offset + sizeof(Ipv4Header) > end) return QuoteError::kShort;
  const auto* ip = At<Ipv4Header>(frame, offset);
  const size_t size = ip->header_size();
  if (ip->version() != 4 || size < sizeof(Ipv4Header)) return QuoteError::kBad;
  if (offset + size > end) return QuoteError::kShort;
  // ICE-28: it would tell where it went.
  if (HasSourceRoute(frame + offset + sizeof(Ipv4Header),
                     size - sizeof(Ipv4Header))) {
    return QuoteError::kBad;
  }
  quote.source = IpAddress::FromV4(ip->source);
  quote.destination = IpAddress::FromV4(ip->destination);
  quote.protocol = ip->protocol;
  quote.later_fragment = ip->fragment_offset() != 0;
  l4 = offset + size;
  return QuoteError::kNone;
}

QuoteError ReadIpv6(const uint8_t* frame, size_t offset, size_t end,
                    QuoteView& quote, size_t& l4) {
  if (offset + sizeof(Ipv6Header) > end) return QuoteError::kShort;
  const auto* ip = At<Ipv6Header>(frame, offset);
  if (ip->version() != 6) return QuoteError::kBad;
  quote.source = IpAddress::FromV6(ip->source);
  quote.destination = IpAddress::FromV6(ip->destination);
  // Mapped: it would pass for a packet of the other family.
  if (quote.source.IsV4() || quote.destination.IsV4()) return QuoteError::kBad;
  // What is there bounds the walk: the quoted packet went on.
  ExtensionChain chain;
  const ParseError error = WalkExtensions(frame, offset + sizeof(Ipv6Header),
                                          end, end, ip->next_header, chain);
  if (error == ParseError::kV6EhTrunc) return QuoteError::kShort;
  if (error != ParseError::kNone) return QuoteError::kBad;
  quote.protocol = chain.protocol;
  quote.later_fragment =
      chain.fragment_at != 0 &&
      At<Ipv6FragmentHeader>(frame, chain.fragment_at)->offset() != 0;
  l4 = chain.l4_offset;
  return QuoteError::kNone;
}

}  // namespace

QuoteError ParseQuote(const uint8_t* frame, size_t offset, size_t end,
                      bool is_v4, QuoteView& quote) {
  quote = QuoteView{};
  quote.is_v4 = is_v4;
  quote.l3_offset = static_cast<uint16_t>(offset);
  size_t at = offset;
  const QuoteError error = is_v4 ? ReadIpv4(frame, offset, end, quote, at)
                                 : ReadIpv6(frame, offset, end, quote, at);
  if (error != QuoteError::kNone || quote.later_fragment) return error;
  quote.l4_offset = static_cast<uint16_t>(at);
  if (at + 8 > end) return QuoteError::kShort;  // ICE-26
  quote.l4_quoted = static_cast<uint16_t>(end - at);
  if (IsIcmp(quote.protocol)) {
    const auto* icmp = At<IcmpHeader>(frame, at);
    quote.icmp_type = icmp->type;
    if (IsEchoRequest(quote.protocol, icmp->type)) {
      quote.source_l4port = icmp->id.host();
    } else if (IsEchoReply(quote.protocol, icmp->type)) {
      quote.destination_l4port = icmp->id.host();
    }
  } else {
    const auto* udp = At<UdpHeader>(frame, at);  // TCP's are at the same place
    quote.source_l4port = udp->source.host();
    quote.destination_l4port = udp->destination.host();
  }
  return QuoteError::kNone;
}

}  // namespace godwit
