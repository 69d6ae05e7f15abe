// SPDX-License-Identifier: BSD-3-Clause
// Frames and IPv4: the rows of the conformance list are in the tests' names.
#include "dataplane/net/packet_view.h"

#include <gtest/gtest.h>

#include "dataplane/net/headers.h"
#include "tests/support/packet_builder.h"
#include "tests/unit/net/parsed.h"

namespace godwit {
namespace {

PacketBuilder Udp4() {
  return Udp("192.0.2.100:5353", "198.51.100.53:53").Payload("hello");
}
PacketBuilder Tcp4() { return Tcp("192.0.2.100:40000", "198.51.100.80:443"); }

// A frame with some bytes of its IPv4 header written over, sum made right.
Bytes Patched(const PacketBuilder& packet, size_t at, const Bytes& bytes) {
  Bytes frame = packet.Frame();
  std::copy(bytes.begin(), bytes.end(),
            frame.begin() + 14 + static_cast<ptrdiff_t>(at));
  FixIpv4Checksum(frame);
  return frame;
}

TEST(PacketViewTest, TellsWhereThingsAre) {
  const auto [error, view] =
      ParseAll(Udp4().Vlan(0x6064).Options(Bytes(8, 1)).Trailer(9).Frame());
  EXPECT_EQ(error, ParseError::kNone);
  EXPECT_EQ(view.kind, FrameKind::kIp);
  EXPECT_TRUE(view.is_v4);
  EXPECT_EQ(view.vlan_tci, 0x6064);
  EXPECT_EQ(view.l3_offset, 18);
  EXPECT_EQ(view.l3_size, 28 + 8 + 5);
  EXPECT_EQ(view.l4_offset, 18 + 28);
  EXPECT_EQ(view.l4_size(), 13);  // IPH-02: not the trailer
  EXPECT_EQ(view.protocol, kProtoUdp);
  EXPECT_EQ(view.source_l4port, 5353);
  EXPECT_EQ(view.destination_l4port, 53);
  EXPECT_EQ(view.fragment, FragmentKind::kWhole);
  EXPECT_TRUE(view.HasL4());
}

TEST(PacketViewTest, TellsFlagsAndTypes) {
  const auto tcp = ParseAll(Tcp4().Flags("SA").Frame()).view;
  EXPECT_EQ(tcp.l4_flags, kTcpSyn | kTcpAck);
  EXPECT_EQ(tcp.source_l4port, 40000);
  const auto echo = ParseAll(Echo("192.0.2.1", "192.0.2.2", 7).Frame()).view;
  EXPECT_EQ(echo.l4_flags, kIcmpEcho);
  EXPECT_EQ(echo.source_l4port, 7);
  EXPECT_EQ(echo.destination_l4port, 0);
  const auto reply =
      ParseAll(EchoReply("192.0.2.1", "192.0.2.2", 7).Frame()).view;
  EXPECT_EQ(reply.source_l4port, 0);
  EXPECT_EQ(reply.destination_l4port, 7);
  const auto error =
      ParseAll(IcmpError("192.0.2.9", 3, 13, Udp4().Packet()).Frame()).view;
  EXPECT_EQ(error.icmp_code, 13);
  EXPECT_TRUE(IsIcmpError(error.protocol, error.l4_flags));
}

// ICE-29, V6-10: errors are 3, 4, 5, 11, 12 and, of ICMPv6, all below 128.
TEST(PacketViewTest, KnowsErrorsFromQueries) {
  for (unsigned type = 0; type < 256; ++type) {
    const auto t = static_cast<uint8_t>(type);
    EXPECT_EQ(IsIcmpError(kProtoIcmp, t),
              t == 3 || t == 4 || t == 5 || t == 11 || t == 12);
    EXPECT_EQ(IsIcmpError(kProtoIcmpv6, t), t < 128);
    EXPECT_FALSE(IsIcmpError(kProtoUdp, t));
    EXPECT_EQ(IsEchoRequest(kProtoIcmp, t), t == 8);
    EXPECT_EQ(IsEchoRequest(kProtoIcmpv6, t), t == 128);
    EXPECT_EQ(IsEchoReply(kProtoIcmp, t), t == 0);
    EXPECT_EQ(IsEchoReply(kProtoIcmpv6, t), t == 129);
  }
}

TEST(PacketViewTest, Adv01_RuntFrames) {
  const Bytes frame = Udp4().Frame();
  for (const size_t size : {0U, 1U, 13U}) {
    EXPECT_EQ(ParseCut(frame, size).error, ParseError::kL2Short);
  }
  const Bytes tagged = Udp4().Vlan(100).Frame();
  for (const size_t size : {14U, 15U, 17U}) {
    EXPECT_EQ(ParseCut(tagged, size).error, ParseError::kL2Short);
  }
}

TEST(PacketViewTest, L2_03_OneTag) {
  EXPECT_EQ(ErrorOf(Udp4().Vlan(0).Frame()), ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp4().Vlan(4094).Frame()), ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp4().Vlan(100, 0x88a8).Frame()), ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp4().Vlan(4095).Frame()), ParseError::kL2Vlan);
  EXPECT_EQ(ErrorOf(Udp4().Vlan(0xefff).Frame()), ParseError::kL2Vlan);
  EXPECT_EQ(ErrorOf(Udp4().Vlan(1).Vlan(2).Frame()), ParseError::kL2Vlan);
  EXPECT_EQ(ErrorOf(Udp4().Vlan(1, 0x88a8).Vlan(2, 0x88a8).Frame()),
            ParseError::kL2Vlan);
}

