// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/net/address.h"

#include <gtest/gtest.h>

#include <random>

namespace godwit {
namespace {

IpAddress A(std::string_view text) { return IpAddress::Parse(text).value(); }
Prefix P(std::string_view text) { return Prefix::Parse(text).value(); }

TEST(AddressTest, ReadsBothFamiliesAndWritesRfc5952) {
  for (const char* text :
       {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1",
        "2001:db8:0:1:1:1:1:1", "2001:db8::1:0:0:1", "fe80::1"}) {
    EXPECT_EQ(A(text).ToString(), text);
  }
  EXPECT_EQ(A("2001:DB8:0:0:0:0:0:1").ToString(), "2001:db8::1");
}

TEST(AddressTest, RefusesEverythingElse) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, " 192.0.2.1"sv, "192.0.2.1 "sv, "192.0.2.300"sv, "192.0.2"sv,
        "192.0.2.01"sv, "0x7f.1"sv, "::ffff:192.0.2.1"sv, "::ffff:c000:201"sv,
        "fe80::1%eth0"sv, "2001:db8:::1"sv, "[::1]"sv, "192.0.2.1\0x"sv,
        "::1\0"sv, "1:2:3:4:5:6:7:8:9"sv,
        "1111:2222:3333:4444:5555:6666:7777:88888888888888888888"sv}) {
    EXPECT_FALSE(IpAddress::Parse(text)) << text;
  }
}

TEST(PrefixTest, HasTheEdgesThatMeanAllOfIt) {
  const auto edges = [](const char* text) -> std::string {
    const auto both = Prefix::Parse(text)->Edges();
    if (!both) return "none";
    return both->first.ToString() + " " + both->second.ToString();
  };
  EXPECT_EQ(edges("198.51.100.7/24"), "198.51.100.0 198.51.100.255");
  EXPECT_EQ(edges("203.0.113.13/30"), "203.0.113.12 203.0.113.15");
  EXPECT_EQ(edges("203.0.113.13/29"), "203.0.113.8 203.0.113.15");
  EXPECT_EQ(edges("10.1.2.3/9"), "10.0.0.0 10.127.255.255");
  EXPECT_EQ(edges("0.0.0.0/0"), "0.0.0.0 255.255.255.255");
  EXPECT_EQ(edges("203.0.113.12/31"), "none");
  EXPECT_EQ(edges("203.0.113.12/32"), "none");
  EXPECT_EQ(edges("2001:db8::/64"), "none");
}

TEST(AddressTest, TellsKinds) {
  EXPECT_TRUE(A("224.0.0.1").IsMulticast());
  EXPECT_TRUE(A("239.255.255.255").IsMulticast());
  EXPECT_FALSE(A("223.255.255.255").IsMulticast());
  EXPECT_FALSE(A("240.0.0.0").IsMulticast());
  EXPECT_TRUE(A("ff02::1").IsMulticast());
  EXPECT_FALSE(A("fe02::1").IsMulticast());
  EXPECT_TRUE(A("169.254.1.1").IsLinkLocal());
  EXPECT_FALSE(A("169.253.1.1").IsLinkLocal());
  EXPECT_TRUE(A("fe80::1").IsLinkLocal());
  EXPECT_TRUE(A("febf::1").IsLinkLocal());
  EXPECT_FALSE(A("fec0::1").IsLinkLocal());
  EXPECT_TRUE(A("127.1.2.3").IsLoopback());
  EXPECT_TRUE(A("::1").IsLoopback());
  EXPECT_FALSE(A("::2").IsLoopback());
  EXPECT_TRUE(A("0.0.0.0").IsUnspecified());
  EXPECT_TRUE(A("::").IsUnspecified());
  EXPECT_FALSE(A("0.0.0.1").IsUnspecified());
  EXPECT_TRUE(A("192.0.2.1").IsV4());
  EXPECT_FALSE(A("::192.0.2.1").IsV4());
  EXPECT_FALSE(A("0:0:0:0:fffe:ffff:192.0.2.1").IsV4());
}

