// SPDX-License-Identifier: BSD-3-Clause
// Contract, "On the wire", 5: to and from the kernel.
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class KernelWalk : public WalkTest {};
GODWIT_BOTH_FAMILIES(KernelWalk);

TEST_P(KernelWalk, GetsWhatIsNobodyElses) {
  Walk walk(World());
  const auto packet = Udp(at.At(at.client, 4000), at.At(at.remote, 53));
  EXPECT_THAT(walk.Send("wan0", packet),
              ElementsAre(Arrives("gw0", packet.Packet())));
  EXPECT_EQ(walk.ending(), "punted");
}

TEST_P(KernelWalk, SendsFromTheUnicastAddressAsItIs) {
  Walk walk(World());
  const auto packet =
      Tcp(at.At(at.unicast, 179), at.At(at.remote, 5000)).Flags("SA");
  const auto out = walk.Send("gw0", packet);
  ASSERT_THAT(out, ElementsAre(Arrives("wan0", packet.Packet())));
  EXPECT_EQ(out[0].frame, packet.Frame());  // the kernel knows the next hop
}

TEST_P(KernelWalk, SendsFromNoOtherAddress) {
  Walk walk(World());
  EXPECT_THAT(
      walk.Send("gw0", Udp(at.At(at.internal, 179), at.At(at.remote, 5000))),
      IsEmpty());
  EXPECT_EQ(walk.ending(), "leak_prevented");
}

TEST_P(KernelWalk, ServesAServiceOfTheRootNamespace) {
  Walk walk(World());
  const auto syn = Tcp(at.At(at.client, 4000), at.At(at.web, 80)).Flags("S");
  EXPECT_THAT(walk.Send("wan0", syn),
              ElementsAre(Arrives("gw0", syn.Packet())));
  EXPECT_EQ(walk.ending(), "delivered");
  const auto answer =
      Tcp(at.At(at.web, 80), at.At(at.client, 4000)).Flags("SA");
  EXPECT_THAT(walk.Send("gw0", answer),
              ElementsAre(Arrives("wan0", answer.Packet())));
}

TEST_P(KernelWalk, TranslatesWhatOriginatesFromAServiceAddress) {
  Walk walk(World());
  const auto out = walk.Send(
      "gw0", Tcp(at.At(at.web, 40000), at.At(at.remote, 443)).Flags("S"));
  ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
  const Bytes left = out[0].Packet();
  const unsigned given = at.SourceL4PortOf(left);
  EXPECT_EQ(
      left,
      Tcp(at.At(at.unicast, given), at.At(at.remote, 443)).Flags("S").Packet());
  EXPECT_THAT(
      walk.Send(
          "wan0",
          Tcp(at.At(at.remote, 443), at.At(at.unicast, given)).Flags("SA")),
      ElementsAre(
          Arrives("gw0", Tcp(at.At(at.remote, 443), at.At(at.web, 40000))
                             .Flags("SA")
                             .Packet())));
}

TEST_P(KernelWalk, TranslatesAnotherQueuesEndpoint) {
  Walk walk(World());
  const auto packet = Udp(at.At(at.dns, 53), at.At(at.remote, 4000));
  const auto out = walk.Send("gw0", packet);
  ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
  EXPECT_NE(out[0].Packet(), packet.Packet());
}

TEST_P(KernelWalk, IsReachedFromAQueueAndAnswersIt) {
  Walk walk(World());
  const std::string here = at.At(at.internal, 5000);
  const std::string web = at.At(at.web, 80);
  const auto syn = walk.Send("crawl0", Tcp(here, web).Flags("S"));
  ASSERT_THAT(syn, ElementsAre(ArrivesAt("gw0")));
  const Bytes seen = syn[0].Packet();
  const std::string outside = at.At(at.unicast, at.SourceL4PortOf(seen));
  EXPECT_EQ(seen, Tcp(outside, web).Flags("S").Packet());
  // On its way over the loopback interface, which has no addresses.
  Bytes answer = Tcp(web, outside).Flags("SA").Frame();
  std::fill_n(answer.begin(), 12, uint8_t{0});
  EXPECT_THAT(
      walk.Send("gw0", answer),
      ElementsAre(Arrives("crawl0", Tcp(web, here).Flags("SA").Packet())));
  EXPECT_EQ(walk.ending(), "delivered");
  EXPECT_THAT(
      walk.Send("crawl0", Tcp(here, web).Flags("A")),
      ElementsAre(Arrives("gw0", Tcp(outside, web).Flags("A").Packet())));
}

