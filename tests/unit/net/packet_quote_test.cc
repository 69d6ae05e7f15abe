// SPDX-License-Identifier: BSD-3-Clause
// What an ICMP error quotes: ICE-03, ICE-10, ICE-26 to ICE-28.
#include <gtest/gtest.h>

#include "tests/support/packet_samples.h"
#include "tests/unit/net/parsed.h"

namespace godwit {
namespace {

struct Quoted {
  QuoteError error;
  QuoteView view;
};

// The first `size` bytes of `packet` as a quote, behind `before` other bytes.
Quoted Quote(const Bytes& packet, size_t size, size_t before = 0) {
  Bytes all(before, 0xee);
  all.insert(all.end(), packet.begin(),
             packet.begin() + static_cast<ptrdiff_t>(size));
  const ExactCopy copy(all, all.size());
  Quoted quoted;
  quoted.error = ParseQuote(copy.get(), before, all.size(), packet[0] >> 4 == 4,
                            quoted.view);
  return quoted;
}

Quoted Quote(const Bytes& packet) { return Quote(packet, packet.size()); }

class QuoteTest : public testing::TestWithParam<PacketSample> {};

// ICE-26: too short as long as the l4ports, or what stands for them, are not
// all there; never a byte past the end.
TEST_P(QuoteTest, CutOffAnywhere) {
  const PacketBuilder& sample = GetParam().packet;
  const Bytes packet = sample.Packet();
  Bytes frame = sample.Frame();
  const PacketView whole = ParseAll(frame).view;
  const size_t l4 = static_cast<size_t>(whole.l4_offset - whole.l3_offset);
  for (size_t size = 0; size <= packet.size(); ++size) {
    const auto [error, quote] = Quote(packet, size, size % 5);
    const size_t needed = whole.HasL4() ? l4 + 8 : l4;
    ASSERT_EQ(error, size < needed ? QuoteError::kShort : QuoteError::kNone)
        << size;
    if (error != QuoteError::kNone) continue;
    EXPECT_EQ(quote.source, sample.source());
    EXPECT_EQ(quote.destination, sample.destination());
    EXPECT_EQ(quote.protocol, whole.protocol);
    EXPECT_EQ(quote.later_fragment, !whole.HasL4());
    if (quote.later_fragment) continue;
    EXPECT_EQ(quote.l4_offset, size % 5 + l4);
    EXPECT_EQ(quote.l4_quoted, size - l4);
    if (whole.protocol != 17 && whole.protocol != 6 && whole.protocol != 1 &&
        whole.protocol != 58) {
      continue;
    }
    EXPECT_EQ(quote.source_l4port, whole.source_l4port);
    EXPECT_EQ(quote.destination_l4port, whole.destination_l4port);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, QuoteTest, testing::ValuesIn(PacketSamples()),
                         [](const auto& sample) { return sample.param.name; });

TEST(PacketQuoteTest, FindsL4PortsBehindEveryHeaderLength) {
  for (size_t words = 0; words <= 10; ++words) {
    const Bytes packet = Udp("203.0.113.7:50000", "192.0.2.200:53")
                             .Options(Bytes(words * 4, 1))
                             .Packet();
    const auto [error, quote] = Quote(packet);
    EXPECT_EQ(error, QuoteError::kNone);
    EXPECT_EQ(quote.source_l4port, 50000);
    EXPECT_EQ(quote.destination_l4port, 53);
  }
}

// A first fragment of IPv6 that the quote cuts off at any byte: its l4ports
// are where they were.
TEST(PacketQuoteTest, FindsL4PortsOfAFirstFragmentCutOffAnywhere) {
  const Bytes packet = Udp("[2001:db8:7::7]:50000", "[2001:db8:5::200]:53")
                           .PayloadSize(64)
                           .Fragment(0, More::kYes)
                           .Packet();
  for (size_t size = 40 + 8 + 8; size <= packet.size(); ++size) {
    const auto [error, quote] = Quote(packet, size);
    ASSERT_EQ(error, QuoteError::kNone) << size;
    ASSERT_EQ(quote.source_l4port, 50000) << size;
    ASSERT_EQ(quote.destination_l4port, 53) << size;
  }
}

// ICE-27, whatever is left of it.
TEST(PacketQuoteTest, KnowsALaterFragmentCutOffAnywhere) {
  for (const auto& packet : {Ip("192.0.2.1", "192.0.2.2", 17)
                                 .PayloadSize(32)
                                 .Fragment(32, More::kYes),
                             Ip("2001:db8::1", "2001:db8::2", 17)
                                 .PayloadSize(32)
                                 .Fragment(32, More::kYes)}) {
    const Bytes bytes = packet.Packet();
    for (size_t size = bytes.size() - 32; size <= bytes.size(); ++size) {
      const auto [error, quote] = Quote(bytes, size);
      ASSERT_EQ(error, QuoteError::kNone) << size;
      ASSERT_TRUE(quote.later_fragment) << size;
    }
  }
}

TEST(PacketQuoteTest, EchoesKeepTheirIdOnTheAskingSide) {
  const auto asked = Quote(Echo("203.0.113.7", "192.0.2.200", 9).Packet());
  EXPECT_EQ(asked.view.source_l4port, 9);
  EXPECT_EQ(asked.view.destination_l4port, 0);
  const auto answered =
      Quote(EchoReply("2001:db8::1", "2001:db8::2", 9).Packet());
  EXPECT_EQ(answered.view.source_l4port, 0);
  EXPECT_EQ(answered.view.destination_l4port, 9);
}

TEST(PacketQuoteTest, RefusesWhatIsNoPacketOfThisFamily) {
  Bytes packet = Udp("192.0.2.1:1", "192.0.2.2:2").Packet();
  packet[0] = 0x65;
  const ExactCopy wrong_version(packet, packet.size());
  QuoteView view;
  EXPECT_EQ(ParseQuote(wrong_version.get(), 0, packet.size(), true, view),
            QuoteError::kBad);
  packet[0] = 0x44;
  EXPECT_EQ(Quote(packet).error, QuoteError::kBad);
  Bytes mapped = Udp("[2001:db8::1]:1", "[2001:db8::2]:2").Packet();
  const Bytes address = FromHex("00000000000000000000ffff c0000201");
  std::copy(address.begin(), address.end(), mapped.begin() + 24);
  EXPECT_EQ(Quote(mapped).error, QuoteError::kBad);
}

TEST(PacketQuoteTest, RefusesSourceRoutes) {
  for (const char* options : {"83 07 04 c0000201", "01 89 07 04 c0000201"}) {
    EXPECT_EQ(Quote(Udp("192.0.2.1:1", "192.0.2.2:2")
                        .Options(FromHex(options))
                        .Packet())
                  .error,
              QuoteError::kBad);
  }
  EXPECT_EQ(Quote(Udp("[2001:db8::1]:1", "[2001:db8::2]:2")
                      .Extension(43, FromHex("0401 00000000"))
                      .Packet())
                .error,
            QuoteError::kBad);
}

}  // namespace
}  // namespace godwit
