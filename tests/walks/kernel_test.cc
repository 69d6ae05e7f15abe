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
  const size_t l4 = at.v4 ? 20 : 40;
  const unsigned given = left[l4] * 256U + left[l4 + 1];
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

TEST(KernelLinkWalk, PassesNeighbourDiscovery) {
  Walk walk(World());
  // From a link-local address, and from none (RFC 4862 5.4.2).
  for (const char* source : {"fe80::1", "::"}) {
    const auto solicit =
        Icmp(source, "ff02::1:ff00:1", 135, 0).Ttl(255).PayloadSize(20);
    EXPECT_THAT(walk.Send("gw0", solicit),
                ElementsAre(Arrives("wan0", solicit.Packet())));
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