TEST(PacketViewTest, LeavesOtherEtherTypesAlone) {
  const auto arp = ParseAll(Udp4().EtherType(kEtherTypeArp).Frame());
  EXPECT_EQ(arp.error, ParseError::kNone);
  EXPECT_EQ(arp.view.kind, FrameKind::kArp);
  const auto lldp = ParseAll(Udp4().EtherType(0x88cc).Frame());
  EXPECT_EQ(lldp.error, ParseError::kNone);
  EXPECT_EQ(lldp.view.kind, FrameKind::kOther);
}

TEST(PacketViewTest, Iph01_EachCheckHasItsOwnName) {
  EXPECT_EQ(ErrorOf(Patched(Udp4(), 0, {0x55})), ParseError::kIp4Version);
  EXPECT_EQ(ErrorOf(Patched(Udp4(), 0, {0x44})), ParseError::kIp4Ihl);
  EXPECT_EQ(ErrorOf(Patched(Udp4(), 2, {0, 19})), ParseError::kIp4Len);
  EXPECT_EQ(ErrorOf(Patched(Udp4(), 2, {0, 34})), ParseError::kIp4Trunc);
  Bytes frame = Udp4().Frame();
  ++frame[14 + 8];
  EXPECT_EQ(ErrorOf(frame), ParseError::kIp4Csum);
}

TEST(PacketViewTest, Adv05_OptionsBeyondTheFrame) {
  EXPECT_EQ(ErrorOf(Patched(Udp4(), 0, {0x4f, 0, 0, 60})),
            ParseError::kIp4Trunc);
}

TEST(PacketViewTest, Adv07_LengthBeyondTheFrame) {
  EXPECT_EQ(ErrorOf(Patched(Udp4().PayloadSize(58), 2, {0x05, 0xdc})),
            ParseError::kIp4Trunc);
}

TEST(PacketViewTest, Iph12_EtherTypeAndVersionDisagree) {
  EXPECT_EQ(ErrorOf(Udp4().EtherType(kEtherTypeIpv6).PayloadSize(60).Frame()),
            ParseError::kIp6Version);
  EXPECT_EQ(ErrorOf(Udp("[2001:db8::1]:1", "[2001:db8::2]:2")
                        .EtherType(kEtherTypeIpv4)
                        .Frame()),
            ParseError::kIp4Version);
}

TEST(PacketViewTest, Iph03_TtlIsNotLookedAt) {
  for (const int ttl : {0, 1, 255}) {
    EXPECT_EQ(ErrorOf(Udp4().Ttl(static_cast<uint8_t>(ttl)).Frame()),
              ParseError::kNone);
  }
}

TEST(PacketViewTest, Iph06_ReservedFlagAndDontFragmentMakeNoFragment) {
  const auto [error, view] = ParseAll(Patched(Udp4(), 6, {0xc0, 0}));
  EXPECT_EQ(error, ParseError::kNone);
  EXPECT_EQ(view.fragment, FragmentKind::kWhole);
}

TEST(PacketViewTest, Adv15_OptionBombs) {
  const auto with = [](const Bytes& options) {
    return ErrorOf(Udp4().Options(options).Frame());
  };
  EXPECT_EQ(with(Bytes(40, 1)), ParseError::kNone);
  EXPECT_EQ(with(Bytes(40, 2)), ParseError::kNone);
  EXPECT_EQ(with(FromHex("9400 0101")), ParseError::kIpOptBad);
  EXPECT_EQ(with(FromHex("9401 0101")), ParseError::kIpOptBad);
  EXPECT_EQ(with(FromHex("9405 0000")), ParseError::kIpOptBad);
  EXPECT_EQ(with(FromHex("010101 94")), ParseError::kIpOptBad);
  // The same with nothing behind it that could be read.
  EXPECT_EQ(ErrorOf(Ip("192.0.2.1", "192.0.2.2", 47)
                        .Options(FromHex("010101 94"))
                        .Frame()),
            ParseError::kIpOptBad);
  // Behind the end of the list there is nothing.
  EXPECT_EQ(with(FromHex("00 8307 04")), ParseError::kNone);
}

