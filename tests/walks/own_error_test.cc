// SPDX-License-Identifier: BSD-3-Clause
// The ICMP errors and resets that godwit says itself: when, to whom, what they
// quote, how many (RFC 1812 4.3.2, RFC 4443 2.4).
#include <algorithm>

#include "dataplane/table/token_bucket.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class OwnErrorWalk : public WalkTest {
 protected:
  size_t L4() const { return at.v4 ? 20 : 40; }
  Bytes QuoteIn(const Bytes& error) const {
    return Bytes(error.begin() + static_cast<ptrdiff_t>(L4() + 8), error.end());
  }
  Bytes TypeAndCodeOf(const Bytes& error) const {
    return Bytes(error.begin() + static_cast<ptrdiff_t>(L4()),
                 error.begin() + static_cast<ptrdiff_t>(L4() + 2));
  }
  unsigned ClassOf(const Bytes& packet) const {
    return at.v4 ? packet[1]
                 : (packet[0] & 0xfU) << 4 | unsigned{packet[1]} >> 4;
  }
  PacketBuilder Stray() const {  // to an l4port that nobody serves
    return Udp(at.At(at.client, 4000), at.At(at.dns, 54));
  }
  PacketBuilder Query() const {
    return Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  }
  // One answer, to `device`, of this type and code.
  void ExpectTold(Walk& walk, const char* device, const PacketBuilder& packet,
                  const Bytes& type_and_code) {
    const auto out = walk.Send(device, packet);
    ASSERT_THAT(out, ElementsAre(ArrivesAt(device))) << walk.ending();
    EXPECT_EQ(TypeAndCodeOf(out[0].Packet()), type_and_code) << walk.ending();
    EXPECT_TRUE(ChecksumsHold(out[0].Packet()));
  }
};
GODWIT_BOTH_FAMILIES(OwnErrorWalk);

TEST_P(OwnErrorWalk, Ice16NothingIsSaidAboutErrors) {
  SnapshotBuilder world = World();
  world.device("wan0").mtu = 1280;
  Walk walk(world);
  const uint8_t unreachable = at.v4 ? 3 : 1;
  const auto query = Udp(at.At(at.client, 4000), at.At(at.dns, 53));
  const auto asked = walk.Send("wan0", query);
  ASSERT_EQ(asked.size(), 1u);
  auto large = query;
  const Bytes quoted = large.PayloadSize(1300).Packet();
  const std::vector<std::pair<std::string, PacketBuilder>> errors = {
      // What we say to a stray, said back to us (ADV-65).
      {"wan0", IcmpError(at.client, unreachable, 3,
                         Udp(at.At(at.dns, 54), at.At(at.client, 1)).Packet())},
      {"wan0",
       IcmpError(at.router, unreachable, 1,
                 IcmpError(at.dns, unreachable, 3, query.Packet()).Packet())},
      {"crawl0", IcmpError(at.internal, unreachable, 3, query.Packet())},
      // Too large for the uplink, and an error itself.
      {asked[0].device,
       IcmpError(at.dns, unreachable, 3, quoted).DontFragment()}};
  for (const auto& [device, error] : errors) {
    EXPECT_THAT(walk.Send(device, error), IsEmpty()) << walk.ending();
  }
  EXPECT_EQ(walk.counters()["generated"], 0u);
}

TEST_P(OwnErrorWalk, Ice16NothingIsSaidToNoOne) {
  SnapshotBuilder world = World();
  world.device("wan0").martians = Martians::kOff;
  Walk walk(world);
  const std::vector<std::string> nobody =
      at.v4 ? std::vector<std::string>{"0.0.0.0", "127.0.0.1", "224.0.0.1",
                                       "240.0.0.1", "255.255.255.255"}
            : std::vector<std::string>{"::", "::1", "ff02::1", "ff0e::1"};
  for (const std::string& source : nobody) {
    auto udp = Stray();
    auto tcp = Tcp(at.At(at.client, 4000), at.At(at.dns, 54)).Flags("S");
    auto echo = Echo(at.client, at.mail, 7);
    auto other = Ip(at.client, at.dns, 50).PayloadSize(40);
    for (PacketBuilder* packet : {&udp, &tcp, &echo, &other}) {
      EXPECT_THAT(walk.Send("wan0", packet->From(source)), IsEmpty()) << source;
    }
  }
  EXPECT_EQ(walk.counters()["generated"], 0u);
}

