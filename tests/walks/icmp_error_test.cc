// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors follow the flow of the packet they quote (RFC 5508, RFC 4443):
// outer header and quote are translated as the flow is.
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class IcmpErrorWalk : public WalkTest {
 protected:
  // "No l4port there", from `router` to whom `quoted` came from.
  PacketBuilder Unreachable(const std::string& router, Bytes quoted) const {
    return IcmpError(router, at.v4 ? 3 : 1, at.v4 ? 3 : 4, std::move(quoted));
  }
  PacketBuilder TooBig(const std::string& router, Bytes quoted) const {
    return IcmpError(router, at.v4 ? 3 : 2, at.v4 ? 4 : 0, std::move(quoted))
        .Mtu(1400);
  }
  // What a queue originates, of each kind that is translated.
  std::vector<PacketBuilder> Originated() const {
    return {Udp(at.At(at.internal, 5000), at.At(at.remote, 53)).Payload("who?"),
            Tcp(at.At(at.internal, 5001), at.At(at.remote, 80)).Flags("S"),
            Echo(at.internal, at.remote, 77).Payload("ping")};
  }
};
GODWIT_BOTH_FAMILIES(IcmpErrorWalk);

TEST_P(IcmpErrorWalk, ReachesTheOriginatorWithItsOwnPacketQuoted) {
  Walk walk(World());
  for (const PacketBuilder& packet : Originated()) {
    const Bytes left = Leave(walk, "crawl0", packet);
    EXPECT_THAT(walk.Send("wan0", TooBig(at.router, left)),
                ElementsAre(Arrives(
                    "crawl0", TooBig(at.router, packet.Packet()).Packet())));
    EXPECT_THAT(
        walk.Send("wan0", Unreachable(at.remote, left)),
        ElementsAre(Arrives("crawl0",
                            Unreachable(at.remote, packet.Packet()).Packet())));
  }
}

TEST_P(IcmpErrorWalk, TranslatesAQuoteThatIsCutOff) {
  Walk walk(World());
  for (const PacketBuilder& packet : Originated()) {
    const Bytes left = Leave(walk, "crawl0", packet);
    Bytes original = packet.Packet();
    for (size_t size = (at.v4 ? 20 : 40) + 8; size < left.size(); ++size) {
      // Half a TCP checksum says nothing, and is left alone.
      if (size == (at.v4 ? 20U : 40U) + 17) continue;
      const auto keep = static_cast<ptrdiff_t>(size);
      const Bytes cut(left.begin(), left.begin() + keep);
      const auto out = walk.Send("wan0", TooBig(at.router, cut));
      const Bytes shorter(original.begin(), original.begin() + keep);
      EXPECT_THAT(out, ElementsAre(Arrives(
                           "crawl0", TooBig(at.router, shorter).Packet())))
          << size;
    }
  }
}

