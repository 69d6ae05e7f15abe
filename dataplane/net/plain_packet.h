// SPDX-License-Identifier: BSD-3-Clause
// The packets that nearly all are, read in a third of the time: untagged, IPv4
// without options or IPv6 without extension headers, not a fragment, TCP or
// UDP, and nothing wrong with them. What is wrong with any other, ParseFrame
// says.
#ifndef GODWIT_DATAPLANE_NET_PLAIN_PACKET_H_
#define GODWIT_DATAPLANE_NET_PLAIN_PACKET_H_

#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/packet_view.h"

namespace godwit {

inline constexpr size_t kPlainL3 = sizeof(EthHeader);

// What differs from one to the next, in registers.
struct PlainPacket {
  uint8_t protocol = 0;
  uint8_t l4_flags = 0;
  bool bad_tcp_flags = false;
  uint16_t l3_size = 0;
  uint16_t source_l4port = 0;
  uint16_t destination_l4port = 0;
  uint32_t fragment_id = 0;
};

template <bool kIsV4>
constexpr PacketView PlainView() {
  PacketView view;
  view.kind = FrameKind::kIp;
  view.is_v4 = kIsV4;
  view.l3_offset = kPlainL3;
  view.l4_offset = kPlainL3 + (kIsV4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header));
  return view;
}

// What ParseFrame would make of it.
template <bool kIsV4>
[[gnu::always_inline]] inline void FillView(const PlainPacket& packet,
                                            PacketView& view) {
  // Copied as bytes: assigned, g++ 12 makes a slow string instruction of it.
  static constexpr PacketView kView = PlainView<kIsV4>();
  std::memcpy(static_cast<void*>(&view), &kView, sizeof(view));
  view.protocol = packet.protocol;
  view.l4_flags = packet.l4_flags;
  view.source_l4port = packet.source_l4port;
  view.l3_size = packet.l3_size;
  view.destination_l4port = packet.destination_l4port;
  view.bad_tcp_flags = packet.bad_tcp_flags;
  view.fragment_id = packet.fragment_id;
}

// The rest of it, from `l4_offset` on, of which 8 bytes are there. `size` is
// the IP packet's.
[[gnu::always_inline]] inline bool ReadPlainL4(const uint8_t* frame,
                                               size_t readable, size_t size,
                                               size_t l4_offset,
                                               uint8_t protocol,
                                               PlainPacket& packet) {
  const size_t end = kPlainL3 + size;
  const uint8_t* l4 = frame + l4_offset;
  if (protocol == kProtoUdp) {
    const auto* udp = reinterpret_cast<const UdpHeader*>(l4);
    const size_t length = udp->length.host();
    if (length < sizeof(*udp) || l4_offset + length > end) return false;
    packet.l4_flags = udp->checksum == 0 ? kUdpNoChecksum : 0;
    packet.bad_tcp_flags = false;
  } else if (protocol == kProtoTcp) {
    if (l4_offset + sizeof(TcpHeader) > readable) return false;
    const auto* tcp = reinterpret_cast<const TcpHeader*>(l4);
    const size_t header = tcp->header_size();
    if (header < sizeof(*tcp) || l4_offset + header > end) return false;
    packet.l4_flags = tcp->flags & 0x3f;
    packet.bad_tcp_flags = TcpFlagsAreBad(packet.l4_flags);
  } else {
    return false;
  }
  const auto* l4ports = reinterpret_cast<const UdpHeader*>(l4);
  packet.protocol = protocol;
  packet.l3_size = static_cast<uint16_t>(size);
  packet.source_l4port = l4ports->source.host();
  packet.destination_l4port = l4ports->destination.host();
  return packet.source_l4port != 0 && packet.destination_l4port != 0;
}

// True: `packet` says what ParseFrame would, which finds no fault. False: ask
// ParseFrame. Arguments as there, and the family that the ether type says.
// Forced inline: it runs for every packet (a call is 15 instructions of 100).
template <bool kIsV4>
[[gnu::always_inline]] inline bool ReadPlain(const uint8_t* frame,
                                             size_t readable, size_t frame_size,
                                             PlainPacket& packet) {
  constexpr size_t kL4 = PlainView<kIsV4>().l4_offset;
  if (readable < kL4 + sizeof(UdpHeader)) return false;
  if constexpr (kIsV4) {
    const auto* ip = reinterpret_cast<const Ipv4Header*>(frame + kPlainL3);
    const size_t size = ip->total_length.host();
    packet.fragment_id = ip->id.wire();
    return ip->version_ihl == 0x45 &&
           (ip->fragment.wire() & Be16(0x3fff).wire()) == 0 &&
           kPlainL3 + size <= frame_size && IsPlainIpv4Sum(ip) &&
           ReadPlainL4(frame, readable, size, kL4, ip->protocol, packet);
  } else {
    const auto* ip = reinterpret_cast<const Ipv6Header*>(frame + kPlainL3);
    const size_t size = sizeof(*ip) + ip->payload_length.host();
    return ip->version() == 6 && size <= UINT16_MAX &&
           kPlainL3 + size <= frame_size &&
           !IpAddress::FromV6(ip->source).IsV4() &&
           !IpAddress::FromV6(ip->destination).IsV4() &&
           ReadPlainL4(frame, readable, size, kL4, ip->next_header, packet);
  }
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_PLAIN_PACKET_H_
