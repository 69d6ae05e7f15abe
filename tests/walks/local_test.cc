// SPDX-License-Identifier: BSD-3-Clause
// Contract, "On the wire", 6: from a queue to a service of this node.
#include <algorithm>

#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

class LocalWalk : public WalkTest {
 protected:
  // Asks mail0 for a connection, from crawl0; `outside_` is who it comes from.
  void Open(Walk& walk) {
    const auto syn = walk.Send("crawl0", Tcp(here_, mail_).Flags("S"));
    ASSERT_THAT(syn, ElementsAre(ArrivesAt("mail0")));
    outside_ = at.At(at.unicast, at.SourceL4PortOf(syn[0].Packet()));
  }

  const std::string here_ = at.At(at.internal, 5000);
  const std::string mail_ = at.At(at.mail, 25);
  std::string outside_;
};
GODWIT_BOTH_FAMILIES(LocalWalk);

TEST_P(LocalWalk, DeliversHereTranslatedAndBack) {
  Walk walk(World());
  const auto asked = walk.Send(
      "crawl0",
      Udp(at.At(at.internal, 5000), at.At(at.dns, 53)).Payload("who?"));
  ASSERT_EQ(asked.size(), 1u);  // nothing on the wire
  ASSERT_THAT(asked[0].device, StartsWith("dns"));
  const Bytes seen = asked[0].Packet();
  const unsigned given = at.SourceL4PortOf(seen);
  EXPECT_EQ(seen, Udp(at.At(at.unicast, given), at.At(at.dns, 53))
                      .Payload("who?")
                      .Packet());
  EXPECT_THAT(
      walk.Send(asked[0].device,
                Udp(at.At(at.dns, 53), at.At(at.unicast, given)).Payload("me")),
      ElementsAre(
          Arrives("crawl0", Udp(at.At(at.dns, 53), at.At(at.internal, 5000))
                                .Payload("me")
                                .Packet())));
}

// The flow is one queue's; an answer is the service's, from whichever.
TEST_P(LocalWalk, IsAnsweredByAnotherQueueOfTheService) {
  Walk walk(World());
  const auto asked =
      walk.Send("crawl0", Udp(at.At(at.internal, 5000), at.At(at.dns, 53)));
  ASSERT_EQ(asked.size(), 1u);
  const std::string other = asked[0].device == "dns0" ? "dns1" : "dns0";
  const unsigned given = at.SourceL4PortOf(asked[0].Packet());
  EXPECT_THAT(
      walk.Send(other, Udp(at.At(at.dns, 53), at.At(at.unicast, given))),
      ElementsAre(
          Arrives("crawl0",
                  Udp(at.At(at.dns, 53), at.At(at.internal, 5000)).Packet())));
  // And so is what it says about a packet.
  const uint8_t unreachable = at.v4 ? 3 : 1;
  const auto told =
      walk.Send(other, IcmpError(at.dns, unreachable, 3, asked[0].Packet()));
  EXPECT_THAT(told, ElementsAre(ArrivesAt("crawl0")));
}

TEST_P(LocalWalk, AnswersAHandshake) {
  Walk walk(World());
  Open(walk);
  EXPECT_THAT(
      walk.Send("mail0", Tcp(mail_, outside_).Flags("SA")),
      ElementsAre(Arrives("crawl0", Tcp(mail_, here_).Flags("SA").Packet())));
  EXPECT_THAT(
      walk.Send("crawl0", Tcp(here_, mail_).Flags("A")),
      ElementsAre(Arrives("mail0", Tcp(outside_, mail_).Flags("A").Packet())));
}

// ANY-16: with both ends of a flow inside the node, from outside.
TEST_P(LocalWalk, TakesNothingOfAFlowWithinFromTheWire) {
  Walk walk(World());
  Open(walk);
  EXPECT_THAT(walk.Send("wan0", Tcp(outside_, mail_).Flags("R")), IsEmpty());
  EXPECT_THAT(walk.Send("wan0", Tcp(mail_, outside_).Flags("SA")), IsEmpty());
  EXPECT_THAT(walk.counters(), Contains(Pair("spoof_own_src", 2)));
  EXPECT_THAT(
      walk.Send("mail0", Tcp(mail_, outside_).Flags("SA")),
      ElementsAre(Arrives("crawl0", Tcp(mail_, here_).Flags("SA").Packet())));
}

TEST_P(LocalWalk, ReachesAServiceOfItsOwnQueue) {
  Walk walk(World());
  EXPECT_THAT(
      walk.Send("mail0",
                Tcp(at.At(at.mail, 5000), at.At(at.mail, 25)).Flags("S")),
      ElementsAre(ArrivesAt("mail0")));
}

