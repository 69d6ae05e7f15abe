// SPDX-License-Identifier: BSD-3-Clause
// Contract, "On the wire", 5 and 6: a program of the root namespace asks a
// service of this node, from the unicast address that the kernel picks.
#include <algorithm>

#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

class KernelLocalWalk : public WalkTest {
 protected:
  size_t L4() const { return at.v4 ? 20 : 40; }
  unsigned IdentifierOf(const Bytes& packet) const {
    return packet[L4() + 4] * 256U + packet[L4() + 5];
  }
  const std::string here = at.At(at.unicast, 40000);
  const std::string dns = at.At(at.dns, 53);
  const std::string mail = at.At(at.mail, 25);
  const uint8_t unreachable = at.v4 ? 3 : 1;
  const uint8_t closed = at.v4 ? 3 : 4;
};
GODWIT_BOTH_FAMILIES(KernelLocalWalk);

TEST_P(KernelLocalWalk, Any15AsksAndIsAnswered) {
  Walk walk(World());
  const auto asked = walk.Send("gw0", Udp(here, dns).Payload("who?"));
  ASSERT_EQ(asked.size(), 1u) << walk.ending();  // nothing on the wire
  ASSERT_THAT(asked[0].device, StartsWith("dns"));
  const Bytes seen = asked[0].Packet();
  const unsigned given = at.SourceL4PortOf(seen);
  EXPECT_NE(given, 40000u);
  const std::string outside = at.At(at.unicast, given);
  EXPECT_EQ(seen, Udp(outside, dns).Payload("who?").Packet());
  EXPECT_THAT(
      walk.Send(asked[0].device, Udp(dns, outside).Payload("me")),
      ElementsAre(Arrives("gw0", Udp(dns, here).Payload("me").Packet())));
  EXPECT_EQ(walk.ending(), "delivered");
}

TEST_P(KernelLocalWalk, Any15AConnectionKeepsItsL4Port) {
  for (const unsigned workers : {1u, 3u}) {
    Walk walk(World(), {.workers = workers});
    const auto syn = walk.Send("gw0", Tcp(here, mail).Flags("S"));
    ASSERT_THAT(syn, ElementsAre(ArrivesAt("mail0"))) << walk.ending();
    const std::string outside =
        at.At(at.unicast, at.SourceL4PortOf(syn[0].Packet()));
    EXPECT_THAT(
        walk.Send("mail0", Tcp(mail, outside).Flags("SA")),
        ElementsAre(Arrives("gw0", Tcp(mail, here).Flags("SA").Packet())));
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(walk.Send("gw0", Tcp(here, mail).Flags("A").Payload("EHLO")),
                  ElementsAre(Arrives(
                      "mail0",
                      Tcp(outside, mail).Flags("A").Payload("EHLO").Packet())));
    }
    EXPECT_EQ(walk.mappings(), 1u);
  }
}

TEST_P(KernelLocalWalk, Any15AsksFromAnEgressL4Port) {
  for (const unsigned workers : {1u, 3u}) {
    Walk walk(World(), {.workers = workers});
    for (unsigned l4port = 50000; l4port < 50008; ++l4port) {
      const std::string bound = at.At(at.unicast, l4port);
      const auto asked = walk.Send("gw0", Udp(bound, dns));
      ASSERT_EQ(asked.size(), 1u) << walk.ending();
      const std::string outside =
          at.At(at.unicast, at.SourceL4PortOf(asked[0].Packet()));
      EXPECT_THAT(walk.Send(asked[0].device, Udp(dns, outside)),
                  ElementsAre(Arrives("gw0", Udp(dns, bound).Packet())));
    }
  }
}

TEST_P(KernelLocalWalk, Any15EchoToAServiceThatTakesIt) {
  Walk walk(World());
  const auto asked = walk.Send("gw0", Echo(at.unicast, at.dns, 7));
  ASSERT_EQ(asked.size(), 1u) << walk.ending();
  ASSERT_THAT(asked[0].device, StartsWith("dns"));
  const auto id = static_cast<uint16_t>(IdentifierOf(asked[0].Packet()));
  EXPECT_EQ(asked[0].Packet(), Echo(at.unicast, at.dns, id).Packet());
  EXPECT_THAT(
      walk.Send(asked[0].device, EchoReply(at.dns, at.unicast, id)),
      ElementsAre(Arrives("gw0", EchoReply(at.dns, at.unicast, 7).Packet())));
}

TEST_P(KernelLocalWalk, Any18EchoThatGodwitAnswers) {
  Walk walk(World());
  const auto answer =
      walk.Send("gw0", Echo(at.unicast, at.mail, 7).Payload("there?"));
  ASSERT_THAT(answer, ElementsAre(ArrivesAt("gw0"))) << walk.ending();
  const Bytes packet = answer[0].Packet();
  EXPECT_EQ(IdentifierOf(packet), 7u);
  EXPECT_EQ(packet[L4()], at.v4 ? 0 : 129);
  EXPECT_TRUE(ChecksumsHold(packet));
}

