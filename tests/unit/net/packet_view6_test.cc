// SPDX-License-Identifier: BSD-3-Clause
// IPv6 and its extension headers: the rows are in the tests' names.
#include <gtest/gtest.h>

#include "dataplane/net/headers.h"
#include "dataplane/net/packet_view.h"
#include "tests/support/packet_samples.h"
#include "tests/unit/net/parsed.h"

namespace godwit {
namespace {

constexpr uint8_t kPadded = kProtoDestOptions;

PacketBuilder Udp6() {
  return Udp("[2001:db8:c::100]:5353", "[2001:db8:53::53]:53").Payload("hello");
}
PacketBuilder Ip6(uint8_t protocol) {
  return Ip("2001:db8:c::100", "2001:db8:53::53", protocol);
}

TEST(PacketView6Test, TellsWhereThingsAre) {
  const auto [error, view] =
      ParseAll(Udp6().Vlan(100).Extension(kPadded).Trailer(9).Frame());
  EXPECT_EQ(error, ParseError::kNone);
  EXPECT_FALSE(view.is_v4);
  EXPECT_EQ(view.l3_offset, 18);
  EXPECT_EQ(view.l3_size, 40 + 8 + 13);
  EXPECT_EQ(view.l4_offset, 18 + 48);
  EXPECT_EQ(view.l4_size(), 13);
  EXPECT_EQ(view.protocol, kProtoUdp);
  EXPECT_EQ(view.source_l4port, 5353);
  EXPECT_EQ(view.destination_l4port, 53);
  EXPECT_FALSE(view.has_ah);
}

TEST(PacketView6Test, Adv03_ShortHeader) {
  const Bytes frame = Udp6().Frame();
  for (size_t size = 14; size < 54; ++size) {
    EXPECT_EQ(ParseCut(frame, size).error, ParseError::kIp6Short) << size;
  }
}

TEST(PacketView6Test, Adv09_LengthZeroWithDataBehind) {
  Bytes frame = Udp6().Frame();
  Set16(frame, 14 + 4, 0);
  EXPECT_EQ(ErrorOf(frame), ParseError::kIp6Len);
  // A hop-by-hop header that asks for no jumbo payload does not help.
  Bytes hop_by_hop = Udp6().Extension(kProtoHopByHop).Frame();
  Set16(hop_by_hop, 14 + 4, 0);
  EXPECT_EQ(ErrorOf(hop_by_hop), ParseError::kIp6Len);
}

TEST(PacketView6Test, Ip6LenBeyondTheFrame) {
  Bytes frame = Udp6().Frame();
  Set16(frame, 14 + 4, frame.size() - 14 - 40 + 1);
  EXPECT_EQ(ErrorOf(frame), ParseError::kIp6Len);
}

// V6-01: each alone, in pairs and all together; the l4ports are found.
TEST(PacketView6Test, V6_01_WalksEveryLegalChain) {
  const auto extensions = ExtensionSamples();
  for (unsigned chosen = 0; chosen < 1U << extensions.size(); ++chosen) {
    auto packet = Udp6();
    bool ah = false;
    for (size_t i = 0; i < extensions.size(); ++i) {
      if ((chosen >> i & 1) == 0) continue;
      packet.Extension(extensions[i].type, extensions[i].body);
      ah = ah || extensions[i].type == kProtoAuth;
    }
    const auto [error, view] = ParseAll(packet.Frame());
    EXPECT_EQ(error, ParseError::kNone) << chosen;
    EXPECT_EQ(view.protocol, kProtoUdp) << chosen;
    EXPECT_EQ(view.destination_l4port, 53) << chosen;
    EXPECT_EQ(view.has_ah, ah) << chosen;
  }
}

TEST(PacketView6Test, V6_01_EightHeadersAnd512Bytes) {
  auto packet = Udp6();
  for (int i = 0; i < 8; ++i) packet.Extension(kPadded);
  EXPECT_EQ(ErrorOf(packet.Frame()), ParseError::kNone);
  EXPECT_EQ(ErrorOf(packet.Extension(kPadded).Frame()), ParseError::kV6EhLimit);
  EXPECT_EQ(ErrorOf(Udp6().Extension(kPadded, Bytes(510)).Frame()),
            ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp6().Extension(kPadded, Bytes(511)).Frame()),
            ParseError::kV6EhLimit);
}

TEST(PacketView6Test, Adv19_ExtensionPastTheEnd) {
  Bytes frame = Udp6().Extension(kPadded).PayloadSize(30).Frame();
  frame[14 + 40 + 1] = 255;
  EXPECT_EQ(ErrorOf(frame), ParseError::kV6EhTrunc);
  // Padding behind the packet is no part of it.
  Bytes padded = Udp6().Extension(kPadded).Trailer(64).Frame();
  padded[14 + 40 + 1] = 4;
  EXPECT_EQ(ErrorOf(padded), ParseError::kV6EhTrunc);
}

TEST(PacketView6Test, Adv21_Order) {
  EXPECT_EQ(ErrorOf(Udp6().Extension(kPadded).Extension(0).Frame()),
            ParseError::kV6EhOrder);
  EXPECT_EQ(ErrorOf(Udp6().Extension(0).Extension(0).Frame()),
            ParseError::kV6EhOrder);
  const Bytes atomic = FromHex("0000 00000001");
  EXPECT_EQ(ErrorOf(Udp6().Extension(kProtoFragment, atomic).Frame()),
            ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp6()
                        .Extension(kProtoFragment, atomic)
                        .Extension(kProtoFragment, atomic)
                        .Frame()),
            ParseError::kV6EhOrder);
}

