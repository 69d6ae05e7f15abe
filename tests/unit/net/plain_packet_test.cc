// SPDX-License-Identifier: BSD-3-Clause
// The short way to read a packet against the long one.
#include "dataplane/net/plain_packet.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/packet_builder.h"
#include "tests/unit/net/parsed.h"

namespace godwit {
namespace {

// As ParsePlain asks: by the ether type.
bool ReadAsView(const uint8_t* frame, size_t readable, size_t size,
                PacketView& view) {
  if (readable < sizeof(EthHeader)) return false;
  PlainPacket packet;
  const Be16 type = reinterpret_cast<const EthHeader*>(frame)->ether_type;
  if (type == Be16(kEtherTypeIpv4)) {
    if (!ReadPlain<true>(frame, readable, size, packet)) return false;
    FillView<true>(packet, view);
    return true;
  }
  if (type != Be16(kEtherTypeIpv6) ||
      !ReadPlain<false>(frame, readable, size, packet)) {
    return false;
  }
  FillView<false>(packet, view);
  return true;
}

std::vector<PacketBuilder> PlainPackets() {
  return {Udp("192.0.2.100:5353", "198.51.100.53:53").PayloadSize(20),
          Udp("[2001:db8::1]:5353", "[2001:db8::53]:53").PayloadSize(20),
          Tcp("192.0.2.100:40000", "198.51.100.80:443").Flags("PA"),
          Tcp("[2001:db8::1]:4000", "[2001:db8::80]:443").PayloadSize(9),
          Tcp("192.0.2.100:40000", "198.51.100.80:443")
              .TcpOptions(Bytes(12, 1))
              .Trailer(6)};
}

TEST(PlainPacketTest, TakesThePacketsThatNearlyAllAre) {
  for (const PacketBuilder& packet : PlainPackets()) {
    const Bytes frame = packet.Frame();
    PacketView view;
    EXPECT_TRUE(ReadAsView(frame.data(), frame.size(), frame.size(), view));
  }
}

TEST(PlainPacketTest, LeavesTheOthersToParseFrame) {
  const auto udp = [] {
    return Udp("192.0.2.100:5353", "198.51.100.53:53").PayloadSize(64);
  };
  const auto udp6 = [] {
    return Udp("[2001:db8::1]:5353", "[2001:db8::53]:53").PayloadSize(64);
  };
  for (const PacketBuilder& packet :
       {udp().Vlan(7), udp().Options(Bytes(4, 1)),
        udp().Fragment(0, More::kYes), udp().Fragment(64, More::kNo),
        udp6().Extension(60), udp6().Fragment(0, More::kYes),
        udp().UdpLength(3),
        Echo("192.0.2.1", "192.0.2.2", 7).PayloadSize(40)}) {
    const Bytes frame = packet.Frame();
    PacketView view;
    EXPECT_FALSE(ReadAsView(frame.data(), frame.size(), frame.size(), view));
  }
}

// Whatever it takes, ParseFrame takes, and sees the same in it: good frames
// with some bytes, their size or what is readable of them made wrong.
TEST(PlainPacketTest, SaysWhatParseFrameSays) {
  std::mt19937 random(4711);
  const auto below = [&random](size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random);
  };
  const std::vector<PacketBuilder> packets = PlainPackets();
  size_t taken = 0;
  size_t left = 0;
  for (int round = 0; round < 200'000; ++round) {
    Bytes frame = packets[below(packets.size())].Frame();
    for (size_t i = below(3); i != 0; --i) {
      const size_t at = 12 + below(std::min<size_t>(frame.size() - 12, 60));
      frame[at] = below(2) == 0
                      ? static_cast<uint8_t>(below(256))
                      : static_cast<uint8_t>(frame[at] ^ (1U << below(8)));
    }
    if (below(2) == 0) FixIpv4Checksum(frame);
    const size_t size = frame.size() - (below(4) == 0 ? below(12) : 0);
    const size_t readable = below(4) == 0 ? size - below(30) : size;
    PacketView plain;
    PacketView whole;
    const ParseError error = ParseFrame(frame.data(), readable, size, whole);
    if (!ReadAsView(frame.data(), readable, size, plain)) {
      ++left;
      continue;
    }
    ++taken;
    ASSERT_EQ(error, ParseError::kNone) << "round " << round;
    ASSERT_EQ(plain, whole) << "round " << round;
  }
  EXPECT_GT(taken, 10'000U);
  EXPECT_GT(left, 10'000U);
}

// Every header sums up to a valid one in one case of 65,535; random ones, and
// such of zeros and ones, as carries like them.
TEST(PlainPacketTest, SumsAnIpv4HeaderAsAnybodyDoes) {
  std::mt19937 random(7);
  size_t good = 0;
  for (int round = 0; round < 1'000'000; ++round) {
    uint8_t header[20];
    for (uint8_t& byte : header) {
      const auto draw = static_cast<uint32_t>(random());
      byte = (draw & 0x300) == 0 ? 0xff : static_cast<uint8_t>(draw);
      if ((draw & 0xc00) == 0) byte = 0;
    }
    header[0] = 0x45;
    if (round % 2 == 0) {
      std::memset(&header[10], 0, 2);
      const uint16_t sum = Checksum(header, sizeof(header));
      std::memcpy(&header[10], &sum, 2);
    }
    const bool right = FoldSum(AddBytes(0, header, sizeof(header))) == 0xffff;
    ASSERT_EQ(IsPlainIpv4Sum(header), right) << "round " << round;
    good += right;
  }
  EXPECT_GE(good, 500'000U);
}

}  // namespace
}  // namespace godwit
