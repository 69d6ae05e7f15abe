// SPDX-License-Identifier: BSD-3-Clause
// What must hold of a packet that left, read by other code than the product's:
// slow, and sharing no header with dataplane/net/packet_view.h.
#ifndef GODWIT_TESTS_FUZZ_SUPPORT_ORACLE_H_
#define GODWIT_TESTS_FUZZ_SUPPORT_ORACLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "tests/support/bytes.h"

namespace godwit {

// An IP packet, from the IP header up.
struct PlainIp {
  bool v4 = false;
  size_t l4 = 0;   // where the l4 header is
  size_t end = 0;  // of the packet
  uint8_t protocol = 0;
  bool fragment = false;       // one of several
  bool later = false;          // and not the first
  size_t fragment_header = 0;  // IPv6: where it is; 0: there is none

  bool IsIcmp() const { return protocol == (v4 ? 1 : 58); }
};
// Nothing: not an IP packet, or cut off before its l4 header.
std::optional<PlainIp> ReadIp(const Bytes& packet);

// An ICMP message that quotes a packet.
bool IsError(const Bytes& packet, const PlainIp& ip);

// The one's complement sum that the l4 checksum is of, with the checksum in
// it: 0 when it holds. Nothing: there is no checksum, or not all it is of.
std::optional<uint16_t> L4Residue(const Bytes& packet, const PlainIp& ip);

// P8, P9 (MAP-21): `out` is `in` with other addresses, l4ports, checksums;
// the l4 checksum is as right or wrong as it was. Not for ICMP errors.
void CheckOnlyTranslated(const Bytes& in, const Bytes& out);

// The frame from its IP header up, without what is behind the packet; empty
// if it is none, or has more than one tag.
Bytes PacketOf(const Bytes& frame);

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_SUPPORT_ORACLE_H_
