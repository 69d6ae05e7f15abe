// SPDX-License-Identifier: BSD-3-Clause
// Contract: `originate`, `replies`, `direct`, `unmatched`.
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class PolicyWalk : public WalkTest {};
GODWIT_BOTH_FAMILIES(PolicyWalk);

TEST_P(PolicyWalk, VipLetsItsOwnAddressOutAsItIs) {
  Walk walk(World());
  const auto syn = Tcp(at.At(at.mail, 40000), at.At(at.remote, 25)).Flags("S");
  EXPECT_THAT(walk.Send("mail0", syn),
              ElementsAre(Arrives("wan0", syn.Packet())));
  const auto answer =
      Tcp(at.At(at.remote, 25), at.At(at.mail, 40000)).Flags("SA");
  EXPECT_THAT(walk.Send("wan0", answer),
              ElementsAre(Arrives("mail0", answer.Packet())));
}

TEST_P(PolicyWalk, VipLetsNoOtherSourceOut) {
  Walk walk(World());
  for (const std::string& source : {at.internal, at.dns, at.unicast}) {
    EXPECT_THAT(
        walk.Send("mail0",
                  Tcp(at.At(source, 40000), at.At(at.remote, 25)).Flags("S")),
        IsEmpty());
    EXPECT_EQ(walk.ending(), "nat_vip_source") << source;
  }
}

TEST_P(PolicyWalk, DenyLetsRepliesOutAndNothingElse) {
  Walk walk(World());
  const auto reply = Udp(at.At(at.quiet, 99), at.At(at.client, 4000));
  EXPECT_THAT(walk.Send("quiet0", reply),
              ElementsAre(Arrives("wan0", reply.Packet())));
  EXPECT_THAT(
      walk.Send("quiet0", Udp(at.At(at.quiet, 98), at.At(at.client, 4000))),
      testing::Not(testing::Contains(ArrivesAt("wan0"))));
  EXPECT_EQ(walk.ending(), "delivered nat_denied");  // and its sender is told
}

TEST_P(PolicyWalk, DenyEndsWhatWasOriginatedBefore) {
  SnapshotBuilder world = World();
  Walk walk(world);
  const auto query = Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  EXPECT_THAT(walk.Send("crawl0", query), ElementsAre(ArrivesAt("wan0")));
  world.queue("crawl0").originate = Originate::kDeny;
  walk.Publish(world.Change());
  EXPECT_EQ(walk.mappings(), 0u);
  EXPECT_THAT(walk.Send("crawl0", query), ElementsAre(ArrivesAt("crawl0")));
  EXPECT_EQ(walk.ending(), "delivered nat_denied");
}

TEST_P(PolicyWalk, DirectIsNeverTranslated) {
  Walk walk(World());
  const auto own = Udp(at.At(at.unicast, 5000), at.At(at.direct, 53));
  EXPECT_THAT(walk.Send("crawl0", own),
              ElementsAre(Arrives("wan0", own.Packet())));
  const auto answer = Udp(at.At(at.direct, 53), at.At(at.unicast, 5000));
  EXPECT_THAT(walk.Send("wan0", answer),
              ElementsAre(Arrives("crawl0", answer.Packet())));
}

TEST_P(PolicyWalk, DirectHasTheUnicastAddressOrDoesNotLeave) {
  Walk walk(World());
  for (const std::string& source : {at.internal, at.mail}) {
    EXPECT_THAT(
        walk.Send("crawl0", Udp(at.At(source, 5000), at.At(at.direct, 53))),
        IsEmpty());
    EXPECT_EQ(walk.ending(), "nat_direct_source");
  }
}

TEST_P(PolicyWalk, TrackedIsAReplyOnlyInsideAFlow) {
  SnapshotBuilder world = World();
  world.service("dns").replies = Replies::kTracked;
  Walk walk(world);
  const auto reply = Udp(at.At(at.dns, 53), at.At(at.client, 4000));
  const auto out = walk.Send("dns0", reply);  // nobody asked: originated
  ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
  EXPECT_NE(out[0].Packet(), reply.Packet());

  const auto asked =
      walk.Send("wan0", Udp(at.At(at.client, 4001), at.At(at.dns, 53)));
  ASSERT_EQ(asked.size(), 1u);
  const auto answer = Udp(at.At(at.dns, 53), at.At(at.client, 4001));
  EXPECT_THAT(walk.Send(asked[0].device, answer),
              ElementsAre(Arrives("wan0", answer.Packet())));
}