TEST(PacketViewTest, Adv17_ManyRouterAlerts) {
  Bytes alerts;
  for (int i = 0; i < 10; ++i) Append(alerts, FromHex("94040000"));
  EXPECT_EQ(ErrorOf(Udp4().Options(alerts).Frame()), ParseError::kNone);
}

TEST(PacketViewTest, Iph08_OptionsAnEdgeDrops) {
  const std::pair<int, ParseError> denied[] = {
      {7, ParseError::kIpOpt7},     {11, ParseError::kIpOpt11},
      {12, ParseError::kIpOpt12},   {30, ParseError::kIpOpt30},
      {68, ParseError::kIpOpt68},   {82, ParseError::kIpOpt82},
      {94, ParseError::kIpOpt94},   {131, ParseError::kIpOpt131},
      {136, ParseError::kIpOpt136}, {137, ParseError::kIpOpt137},
      {158, ParseError::kIpOpt158}, {222, ParseError::kIpOpt222}};
  for (const auto& [type, error] : denied) {
    const auto t = static_cast<uint8_t>(type);
    EXPECT_EQ(ErrorOf(Udp4().Options({1, t, 3, 4}).Frame()), error) << type;
  }
  // Security, extended security, CIPSO, router alert, quick-start, unknown.
  for (const int type : {130, 133, 134, 148, 25, 99}) {
    const auto t = static_cast<uint8_t>(type);
    EXPECT_EQ(ErrorOf(Udp4().Options({t, 4, 0, 0}).Frame()), ParseError::kNone)
        << type;
  }
}

TEST(PacketViewTest, Adv11_TooShortForL4) {
  for (size_t size = 0; size < 20; ++size) {
    const auto of = [size](uint8_t protocol) {
      return ErrorOf(Ip("192.0.2.1", "192.0.2.2", protocol)
                         .Payload(Bytes(size, 0x11))
                         .Trailer(30)
                         .Frame());
    };
    EXPECT_EQ(of(6), ParseError::kL4Short) << size;
    if (size >= 8) continue;
    EXPECT_EQ(of(17), ParseError::kL4Short) << size;
    EXPECT_EQ(of(1), ParseError::kL4Short) << size;
  }
}

TEST(PacketViewTest, Adv13_TcpDataOffset) {
  for (unsigned words = 0; words < 16; ++words) {
    Bytes frame = Tcp4().Frame();
    frame[14 + 20 + 12] = static_cast<uint8_t>(words << 4);
    EXPECT_EQ(ErrorOf(frame),
              words == 5 ? ParseError::kNone : ParseError::kTcpDoff)
        << words;
  }
}

TEST(PacketViewTest, Tcp12_ImpossibleFlagsAreMarked) {
  for (const char* flags :
       {"", "P", "U", "PU", "SF", "SR", "SFA", "SRA", "SFRPAU"}) {
    EXPECT_TRUE(ParseAll(Tcp4().Flags(flags).Frame()).view.bad_tcp_flags)
        << flags;
  }
  for (const char* flags :
       {"S", "SA", "A", "FA", "R", "RA", "F", "PA", "FRA"}) {
    EXPECT_FALSE(ParseAll(Tcp4().Flags(flags).Frame()).view.bad_tcp_flags)
        << flags;
  }
}

TEST(PacketViewTest, Udp06_LengthField) {
  EXPECT_EQ(ErrorOf(Udp4().PayloadSize(32).UdpLength(12).Frame()),
            ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp4().PayloadSize(32).UdpLength(400).Frame()),
            ParseError::kUdpLen);
  EXPECT_EQ(ErrorOf(Udp4().UdpLength(7).Frame()), ParseError::kUdpLen);
  // The trailer does not count.
  EXPECT_EQ(ErrorOf(Udp4().UdpLength(14).Trailer(20).Frame()),
            ParseError::kUdpLen);
}

TEST(PacketViewTest, Udp05_EmptyPayload) {
  EXPECT_EQ(ErrorOf(Udp4().PayloadSize(0).Frame()), ParseError::kNone);
}

TEST(PacketViewTest, Udp09_L4PortZero) {
  EXPECT_EQ(ErrorOf(Udp("192.0.2.1:0", "192.0.2.2:53").Frame()),
            ParseError::kPortZero);
  EXPECT_EQ(ErrorOf(Tcp("192.0.2.1:53", "192.0.2.2:0").Frame()),
            ParseError::kPortZero);
  EXPECT_EQ(ErrorOf(Echo("192.0.2.1", "192.0.2.2", 0).Frame()),
            ParseError::kNone);
}

