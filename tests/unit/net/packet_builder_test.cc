// SPDX-License-Identifier: BSD-3-Clause
// The builder against frames computed elsewhere: what the other tests stand on.
#include "tests/support/packet_builder.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

// The golden vectors of the conformance list, made with scapy.
TEST(PacketBuilderTest, MakesTheUdpOfG1) {
  const auto packet =
      Udp("10.64.0.2:40000", "192.0.2.200:53").DontFragment().Payload("hello");
  EXPECT_EQ(
      ToHex(packet.Packet()),
      "450000211234400040115b8e0a400002c00002c89c400035000d528268656c6c6f");
}

TEST(PacketBuilderTest, WritesAZeroSumOfUdpAsOnes) {
  const auto packet = Udp("203.0.113.7:51001", "192.0.2.200:53")
                          .DontFragment()
                          .Payload(FromHex("399b"));
  EXPECT_EQ(ToHex(packet.Packet()),
            "4500001e12344000401129cbcb007107c00002c8c7390035000affff399b");
}

TEST(PacketBuilderTest, MakesTheTcpOfG5) {
  const auto packet = Tcp("10.64.0.2:40004", "192.0.2.200:443")
                          .DontFragment()
                          .Flags("S")
                          .TcpOptions(FromHex("020405b40402030307"));
  EXPECT_EQ(ToHex(packet.Packet()),
            "450000341234400040065b860a400002c00002c89c4401bb010203040000000080"
            "02faf000190000020405b40402030307000000");
}

TEST(PacketBuilderTest, MakesTheEchoesOfG7AndG11) {
  EXPECT_EQ(ToHex(Echo("10.64.0.2", "192.0.2.200", 0x77)
                      .DontFragment()
                      .Payload("abcdefgh")
                      .Packet()),
            "450000241234400040015b9b0a400002c00002c8080065f2007700016162636465"
            "666768");
  EXPECT_EQ(ToHex(Echo("fd00:64::2", "2001:db8:5::200", 0x77)
                      .FlowLabel(0xabcde)
                      .Payload("abcdefgh")
                      .Packet()),
            "600abcde00103a40fd00006400000000000000000000000220010db80005000000"
            "000000000002008000c082007700016162636465666768");
}

TEST(PacketBuilderTest, MakesTheUdpOfG10) {
  EXPECT_EQ(ToHex(Udp("[fd00:64::2]:40000", "[2001:db8:5::200]:53")
                      .FlowLabel(0xabcde)
                      .Payload("hello")
                      .Packet()),
            "600abcde000d1140fd00006400000000000000000000000220010db80005000000"
            "000000000002009c400035000df26768656c6c6f");
}

TEST(PacketBuilderTest, PutsTagsBetweenAddressesAndPacket) {
  const auto udp = Udp("192.0.2.1:1", "192.0.2.2:2");
  auto tagged = udp;
  tagged.Vlan(100, 0x88a8).Vlan(0x6007).Trailer(2);
  Bytes expected = FromHex("020000000001 0200000000aa 88a80064 81006007 0800");
  const Bytes packet = udp.Packet();
  expected.insert(expected.end(), packet.begin(), packet.end());
  expected.insert(expected.end(), {0x5a, 0x5a});
  EXPECT_EQ(tagged.Frame(), expected);
}

// The parts of all fragments, put together again, are the l4 bytes.
TEST(PacketBuilderTest, CutsIntoFragments) {
  const auto v4 = Udp("192.0.2.1:1", "192.0.2.2:2").PayloadSize(100);
  Bytes joined;
  for (const Bytes& frame : v4.Fragments(48)) {
    const size_t offset = (size_t{frame[20]} << 8 | frame[21]) % 0x2000 * 8;
    EXPECT_EQ(offset, joined.size());
    EXPECT_EQ((frame[20] & 0x20) != 0, joined.size() + 48 < 108);
    joined.insert(joined.end(), frame.begin() + 34, frame.end());
  }
  EXPECT_EQ(joined, v4.L4());

  const auto v6 = Udp("[2001:db8::1]:1", "[2001:db8::2]:2")
                      .PayloadSize(100)
                      .Extension(60)
                      .Extension(0);
  const auto frames = v6.Fragments(48);
  ASSERT_EQ(frames.size(), 3U);
  // IPv6, hop-by-hop, fragment, destination options, UDP.
  EXPECT_EQ(ToHex(Bytes(frames[0].begin() + 54, frames[0].begin() + 82)),
            "2c00010400000000"
            "3c00000100001234"
            "1100010400000000"
            "00010002");
  EXPECT_EQ(ToHex(Bytes(frames[2].begin() + 54, frames[2].begin() + 70)),
            "2c00010400000000"
            "3c00006000001234");
  EXPECT_EQ(frames[2].size(), 14U + 40 + 16 + 20);
}

TEST(PacketBuilderTest, KnowsAWrongChecksum) {
  for (const char* source : {"192.0.2.1:9", "[2001:db8::1]:9"}) {
    const char* to = source[0] == '[' ? "[2001:db8::2]:8" : "192.0.2.2:8";
    for (auto packet : {Udp(source, to), Tcp(source, to)}) {
      packet.Payload("odd");
      EXPECT_TRUE(ChecksumsHold(packet.Packet()));
      EXPECT_FALSE(ChecksumsHold(packet.BadL4Checksum().Packet()));
    }
  }
  EXPECT_TRUE(ChecksumsHold(
      Udp("192.0.2.1:9", "192.0.2.2:8").NoUdpChecksum().Packet()));
  Bytes broken = Udp("192.0.2.1:9", "192.0.2.2:8").Packet();
  ++broken[8];
  EXPECT_FALSE(ChecksumsHold(broken));
}

TEST(PacketBuilderTest, QuotesTowardsTheSender) {
  const Bytes sent = Udp("192.0.2.1:9", "192.0.2.2:8").Packet();
  const auto error = IcmpError("198.51.100.9", 3, 4, sent).Mtu(1400);
  EXPECT_EQ(error.destination().ToString(), "192.0.2.1");
  const Bytes packet = error.Packet();
  EXPECT_TRUE(ChecksumsHold(packet));
  EXPECT_EQ(ToHex(Bytes(packet.begin() + 24, packet.begin() + 28)), "00000578");
  EXPECT_EQ(Bytes(packet.begin() + 28, packet.end()), sent);
}

}  // namespace
}  // namespace godwit