TEST(AddressTest, OrdersAsOnTheWire) {
  EXPECT_LT(A("192.0.2.1"), A("192.0.2.2"));
  EXPECT_LT(A("1.0.0.255"), A("2.0.0.0"));
  EXPECT_LT(A("2001:db8::ff"), A("2001:db8::100"));
}

TEST(PrefixTest, ReadsAndKeepsHostBits) {
  EXPECT_EQ(P("198.51.100.7/24").ToString(), "198.51.100.7/24");
  EXPECT_EQ(P("198.51.100.7/24").Masked().ToString(), "198.51.100.0/24");
  EXPECT_EQ(P("198.51.100.7").length, 32);
  EXPECT_EQ(P("2001:db8::7").length, 128);
  for (const char* text :
       {"192.0.2.0/33", "2001:db8::/129", "192.0.2.0/", "192.0.2.0/-1",
        "192.0.2.0/ 8", "/8", "192.0.2.0/8/8", "192.0.2.0/+8",
        "192.0.2.0/4294967304"}) {
    EXPECT_FALSE(Prefix::Parse(text)) << text;
  }
}

TEST(PrefixTest, NeitherFamilyContainsTheOther) {
  EXPECT_FALSE(P("::/0").Contains(A("192.0.2.1")));
  EXPECT_FALSE(P("0.0.0.0/0").Contains(A("2001:db8::1")));
  EXPECT_TRUE(P("0.0.0.0/0").Contains(A("192.0.2.1")));
  EXPECT_TRUE(P("::/0").Contains(A("2001:db8::1")));
}

bool Bit(const IpAddress& address, unsigned bit) {
  return (address.bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

TEST(PrefixTest, ContainsAndMasksBitByBit) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const bool v4 = i % 2 == 0;
    Prefix prefix = P(v4 ? "192.0.2.93/32" : "2001:db8:5a5a::a5/128");
    prefix.length = static_cast<uint8_t>(random() % (v4 ? 33 : 129));
    IpAddress other = prefix.address;
    const unsigned first = v4 ? 96 : 0;
    const unsigned flipped =
        static_cast<unsigned>(first + random() % (128 - first));
    other.bytes[flipped / 8] = static_cast<uint8_t>(other.bytes[flipped / 8] ^
                                                    (0x80U >> (flipped % 8)));
    ASSERT_EQ(prefix.Contains(other), flipped >= prefix.WideLength());
    const Prefix masked = prefix.Masked();
    ASSERT_EQ(masked.length, prefix.length);
    for (unsigned bit = 0; bit < 128; ++bit) {
      ASSERT_EQ(Bit(masked.address, bit),
                bit < prefix.WideLength() && Bit(prefix.address, bit));
    }
  }
}

TEST(AddressAndPortTest, IsOneOfTwoForms) {
  EXPECT_EQ(AddressAndPort::Parse("192.0.2.1:53")->ToString(), "192.0.2.1:53");
  EXPECT_EQ(AddressAndPort::Parse("[2001:db8::1]:65535")->ToString(),
            "[2001:db8::1]:65535");
  for (const char* text :
       {"192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1",
        "[192.0.2.1]:53", "2001:db8::1:53", "[2001:db8::1]", "[2001:db8::1]53",
        ":53", "[]:53", "[:53", "192.0.2.1:53:53", "192.0.2.1:5 3"}) {
    EXPECT_FALSE(AddressAndPort::Parse(text)) << text;
  }
}

TEST(MacTest, IsSixPairs) {
  EXPECT_EQ(MacToString(ParseMac("02:00:00:AB:cd:0f").value()),
            "02:00:00:ab:cd:0f");
  for (const char* text :
       {"", "02:00:00:00:00", "02:00:00:00:00:0g", "02-00-00-00-00-01",
        "2:0:0:0:0:1:0:0:0", "02:00:00:00:00:1 ", "+2:00:00:00:00:01"}) {
    EXPECT_FALSE(ParseMac(text)) << text;
  }
}

}  // namespace
}  // namespace godwit
