// SPDX-License-Identifier: BSD-3-Clause
// What a link carries besides packets between two hosts, and which header
// chains are none of ours.
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LinkWalk : public WalkTest {};
GODWIT_BOTH_FAMILIES(LinkWalk);

// RFC 2644, RFC 4861: nobody here turns an IP address into a link broadcast.
TEST(LinkBroadcastWalk, L209DirectedBroadcastsGoNowhere) {
  Walk walk(World());
  const MacAddress all = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  for (const char* destination : {"198.51.100.255", "255.255.255.255"}) {
    auto packet = Udp("203.0.113.9:4000", std::string(destination) + ":7");
    // As many have it: dropped. To our address alone: the kernel knows which
    // of its networks has such a broadcast, or it is never valid.
    EXPECT_THAT(walk.Send("wan0", packet), Each(ArrivesAt("gw0")));
    EXPECT_THAT(walk.Send("wan0", packet.ToMac(all)), IsEmpty());
    EXPECT_EQ(walk.ending(), "l2_multicast");
  }
  EXPECT_EQ(walk.counters()["generated"], 0u);
}

// Those of the networks that an uplink is in too (RFC 919; the first address
// as of old, RFC 1122 3.2.1.3): at once, and nobody is asked who has them.
TEST(LinkBroadcastWalk, L209AQueueReachesNoBroadcastAddress) {
  const SnapshotBuilder world = World()
                                    .OnLink("203.0.113.0/28")
                                    .OnLink("198.51.100.64/26")
                                    .OnLink("203.0.113.128/31");
  Walk walk(world);
  const MacAddress all = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  for (const char* destination :
       {"255.255.255.255", "203.0.113.0", "203.0.113.15", "198.51.100.64",
        "198.51.100.127"}) {
    const std::string there = std::string(destination) + ":7";
    // Originated, as it is (`vip`), a reply.
    for (const auto& [queue, packet] :
         std::vector<std::pair<const char*, PacketBuilder>>{
             {"crawl0", Udp("10.0.0.5:4000", there)},
             {"mail0", Udp("192.0.2.25:4000", there)},
             {"dns0", Udp("192.0.2.53:53", there)}}) {
      auto out = packet;
      EXPECT_THAT(walk.Send(queue, out), IsEmpty());
      EXPECT_EQ(walk.ending(), "martian_dst") << destination << queue;
      EXPECT_THAT(walk.Send(queue, out.ToMac(all)), IsEmpty());
      EXPECT_EQ(walk.ending(), "martian_dst") << destination << queue;
    }
  }
  EXPECT_EQ(walk.counters()["generated"], 0u);
  EXPECT_EQ(walk.mappings(), 0u);
  EXPECT_THAT(walk.TakeEvents(), IsEmpty());
  // Hosts beside them are asked for, and those of RFC 3021.
  for (const char* host : {"203.0.113.14", "203.0.113.128", "203.0.113.129"}) {
    walk.Send("crawl0", Udp("10.0.0.5:4000", std::string(host) + ":7"));
    EXPECT_THAT(walk.TakeEvents(), SizeIs(1)) << host;
  }
}

// A flow that there is when its other end turns out to be one.
TEST(LinkBroadcastWalk, L209AFlowEndsWhereANetworkBegins) {
  SnapshotBuilder world = World();
  Walk walk(world);
  const auto query = Udp("10.0.0.5:4000", "203.0.113.15:7");
  EXPECT_THAT(walk.Send("crawl0", query), ElementsAre(ArrivesAt("wan0")));
  walk.Publish(world.OnLink("203.0.113.0/28").Change());
  EXPECT_THAT(walk.Send("crawl0", query), IsEmpty());
  EXPECT_EQ(walk.ending(), "martian_dst");
  EXPECT_THAT(walk.TakeEvents(), IsEmpty());
}

// RFC 1122 3.2.1.3: no host speaks from such an address, and none is answered.
TEST(LinkBroadcastWalk, L208NothingComesFromABroadcastAddress) {
  SnapshotBuilder world = World().OnLink("203.0.113.0/28");
  Walk walk(world);
  const std::vector<PacketBuilder> packets = {
      Udp("203.0.113.15:4000", "192.0.2.53:53"),
      Udp("203.0.113.15:4000", "192.0.2.53:54"),
      Tcp("203.0.113.15:4000", "192.0.2.53:54").Flags("S"),
      Echo("203.0.113.15", "192.0.2.25", 7)};
  for (const PacketBuilder& packet : packets) {
    EXPECT_THAT(walk.Send("wan0", packet), IsEmpty());
    EXPECT_EQ(walk.ending(), "martian_src");
  }
  // Where the operator lets it in, it is heard and not answered.
  world.device("wan0").martians = Martians::kOff;
  Walk open(world);
  EXPECT_THAT(open.Send("wan0", packets[0]), SizeIs(1));
  for (size_t i = 1; i < packets.size(); ++i) {
    EXPECT_THAT(open.Send("wan0", packets[i]), IsEmpty());
  }
  EXPECT_EQ(open.counters()["generated"], 0u);
}

