// SPDX-License-Identifier: BSD-3-Clause
// Bytes of a frame -> where its headers are, or why it is none of ours to
// forward. The only reader of raw headers on the way in.
#ifndef GODWIT_DATAPLANE_NET_PACKET_VIEW_H_
#define GODWIT_DATAPLANE_NET_PACKET_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/net/address.h"

namespace godwit {

// Why a frame cannot be taken further. Each is a drop counter of the same
// name; the rows are those of the conformance list in docs/rfc-compliance.md.
enum class ParseError : uint8_t {
  kNone,
  kL2Short,     // ADV-01: shorter than its link header
  kL2Vlan,      // L2-03: a tag too many, or identifier 4095
  kIp4Short,    // IPH-01: fewer than 20 bytes
  kIp4Version,  // IPH-01, IPH-12
  kIp4Ihl,      // IPH-01: header length below 20
  kIp4Len,      // IPH-01: total length below the header's
  kIp4Trunc,    // ADV-05, ADV-07: total length beyond the frame
  kIp4Csum,     // IPH-01
  kIpOptBad,    // ADV-15: option length below 2 or past the end
  // IPH-08: the options that RFC 7126 has an edge drop, by their type.
  kIpOpt7,      // record route
  kIpOpt11,     // probe MTU, RFC 1063
  kIpOpt12,     // reply MTU
  kIpOpt30,     // RFC 3692 experiments
  kIpOpt68,     // timestamp
  kIpOpt82,     // traceroute, RFC 1393
  kIpOpt94,     // RFC 3692
  kIpOpt131,    // loose source route
  kIpOpt136,    // stream identifier
  kIpOpt137,    // strict source route
  kIpOpt158,    // RFC 3692
  kIpOpt222,    // RFC 3692
  kIp6Short,    // ADV-03
  kIp6Version,  // IPH-12
  kIp6Len,      // ADV-09: payload length beyond the frame, or 0
  kV6EhTrunc,   // ADV-19: extension header past the end
  kV6EhOrder,   // ADV-21: hop-by-hop not first, fragment in fragment
  kV6EhLimit,   // V6-01: more than 8 headers or 512 bytes
  kV6Jumbo,     // ADV-23
  kV6Routing,   // V6-03: types 0, 1, 3, or segments left
  kNhBad,       // ADV-25: no next header, or the other family's ICMP
  kFragAlign,   // ADV-31: more fragments, length not a multiple of 8
  kFragLen,     // FRG-14, ADV-35: past 65535, or empty
  kFragTiny,    // FRG-08: first fragment without all its l4 header; TCP at 8
  kL4Short,     // ADV-11
  kTcpDoff,     // ADV-13
  kTcpFlags,    // TCP-12: no flags, SYN+FIN, SYN+RST, on what we translate
  kUdpLen,      // UDP-06
  kPortZero,    // UDP-09, MAP-22
  kIp6Mapped,   // L2-07: ::ffff:0:0/96 in an IPv6 header
};
inline constexpr size_t kParseErrors =
    static_cast<size_t>(ParseError::kIp6Mapped) + 1;

enum class FrameKind : uint8_t { kIp, kArp, kOther };

enum class FragmentKind : uint8_t { kWhole, kFirst, kLater };

// PacketView::l4_flags of a datagram whose checksum is zero.
inline constexpr uint8_t kUdpNoChecksum = 1;

// Where things are in one frame. Offsets in bytes from its start. Fields that
// are asked for together do not stand side by side: a compiler that reads two
// as one word, just after each was written, waits for both to reach the cache
// (15 clk a packet, each time).
struct PacketView {
  FrameKind kind = FrameKind::kOther;
  FragmentKind fragment = FragmentKind::kWhole;
  uint8_t protocol = 0;  // of the l4 header, past all extension headers
  bool is_v4 = false;
  uint8_t l4_flags = 0;  // TCP flags; ICMP type; UDP: kUdpNoChecksum or 0
  uint8_t icmp_code = 0;
  uint16_t vlan_tci = 0;  // 0: no tag
  uint16_t l3_offset = 0;
  uint16_t l4_offset = 0;
  uint16_t source_l4port = 0;
  uint16_t l3_size = 0;  // IPv4 total length, IPv6 40 + payload length
  uint16_t destination_l4port = 0;
  uint16_t fragment_offset = 0;  // bytes
  bool more_fragments = false;
  bool has_ah = false;          // RFC 4302: translation would break it
  bool bad_tcp_flags = false;   // TCP-12: none, SYN+FIN or SYN+RST
  uint16_t fragment_field = 0;  // IPv6: offset of the fragment header
  uint32_t fragment_id = 0;     // as on the wire

  uint16_t l4_size() const {
    return static_cast<uint16_t>(l3_offset + l3_size - l4_offset);
  }
  bool HasL4() const { return fragment != FragmentKind::kLater; }
  friend bool operator==(const PacketView&, const PacketView&) = default;
};

// RFC 792, RFC 4443 2.1: an error, which quotes the packet it is about.
bool IsIcmpError(uint8_t protocol, uint8_t type);
// Echo request (true for both families).
bool IsEchoRequest(uint8_t protocol, uint8_t type);
bool IsEchoReply(uint8_t protocol, uint8_t type);

// Reads the frame of `frame_size` bytes, of which the first `readable` are at
// `frame`. `readable` must reach past the l4 header or to the frame's end: see
// kHeaderRoom. Trailing bytes after the IP length are padding (IPH-02).
ParseError ParseFrame(const uint8_t* frame, size_t readable, size_t frame_size,
                      PacketView& view);

// Reads an IP packet that starts at `l3_offset`; `view.l3_offset` and
// `is_v4` are set from the arguments. For the packets that ICMP errors quote
// use ParseQuote.
ParseError ParseIp(const uint8_t* frame, size_t readable, size_t frame_size,
                   size_t l3_offset, bool is_v4, PacketView& view);

// The most bytes that what ParseFrame and ParseQuote read, and what is written
// of a quote, can take: link header with two tags, IPv6 and 512 bytes of
// extension headers, ICMPv6; then once more IPv6 and extension headers, TCP.
inline constexpr size_t kHeaderRoom = 14 + 8 + 40 + 512 + 8 + 40 + 512 + 20;

// The packet that an ICMP error quotes (RFC 792, RFC 4443, RFC 5508 REQ-3):
// cut off anywhere after its l4ports, header checksum not read here.
struct QuoteView {
  IpAddress source;
  IpAddress destination;
  bool is_v4 = false;
  bool later_fragment = false;
  uint8_t protocol = 0;
  uint8_t icmp_type = 0;
  uint16_t source_l4port = 0;  // echo: as tuple.h has it
  uint16_t destination_l4port = 0;
  uint16_t l3_offset = 0;
  uint16_t l4_offset = 0;
  uint16_t l4_quoted = 0;  // bytes of l4 that are there
};

enum class QuoteError : uint8_t { kNone, kShort, kBad };

// `end` is where the quoted bytes stop, an offset like the others.
QuoteError ParseQuote(const uint8_t* frame, size_t offset, size_t end,
                      bool is_v4, QuoteView& quote);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_PACKET_VIEW_H_