TEST_P(LocalWalk, IsOpenToWhoMayNotOriginate) {
  Walk walk(World());
  EXPECT_THAT(
      walk.Send("quiet0", Udp(at.At(at.quiet, 5000), at.At(at.dns, 53))),
      ElementsAre(testing::AnyOf(ArrivesAt("dns0"), ArrivesAt("dns1"))));
}

TEST_P(LocalWalk, ReachesTheKernelsServices) {
  Walk walk(World());
  EXPECT_THAT(
      walk.Send("crawl0",
                Tcp(at.At(at.internal, 5000), at.At(at.web, 80)).Flags("S")),
      ElementsAre(ArrivesAt("gw0")));
}

// From a link with large packets to one with small ones, and back.
TEST_P(LocalWalk, TellsBothEndsHowMuchTheOtherTakes) {
  SnapshotBuilder world = World();
  world.device("crawl0").mtu = 1400;
  world.device("mail0").mtu = 1300;
  Walk walk(world);
  Open(walk);
  walk.Send("mail0", Tcp(mail_, outside_).Flags("SA"));
  const auto large = [](const std::string& from, const std::string& to) {
    return Tcp(from, to).Flags("A").DontFragment().PayloadSize(1270);
  };
  // The error quotes what its receiver has sent.
  const size_t l4 = at.v4 ? 20 : 40;
  const auto tells = [&walk, l4](const char* device, const Bytes& sent) {
    const auto out = walk.Send(device, sent);
    EXPECT_THAT(walk.ending(), testing::HasSubstr("mtu_exceeded"));
    if (out.size() != 1 || out[0].device != device) return false;
    const Bytes error = out[0].Packet();
    const size_t quote = l4 + 8;
    return ChecksumsHold(error) && error[l4] != 0 &&
           std::equal(error.begin() + static_cast<long>(quote), error.end(),
                      sent.begin() + 14);
  };
  EXPECT_TRUE(tells("crawl0", large(here_, mail_).Frame()));
  EXPECT_TRUE(tells("mail0", large(mail_, outside_).PayloadSize(1388).Frame()));
}

TEST_P(LocalWalk, RejectsOtherL4PortsHereToo) {
  Walk walk(World());
  EXPECT_THAT(
      walk.Send("crawl0", Udp(at.At(at.internal, 5000), at.At(at.dns, 54))),
      ElementsAre(ArrivesAt("crawl0")));
  EXPECT_THAT(walk.ending(), testing::HasSubstr("svc_miss"));
}

TEST_P(LocalWalk, NeverSendsTheUnicastAddressRound) {
  Walk walk(World());
  EXPECT_THAT(
      walk.Send("crawl0", Udp(at.At(at.internal, 5000), at.At(at.unicast, 9))),
      Not(Contains(ArrivesAt("wan0"))));
  EXPECT_EQ(walk.ending(), "nat_loop");
}

// Both kinds of mapping: what goes round inside is the same.
class LocalMappingWalk
    : public testing::TestWithParam<std::tuple<Family, Mapping>> {
 protected:
  const Family& at = std::get<0>(GetParam());
  SnapshotBuilder OurWorld() const {
    SnapshotBuilder world = World();
    world.nat().mapping = std::get<1>(GetParam());
    return world;
  }
};
INSTANTIATE_TEST_SUITE_P(
    , LocalMappingWalk,
    testing::Combine(testing::Values(V4(), V6()),
                     testing::Values(Mapping::kPerDestination,
                                     Mapping::kEndpointIndependent)),
    [](const auto& param) {
      return std::get<0>(param.param).name +
             (std::get<1>(param.param) == Mapping::kPerDestination
                  ? "PerDestination"
                  : "EndpointIndependent");
    });