// Anycast clients come in wherever their routes lead: no check of the reverse
// path, not even that there is one (RFC 4786 4.4.5, RFC 3704 2).
TEST_P(LinkWalk, L210AsksForNoReversePath) {
  const SnapshotBuilder both = World().Uplink("wan1", "gw1");
  SnapshotBuilder blind = both;
  blind.NoRoutes();
  for (const SnapshotBuilder& world : {both, blind}) {
    Walk walk(world);
    for (unsigned i = 0; i < 16; ++i) {
      const auto query = Udp(at.At(at.client, 4000 + i), at.At(at.dns, 53));
      const auto first = walk.Send("wan0", query);
      ASSERT_THAT(first, SizeIs(1));
      EXPECT_THAT(walk.Send("wan1", query),
                  ElementsAre(ArrivesAt(first[0].device)));
    }
  }
}

// An answer may come in by another uplink than the question went out.
TEST_P(LinkWalk, L210TakesAnswersFromAnyUplink) {
  Walk walk(World().Uplink("wan1", "gw1"));
  for (unsigned i = 0; i < 16; ++i) {
    const auto out = walk.Send(
        "crawl0", Udp(at.At(at.internal, 5000 + i), at.At(at.remote, 53)));
    ASSERT_THAT(out, SizeIs(1));
    const unsigned given = at.SourceL4PortOf(out[0].Packet());
    const auto answer = Udp(at.At(at.remote, 53), at.At(at.unicast, given));
    EXPECT_THAT(walk.Send("wan0", answer), ElementsAre(ArrivesAt("crawl0")));
    EXPECT_THAT(walk.Send("wan1", answer), ElementsAre(ArrivesAt("crawl0")));
  }
}

// Multicast is the kernel's to join or not; no queue ever sees it.
TEST_P(LinkWalk, L212MulticastIsTheKernels) {
  Walk walk(World());
  const std::string group = at.v4 ? "224.0.0.5" : "ff02::5";
  const MacAddress group_mac = at.v4 ? MacAddress{1, 0, 0x5e, 0, 0, 5}
                                     : MacAddress{0x33, 0x33, 0, 0, 0, 5};
  for (auto packet : {Ip(at.client, group, 89).PayloadSize(24),
                      Udp(at.At(at.client, 53), at.At(group, 53)),
                      Echo(at.client, group, 7)}) {
    packet.ToMac(group_mac);
    const auto out = walk.Send("wan0", packet);
    ASSERT_THAT(out, ElementsAre(Arrives("gw0", packet.Packet())));
    EXPECT_TRUE(std::equal(group_mac.begin(), group_mac.end(),
                           out[0].frame.begin()));  // as it came
    EXPECT_THAT(walk.Send("crawl0", packet), IsEmpty());
    EXPECT_EQ(walk.ending(), "martian_dst");
  }
  EXPECT_EQ(walk.inbound() + walk.mappings(), 0u);
}

// RFC 8200 4.3: options of the hop-by-hop header are ignored, but for one.
TEST(LinkHeaderWalk, V602HopByHopIsReadPastAndNoMore) {
  Walk walk(World());
  const auto to_service = Udp("[2001:db8:c::9]:4000", "[2001:db8:53::53]:53");
  const auto out = Udp("[fd00::5]:5000", "[2001:db8:c::80]:53");
  for (const auto& [device, plain] :
       std::vector<std::pair<const char*, PacketBuilder>>{{"wan0", to_service},
                                                          {"crawl0", out}}) {
    // PadN, router alert, an option that nobody knows.
    for (const char* options :
         {"0104 00000000", "0502 0000 0100", "1e04 01020304"}) {
      auto packet = plain;
      packet.Extension(0, FromHex(options));
      EXPECT_THAT(walk.Send(device, packet), SizeIs(1)) << options;
    }
    auto late = plain;
    late.Extension(60).Extension(0, FromHex("0104 00000000"));
    EXPECT_THAT(walk.Send(device, late), IsEmpty());
    EXPECT_EQ(walk.ending(), "v6_eh_order");
    auto jumbo = plain;
    jumbo.Extension(0, FromHex("c204 00010000"));
    EXPECT_THAT(walk.Send(device, jumbo), IsEmpty());
    EXPECT_EQ(walk.ending(), "v6_jumbo");
  }
}