TEST(PacketView6Test, Adv23_JumboPayload) {
  const Bytes jumbo = FromHex("c204 00020000");
  EXPECT_EQ(ErrorOf(Udp6().Extension(0, jumbo).Frame()), ParseError::kV6Jumbo);
  Bytes zero = Udp6().Extension(0, jumbo).Frame();
  Set16(zero, 14 + 4, 0);
  EXPECT_EQ(ErrorOf(zero), ParseError::kV6Jumbo);
  // Cut off within the option that asks for it: not a byte beyond is read.
  for (size_t size = 54; size < 62; ++size) {
    EXPECT_EQ(ParseCut(zero, size).error, ParseError::kIp6Len);
  }
  // A header that claims to go on behind the frame's end, full of Pad1.
  Bytes long_header = Ip6(kProtoUdp).Extension(0, Bytes(6)).Frame();
  Set16(long_header, 14 + 4, 0);
  long_header[14 + 40 + 1] = 4;
  EXPECT_EQ(ErrorOf(long_header), ParseError::kIp6Len);
  // The same bytes in another option's data mean nothing.
  EXPECT_EQ(ErrorOf(Udp6().Extension(0, FromHex("0504 c2040000")).Frame()),
            ParseError::kNone);
}

TEST(PacketView6Test, V6_02_HopByHopOptions) {
  EXPECT_EQ(ErrorOf(Udp6().Extension(0, FromHex("3e04 01020304")).Frame()),
            ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp6().Extension(0, FromHex("0000 0000 0000")).Frame()),
            ParseError::kNone);
  EXPECT_EQ(ErrorOf(Udp6().Extension(0, FromHex("0105 00000000")).Frame()),
            ParseError::kV6EhTrunc);
  EXPECT_EQ(ErrorOf(Udp6().Extension(0, FromHex("0000 0000 003e")).Frame()),
            ParseError::kV6EhTrunc);
  EXPECT_EQ(ErrorOf(Udp6().Extension(0, FromHex("0000 0000 00c2")).Frame()),
            ParseError::kV6EhTrunc);
}

TEST(PacketView6Test, V6_03_RoutingHeaders) {
  for (unsigned type = 0; type < 8; ++type) {
    for (unsigned left = 0; left < 2; ++left) {
      const Bytes body = {
          static_cast<uint8_t>(type), static_cast<uint8_t>(left), 0, 0, 0, 0};
      const bool good = left == 0 && type != 0 && type != 1 && type != 3;
      EXPECT_EQ(ErrorOf(Udp6().Extension(kProtoRouting, body).Frame()),
                good ? ParseError::kNone : ParseError::kV6Routing)
          << type << " " << left;
    }
  }
}

TEST(PacketView6Test, Adv25_NextHeadersThatLeadNowhere) {
  EXPECT_EQ(ErrorOf(Ip6(kProtoNone).PayloadSize(1400).Frame()),
            ParseError::kNhBad);
  EXPECT_EQ(ErrorOf(Ip6(kProtoNone).Frame()), ParseError::kNhBad);
  EXPECT_EQ(ErrorOf(Ip6(kProtoNone).Extension(kPadded).Frame()),
            ParseError::kNhBad);
  EXPECT_EQ(ErrorOf(Ip6(kProtoIcmp).PayloadSize(8).Frame()),
            ParseError::kNhBad);
  EXPECT_EQ(ErrorOf(Ip6(4).PayloadSize(40).Frame()), ParseError::kNone);
  EXPECT_EQ(ErrorOf(Ip6(41).PayloadSize(40).Frame()), ParseError::kNone);
}