TEST(PacketViewTest, Adv25_TheOtherFamilysIcmp) {
  EXPECT_EQ(ErrorOf(Ip("192.0.2.1", "192.0.2.2", 58).PayloadSize(8).Frame()),
            ParseError::kNhBad);
}

TEST(PacketViewTest, Oth08_EveryProtocolNumber) {
  for (unsigned protocol = 0; protocol < 256; ++protocol) {
    const auto p = static_cast<uint8_t>(protocol);
    const Bytes v4 = Ip("192.0.2.1", "192.0.2.2", p)
                         .Payload(FromHex("0050005100080000"))
                         .Frame();
    const ParseError expected = p == 6    ? ParseError::kL4Short
                                : p == 58 ? ParseError::kNhBad
                                          : ParseError::kNone;
    EXPECT_EQ(ErrorOf(v4), expected) << protocol;
  }
}

TEST(PacketViewTest, FragmentsOfIpv4) {
  const auto packet = Udp4().PayloadSize(60).IpId(0x5555);
  const auto frames = packet.Fragments(24);
  ASSERT_EQ(frames.size(), 3U);
  const auto first = ParseAll(frames[0]);
  EXPECT_EQ(first.error, ParseError::kNone);
  EXPECT_EQ(first.view.fragment, FragmentKind::kFirst);
  EXPECT_TRUE(first.view.more_fragments);
  EXPECT_EQ(first.view.destination_l4port, 53);
  EXPECT_EQ(first.view.fragment_id, 0x5555U);
  const auto last = ParseAll(frames[2]);
  EXPECT_EQ(last.error, ParseError::kNone);
  EXPECT_EQ(last.view.fragment, FragmentKind::kLater);
  EXPECT_FALSE(last.view.more_fragments);
  EXPECT_FALSE(last.view.HasL4());
  EXPECT_EQ(last.view.fragment_offset, 48);
  EXPECT_EQ(last.view.destination_l4port, 0);
}

PacketBuilder Part4(uint8_t protocol, size_t size, size_t offset, More more) {
  return Ip("192.0.2.1", "192.0.2.2", protocol)
      .Payload(Bytes(size, 0x11))
      .Fragment(offset, more);
}

TEST(PacketViewTest, Adv29_TinyFirstFragments) {
  EXPECT_EQ(ErrorOf(Part4(6, 8, 0, More::kYes).Frame()), ParseError::kFragTiny);
  EXPECT_EQ(ErrorOf(Part4(6, 8, 8, More::kNo).Frame()), ParseError::kFragTiny);
  EXPECT_EQ(ErrorOf(Part4(17, 8, 8, More::kNo).Frame()), ParseError::kNone);
  // FRG-08: all of the l4 header, its options too.
  const auto syn = Tcp4().Flags("S").TcpOptions(Bytes(20, 1)).PayloadSize(80);
  EXPECT_EQ(ErrorOf(syn.Fragments(32)[0]), ParseError::kFragTiny);
  EXPECT_EQ(ErrorOf(syn.Fragments(40)[0]), ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp4().PayloadSize(80).Fragments(8)[0]), ParseError::kNone);
}

TEST(PacketViewTest, Adv31_FragmentsOfOddLength) {
  EXPECT_EQ(ErrorOf(Part4(17, 12, 0, More::kYes).Frame()),
            ParseError::kFragAlign);
  EXPECT_EQ(ErrorOf(Part4(17, 12, 64, More::kYes).Frame()),
            ParseError::kFragAlign);
  EXPECT_EQ(ErrorOf(Part4(17, 12, 64, More::kNo).Frame()), ParseError::kNone);
}

TEST(PacketViewTest, Adv35_EmptyAndOneByteFragments) {
  EXPECT_EQ(ErrorOf(Part4(17, 1, 64, More::kNo).Frame()), ParseError::kNone);
  EXPECT_EQ(ErrorOf(Part4(17, 0, 64, More::kNo).Frame()), ParseError::kFragLen);
  EXPECT_EQ(ErrorOf(Part4(17, 0, 64, More::kYes).Frame()),
            ParseError::kFragLen);
}

// FRG-14: what is put together would be longer than a packet can be, the
// header included.
TEST(PacketViewTest, Frg14_PastTheLongestPacket) {
  // 20 bytes of header, 65504 in front, and 11: 65535.
  EXPECT_EQ(ErrorOf(Part4(17, 11, 65504, More::kNo).Frame()),
            ParseError::kNone);
  EXPECT_EQ(ErrorOf(Part4(17, 12, 65504, More::kNo).Frame()),
            ParseError::kFragLen);
  EXPECT_EQ(ErrorOf(Part4(17, 1, 65528, More::kNo).Frame()),
            ParseError::kFragLen);
}

}  // namespace
}  // namespace godwit