TEST_P(PolicyWalk, RejectsOtherL4PortsOfAServiceAddress) {
  Walk walk(World());
  const auto out =
      walk.Send("wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 54)));
  EXPECT_THAT(out, ElementsAre(ArrivesAt("wan0")));
  EXPECT_TRUE(ChecksumsHold(out.at(0).Packet()));
  EXPECT_EQ(walk.ending(), "sent svc_miss");
  const auto syn =
      Tcp(at.At(at.client, 4000), at.At(at.dns, 54)).Flags("S").Sequence(7);
  const auto reset = walk.Send("wan0", syn);
  ASSERT_THAT(reset, ElementsAre(ArrivesAt("wan0")));
  const Bytes packet = reset[0].Packet();
  EXPECT_TRUE(ChecksumsHold(packet));
  // RFC 9293 3.10.7.1: RST and ACK of the SYN, from sequence 0.
  const auto tcp = packet.begin() + (at.v4 ? 20 : 40);
  EXPECT_EQ(Bytes(tcp, tcp + 14), FromHex("0036 0fa0 00000000 00000008 50 14"));
}

TEST_P(PolicyWalk, RejectsOnlySoManyASecond) {
  Walk walk(World());
  const auto stray = Udp(at.At(at.client, 4000), at.At(at.dns, 54));
  EXPECT_EQ(walk.SendAll("wan0", std::vector<Bytes>(150, stray.Frame())).size(),
            100u);
  EXPECT_THAT(walk.counters(),
              testing::Contains(testing::Pair("svc_miss", 150)));
  EXPECT_THAT(walk.Send("wan0", stray), IsEmpty());
  walk.Wait(1);
  EXPECT_THAT(walk.Send("wan0", stray), ElementsAre(ArrivesAt("wan0")));
}

TEST_P(PolicyWalk, SilentDropsOtherL4PortsWithoutAWord) {
  Walk walk(World().Silent("dns"));
  EXPECT_THAT(walk.Send("wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 54))),
              IsEmpty());
  EXPECT_EQ(walk.ending(), "svc_miss");
}

TEST_P(PolicyWalk, AnswersEchoToAnAddressWithoutIcmp) {
  Walk walk(World());
  const auto out =
      walk.Send("wan0", Echo(at.client, at.mail, 7).Payload("ping"));
  ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
  EXPECT_EQ(out[0].Packet(), EchoReply(at.mail, at.client, 7)
                                 .Payload("ping")
                                 .DontFragment()
                                 .IpId(0)
                                 .Packet());
  EXPECT_EQ(walk.ending(), "sent consumed");
}

TEST_P(PolicyWalk, DeliversEchoToAServiceThatHasIt) {
  Walk walk(World());
  const auto ping = Echo(at.client, at.dns, 7).Payload("ping");
  const auto out = walk.Send("wan0", ping);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_THAT(out[0].device, testing::StartsWith("dns"));
  const auto pong = EchoReply(at.dns, at.client, 7).Payload("ping");
  EXPECT_THAT(walk.Send(out[0].device, pong),
              ElementsAre(Arrives("wan0", pong.Packet())));
}

TEST_P(PolicyWalk, ClientAffinityKeepsAllOfAClient) {
  SnapshotBuilder world = World();
  world.service("dns").affinity = Affinity::kClient;
  Walk walk(world);
  const auto first =
      walk.Send("wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 53)));
  ASSERT_EQ(first.size(), 1u);
  for (unsigned l4port = 4001; l4port < 4033; ++l4port) {
    EXPECT_THAT(
        walk.Send("wan0", Udp(at.At(at.client, l4port), at.At(at.dns, 53))),
        ElementsAre(ArrivesAt(first[0].device)));
  }
}

}  // namespace
}  // namespace godwit