// L2-08: by the list that is shipped they do not even come so far.
TEST_P(OwnErrorWalk, L208GroupsAreNoSources) {
  Walk walk(World());
  const std::vector<std::string> groups =
      at.v4 ? std::vector<std::string>{"224.0.0.1", "239.255.255.255",
                                       "255.255.255.255"}
            : std::vector<std::string>{"ff02::1", "ff0e::1"};
  for (const std::string& group : groups) {
    for (const char* device : {"wan0", "crawl0"}) {
      for (auto packet : {Stray(), Query()}) {
        EXPECT_THAT(walk.Send(device, packet.From(group)), IsEmpty());
        EXPECT_EQ(walk.ending(), "martian_src") << group;
      }
    }
  }
}

TEST_P(OwnErrorWalk, Ice16NothingIsSaidToManyOnALink) {
  Walk walk(World());
  for (const MacAddress& mac :
       {MacAddress{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        MacAddress{1, 0, 0x5e, 0, 0, 1}, MacAddress{0x33, 0x33, 0, 0, 0, 1}}) {
    EXPECT_THAT(walk.Send("wan0", Stray().ToMac(mac)), IsEmpty());
    EXPECT_EQ(walk.ending(), "l2_multicast");
  }
  // What many are to have is the kernel's, from the wire (L2-12); and from a
  // queue nobody's.
  const std::string group = at.v4 ? "224.0.0.5" : "ff02::5";
  const auto hello = Ip(at.client, group, 89).PayloadSize(24);
  EXPECT_THAT(walk.Send("wan0", hello),
              ElementsAre(Arrives("gw0", hello.Packet())));
  EXPECT_THAT(walk.Send("crawl0", hello), IsEmpty());
  EXPECT_EQ(walk.ending(), "martian_dst");
  EXPECT_EQ(walk.counters()["generated"], 0u);
}

TEST_P(OwnErrorWalk, Ice16NothingIsSaidAboutWhatIsBroken) {
  Walk walk(World());
  for (const char* device : {"wan0", "crawl0"}) {
    auto lie = Stray();
    EXPECT_THAT(walk.Send(device, lie.UdpLength(400)), IsEmpty());
    EXPECT_EQ(walk.ending(), "udp_len");
    Bytes frame = Stray().Frame();
    frame[14] = at.v4 ? 0x65 : 0x45;  // the other family's version
    EXPECT_THAT(walk.Send(device, frame), IsEmpty());
    EXPECT_THAT(walk.Send(device, Stray().From(at.dns)),
                Each(Not(ArrivesAt("wan0"))));
  }
  EXPECT_THAT(walk.Send("wan0", Stray().From(at.mail)), IsEmpty());
  EXPECT_EQ(walk.ending(), "spoof_own_src");
  const auto reset = Tcp(at.At(at.client, 1), at.At(at.dns, 54)).Flags("R");
  EXPECT_THAT(walk.Send("wan0", reset), IsEmpty());
  EXPECT_EQ(walk.ending(), "svc_miss");
}

// Of a datagram in pieces only the first is answered.
TEST_P(OwnErrorWalk, Frg19LaterFragmentsAreNotAnswered) {
  Walk walk(World());
  auto udp = Stray();
  auto tcp = Tcp(at.At(at.client, 4000), at.At(at.dns, 54)).Flags("S");
  // The last piece of the segment is one byte: shorter than any header.
  for (auto* packet : {&udp.PayloadSize(900), &tcp.PayloadSize(589)}) {
    auto pieces = packet->Fragments(304);
    EXPECT_THAT(walk.Send("wan0", pieces[0]), ElementsAre(ArrivesAt("wan0")));
    for (size_t i = 1; i < pieces.size(); ++i) {
      EXPECT_THAT(walk.Send("wan0", pieces[i]), IsEmpty());
      EXPECT_EQ(walk.ending(), "svc_miss");
    }
    // The other way round: those that waited are no more told.
    walk.Wait(4);
    EXPECT_THAT(walk.Send("wan0", pieces.back()), IsEmpty());
    EXPECT_THAT(walk.Send("wan0", pieces.front()),
                ElementsAre(ArrivesAt("wan0")));
    walk.Wait(4);
  }
}

// ... and takes one answer of those there are in a second.
TEST_P(OwnErrorWalk, Frg19LaterFragmentsTakeNoAnswer) {
  Walk walk(World());
  const auto pieces = Stray().PayloadSize(900).Fragments(304);
  walk.Send("wan0", pieces[0]);
  walk.Send("wan0", pieces[1]);
  walk.Send("wan0", pieces[2]);
  const std::vector<Bytes> resets(
      50, Tcp(at.At(at.client, 1), at.At(at.dns, 54)).Flags("R").Frame());
  walk.SendAll("wan0", resets);
  EXPECT_EQ(
      walk.SendAll("wan0", std::vector<Bytes>(150, Stray().Frame())).size(),
      99u);
}

TEST(OwnErrorBucket, Ice17LetsABurstPassAndThenItsRate) {
  TokenBucket bucket(10, 10);
  uint32_t now = 4'000'000'000U;  // soon past the wrap
  const auto taken = [&bucket, &now](unsigned tries) {
    unsigned count = 0;
    for (unsigned i = 0; i < tries; ++i) count += bucket.Take(now) ? 1 : 0;
    return count;
  };
  EXPECT_EQ(taken(100), 10u);
  for (unsigned second = 0; second < 60; ++second) {
    unsigned count = 0;
    for (unsigned tick = 0; tick < TokenBucket::kTicksPerSecond; ++tick) {
      now += 1;
      count += taken(5);
    }
    ASSERT_EQ(count, 10u);
  }
  now += 300'000'000U;
  EXPECT_EQ(taken(100), 10u);
}

TEST_P(OwnErrorWalk, Ice17EachKindHasItsBucket) {
  Walk walk(World());
  const auto count = [&walk](const char* device, const PacketBuilder& packet) {
    return walk.SendAll(device, std::vector<Bytes>(700, packet.Frame())).size();
  };
  const auto refused = Ip(at.internal, at.remote, 47).PayloadSize(40);
  const auto echo = Echo(at.client, at.mail, 7);
  for (int second = 0; second < 3; ++second) {
    EXPECT_EQ(count("wan0", Stray()), 100u);
    EXPECT_EQ(count("crawl0", refused), 100u);
    EXPECT_EQ(count("wan0", echo) + count("wan0", echo), 1000u);  // ANY-18
    walk.Wait(0.5);  // no bare timer: half a second gives half
    EXPECT_EQ(count("wan0", Stray()), 50u);
    EXPECT_EQ(count("crawl0", refused), 50u);
    walk.Wait(1);
  }
}

TEST_P(OwnErrorWalk, Ice18QuotesAsMuchAsFitsAsItWasSent) {
  SnapshotBuilder world = World();
  world.device("crawl0").hop = Hop::kRouter;
  world.device("wan0").hop = Hop::kRouter;
  Walk walk(world);
  const size_t limit = at.v4 ? 576 : 1280;
  for (const size_t size : {0U, 4U, 500U, 1400U}) {
    const auto query = Query().Ttl(1).PayloadSize(size);
    // Translated before it is found to be at the end of its hops, and after.
    for (int again = 0; again < 2; ++again) {
      const auto out = walk.Send("crawl0", query);
      ASSERT_THAT(out, ElementsAre(ArrivesAt("crawl0")));
      EXPECT_THAT(walk.ending(), HasSubstr("ttl_exceeded"));
      Bytes quoted = query.Packet();
      quoted.resize(std::min(quoted.size(), limit - L4() - 8));
      EXPECT_EQ(ToHex(out[0].Packet()),
                ToHex(IcmpError(at.unicast, at.v4 ? 11 : 3, 0, quoted)
                          .To(at.internal)
                          .IpId(0)
                          .DontFragment()
                          .Packet()));
    }
    const auto stray = Stray().PayloadSize(size);
    const auto out = walk.Send("wan0", stray);
    ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
    Bytes quoted = stray.Packet();
    quoted.resize(std::min(quoted.size(), limit - L4() - 8));
    EXPECT_EQ(QuoteIn(out[0].Packet()), quoted);
  }
}

// RFC 1812 4.3.2.3: as it was received, by a router too.
TEST_P(OwnErrorWalk, Ice18QuotesTheHopsThatWereThere) {
  SnapshotBuilder world = World();
  for (const char* device : {"crawl0", "dns0", "dns1", "wan0"}) {
    world.device(device).hop = Hop::kRouter;
    world.device(device).mtu = 1280;
  }
  Walk walk(world);
  const auto reply = Udp(at.At(at.dns, 53), at.At(at.client, 4000));
  const auto question = Udp(at.At(at.client, 4000), at.At(at.dns, 53));
  for (const auto& [device, packet] :
       std::vector<std::pair<const char*, PacketBuilder>>{
           {"crawl0", Query()}, {"dns0", reply}, {"wan0", question}}) {
    for (const unsigned hops : {9U, 2U, 1U}) {
      auto sent = packet;
      sent.Ttl(static_cast<uint8_t>(hops)).PayloadSize(1300).DontFragment();
      // The first of a flow, and one of a flow that there is.
      for (int again = 0; again < 2; ++again) {
        const auto out = walk.Send(device, sent);
        ASSERT_THAT(out, ElementsAre(ArrivesAt(device)));
        EXPECT_THAT(walk.ending(),
                    HasSubstr(hops == 1 ? "ttl_exceeded" : "mtu_exceeded"));
        const Bytes whole = sent.Packet();
        const Bytes quoted = QuoteIn(out[0].Packet());
        EXPECT_EQ(quoted,
                  Bytes(whole.begin(),
                        whole.begin() + static_cast<ptrdiff_t>(quoted.size())));
        EXPECT_TRUE(ChecksumsHold(out[0].Packet()));
      }
    }
    // What goes through has a hop less, cut or whole.
    auto small = packet;
    const auto out = walk.Send(device, small.Ttl(9).PayloadSize(100));
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(out[0].Packet()[at.v4 ? 8 : 7], 8);
  }
}

TEST_P(OwnErrorWalk, Ice19HasTheClassOfWhatItIsAbout) {
  SnapshotBuilder world = World();
  world.device("wan0").mtu = 1280;
  Walk walk(world);
  for (const uint8_t sent : Bytes{0x00, 0xb8, 0xbb, 0xff}) {
    for (const auto& [device, packet] :
         std::vector<std::pair<const char*, PacketBuilder>>{
             {"wan0", Stray()},
             {"crawl0", Ip(at.internal, at.remote, 47).PayloadSize(40)},
             {"crawl0", Query().DontFragment().PayloadSize(1300)}}) {
      auto marked = packet;
      const auto out =
          walk.Send(device, marked.TrafficClass(sent).FlowLabel(0xabcde));
      ASSERT_THAT(out, ElementsAre(ArrivesAt(device)));
      // RFC 3168 6.1.1: an answer says nothing of congestion.
      EXPECT_EQ(ClassOf(out[0].Packet()), sent & 0xfcU);
      EXPECT_TRUE(ChecksumsHold(out[0].Packet()));
    }
  }
}

TEST_P(OwnErrorWalk, Ice22PacketsTooBigOfLiveFlowsAlwaysPass) {
  Walk walk(World());
  const auto query = Query().PayloadSize(1300);
  const Bytes left = Leave(walk, "crawl0", query);
  const Bytes too_big = IcmpError(at.router, at.v4 ? 3 : 2, at.v4 ? 4 : 0, left)
                            .Mtu(1300)
                            .Frame();
  std::vector<Bytes> frames(900, Echo(at.client, at.mail, 7).Frame());
  const Bytes unmatched =
      IcmpError(at.router, at.v4 ? 3 : 1, 1,
                Udp(at.At(at.unicast, 50001), at.At(at.remote, 54)).Packet())
          .Frame();
  for (size_t i = 0; i < frames.size(); ++i) {
    if (i % 3 == 1) frames[i] = Stray().Frame();
    if (i % 3 == 2) frames[i] = unmatched;
    if (i % 90 == 89) frames[i] = too_big;
  }
  for (int burst = 0; burst < 10; ++burst) {
    const auto out = walk.SendAll("wan0", frames);
    EXPECT_EQ(std::count_if(out.begin(), out.end(),
                            [](const Arrival& arrival) {
                              return arrival.device == "crawl0";
                            }),
              10);
  }
}

// Out of something (soft: try again), or not allowed (RFC 6888 REQ-11b, RFC
// 5508 REQ-8).
TEST_P(OwnErrorWalk, Ice24SaysWhyAFlowIsRefused) {
  const Bytes resources = at.v4 ? Bytes{3, 1} : Bytes{1, 3};
  const Bytes prohibited = at.v4 ? Bytes{3, 13} : Bytes{1, 1};
  SnapshotBuilder world = World().EgressL4Ports(50000, 50000);
  world.queue("dns1").flow_limit = 1;
  world.queue("dns0").rate_limit = 1;
  Walk walk(world);
  const auto other = Udp(at.At(at.internal, 5001), at.At(at.remote, 53));
  Leave(walk, "crawl0", Query());
  ExpectTold(walk, "crawl0", other, resources);
  EXPECT_THAT(walk.ending(), HasSubstr("nat_no_port"));
  Leave(walk, "dns1", Udp(at.At(at.internal, 5000), at.At(at.client, 53)));
  ExpectTold(walk, "dns1", other, resources);
  EXPECT_THAT(walk.ending(), HasSubstr("limit_flows"));
  Leave(walk, "dns0", Udp(at.At(at.internal, 5000), at.At(at.client, 54)));
  ExpectTold(walk, "dns0", other, resources);
  EXPECT_THAT(walk.ending(), HasSubstr("limit_rate"));
  ExpectTold(walk, "quiet0", other, prohibited);
  EXPECT_THAT(walk.ending(), HasSubstr("nat_denied"));
  // ESP and IKE's friends (OTH-02), GRE (OTH-03).
  for (const uint8_t protocol : Bytes{47, 50}) {
    ExpectTold(walk, "crawl0",
               Ip(at.internal, at.remote, protocol).PayloadSize(40),
               prohibited);
    EXPECT_THAT(walk.ending(), HasSubstr("nat_proto"));
  }
}

// What a service address does not speak: protocol unreachable, from there;
// IPv6: parameter problem, and where it says so.
TEST_P(OwnErrorWalk, V611Oth02Oth03SaysWhichProtocolNobodySpeaks) {
  Walk walk(World());
  for (const uint8_t protocol : Bytes{47, 50, 132, 254}) {
    const auto packet = Ip(at.client, at.dns, protocol).PayloadSize(40);
    const auto out = walk.Send("wan0", packet);
    ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
    auto told =
        IcmpError(at.dns, at.v4 ? 3 : 4, at.v4 ? 2 : 1, packet.Packet());
    if (!at.v4) told.Mtu(6);  // the pointer stands there
    EXPECT_EQ(ToHex(out[0].Packet()),
              ToHex(told.IpId(0).DontFragment().Packet()));
  }
}

// IKE is UDP like any other; its l4port is no privilege (MAP-10).
TEST_P(OwnErrorWalk, Oth02Map10IkeIsTranslatedLikeAnything) {
  Walk walk(World());
  Leave(walk, "crawl0", Udp(at.At(at.internal, 500), at.At(at.remote, 500)));
  EXPECT_GE(given_, 1024);
  Leave(walk, "crawl0", Udp(at.At(at.internal, 4500), at.At(at.remote, 4500)));
}

}  // namespace
}  // namespace godwit
