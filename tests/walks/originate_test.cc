// SPDX-License-Identifier: BSD-3-Clause
// Contract, "On the wire", 3 and 4: what a queue sends of its own, and what
// comes back.
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class OriginateWalk : public WalkTest {};
GODWIT_BOTH_FAMILIES(OriginateWalk);

TEST_P(OriginateWalk, TranslatesUdpThereAndBack) {
  Walk walk(World());
  const auto query = Udp(at.At(at.internal, 5000), at.At(at.remote, 53))
                         .Ttl(9)
                         .TrafficClass(0xb8)
                         .Payload("who?");
  const Bytes left = Leave(walk, "crawl0", query);
  EXPECT_THAT(given_, testing::AllOf(testing::Ge(50000), testing::Le(50999)));
  // The same to the last byte, but for the source.
  EXPECT_EQ(left, Udp(at.At(at.unicast, given_), at.At(at.remote, 53))
                      .Ttl(9)
                      .TrafficClass(0xb8)
                      .Payload("who?")
                      .Packet());
  const auto answer =
      Udp(at.At(at.remote, 53), at.At(at.unicast, given_)).Payload("me");
  EXPECT_THAT(walk.Send("wan0", answer),
              ElementsAre(Arrives(
                  "crawl0", Udp(at.At(at.remote, 53), at.At(at.internal, 5000))
                                .Payload("me")
                                .Packet())));
  EXPECT_EQ(walk.ending(), "delivered");
}

TEST_P(OriginateWalk, TranslatesTcpThereAndBack) {
  Walk walk(World());
  const auto syn = Tcp(at.At(at.internal, 5000), at.At(at.remote, 80));
  auto first = syn;
  const Bytes left = Leave(walk, "crawl0", first.Flags("S"));
  EXPECT_EQ(
      left,
      Tcp(at.At(at.unicast, given_), at.At(at.remote, 80)).Flags("S").Packet());
  auto answer = Tcp(at.At(at.remote, 80), at.At(at.unicast, given_));
  auto inside = Tcp(at.At(at.remote, 80), at.At(at.internal, 5000));
  EXPECT_THAT(walk.Send("wan0", answer.Flags("SA")),
              ElementsAre(Arrives("crawl0", inside.Flags("SA").Packet())));
  auto data = syn;
  EXPECT_THAT(walk.Send("crawl0", data.Flags("PA").PayloadSize(999)),
              ElementsAre(Arrives(
                  "wan0", Tcp(at.At(at.unicast, given_), at.At(at.remote, 80))
                              .Flags("PA")
                              .PayloadSize(999)
                              .Packet())));
}

TEST_P(OriginateWalk, TranslatesEchoThereAndBack) {
  Walk walk(World());
  const Bytes left =
      Leave(walk, "crawl0", Echo(at.internal, at.remote, 77).Payload("ping"));
  const uint16_t id = given_;
  EXPECT_EQ(left, Echo(at.unicast, at.remote, id).Payload("ping").Packet());
  EXPECT_THAT(
      walk.Send("wan0", EchoReply(at.remote, at.unicast, id).Payload("ping")),
      ElementsAre(Arrives(
          "crawl0",
          EchoReply(at.remote, at.internal, 77).Payload("ping").Packet())));
}

TEST_P(OriginateWalk, TranslatesABareSynFromAnEndpoint) {
  Walk walk(World());
  const Bytes left = Leave(
      walk, "dns0", Tcp(at.At(at.dns, 53), at.At(at.remote, 53)).Flags("S"));
  EXPECT_EQ(
      left,
      Tcp(at.At(at.unicast, given_), at.At(at.remote, 53)).Flags("S").Packet());
  // And what it begins goes on translated, though its tuple is a reply's.
  EXPECT_THAT(
      walk.Send(
          "wan0",
          Tcp(at.At(at.remote, 53), at.At(at.unicast, given_)).Flags("SA")),
      ElementsAre(Arrives(
          "dns0",
          Tcp(at.At(at.remote, 53), at.At(at.dns, 53)).Flags("SA").Packet())));
  EXPECT_THAT(
      walk.Send("dns0",
                Tcp(at.At(at.dns, 53), at.At(at.remote, 53)).Flags("A")),
      ElementsAre(
          Arrives("wan0", Tcp(at.At(at.unicast, given_), at.At(at.remote, 53))
                              .Flags("A")
                              .Packet())));
}

