// SPDX-License-Identifier: BSD-3-Clause
// The world that walks go through, once for each family, and what is said of
// the packets that come out.
#ifndef GODWIT_TESTS_WALKS_WORLD_H_
#define GODWIT_TESTS_WALKS_WORLD_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/support/packet_builder.h"
#include "tests/support/snapshot_builder.h"
#include "tests/support/walk.h"

namespace godwit {

// Addresses of one family (RFC 5737, RFC 3849).
struct Family {
  std::string name;
  std::string unicast;
  std::string dns;       // udp/53, tcp/53, icmp; queues dns0, dns1
  std::string mail;      // tcp/25; queue mail0; originates as `vip`
  std::string quiet;     // udp/99; queue quiet0; may not originate
  std::string web;       // tcp/80; queue kernel
  std::string client;    // somewhere behind the uplink
  std::string remote;    // a server there
  std::string router;    // a router on the way there
  std::string internal;  // what a program calls itself behind its queue
  std::string direct;    // in `egress.direct`
  bool v4 = true;

  // Of a packet from the IP header up.
  unsigned SourceL4PortOf(const Bytes& packet) const {
    const size_t l4 = v4 ? 20 : 40;
    return packet[l4] * 256U + packet[l4 + 1];
  }
  // "ADDRESS:L4PORT", in brackets where the family wants them.
  std::string At(const std::string& address, unsigned l4port) const {
    return (v4 ? address : "[" + address + "]") + ":" + std::to_string(l4port);
  }
};
const Family& V4();
const Family& V6();

inline void PrintTo(const Family& family, std::ostream* out) {
  *out << family.name;
}

// Queues dns0, dns1, mail0, quiet0, and crawl0 of the service `crawler`, which
// has no address; services as Family has them, of both families.
SnapshotBuilder World();

// For TEST_P over both families.
class WalkTest : public testing::TestWithParam<Family> {
 protected:
  // Sends what a queue originates and returns it as it left the uplink, from
  // the IP header up; the l4port, or identifier, that it was given is in
  // `given_`.
  Bytes Leave(Walk& walk, const char* queue, const PacketBuilder& packet);

  const Family& at = GetParam();
  uint16_t given_ = 0;
};
inline std::string NameOf(const testing::TestParamInfo<Family>& family) {
  return family.param.name;
}
#define GODWIT_BOTH_FAMILIES(suite) \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::Values(V4(), V6()), NameOf)

// `packet` is what stands from the IP header up, to the last byte.
MATCHER_P2(Arrives, device, packet,
           std::string(negation ? "not " : "") + "at " + device + ": " +
               ToHex(packet)) {
  return arg.device == device && arg.Packet() == packet;
}
MATCHER_P(ArrivesAt, device,
          std::string(negation ? "not " : "") + "at " + device) {
  return arg.device == device;
}

}  // namespace godwit

#endif  // GODWIT_TESTS_WALKS_WORLD_H_