TEST_P(KernelWalk, TellsAQueueThatItsServerIsGone) {
  Walk walk(World());
  const auto asked =
      Tcp(at.At(at.internal, 5000), at.At(at.web, 80)).Flags("S");
  const auto seen = walk.Send("crawl0", asked);
  ASSERT_THAT(seen, ElementsAre(ArrivesAt("gw0")));
  const auto error =
      IcmpError(at.web, at.v4 ? 3 : 1, at.v4 ? 3 : 4, seen[0].Packet());
  EXPECT_THAT(
      walk.Send("gw0", error),
      ElementsAre(Arrives("crawl0", IcmpError(at.web, at.v4 ? 3 : 1,
                                              at.v4 ? 3 : 4, asked.Packet())
                                        .Packet())));
}

// The payloads of fragments that come in order, put together; each fits `mtu`
// and says where it stands and whether more come.
Bytes Together(const Family& at, const std::vector<Arrival>& pieces,
               size_t mtu) {
  Bytes together;
  for (const Arrival& piece : pieces) {
    EXPECT_EQ(piece.device, "crawl0");
    const Bytes bytes = piece.Packet();
    EXPECT_LE(bytes.size(), mtu);
    const size_t field = at.v4 ? 6 : 42;  // offset and flags
    const size_t offset = (bytes[field] * 256U + bytes[field + 1]) &
                          (at.v4 ? 0x7fffU : 0xfff9U);  // DF is gone
    const bool last = &piece == &pieces.back();
    EXPECT_EQ(offset, at.v4 ? together.size() / 8 | (last ? 0 : 0x2000U)
                            : together.size() | (last ? 0 : 1U));
    together.insert(together.end(), bytes.begin() + (at.v4 ? 20 : 48),
                    bytes.end());
  }
  return together;
}

// It believed to send over loopback, whose link takes 64 KiB: cut in its place,
// whatever it says of cutting (RFC 8200 4.5: only a sender does).
TEST_P(KernelWalk, IsCutToTheLinkOfAQueueThatAsked) {
  struct Size {
    uint16_t mtu;
    size_t payload;
    size_t pieces;
  };
  // The largest datagram there is. Links of less than 100 bytes would have it
  // in more pieces than the walk's rings take.
  const size_t largest = at.v4 ? 65507 : 65487;
  const std::vector<Size> sizes =
      at.v4 ? std::vector<Size>{{1500, 3000, 3}, {100, largest, 819}}
            : std::vector<Size>{
                  {1500, 3000, 3}, {1280, largest, 54}, {68, largest, 0}};
  for (const Size& size : sizes) {
    SnapshotBuilder world = World();
    world.device("crawl0").mtu = size.mtu;
    const std::string host = at.v4 ? "192.0.2.99" : "2001:db8:53::99";
    world.Service("host", {host}, {"udp/53"}, {"kernel"});
    Walk walk(world);
    const std::string here = at.At(at.internal, 5000);
    const auto asked = walk.Send("crawl0", Udp(here, at.At(host, 53)));
    ASSERT_THAT(asked, ElementsAre(ArrivesAt("gw0")));
    const Bytes seen = asked[0].Packet();
    const auto answer = [&](const std::string& to) {
      return Udp(at.At(host, 53), to).PayloadSize(size.payload).DontFragment();
    };
    const Bytes frame =
        answer(at.At(at.unicast, at.SourceL4PortOf(seen))).Frame();
    std::vector<size_t> cuts;  // as it comes from the TAP, in a chain
    for (size_t cut = 1600; cut < frame.size(); cut += 1600) {
      cuts.push_back(cut);
    }
    const auto pieces = walk.SendCut("gw0", frame, cuts);
    ASSERT_EQ(pieces.size(), size.pieces) << walk.ending();
    if (size.pieces == 0) {  // 16 bytes in each, of a link that IPv6 has not
      EXPECT_EQ(walk.ending(), "mtu_exceeded");
      continue;
    }
    EXPECT_EQ(Together(at, pieces, size.mtu), answer(here).L4());
  }
}

// An answer that nobody has asked for: it is from a service address, to a
// mapping that is not there.
TEST_P(KernelWalk, AnswersNobodyElseHere) {
  Walk walk(World());
  EXPECT_THAT(
      walk.Send("gw0",
                Tcp(at.At(at.web, 80), at.At(at.unicast, 50500)).Flags("SA")),
      IsEmpty());
  EXPECT_EQ(walk.ending(), "nat_loop");
}

