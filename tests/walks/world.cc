// SPDX-License-Identifier: BSD-3-Clause
#include "tests/walks/world.h"

namespace godwit {

const Family& V4() {
  static const Family family = {.name = "V4",
                                .unicast = "198.51.100.7",
                                .dns = "192.0.2.53",
                                .mail = "192.0.2.25",
                                .quiet = "192.0.2.99",
                                .web = "192.0.2.80",
                                .client = "203.0.113.9",
                                .remote = "203.0.113.80",
                                .router = "203.0.113.254",
                                .internal = "10.0.0.5",
                                .direct = "203.0.113.200",
                                .v4 = true};
  return family;
}

const Family& V6() {
  static const Family family = {.name = "V6",
                                .unicast = "2001:db8:7::7",
                                .dns = "2001:db8:53::53",
                                .mail = "2001:db8:53::25",
                                .quiet = "2001:db8:53::99",
                                .web = "2001:db8:53::80",
                                .client = "2001:db8:c::9",
                                .remote = "2001:db8:c::80",
                                .router = "2001:db8:c::254",
                                .internal = "fd00::5",
                                .direct = "2001:db8:d::200",
                                .v4 = false};
  return family;
}

SnapshotBuilder World() {
  SnapshotBuilder world;
  for (const char* queue : {"dns0", "dns1", "mail0", "quiet0", "crawl0"}) {
    world.Queue(queue);
  }
  world.Service("dns", {V4().dns, V6().dns}, {"udp/53", "tcp/53", "icmp"},
                {"dns0", "dns1"});
  world.Service("mail", {V4().mail, V6().mail}, {"tcp/25"}, {"mail0"});
  world.Service("quiet", {V4().quiet, V6().quiet}, {"udp/99"}, {"quiet0"});
  world.Service("web", {V4().web, V6().web}, {"tcp/80"}, {"kernel"});
  world.Service("crawler", {}, {}, {"crawl0"});
  world.queue("mail0").originate = Originate::kVip;
  world.queue("quiet0").originate = Originate::kDeny;
  world.Direct("203.0.113.192/26").Direct("2001:db8:d::/64");
  return world;
}

Bytes WalkTest::Leave(Walk& walk, const char* queue,
                      const PacketBuilder& packet) {
  const auto out = walk.Send(queue, packet);
  EXPECT_THAT(out, testing::ElementsAre(ArrivesAt("wan0"))) << walk.ending();
  if (out.size() != 1) return {};
  const Bytes left = out[0].Packet();
  const bool echo = left[at.v4 ? 9 : 6] == (at.v4 ? 1 : 58);
  const size_t given = (at.v4 ? 20U : 40U) + (echo ? 4U : 0U);
  given_ = static_cast<uint16_t>(left[given] * 256 + left[given + 1]);
  return left;
}

}  // namespace godwit
