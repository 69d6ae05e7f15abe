// SPDX-License-Identifier: BSD-3-Clause
// The packets that nearly all are, read in a third of the time: untagged, IPv4
// without options or IPv6 without extension headers, not a fragment, TCP or
// UDP, and nothing wrong with them. What is wrong with any other, ParseFrame
// says.
#ifndef GODWIT_DATAPLANE_NET_PLAIN_PACKET_H_
#define GODWIT_DATAPLANE_NET_PLAIN_PACKET_H_

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/packet_view.h"

namespace godwit {

inline constexpr size_t kPlainL3 = sizeof(EthHeader);

// The rest of it, from `l4_offset` on, of which 8 bytes are there. `size` is
// the IP packet's.
[[gnu::always_inline]] inline bool ReadPlainL4(const uint8_t* frame,
                                               size_t readable, size_t size,
                                               size_t l4_offset,
                                               uint8_t protocol,
                                               PacketView& view) {
  const size_t end = kPlainL3 + size;
  const uint8_t* l4 = frame + l4_offset;
  uint8_t flags = 0;
  bool bad_flags = false;
  if (protocol == kProtoUdp) {
    const auto* udp = reinterpret_cast<const UdpHeader*>(l4);
    const size_t length = udp->length.host();
    if (length < sizeof(*udp) || l4_offset + length > end) return false;
    flags = udp->checksum == 0 ? kUdpNoChecksum : 0;
  } else if (protocol == kProtoTcp) {
    if (l4_offset + sizeof(TcpHeader) > readable) return false;
    const auto* tcp = reinterpret_cast<const TcpHeader*>(l4);
    const size_t header = tcp->header_size();
    if (header < sizeof(*tcp) || l4_offset + header > end) return false;
    flags = tcp->flags & 0x3f;
    bad_flags = TcpFlagsAreBad(flags);
  } else {
    return false;
  }
  const auto* l4ports = reinterpret_cast<const UdpHeader*>(l4);
  const uint16_t source = l4ports->source.host();
  const uint16_t destination = l4ports->destination.host();
  if (source == 0 || destination == 0) return false;
  view = PacketView{};
  view.kind = FrameKind::kIp;
  view.protocol = protocol;
  view.l4_flags = flags;
  view.bad_tcp_flags = bad_flags;
  view.l3_offset = kPlainL3;
  view.l4_offset = static_cast<uint16_t>(l4_offset);
  view.l3_size = static_cast<uint16_t>(size);
  view.source_l4port = source;
  view.destination_l4port = destination;
  return true;
}

// True: `view` is what ParseFrame would make of it, which finds no fault.
// False: ask ParseFrame. Arguments as there. Forced inline: its one caller runs
// for every packet (a call is 15 instructions of 100).
[[gnu::always_inline]] inline bool ReadPlain(const uint8_t* frame,
                                             size_t readable, size_t frame_size,
                                             PacketView& view) {
  constexpr size_t kL4V4 = kPlainL3 + sizeof(Ipv4Header);
  constexpr size_t kL4V6 = kPlainL3 + sizeof(Ipv6Header);
  if (readable < kL4V4 + sizeof(UdpHeader)) return false;
  const uint16_t type =
      reinterpret_cast<const EthHeader*>(frame)->ether_type.host();
  if (type == kEtherTypeIpv4) {
    const auto* ip = reinterpret_cast<const Ipv4Header*>(frame + kPlainL3);
    const size_t size = ip->total_length.host();
    const bool plain =
        ip->version_ihl == 0x45 && (ip->fragment.host() & 0x3fff) == 0 &&
        kPlainL3 + size <= frame_size && FoldSum(AddPlainIpv4(ip)) == 0xffff;
    if (!plain ||
        !ReadPlainL4(frame, readable, size, kL4V4, ip->protocol, view)) {
      return false;
    }
    view.is_v4 = true;
    view.fragment_id = ip->id.wire();
    return true;
  }
  if (type != kEtherTypeIpv6 || readable < kL4V6 + sizeof(UdpHeader)) {
    return false;
  }
  const auto* ip = reinterpret_cast<const Ipv6Header*>(frame + kPlainL3);
  const size_t size = sizeof(*ip) + ip->payload_length.host();
  return ip->version() == 6 && size <= UINT16_MAX &&
         kPlainL3 + size <= frame_size &&
         !IpAddress::FromV6(ip->source).IsV4() &&
         !IpAddress::FromV6(ip->destination).IsV4() &&
         ReadPlainL4(frame, readable, size, kL4V6, ip->next_header, view);
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_PLAIN_PACKET_H_
