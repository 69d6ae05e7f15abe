// SPDX-License-Identifier: BSD-3-Clause
// Headers as they stand on the wire. All are packed to byte alignment, so a
// pointer into a frame may be cast to them.
#ifndef GODWIT_DATAPLANE_NET_HEADERS_H_
#define GODWIT_DATAPLANE_NET_HEADERS_H_

#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/net/byteorder.h"

namespace godwit {

inline constexpr uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr uint16_t kEtherTypeArp = 0x0806;
inline constexpr uint16_t kEtherTypeVlan = 0x8100;  // IEEE 802.1Q
inline constexpr uint16_t kEtherTypeQinq = 0x88a8;  // IEEE 802.1ad
inline constexpr uint16_t kEtherTypeIpv6 = 0x86dd;

inline constexpr uint8_t kProtoHopByHop = 0;
inline constexpr uint8_t kProtoIcmp = 1;
inline constexpr uint8_t kProtoTcp = 6;
inline constexpr uint8_t kProtoUdp = 17;
inline constexpr uint8_t kProtoRouting = 43;
inline constexpr uint8_t kProtoFragment = 44;
inline constexpr uint8_t kProtoAuth = 51;
inline constexpr uint8_t kProtoIcmpv6 = 58;
inline constexpr uint8_t kProtoNone = 59;
inline constexpr uint8_t kProtoDestOptions = 60;

constexpr bool IsIcmp(uint8_t protocol) {
  return protocol == kProtoIcmp || protocol == kProtoIcmpv6;
}

struct [[gnu::packed]] EthHeader {
  MacAddress destination;
  MacAddress source;
  Be16 ether_type;
};
static_assert(sizeof(EthHeader) == 14);

struct [[gnu::packed]] VlanTag {
  Be16 tci;  // priority 3 bits, DEI 1, VLAN identifier 12
  Be16 ether_type;
  uint16_t vid() const { return tci.host() & 0x0fff; }
};
static_assert(sizeof(VlanTag) == 4);

struct [[gnu::packed]] Ipv4Header {  // RFC 791
  uint8_t version_ihl;
  uint8_t dscp_ecn;
  Be16 total_length;
  Be16 id;
  Be16 fragment;  // flags 3 bits, offset 13 in units of 8 bytes
  uint8_t ttl;
  uint8_t protocol;
  uint16_t checksum;
  uint8_t source[4];
  uint8_t destination[4];
  unsigned version() const { return version_ihl >> 4; }
  unsigned header_size() const { return (version_ihl & 0xfU) * 4U; }
  bool dont_fragment() const { return (fragment.host() & 0x4000) != 0; }
  bool more_fragments() const { return (fragment.host() & 0x2000) != 0; }
  unsigned fragment_offset() const { return (fragment.host() & 0x1fffU) * 8U; }
};
static_assert(sizeof(Ipv4Header) == 20);

struct [[gnu::packed]] Ipv6Header {  // RFC 8200
  Be32 version_class_label;
  Be16 payload_length;
  uint8_t next_header;
  uint8_t hop_limit;
  uint8_t source[16];
  uint8_t destination[16];
  unsigned version() const { return version_class_label.host() >> 28; }
};
static_assert(sizeof(Ipv6Header) == 40);

struct [[gnu::packed]] Ipv6ExtHeader {
  uint8_t next_header;
  uint8_t length;  // 8-byte units beyond the first; AH: 4-byte units less 2
};
static_assert(sizeof(Ipv6ExtHeader) == 2);

struct [[gnu::packed]] Ipv6FragmentHeader {
  uint8_t next_header;
  uint8_t reserved;
  Be16 offset_flags;  // offset 13 bits in units of 8 bytes, reserved 2, more 1
  Be32 id;
  unsigned offset() const { return offset_flags.host() & 0xfff8U; }
  bool more_fragments() const { return (offset_flags.host() & 1) != 0; }
};
static_assert(sizeof(Ipv6FragmentHeader) == 8);

inline constexpr uint8_t kTcpFin = 0x01;
inline constexpr uint8_t kTcpSyn = 0x02;
inline constexpr uint8_t kTcpRst = 0x04;
inline constexpr uint8_t kTcpPsh = 0x08;
inline constexpr uint8_t kTcpAck = 0x10;

// TCP-12: none of them, SYN and FIN, or SYN and RST.
constexpr bool TcpFlagsAreBad(uint8_t flags) {
  const bool none = (flags & (kTcpSyn | kTcpFin | kTcpRst | kTcpAck)) == 0;
  return none || ((flags & kTcpSyn) != 0 && (flags & (kTcpFin | kTcpRst)) != 0);
}

struct [[gnu::packed]] TcpHeader {  // RFC 9293
  Be16 source;
  Be16 destination;
  Be32 sequence;
  Be32 acknowledgment;
  uint8_t data_offset;  // upper 4 bits, in 4-byte units
  uint8_t flags;
  Be16 window;
  uint16_t checksum;
  Be16 urgent;
  unsigned header_size() const { return (data_offset >> 4) * 4U; }
};
static_assert(sizeof(TcpHeader) == 20);

struct [[gnu::packed]] UdpHeader {  // RFC 768
  Be16 source;
  Be16 destination;
  Be16 length;
  uint16_t checksum;
};
static_assert(sizeof(UdpHeader) == 8);

inline constexpr uint8_t kIcmpEchoReply = 0;
inline constexpr uint8_t kIcmpUnreachable = 3;
inline constexpr uint8_t kIcmpQuench = 4;
inline constexpr uint8_t kIcmpRedirect = 5;
inline constexpr uint8_t kIcmpEcho = 8;
inline constexpr uint8_t kIcmpTimeExceeded = 11;
inline constexpr uint8_t kIcmpParameterProblem = 12;
inline constexpr uint8_t kIcmpCodeFragmentationNeeded = 4;

inline constexpr uint8_t kIcmpv6Unreachable = 1;
inline constexpr uint8_t kIcmpv6PacketTooBig = 2;
inline constexpr uint8_t kIcmpv6TimeExceeded = 3;
inline constexpr uint8_t kIcmpv6ParameterProblem = 4;
inline constexpr uint8_t kIcmpv6Echo = 128;
inline constexpr uint8_t kIcmpv6EchoReply = 129;
inline constexpr uint8_t kIcmpv6MldQuery = 130;
inline constexpr uint8_t kIcmpv6RouterSolicit = 133;
inline constexpr uint8_t kIcmpv6NeighborSolicit = 135;
inline constexpr uint8_t kIcmpv6NeighborAdvert = 136;
inline constexpr uint8_t kIcmpv6Redirect = 137;
inline constexpr uint8_t kIcmpv6Mldv2Report = 143;

struct [[gnu::packed]] IcmpHeader {  // RFC 792, RFC 4443
  uint8_t type;
  uint8_t code;
  uint16_t checksum;
  Be16 id;        // echo; errors: unused, RFC 4884 length in the second byte
  Be16 sequence;  // echo; IPv4 fragmentation needed: next-hop MTU
};
static_assert(sizeof(IcmpHeader) == 8);

struct [[gnu::packed]] ArpPacket {  // RFC 826, Ethernet and IPv4
  Be16 hardware_type;
  Be16 protocol_type;
  uint8_t hardware_size;
  uint8_t protocol_size;
  Be16 operation;  // 1 request, 2 reply
  MacAddress sender_mac;
  uint8_t sender_ip[4];
  MacAddress target_mac;
  uint8_t target_ip[4];
};
static_assert(sizeof(ArpPacket) == 28);

struct [[gnu::packed]] NeighborMessage {  // RFC 4861 4.3, 4.4, with one option
  uint8_t type;
  uint8_t code;
  uint16_t checksum;
  Be32 flags;  // advertisement: router, solicited, override in bits 31-29
  uint8_t target[16];
  uint8_t option_type;    // 1 source, 2 target link-layer address
  uint8_t option_length;  // in 8-byte units
  MacAddress mac;
};
static_assert(sizeof(NeighborMessage) == 32);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_HEADERS_H_