TEST_P(KernelLocalWalk, Any17AnL4PortThatNobodyServesIsRejected) {
  Walk walk(World());
  const std::string nobody = at.At(at.dns, 9);
  const auto sent = Udp(here, nobody);
  const auto told = walk.Send("gw0", sent);
  ASSERT_THAT(told, ElementsAre(ArrivesAt("gw0"))) << walk.ending();
  const Bytes error = told[0].Packet();
  EXPECT_EQ(error[L4()], unreachable);
  EXPECT_EQ(error[L4() + 1], closed);
  EXPECT_TRUE(ChecksumsHold(error));
  // ICE-18: the quote is the packet as it came.
  const Bytes quote(error.begin() + static_cast<ptrdiff_t>(L4() + 8),
                    error.end());
  EXPECT_EQ(quote, sent.Packet());
  const auto reset = walk.Send("gw0", Tcp(here, nobody).Flags("S"));
  ASSERT_THAT(reset, ElementsAre(ArrivesAt("gw0"))) << walk.ending();
  EXPECT_EQ(reset[0].Packet()[L4() + 13] & 0x04, 0x04);
  EXPECT_EQ(at.SourceL4PortOf(reset[0].Packet()), 9u);
  EXPECT_THAT(walk.counters(), Contains(Pair("svc_miss", 2)));
  EXPECT_THAT(walk.counters(),
              testing::Not(Contains(Pair("sent", testing::_))));
}

TEST_P(KernelLocalWalk, Any12WhatCannotBeTranslatedStaysHere) {
  Walk walk(World());
  EXPECT_THAT(walk.Send("gw0", Tcp(here, mail).Flags("A")), IsEmpty());
  EXPECT_EQ(walk.ending(), "nat_tcp_nosyn");
  EXPECT_THAT(walk.Send("gw0", Ip(at.unicast, at.dns, 47).Payload("tunnel")),
              ElementsAre(ArrivesAt("gw0")));
  EXPECT_THAT(walk.ending(), StartsWith("delivered nat_proto"));
  EXPECT_THAT(walk.Send("gw0", EchoReply(at.unicast, at.dns, 7)), IsEmpty());
  EXPECT_EQ(walk.ending(), "icmp_unsolicited");
}

// `deny` and `direct` don't touch local delivery.
TEST_P(KernelLocalWalk, IsNoneOfEgressDirect) {
  SnapshotBuilder world = World();
  world.Direct(at.v4 ? "192.0.2.0/24" : "2001:db8:53::/64");
  world.queue("kernel").originate = Originate::kDeny;
  Walk walk(world);
  const auto asked = walk.Send("gw0", Udp(here, dns));
  ASSERT_EQ(asked.size(), 1u) << walk.ending();
  EXPECT_NE(asked[0].Packet(), Udp(here, dns).Packet());
}

TEST_P(KernelLocalWalk, FragmentsAreTranslatedThereAndBack) {
  const size_t header = at.v4 ? 20 : 48;
  const auto together = [header](const std::vector<Arrival>& pieces) {
    Bytes whole;
    for (const Arrival& arrival : pieces) {
      const Bytes piece = arrival.Packet();
      whole.insert(whole.end(), piece.begin() + static_cast<ptrdiff_t>(header),
                   piece.end());
    }
    return whole;
  };
  const auto send_all = [](Walk& walk, const std::string& device,
                           const std::vector<Bytes>& pieces) {
    std::vector<Arrival> out;
    for (const Bytes& piece : pieces) {
      for (Arrival& arrival : walk.Send(device, piece)) out.push_back(arrival);
    }
    return out;
  };
  for (const unsigned workers : {1u, 3u}) {
    Walk walk(World(), {.workers = workers});
    const auto out =
        send_all(walk, "gw0", Udp(here, dns).PayloadSize(900).Fragments(304));
    ASSERT_EQ(out.size(), 3u) << walk.ending();
    for (const Arrival& piece : out) EXPECT_EQ(piece.device, out[0].device);
    const Bytes whole = together(out);
    const std::string outside = at.At(at.unicast, whole[0] * 256U + whole[1]);
    EXPECT_EQ(whole, Udp(outside, dns).PayloadSize(900).L4());
    const auto back = send_all(
        walk, out[0].device, Udp(dns, outside).PayloadSize(600).Fragments(304));
    ASSERT_EQ(back.size(), 2u) << walk.ending();
    for (const Arrival& piece : back) EXPECT_EQ(piece.device, "gw0");
    EXPECT_EQ(together(back), Udp(dns, here).PayloadSize(600).L4());
  }
}

TEST_P(KernelLocalWalk, Ice09AnErrorOfTheServerComesHome) {
  Walk walk(World());
  const auto sent = Udp(here, dns);
  const auto seen = walk.Send("gw0", sent);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_THAT(
      walk.Send(seen[0].device,
                IcmpError(at.dns, unreachable, closed, seen[0].Packet())),
      ElementsAre(Arrives(
          "gw0",
          IcmpError(at.dns, unreachable, closed, sent.Packet()).Packet())));
}