// An IPv4-mapped address would be taken for an IPv4 flow's.
TEST(PacketView6Test, L2_07_MappedAddresses) {
  const Bytes mapped = FromHex("00000000000000000000ffff c0000201");
  for (const ptrdiff_t at : {14 + 8, 14 + 24}) {
    Bytes frame = Udp6().Frame();
    std::copy(mapped.begin(), mapped.end(), frame.begin() + at);
    EXPECT_EQ(ErrorOf(frame), ParseError::kIp6Mapped);
  }
}

TEST(PacketView6Test, Fragments) {
  const auto frames = Udp6()
                          .PayloadSize(60)
                          .Extension(0)
                          .Fragment(0, More::kNo, 0x12345678)
                          .Fragments(24);
  ASSERT_EQ(frames.size(), 3U);
  const auto first = ParseAll(frames[0]);
  EXPECT_EQ(first.error, ParseError::kNone);
  EXPECT_EQ(first.view.fragment, FragmentKind::kFirst);
  EXPECT_EQ(first.view.fragment_field, 14 + 40 + 8);
  EXPECT_EQ(first.view.fragment_id, __builtin_bswap32(0x12345678));
  EXPECT_EQ(first.view.l4_offset, 14 + 40 + 16);
  EXPECT_EQ(first.view.destination_l4port, 53);
  const auto last = ParseAll(frames[2]);
  EXPECT_EQ(last.error, ParseError::kNone);
  EXPECT_EQ(last.view.fragment, FragmentKind::kLater);
  EXPECT_EQ(last.view.fragment_offset, 48);
  EXPECT_EQ(last.view.protocol, kProtoUdp);
  EXPECT_EQ(last.view.l4_offset, 14 + 40 + 16);
  EXPECT_EQ(last.view.l4_size(), 20);
}

TEST(PacketView6Test, Frg12_AtomicFragmentIsWhole) {
  const auto [error, view] = ParseAll(Udp6().Fragment(0, More::kNo).Frame());
  EXPECT_EQ(error, ParseError::kNone);
  EXPECT_EQ(view.fragment, FragmentKind::kWhole);
  EXPECT_EQ(view.fragment_field, 14 + 40);
  EXPECT_EQ(view.destination_l4port, 53);
}

// What follows a later fragment's header is the middle of something.
TEST(PacketView6Test, LaterFragmentIsNotWalked) {
  const auto [error, view] = ParseAll(
      Ip6(kPadded).Payload(Bytes(16, 0xff)).Fragment(64, More::kYes).Frame());
  EXPECT_EQ(error, ParseError::kNone);
  EXPECT_EQ(view.fragment, FragmentKind::kLater);
  EXPECT_EQ(view.protocol, kPadded);
}

TEST(PacketView6Test, Adv29To35_BadFragments) {
  const auto part = [](uint8_t protocol, size_t size, size_t offset,
                       More more) {
    return ErrorOf(Ip6(protocol)
                       .Payload(Bytes(size, 0x11))
                       .Fragment(offset, more)
                       .Frame());
  };
  EXPECT_EQ(part(6, 16, 0, More::kYes), ParseError::kFragTiny);
  EXPECT_EQ(part(6, 16, 8, More::kNo), ParseError::kFragTiny);
  EXPECT_EQ(part(17, 12, 0, More::kYes), ParseError::kFragAlign);
  EXPECT_EQ(part(17, 12, 64, More::kYes), ParseError::kFragAlign);
  EXPECT_EQ(part(17, 1, 64, More::kNo), ParseError::kNone);
  EXPECT_EQ(part(17, 0, 64, More::kNo), ParseError::kFragLen);
  EXPECT_EQ(part(17, 0, 64, More::kYes), ParseError::kFragLen);
  EXPECT_EQ(part(17, 7, 65528, More::kNo), ParseError::kNone);
  EXPECT_EQ(part(17, 8, 65528, More::kNo), ParseError::kFragLen);
  // Extension headers in front count in the length of the whole.
  EXPECT_EQ(ErrorOf(Ip6(17)
                        .Payload(Bytes(1, 0))
                        .Extension(0)
                        .Fragment(65528, More::kNo)
                        .Frame()),
            ParseError::kFragLen);
}

// FRG-15: a first fragment that ends among the extension headers.
TEST(PacketView6Test, Frg15_FirstFragmentWithoutL4) {
  const auto frames = Udp6().Extension(kPadded, Bytes(14)).Fragments(8);
  EXPECT_EQ(ErrorOf(frames[0]), ParseError::kV6EhTrunc);
  EXPECT_EQ(ErrorOf(Udp6().Extension(kPadded, Bytes(14)).Fragments(16)[0]),
            ParseError::kFragTiny);
}

}  // namespace
}  // namespace godwit
