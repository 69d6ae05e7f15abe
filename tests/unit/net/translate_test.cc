// SPDX-License-Identifier: BSD-3-Clause
// UDP-01, UDP-02, MAP-21: a translated packet is, byte by byte, the one that
// would have been sent from the other end in the first place.
#include "dataplane/net/translate.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/packet_builder.h"
#include "tests/unit/net/parsed.h"

namespace godwit {
namespace {

struct Ends {
  const char* name;
  std::string inside;   // address, in brackets if it is IPv6
  std::string outside;  // what it is translated to
  std::string remote;   // with its l4port
};

std::string With(const std::string& address, unsigned l4port) {
  std::string text = address;
  text += ':';
  text += std::to_string(l4port);
  return text;
}

NewEnd EndOf(const AddressAndPort& from, const AddressAndPort& to) {
  ChecksumDelta l3;
  l3.RemoveAddress(from.address);
  l3.AddAddressBytes(to.address);
  ChecksumDelta l4;
  l4.RemoveAddress(from.address);
  l4.AddAddressBytes(to.address);
  l4.Remove16(Be16(from.l4port).wire());
  l4.Add16(Be16(to.l4port).wire());
  return {to.address, to.l4port, l3.value(), l4.value()};
}

void Translate(Bytes& frame, const PacketView& view, bool source,
               const NewEnd& end) {
  TranslateL3(frame.data() + view.l3_offset, view.is_v4, source, end);
  TranslateL4(frame.data() + view.l4_offset, view.protocol, source, end);
}

class TranslateTest : public testing::TestWithParam<Ends> {};

// All l4ports: one of them makes the sum zero, which UDP writes as 0xffff.
TEST_P(TranslateTest, IsThePacketThatTheOtherEndWouldSend) {
  const Ends& ends = GetParam();
  const auto inside = *AddressAndPort::Parse(With(ends.inside, 5353));
  for (const bool tcp : {false, true}) {
    const auto packet = [tcp](const std::string& from, const std::string& to) {
      return (tcp ? Tcp(from, to) : Udp(from, to)).PayloadSize(20).Frame();
    };
    const Bytes out = packet(With(ends.inside, 5353), ends.remote);
    const Bytes in = packet(ends.remote, With(ends.inside, 5353));
    const PacketView view = ParseAll(out).view;
    size_t turned_over = 0;
    for (unsigned l4port = 1; l4port <= UINT16_MAX; ++l4port) {
      const std::string text = With(ends.outside, l4port);
      const auto outside = *AddressAndPort::Parse(text);
      const Bytes wire_out = packet(text, ends.remote);
      Bytes frame = out;
      const NewEnd end = EndOf(inside, outside);
      Translate(frame, view, /*source=*/true, end);
      ASSERT_EQ(frame, wire_out) << text;
      uint16_t sum;
      std::memcpy(&sum, &frame[view.l4_offset + (tcp ? 16U : 6U)], 2);
      turned_over += sum == (tcp ? 0 : 0xffff);
      frame = packet(ends.remote, text);
      Translate(frame, view, /*source=*/false,
                {inside.address, inside.l4port, NegateDelta(end.l3_delta),
                 NegateDelta(end.l4_delta)});
      ASSERT_EQ(frame, in) << text;
    }
    EXPECT_EQ(turned_over, 1U) << (tcp ? "TCP" : "UDP");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, TranslateTest,
    testing::Values(Ends{"v4", "192.0.2.53", "198.51.100.7", "203.0.113.9:53"},
                    Ends{"v6", "[2001:db8:53::53]", "[2001:db8:7::7]",
                         "[2001:db8:9::9]:53"}),
    [](const auto& ends) { return ends.param.name; });

TEST(TranslateTest, LeavesADatagramWithoutChecksumWithoutOne) {
  Bytes frame =
      Udp("192.0.2.53:5353", "203.0.113.9:53").NoUdpChecksum().Frame();
  const PacketView view = ParseAll(frame).view;
  Translate(frame, view, true,
            EndOf(*AddressAndPort::Parse("192.0.2.53:5353"),
                  *AddressAndPort::Parse("198.51.100.7:40000")));
  EXPECT_EQ(
      frame,
      Udp("198.51.100.7:40000", "203.0.113.9:53").NoUdpChecksum().Frame());
}

}  // namespace
}  // namespace godwit