TEST_P(OriginateWalk, TranslatesABareSynWhereAClientWasBefore) {  // ANY-06
  Walk walk(World());
  const auto syn = Tcp(at.At(at.dns, 53), at.At(at.remote, 4000)).Flags("S");
  const auto go_on = Tcp(at.At(at.dns, 53), at.At(at.remote, 4000)).Flags("A");
  walk.Send("wan0", Tcp(at.At(at.remote, 4000), at.At(at.dns, 53)).Flags("S"));
  EXPECT_THAT(walk.Send("dns0", go_on),
              ElementsAre(Arrives("wan0", go_on.Packet())));
  for (int again = 0; again < 2; ++again) {  // sent again, it is the same flow
    const Bytes left = Leave(walk, "dns0", syn);
    EXPECT_EQ(left, Tcp(at.At(at.unicast, given_), at.At(at.remote, 4000))
                        .Flags("S")
                        .Packet());
  }
  EXPECT_THAT(
      walk.Send(
          "wan0",
          Tcp(at.At(at.remote, 4000), at.At(at.unicast, given_)).Flags("SA")),
      ElementsAre(ArrivesAt("dns0")));
  EXPECT_THAT(walk.Send("dns0", go_on),
              ElementsAre(Arrives(
                  "wan0", Tcp(at.At(at.unicast, given_), at.At(at.remote, 4000))
                              .Flags("A")
                              .Packet())));
}

TEST_P(OriginateWalk, TranslatesABareSynBehindAStrayOfItsOwn) {  // ANY-06
  Walk walk(World());
  const auto stray = Tcp(at.At(at.dns, 53), at.At(at.remote, 4000)).Flags("A");
  EXPECT_THAT(walk.Send("dns0", stray),
              ElementsAre(Arrives("wan0", stray.Packet())));
  const Bytes left = Leave(
      walk, "dns0", Tcp(at.At(at.dns, 53), at.At(at.remote, 4000)).Flags("S"));
  EXPECT_EQ(left, Tcp(at.At(at.unicast, given_), at.At(at.remote, 4000))
                      .Flags("S")
                      .Packet());
}

TEST_P(OriginateWalk, TranslatesAServiceAddressOnAnotherL4Port) {
  Walk walk(World());
  const Bytes left =
      Leave(walk, "dns0", Udp(at.At(at.dns, 40000), at.At(at.remote, 53)));
  EXPECT_EQ(left,
            Udp(at.At(at.unicast, given_), at.At(at.remote, 53)).Packet());
}

TEST_P(OriginateWalk, TranslatesAnEndpointOfAnotherQueuesService) {
  Walk walk(World());
  const Bytes left =
      Leave(walk, "crawl0", Udp(at.At(at.dns, 53), at.At(at.remote, 4000)));
  EXPECT_EQ(left,
            Udp(at.At(at.unicast, given_), at.At(at.remote, 4000)).Packet());
}