TEST_P(IcmpErrorWalk, ReachesTheServiceUnchanged) {
  Walk walk(World());
  const auto asked =
      walk.Send("wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 53)));
  ASSERT_EQ(asked.size(), 1u);
  const auto reply =
      Udp(at.At(at.dns, 53), at.At(at.client, 4000)).PayloadSize(100);
  walk.Send(asked[0].device, reply);
  const auto error = TooBig(at.router, reply.Packet());
  EXPECT_THAT(walk.Send("wan0", error),
              ElementsAre(Arrives(asked[0].device, error.Packet())));
}

TEST_P(IcmpErrorWalk, LeavesAnOriginatorTranslatedInsideAndOut) {
  Walk walk(World());
  Leave(walk, "crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
  const auto answer =
      Udp(at.At(at.remote, 53), at.At(at.unicast, given_)).Payload("me");
  const auto inside = walk.Send("wan0", answer);
  ASSERT_THAT(inside, ElementsAre(ArrivesAt("crawl0")));
  const auto out =
      walk.Send("crawl0", Unreachable(at.internal, inside[0].Packet()));
  EXPECT_THAT(out,
              ElementsAre(Arrives(
                  "wan0", Unreachable(at.unicast, answer.Packet()).Packet())));
}

TEST_P(IcmpErrorWalk, LeavesAServiceUnchanged) {
  Walk walk(World());
  const auto query = Udp(at.At(at.client, 4000), at.At(at.dns, 53));
  const auto asked = walk.Send("wan0", query);
  ASSERT_EQ(asked.size(), 1u);
  const auto error = Unreachable(at.dns, query.Packet());
  EXPECT_THAT(walk.Send(asked[0].device, error),
              ElementsAre(Arrives("wan0", error.Packet())));
}

// Rule 3: a service's address is its own queues' to speak for.
TEST_P(IcmpErrorWalk, NeverLeavesInTheNameOfAnothersService) {
  Walk walk(World());
  const Bytes asked = Udp(at.At(at.client, 4000), at.At(at.dns, 53)).Packet();
  EXPECT_THAT(walk.Send("crawl0", Unreachable(at.dns, asked)), IsEmpty());
  EXPECT_EQ(walk.ending(), "icmp_unmatched");
  EXPECT_THAT(walk.Send("dns1", Unreachable(at.dns, asked)),
              ElementsAre(ArrivesAt("wan0")));
}

TEST_P(IcmpErrorWalk, NeverLeavesAboutAFlowThatIsNot) {
  Walk walk(World());
  const auto stranger = Udp(at.At(at.remote, 53), at.At(at.internal, 5000));
  EXPECT_THAT(walk.Send("crawl0", Unreachable(at.internal, stranger.Packet())),
              IsEmpty());
  EXPECT_EQ(walk.ending(), "icmp_unmatched");
  // Nor from a service address that its queue does not serve.
  const auto query = Udp(at.At(at.client, 4000), at.At(at.mail, 25));
  EXPECT_THAT(walk.Send("crawl0", Unreachable(at.mail, query.Packet())),
              IsEmpty());
}

TEST_P(IcmpErrorWalk, IsDroppedAboutAMappingThatIsNot) {
  Walk walk(World());
  const auto left = Udp(at.At(at.unicast, 50500), at.At(at.remote, 53));
  EXPECT_THAT(walk.Send("wan0", TooBig(at.router, left.Packet())), IsEmpty());
  EXPECT_EQ(walk.ending(), "icmp_unmatched");
}

TEST_P(IcmpErrorWalk, GoesToTheKernelAboutItsOwnPackets) {
  Walk walk(World());
  const auto sent = Udp(at.At(at.unicast, 3784), at.At(at.remote, 3784));
  const auto error = TooBig(at.router, sent.Packet());
  EXPECT_THAT(walk.Send("wan0", error),
              ElementsAre(Arrives("gw0", error.Packet())));
}

TEST_P(IcmpErrorWalk, IsDroppedWhenItIsForged) {
  Walk walk(World());
  const auto packet = Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  const Bytes left = Leave(walk, "crawl0", packet);
  // What it quotes was never sent by whom it is for.
  auto other = Unreachable(
      at.router, Udp(at.At(at.client, 1), at.At(at.remote, 53)).Packet());
  EXPECT_THAT(walk.Send("wan0", other.To(at.unicast)), IsEmpty());
  EXPECT_EQ(walk.ending(), "icmp_inner_mismatch");
  auto broken = Unreachable(at.router, left);
  EXPECT_THAT(walk.Send("wan0", broken.BadL4Checksum()), IsEmpty());
  EXPECT_EQ(walk.ending(), "icmp_csum");
  const Bytes stump(left.begin(), left.begin() + (at.v4 ? 20 : 40) + 7);
  EXPECT_THAT(walk.Send("wan0", Unreachable(at.router, stump)), IsEmpty());
  EXPECT_EQ(walk.ending(), "icmp_short");
}

TEST_P(IcmpErrorWalk, TellsAnOriginatorThatItsPacketIsTooBig) {
  SnapshotBuilder world = World();
  world.device("wan0").mtu = 1280;
  Walk walk(world);
  auto big = Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  big.PayloadSize(1300).DontFragment();
  const auto out = walk.Send("crawl0", big);
  ASSERT_THAT(out, ElementsAre(ArrivesAt("crawl0")));
  EXPECT_TRUE(ChecksumsHold(out[0].Packet()));
  EXPECT_THAT(walk.ending(), testing::HasSubstr("mtu_exceeded"));
}

}  // namespace
}  // namespace godwit