// RFC 5508 REQ-7: an error about what goes round has both its own addresses
// and those that it quotes as its receiver knows them.
TEST_P(LocalMappingWalk, Hpn02ErrorsGoRoundTranslatedInsideAndOut) {
  Walk walk(OurWorld());
  const uint8_t type = at.v4 ? 3 : 1;
  const std::string here = at.At(at.internal, 5000);
  const std::string dns = at.At(at.dns, 53);
  const auto query = Udp(here, dns).Payload("who?");
  const auto asked = walk.Send("crawl0", query);
  ASSERT_EQ(asked.size(), 1u);
  const Bytes seen = asked[0].Packet();
  EXPECT_THAT(
      walk.Send(asked[0].device, IcmpError(at.dns, type, 1, seen)),
      ElementsAre(Arrives(
          "crawl0", IcmpError(at.dns, type, 1, query.Packet()).Packet())));
  const std::string outside = at.At(at.unicast, at.SourceL4PortOf(seen));
  const auto reply = Udp(dns, outside).Payload("me");
  const auto told = walk.Send(asked[0].device, reply);
  ASSERT_THAT(told, ElementsAre(ArrivesAt("crawl0")));
  EXPECT_THAT(
      walk.Send("crawl0", IcmpError(at.internal, type, 1, told[0].Packet())),
      ElementsAre(
          Arrives(asked[0].device,
                  IcmpError(at.unicast, type, 1, reply.Packet()).Packet())));
}

// To an l4port of the unicast address, its own or another's: whoever is
// mapped there has not spoken to this one, so it ends, in one pass (HPN-01).
TEST_P(LocalMappingWalk, Hpn03WhatIsMappedToItselfEndsInOnePass) {
  Walk walk(OurWorld());
  for (const char* queue : {"crawl0", "dns0"}) {
    const auto out =
        walk.Send(queue, Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
    ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
    const std::string mapped =
        at.At(at.unicast, at.SourceL4PortOf(out[0].Packet()));
    for (const char* sender : {"crawl0", "dns0", "mail0"}) {
      const uint64_t received = walk.counters()["received"];
      EXPECT_THAT(walk.Send(sender, Udp(at.At(at.internal, 5000), mapped)),
                  IsEmpty());
      EXPECT_EQ(walk.ending(), "nat_loop");
      EXPECT_EQ(walk.counters()["received"], received + 1);
    }
  }
  EXPECT_EQ(walk.mappings(), 2u);
}

TEST_P(LocalMappingWalk, Hpn04FragmentsGoRoundInAnyOrder) {
  const std::string here = at.At(at.internal, 5000);
  const std::string dns = at.At(at.dns, 53);
  const size_t header = at.v4 ? 20 : 48;
  std::vector<size_t> order = {0, 1, 2};
  do {
    Walk walk(OurWorld());
    const auto pieces = Udp(here, dns).PayloadSize(900).Fragments(304);
    std::map<size_t, Bytes> bodies;  // by offset
    std::string queue;
    const auto gather = [&](const std::vector<Arrival>& arrivals) {
      for (const Arrival& arrival : arrivals) {
        const Bytes piece = arrival.Packet();
        const size_t field = at.v4 ? 6 : 42;
        const size_t units = piece[field] * 256U + piece[field + 1];
        bodies[at.v4 ? (units & 0x1fff) * 8 : units & 0xfff8] =
            Bytes(piece.begin() + static_cast<ptrdiff_t>(header), piece.end());
        queue = arrival.device;
      }
    };
    const auto whole = [&bodies] {
      Bytes all;
      for (const auto& [offset, body] : bodies) Append(all, body);
      return all;
    };
    for (const size_t i : order) gather(walk.Send("crawl0", pieces[i]));
    ASSERT_EQ(bodies.size(), 3u) << walk.ending();
    EXPECT_THAT(queue, StartsWith("dns"));
    const Bytes asked = whole();
    const std::string outside = at.At(at.unicast, asked[0] * 256U + asked[1]);
    EXPECT_EQ(asked, Udp(outside, dns).PayloadSize(900).L4());
    bodies.clear();
    const std::string server = queue;
    const auto answer = Udp(dns, outside).PayloadSize(900).Fragments(304);
    for (const size_t i : order) gather(walk.Send(server, answer[i]));
    ASSERT_EQ(bodies.size(), 3u) << walk.ending();
    EXPECT_EQ(queue, "crawl0");
    EXPECT_EQ(whole(), Udp(dns, here).PayloadSize(900).L4());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(LocalWalk, LetsNoBadSourceIn) {
  Walk walk(World());
  const std::vector<std::string> sources =
      at.v4 ? std::vector<std::string>{"127.0.0.1", "169.254.1.1", "0.0.0.0",
                                       "224.0.0.1", "255.255.255.255"}
            : std::vector<std::string>{"::1", "fe80::1", "::", "ff02::1"};
  for (const std::string& source : sources) {
    EXPECT_THAT(
        walk.Send("crawl0", Udp(at.At(source, 5000), at.At(at.remote, 53))),
        testing::IsEmpty());
    EXPECT_EQ(walk.ending(), "martian_src") << source;
  }
}

}  // namespace
}  // namespace godwit