TEST_P(OriginateWalk, KeepsTwoQueuesWithOneTupleApart) {
  Walk walk(World());
  const auto query = Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  Leave(walk, "crawl0", query);
  const uint16_t crawl = given_;
  Leave(walk, "dns0", query);
  ASSERT_NE(crawl, given_);
  EXPECT_THAT(
      walk.Send("wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, crawl))),
      ElementsAre(ArrivesAt("crawl0")));
  EXPECT_THAT(
      walk.Send("wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, given_))),
      ElementsAre(ArrivesAt("dns0")));
}

TEST_P(OriginateWalk, DropsWhatComesUnsolicitedToAnEgressL4Port) {
  Walk walk(World());
  for (const auto& packet :
       {Udp(at.At(at.remote, 53), at.At(at.unicast, 50500)),
        Tcp(at.At(at.remote, 53), at.At(at.unicast, 50500)).Flags("S"),
        Tcp(at.At(at.remote, 53), at.At(at.unicast, 50500)).Flags("R")}) {
    EXPECT_THAT(walk.Send("wan0", packet), IsEmpty());
    EXPECT_EQ(walk.ending(), "nat_filtered");
  }
}

TEST_P(OriginateWalk, FiltersOtherRemotesOfALiveMapping) {
  Walk walk(World());
  Leave(walk, "crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
  EXPECT_THAT(
      walk.Send("wan0", Udp(at.At(at.remote, 54), at.At(at.unicast, given_))),
      IsEmpty());
  EXPECT_EQ(walk.ending(), "nat_filtered");
  EXPECT_THAT(
      walk.Send("wan0", Udp(at.At(at.client, 53), at.At(at.unicast, given_))),
      IsEmpty());
  EXPECT_EQ(walk.ending(), "nat_filtered");
}

TEST_P(OriginateWalk, HandsTheRestOfTheUnicastAddressToTheKernel) {
  Walk walk(World());
  for (const auto& packet :
       {Tcp(at.At(at.remote, 5000), at.At(at.unicast, 22)).Flags("S"),
        Udp(at.At(at.remote, 5000), at.At(at.unicast, 3784)),
        Echo(at.remote, at.unicast, 7),
        Ip(at.remote, at.unicast, 89).PayloadSize(24)}) {
    EXPECT_THAT(walk.Send("wan0", packet),
                ElementsAre(Arrives("gw0", packet.Packet())));
    EXPECT_EQ(walk.ending(), "punted");
  }
}

TEST_P(OriginateWalk, DropsWhatCanNotBeTranslated) {
  Walk walk(World());
  const std::string tcp = at.At(at.internal, 5000);
  const std::vector<std::pair<PacketBuilder, std::string>> kinds = {
      {Tcp(tcp, at.At(at.remote, 80)).Flags("A"), "nat_tcp_nosyn"},
      {Tcp(tcp, at.At(at.remote, 80)).Flags("SA"), "nat_tcp_nosyn"},
      {Tcp(tcp, at.At(at.remote, 80)).Flags("R"), "nat_tcp_nosyn"},
      {Tcp(tcp, at.At(at.remote, 80)).Flags("SF"), "tcp_flags"},
      {EchoReply(at.internal, at.remote, 7), "icmp_unsolicited"},
      {Icmp(at.internal, at.remote, at.v4 ? 13 : 139, 0), "icmp_type"},
  };
  for (const auto& [packet, reason] : kinds) {
    EXPECT_THAT(walk.Send("crawl0", packet), IsEmpty()) << reason;
    EXPECT_EQ(walk.ending(), reason);
  }
  EXPECT_EQ(walk.mappings(), 0u);
}

TEST_P(OriginateWalk, RefusesOtherProtocolsAndTellsTheirSender) {
  Walk walk(World());
  for (const uint8_t protocol : Bytes{47, 50, 132, 33, 136}) {
    const auto packet = Ip(at.internal, at.remote, protocol).PayloadSize(40);
    EXPECT_THAT(walk.Send("crawl0", packet), ElementsAre(ArrivesAt("crawl0")));
    EXPECT_EQ(walk.ending(), "delivered nat_proto");
  }
}

TEST_P(OriginateWalk, LetsNothingOutWithoutAUnicastAddress) {
  Walk walk(World().Unicast({}));
  EXPECT_THAT(
      walk.Send("crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53))),
      testing::Not(testing::Contains(ArrivesAt("wan0"))));
  EXPECT_THAT(walk.ending(), testing::HasSubstr("nat_no_unicast"));
  EXPECT_THAT(
      walk.Send("gw0", Udp(at.At(at.unicast, 5000), at.At(at.remote, 53))),
      IsEmpty());
  EXPECT_EQ(walk.ending(), "leak_prevented");
}

TEST_P(OriginateWalk, EndsMappingsOfAUnicastAddressThatGoes) {
  SnapshotBuilder world = World();
  Walk walk(world);
  const auto query = Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  Leave(walk, "crawl0", query);
  EXPECT_EQ(walk.mappings(), 1u);
  const std::string other = at.v4 ? "198.51.100.8" : "2001:db8:7::8";
  walk.Publish(world.Unicast({other}).Change());
  EXPECT_EQ(walk.mappings(), 0u);
  const auto out = walk.Send("crawl0", query);
  ASSERT_THAT(out, SizeIs(1));
  EXPECT_THAT(
      walk.Send("wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, given_))),
      ElementsAre(ArrivesAt("gw0")));  // none of ours any more
}

TEST_P(OriginateWalk, ForgetsAMappingAfterItsTime) {
  Walk walk(World());
  Leave(walk, "crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
  const auto answer = Udp(at.At(at.remote, 53), at.At(at.unicast, given_));
  walk.Wait(299);
  EXPECT_THAT(walk.Send("wan0", answer), ElementsAre(ArrivesAt("crawl0")));
  walk.Wait(2);  // RFC 4787 REQ-6: what came in has not refreshed it
  EXPECT_THAT(walk.Send("wan0", answer), IsEmpty());
  EXPECT_EQ(walk.ending(), "nat_filtered");
}

TEST_P(OriginateWalk, KeepsAConnectionForHoursAndItsEndForMinutes) {
  Walk walk(World());
  const std::string inside = at.At(at.internal, 5000);
  const std::string remote = at.At(at.remote, 80);
  Leave(walk, "crawl0", Tcp(inside, remote).Flags("S"));
  const std::string outside = at.At(at.unicast, given_);
  walk.Send("wan0", Tcp(remote, outside).Flags("SA"));
  walk.Send("crawl0", Tcp(inside, remote).Flags("A"));
  walk.Wait(7430);  // RFC 5382 REQ-5: 2 h 4 min
  EXPECT_THAT(walk.Send("wan0", Tcp(remote, outside).Flags("PA")),
              ElementsAre(ArrivesAt("crawl0")));
  walk.Send("crawl0", Tcp(inside, remote).Flags("FA"));
  walk.Send("wan0", Tcp(remote, outside).Flags("FA"));
  walk.Wait(250);
  EXPECT_THAT(walk.Send("wan0", Tcp(remote, outside).Flags("A")), IsEmpty());
  EXPECT_EQ(walk.ending(), "nat_filtered");
}

TEST_P(OriginateWalk, KeepsAQueueWithinItsLimits) {
  SnapshotBuilder world = World();
  world.queue("crawl0").flow_limit = 4;
  world.queue("dns0").rate_limit = 4;
  Walk walk(world);
  const auto query = [this](unsigned l4port) {
    return Udp(at.At(at.internal, l4port), at.At(at.remote, 53));
  };
  for (unsigned l4port = 5000; l4port < 5004; ++l4port) {
    Leave(walk, "crawl0", query(l4port));
    Leave(walk, "dns0", query(l4port));
  }
  walk.Send("crawl0", query(6000));
  EXPECT_THAT(walk.ending(), testing::HasSubstr("limit_flows"));
  walk.Send("dns0", query(6000));
  EXPECT_THAT(walk.ending(), testing::HasSubstr("limit_rate"));
  Leave(walk, "crawl0", query(5000));  // those that there are go on
  walk.Wait(1);
  Leave(walk, "dns0", query(6000));
}

TEST(OriginateHeaderWalk, IsNotTranslatedUnderAnAuthenticationHeader) {
  Walk walk(World());
  auto packet = Udp("[fd00::5]:5000", "[2001:db8:c::80]:53");
  packet.Extension(51,
                   FromHex("0000 00000001 00000001 000000000000000000000000"));
  EXPECT_THAT(walk.Send("crawl0", packet), ElementsAre(ArrivesAt("crawl0")));
  EXPECT_EQ(walk.ending(), "delivered v6_ah_nat");
}

}  // namespace
}  // namespace godwit
