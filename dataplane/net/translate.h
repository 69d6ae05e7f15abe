// SPDX-License-Identifier: BSD-3-Clause
// The translation of one end of a packet: its address, its l4port, and both
// checksums by the difference (RFC 1624). Nothing else is touched (MAP-21).
#ifndef GODWIT_DATAPLANE_NET_TRANSLATE_H_
#define GODWIT_DATAPLANE_NET_TRANSLATE_H_

#include <cstdint>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/packet_view.h"

namespace godwit {

// What the end becomes, and what that changes in the sums. `l3_delta` is of
// IPv4; `l4_delta` holds the pseudo header's change too.
struct NewEnd {
  const IpAddress& address;  // of the packet's family
  uint16_t l4port;           // host order; echo: its identifier
  uint16_t l3_delta;
  uint16_t l4_delta;
};

[[gnu::always_inline]] inline void TranslateL3(uint8_t* l3, bool is_v4,
                                               bool source, const NewEnd& end) {
  if (is_v4) {
    auto* ip = reinterpret_cast<Ipv4Header*>(l3);
    std::memcpy(source ? ip->source : ip->destination, end.address.V4Bytes(),
                4);
    ip->checksum = ApplyDelta(ip->checksum, end.l3_delta);
  } else {
    auto* ip = reinterpret_cast<Ipv6Header*>(l3);
    std::memcpy(source ? ip->source : ip->destination, end.address.bytes.data(),
                16);
  }
}

// Of TCP, UDP or an echo, whose header is there.
[[gnu::always_inline]] inline void TranslateL4(uint8_t* l4, uint8_t protocol,
                                               bool source, const NewEnd& end) {
  const uint16_t wire = Be16(end.l4port).wire();
  size_t l4port_at = source ? 0 : 2;
  size_t sum_at = offsetof(UdpHeader, checksum);
  if (protocol == kProtoTcp) {
    sum_at = offsetof(TcpHeader, checksum);
  } else if (IsIcmp(protocol)) {
    l4port_at = offsetof(IcmpHeader, id);
    sum_at = offsetof(IcmpHeader, checksum);
  }
  std::memcpy(l4 + l4port_at, &wire, 2);
  uint16_t sum;
  std::memcpy(&sum, l4 + sum_at, 2);
  // A zero there means "none" for UDP alone.
  if (protocol == kProtoUdp && sum == 0) return;  // UDP-01, UDP-04
  sum = ApplyDelta(sum, end.l4_delta);
  if (protocol == kProtoUdp && sum == 0) sum = 0xffff;  // UDP-02
  std::memcpy(l4 + sum_at, &sum, 2);
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_TRANSLATE_H_
