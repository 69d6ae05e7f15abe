// SPDX-License-Identifier: BSD-3-Clause
// Whose a packet from the uplink is does not change with what it has around
// it: a tag, IPv4 options, IPv6 extension headers, fragments. So for the
// stages, and by steer_judge.cc for XDP.
#include <functional>
#include <vector>

#include "tests/walks/world.h"

namespace godwit {
namespace {

class WhoseWalk : public WalkTest {
 protected:
  static constexpr uint16_t kVlan = 100;
  static constexpr uint16_t kTci = 0x6000 | kVlan;  // with a priority

  static SnapshotBuilder WorldOn(uint16_t vlan) {
    SnapshotBuilder world = World();
    world.device("wan0").vlan = vlan;
    return world;
  }
  PacketBuilder TooBig(Bytes quoted) const {
    return IcmpError(at.router, at.v4 ? 3 : 2, at.v4 ? 4 : 0, std::move(quoted))
        .Mtu(1400);
  }
  using Dress = std::function<void(PacketBuilder&)>;
  std::vector<Dress> Dresses() const {
    if (at.v4) {
      return {[](PacketBuilder&) {},
              [](PacketBuilder& packet) { packet.Options(Bytes(4, 1)); },
              [](PacketBuilder& packet) { packet.Options(Bytes(40, 1)); }};
    }
    return {
        [](PacketBuilder&) {},
        [](PacketBuilder& packet) { packet.Extension(60); },
        [](PacketBuilder& packet) {
          packet.Extension(0, FromHex("0502 0000")).Extension(60, Bytes(22, 0));
        }};
  }
};
GODWIT_BOTH_FAMILIES(WhoseWalk);

TEST_P(WhoseWalk, IsTheSameWithATagOptionsAndExtensionHeaders) {
  for (const uint16_t vlan : {uint16_t{0}, kVlan}) {
    Walk walk(WorldOn(vlan));
    const Bytes left = Leave(
        walk, "crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
    const Bytes kernels =
        Tcp(at.At(at.unicast, 22), at.At(at.client, 4000)).Packet();
    for (const Dress& dress : Dresses()) {
      const auto ends = [&](PacketBuilder packet) {
        dress(packet);
        if (vlan != 0) packet.Vlan(kTci);
        walk.Send("wan0", packet);
        return walk.ending();
      };
      EXPECT_EQ(ends(Udp(at.At(at.client, 4000), at.At(at.dns, 53))),
                "delivered");
      EXPECT_EQ(ends(Udp(at.At(at.remote, 53), at.At(at.unicast, given_))),
                "delivered");
      EXPECT_EQ(ends(Udp(at.At(at.remote, 54), at.At(at.unicast, given_))),
                "nat_filtered");
      EXPECT_EQ(ends(TooBig(left)), "delivered");
      EXPECT_EQ(ends(Tcp(at.At(at.client, 4000), at.At(at.unicast, 22))),
                "punted");
      EXPECT_EQ(ends(Udp(at.At(at.client, 4000), at.At(at.unicast, 53))),
                "punted");
      EXPECT_EQ(ends(Udp(at.At(at.client, 4000), at.At(at.remote, 53))),
                "punted");
      EXPECT_EQ(ends(Echo(at.client, at.unicast, 7)), "punted");
      EXPECT_EQ(ends(TooBig(kernels)), "punted");
    }
  }
}

TEST_P(WhoseWalk, IsThatOfTheFirstFragment) {
  for (const uint16_t vlan : {uint16_t{0}, kVlan}) {
    Walk walk(WorldOn(vlan));
    Leave(walk, "crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
    const auto end = [&](PacketBuilder packet, const char* ending) {
      packet.PayloadSize(100);
      if (vlan != 0) packet.Vlan(kTci);
      for (const Bytes& fragment : packet.Fragments(40)) {
        walk.Send("wan0", fragment);
        EXPECT_EQ(walk.ending(), ending);
      }
    };
    end(Udp(at.At(at.client, 4000), at.At(at.dns, 53)), "delivered");
    end(Udp(at.At(at.remote, 53), at.At(at.unicast, given_)), "delivered");
    end(Udp(at.At(at.client, 4000), at.At(at.unicast, 53)), "punted");
    end(Udp(at.At(at.client, 4000), at.At(at.remote, 53)), "punted");
  }
}

}  // namespace
}  // namespace godwit