// RFC 6980: a solicitation that hides behind a fragment header is not heard.
TEST(LinkHeaderWalk, V609FragmentedDiscoveryIsIgnored) {
  Walk walk(World());
  auto solicit = Icmp("fd00::5", "2001:db8:53::53", 135, 0);
  Bytes body(4);
  Append(body, FromHex("20010db8005300000000000000000053 0101 0200000000aa"));
  body.erase(body.begin(), body.begin() + 4);  // Icmp has the first eight bytes
  solicit.Payload(body).Ttl(255);
  auto whole = solicit;
  EXPECT_THAT(walk.Send("crawl0", whole), ElementsAre(ArrivesAt("crawl0")));
  EXPECT_EQ(walk.TakeEvents().size(), 1u);
  for (const More more : {More::kNo, More::kYes}) {  // atomic, and a first one
    auto hidden = solicit;
    hidden.Fragment(0, more, 77);
    EXPECT_THAT(walk.Send("crawl0", hidden), IsEmpty());
    EXPECT_EQ(walk.ending(), "nd_bad");
  }
  EXPECT_THAT(walk.TakeEvents(), IsEmpty());
}

// From `from` for fe80::9, `options` behind.
PacketBuilder Solicit(const std::string& from, const std::string& to,
                      const char* options = "0101 0200000000aa") {
  Bytes body = FromHex("fe800000000000000000000000000009");
  Append(body, FromHex(options));
  return Icmp(from, to, 135, 0).Payload(body).Ttl(255);
}

// RFC 4861 7.1.1, 7.1.2: what is not whole is not heard.
TEST(LinkDiscoveryWalk, V608BrokenDiscoveryIsIgnored) {
  Walk walk(World());
  const std::string group = "ff02::1:ff00:9";
  const std::string me = "fe80::5";
  const auto advert = [](const std::string& to) {
    Bytes body = FromHex("fe800000000000000000000000000005");
    Append(body, FromHex("0201 0200000000aa"));
    return Icmp("fe80::5", to, 136, 0).Mtu(0x60000000).Payload(body).Ttl(255);
  };
  EXPECT_THAT(walk.Send("crawl0", Solicit(me, group)), SizeIs(1));
  EXPECT_THAT(walk.Send("crawl0", advert("fe80::1")), IsEmpty());
  EXPECT_EQ(walk.ending(), "consumed");
  // An option that nobody knows, in front of the one that counts.
  EXPECT_THAT(walk.Send("crawl0", Solicit(me, group,
                                          "0e01 000000000000"
                                          "0101 0200000000aa")),
              SizeIs(1));
  EXPECT_THAT(walk.TakeEvents(), SizeIs(3));
  // Whose the address is, asks nobody who knows.
  EXPECT_THAT(walk.Send("crawl0", Solicit("::", group, "")), IsEmpty());
  EXPECT_EQ(walk.ending(), "consumed");

  auto sum = Solicit(me, group);
  auto code = Icmp(me, group, 135, 1).PayloadSize(16).Ttl(255);
  auto from_group = Solicit(me, group);
  for (const PacketBuilder& packet :
       {sum.BadL4Checksum(), code, Solicit("ff02::5", group),
        Solicit("::", group), Solicit("::", "fe80::9", ""),
        Solicit(me, group, "0100 0200000000aa"),
        Solicit(me, group, "0101 0200000000aa 0100 000000000000"),
        Solicit(me, group, "0102 0200000000aa"), Solicit(me, group, "01"),
        Icmp(me, group, 135, 0).PayloadSize(15).Ttl(255), advert("ff02::1"),
        Icmp(me, group, 135, 0)
            .Payload(FromHex("ff020000000000000000000000000009"))
            .Ttl(255),
        from_group.FromMac({3, 0, 0, 0, 0, 1})}) {
    EXPECT_THAT(walk.Send("crawl0", packet), IsEmpty());
    EXPECT_EQ(walk.ending(), "nd_bad") << ToHex(packet.Frame());
  }
  EXPECT_THAT(walk.TakeEvents(), IsEmpty());
}

// 802.1Q: identifier 0 is priority alone, and no VLAN.
TEST(LinkTagWalk, L203WhatTheKernelTagsWithAPriorityLeavesUntagged) {
  Walk walk(World());
  const auto plain = Udp("198.51.100.7:3784", "203.0.113.80:3784");
  auto tagged = plain;
  const auto out = walk.Send("gw0", tagged.Vlan(0xe000));
  ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
  EXPECT_EQ(out[0].frame, plain.Frame());
  Bytes arp = FromHex("ffffffffffff 0200000000aa 81006000 0806");
  arp.resize(46);
  const auto asked = walk.Send("gw0", arp);
  ASSERT_THAT(asked, ElementsAre(ArrivesAt("wan0")));
  EXPECT_EQ(asked[0].frame.size(), 42u);
  EXPECT_EQ(
      ToHex(Bytes(asked[0].frame.begin() + 12, asked[0].frame.begin() + 14)),
      "0806");
}

}  // namespace
}  // namespace godwit