TEST_P(KernelLocalWalk, Ice09AnErrorOfTheProgramGetsToTheServer) {
  Walk walk(World());
  const auto seen = walk.Send("gw0", Udp(here, dns));
  ASSERT_EQ(seen.size(), 1u);
  const std::string outside =
      at.At(at.unicast, at.SourceL4PortOf(seen[0].Packet()));
  const auto answer = Udp(dns, outside);
  EXPECT_THAT(walk.Send(seen[0].device, answer),
              ElementsAre(Arrives("gw0", Udp(dns, here).Packet())));
  EXPECT_THAT(
      walk.Send("gw0", IcmpError(at.unicast, unreachable, closed,
                                 Udp(dns, here).Packet())),
      ElementsAre(Arrives(seen[0].device, IcmpError(at.unicast, unreachable,
                                                    closed, answer.Packet())
                                              .Packet())));
  // About what it was never sent: to nobody, and not to the wire.
  EXPECT_THAT(
      walk.Send("gw0", IcmpError(at.unicast, unreachable, closed,
                                 Udp(dns, at.At(at.unicast, 9)).Packet())),
      IsEmpty());
  EXPECT_EQ(walk.ending(), "icmp_unmatched");
}

// ICE-20, both ways: what is larger than the link it would go to.
TEST_P(KernelLocalWalk, Ice20IsToldHowMuchTheServersLinkTakes) {
  SnapshotBuilder world = World();
  world.device("mail0").mtu = 1300;
  Walk walk(world);
  const auto syn = walk.Send("gw0", Tcp(here, mail).Flags("S"));
  ASSERT_THAT(syn, ElementsAre(ArrivesAt("mail0")));
  const std::string outside =
      at.At(at.unicast, at.SourceL4PortOf(syn[0].Packet()));
  walk.Send("mail0", Tcp(mail, outside).Flags("SA"));
  const Bytes large =
      Tcp(here, mail).Flags("A").DontFragment().PayloadSize(1400).Packet();
  const auto told = walk.Send(
      "gw0", Tcp(here, mail).Flags("A").DontFragment().PayloadSize(1400));
  ASSERT_THAT(told, ElementsAre(ArrivesAt("gw0"))) << walk.ending();
  const Bytes error = told[0].Packet();
  EXPECT_EQ(error[L4()], at.v4 ? 3 : 2);
  EXPECT_EQ(error[L4() + 6] * 256U + error[L4() + 7], 1300u);
  const size_t quoted = L4() + 8;
  EXPECT_TRUE(std::equal(error.begin() + static_cast<ptrdiff_t>(quoted),
                         error.end(), large.begin()));
  EXPECT_TRUE(ChecksumsHold(error));
}

// An `xdp:` uplink's TAP: the tc program sends such packets there, too.
TEST_P(KernelLocalWalk, Any15BesideTheKernelsOwnInterface) {
  SnapshotBuilder world = World();
  world.device("wan0").keeps_interface = true;
  Walk walk(world);
  const auto asked = walk.Send("gw0", Udp(here, dns));
  ASSERT_EQ(asked.size(), 1u) << walk.ending();
  const std::string outside =
      at.At(at.unicast, at.SourceL4PortOf(asked[0].Packet()));
  EXPECT_THAT(walk.Send(asked[0].device, Udp(dns, outside)),
              ElementsAre(Arrives("gw0", Udp(dns, here).Packet())));
}

// ADV-43: the address of the kernel's service is on none of its interfaces,
// and it forwards what it gets for it. What comes back is not asked once more.
TEST_P(KernelLocalWalk, Adv43DoesNotGoRoundForEver) {
  for (const unsigned workers : {1u, 3u}) {
    Walk walk(World(), {.workers = workers});
    const std::string web = at.At(at.web, 80);
    const auto asked =
        walk.Send("crawl0", Tcp(at.At(at.internal, 5000), web).Flags("S"));
    ASSERT_THAT(asked, ElementsAre(ArrivesAt("gw0")));
    EXPECT_THAT(walk.Send("gw0", asked[0].frame), IsEmpty());
    EXPECT_EQ(walk.ending(), "nat_loop");
    EXPECT_EQ(walk.mappings(), 1u);
  }
}

// A service that is gone is somebody else's: rule 5 as for any other.
TEST_P(KernelLocalWalk, LeavesTowardsAServiceThatIsNotServedHere) {
  Walk walk(World());
  ASSERT_EQ(walk.Send("gw0", Udp(here, dns)).size(), 1u);
  SnapshotBuilder without = World();
  without.RemoveService("dns").Change();
  walk.Publish(without);
  EXPECT_THAT(walk.Send("gw0", Udp(here, dns)),
              ElementsAre(Arrives("wan0", Udp(here, dns).Packet())));
}

// The kernel's own word on its link, to whatever address.
TEST(KernelLocalLinkWalk, LooksForNeighboursOnTheLink) {
  Walk walk(World());
  const auto solicit =
      Icmp(V6().unicast, V6().dns, 135, 0).Ttl(255).PayloadSize(20);
  EXPECT_THAT(walk.Send("gw0", solicit),
              ElementsAre(Arrives("wan0", solicit.Packet())));
}

}  // namespace
}  // namespace godwit
