// SPDX-License-Identifier: BSD-3-Clause
// A packet as the shadow model reads it, from the IP header up: what it is,
// and all that is wrong with it.
#ifndef GODWIT_TESTS_SHADOW_MODEL_PACKET_H_
#define GODWIT_TESTS_SHADOW_MODEL_PACKET_H_

#include <set>
#include <string>

#include "tests/shadow/model_bytes.h"

namespace godwit::shadow {

// Names of drop counters, of which one must move.
using Reasons = std::set<std::string>;

enum Protocol : unsigned { kIcmp4 = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58 };
enum TcpFlag : unsigned { kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16 };

struct Packet {
  Bytes bytes;  // as long as the IP header says
  bool v6 = false;
  Address source;
  Address destination;
  unsigned protocol = 0;
  size_t l4 = 0;  // where it begins, or what a fragment carries
  bool authenticated = false;

  bool fragment = false;  // an atomic one is none
  size_t offset = 0;
  bool more = false;
  uint32_t id = 0;
  size_t id_at = 0;  // 0: nowhere

  // Not of later fragments.
  unsigned source_l4port = 0;
  unsigned destination_l4port = 0;
  unsigned type = 0;
  unsigned code = 0;
  unsigned flags = 0;

  // What each plane must drop; what those that serve or translate must, and
  // the kernel's may; what only translation must; what any may.
  Reasons ip;
  Reasons l4_faults;
  Reasons nat_faults;
  Reasons may;

  bool First() const { return !fragment || offset == 0; }
  bool Icmp() const { return protocol == (v6 ? kIcmp6 : kIcmp4); }
  bool Request() const { return Icmp() && type == (v6 ? 128U : 8U); }
  bool Reply() const { return Icmp() && type == (v6 ? 129U : 0U); }
  // By its type alone: of ICMPv6, 0-127.
  bool Error() const;
  // MLD, discovery: between neighbours, whatever its addresses.
  bool OfTheLink() const {
    return v6 && Icmp() && First() &&
           ((type >= 130 && type <= 137) || type == 143);
  }
  bool BareSyn() const {
    return protocol == kTcp && (flags & (kSyn | kAck)) == kSyn;
  }
  // An echo has its identifier at the end that asks, and 0 at the other.
  End From() const { return {source, source_l4port}; }
  End To() const { return {destination, destination_l4port}; }
  Bytes L4() const { return Slice(bytes, l4, bytes.size()); }
  // Where the checksum is; 0: a protocol without one that we know.
  size_t ChecksumAt() const;
  bool WithoutSum() const {
    return protocol == kUdp && Read16(bytes, ChecksumAt()) == 0;
  }
  bool ChecksumHolds() const;  // of a whole one
};

// As the family that the link named. Never fails: what can't be read further
// is in `ip`.
Packet Read(const Bytes& bytes, bool v6);

// What an ICMP error says of another packet: `packet` is cut off somewhere.
struct Quote {
  bool readable = false;  // with ports, or the identifier
  bool later_fragment = false;
  bool header_sum_right = true;
  size_t at = 0;  // in the error's bytes
  size_t l4 = 0;  // from `at` on
  bool v6 = false;
  Address source;
  Address destination;
  unsigned protocol = 0;
  bool about_error = false;
  End from;
  End to;
};
Quote ReadQuote(const Packet& error);

}  // namespace godwit::shadow

#endif  // GODWIT_TESTS_SHADOW_MODEL_PACKET_H_