// A frame that was on its way out of another interface has that one's link
// header: what godwit has to say about it must still reach the kernel.
TEST_P(KernelWalk, IsToldOfWhatCannotBeSent) {
  Walk walk(World());
  Bytes frame = Ip(at.web, at.remote, 47).Payload("tunnel").Frame();
  std::fill_n(frame.begin(), 12, uint8_t{0});
  const auto told = walk.Send("gw0", frame);
  ASSERT_THAT(told, ElementsAre(ArrivesAt("gw0")));
  const MacAddress to = FarEndMac(World().device_id("gw0"));
  EXPECT_TRUE(std::equal(to.begin(), to.end(), told[0].frame.begin()));
}

// Beside an interface that the kernel has itself the TAP is the queue `kernel`
// and nothing else.
TEST_P(KernelWalk, SpeaksForNoLinkButItsOwn) {
  SnapshotBuilder world = World();
  world.device("wan0").keeps_interface = true;
  Walk walk(world);
  const auto solicit =
      Icmp("fe80::1", "ff02::2", 133, 0).Ttl(255).PayloadSize(4);
  EXPECT_THAT(walk.Send("gw0", solicit), IsEmpty());
  EXPECT_EQ(walk.ending(), "leak_prevented");
  EXPECT_THAT(
      walk.Send("gw0", Udp(at.At(at.unicast, 3784), at.At(at.remote, 3784))),
      IsEmpty());
  EXPECT_EQ(walk.ending(), "leak_prevented");
  EXPECT_THAT(
      walk.Send("gw0",
                Tcp(at.At(at.web, 40000), at.At(at.remote, 443)).Flags("S")),
      ElementsAre(ArrivesAt("wan0")));
}

TEST(KernelLinkWalk, PassesNeighbourDiscovery) {
  Walk walk(World());
  // From a link-local address, and from none (RFC 4862 5.4.2).
  for (const char* source : {"fe80::1", "::"}) {
    const auto solicit =
        Icmp(source, "ff02::1:ff00:1", 135, 0).Ttl(255).PayloadSize(20);
    EXPECT_THAT(walk.Send("gw0", solicit),
                ElementsAre(Arrives("wan0", solicit.Packet())));
  }
  // From the link's own address, which need not be the node's.
  const auto answer =
      Icmp("2001:db8:1::2", "2001:db8:1::1", 136, 0).Ttl(255).PayloadSize(20);
  EXPECT_THAT(walk.Send("gw0", answer),
              ElementsAre(Arrives("wan0", answer.Packet())));
  for (const auto& refused :
       {Icmp("2001:db8:1::2", "2001:db8:1::1", 136, 0).Ttl(64).PayloadSize(20),
        Icmp("2001:db8:1::2", "2001:db8:1::1", 128, 0).Ttl(255).PayloadSize(20),
        Icmp(V6().dns, "2001:db8:1::1", 136, 0).Ttl(255).PayloadSize(20)}) {
    EXPECT_THAT(walk.Send("gw0", refused), IsEmpty());
    EXPECT_EQ(walk.ending(), "leak_prevented");
  }
  const auto heard =
      Icmp("fe80::9", "fe80::1", 136, 0).Ttl(255).PayloadSize(20);
  EXPECT_THAT(walk.Send("wan0", heard),
              ElementsAre(Arrives("gw0", heard.Packet())));
}

TEST(KernelLinkWalk, PassesArpButNeverClaimsAServiceAddress) {
  Walk walk(World());
  const auto arp = [](const char* sender) {
    Bytes frame(42);
    std::fill_n(frame.begin(), 6, 0xff);
    std::copy(kTestSourceMac.begin(), kTestSourceMac.end(), &frame[6]);
    const Bytes head = FromHex("0806 0001 0800 06 04 0001");
    std::copy(head.begin(), head.end(), &frame[12]);
    std::copy(kTestSourceMac.begin(), kTestSourceMac.end(), &frame[22]);
    const auto address = IpAddress::Parse(sender);
    std::copy_n(address->V4Bytes(), 4, &frame[28]);
    return frame;
  };
  EXPECT_THAT(walk.Send("gw0", arp("198.51.100.7")),
              ElementsAre(ArrivesAt("wan0")));
  EXPECT_THAT(walk.Send("gw0", arp("192.0.2.53")), IsEmpty());
  EXPECT_EQ(walk.ending(), "leak_prevented");
  EXPECT_THAT(walk.Send("wan0", arp("198.51.100.1")),
              ElementsAre(ArrivesAt("gw0")));
}

}  // namespace
}  // namespace godwit
