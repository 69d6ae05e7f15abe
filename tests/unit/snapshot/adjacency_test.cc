// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/snapshot/adjacency.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

namespace godwit {
namespace {

IpAddress A(std::string_view text) { return IpAddress::Parse(text).value(); }
Prefix P(std::string_view text) { return Prefix::Parse(text).value(); }

RouteTable::Route To(const Prefix& prefix, DeviceId device) {
  return {prefix, {{device, kNoAdjacency, 1}}};
}

DeviceId Next(const RouteTable& table, std::string_view address) {
  const auto* route = table.Lookup(A(address));
  return route == nullptr ? kNoDevice : route->hops.front().device;
}

TEST(RouteTableTest, EmptyHasNone) {
  EXPECT_EQ(RouteTable().Lookup(A("192.0.2.1")), nullptr);
  EXPECT_EQ(RouteTable(std::vector<RouteTable::Route>{}).Lookup(A("::1")),
            nullptr);
}

TEST(RouteTableTest, LongestWins) {
  const RouteTable table({To(P("192.0.2.0/24"), 2), To(P("0.0.0.0/0"), 1),
                          To(P("192.0.2.128/25"), 3),
                          To(P("192.0.2.255/32"), 4)});
  EXPECT_EQ(Next(table, "8.8.8.8"), 1);
  EXPECT_EQ(Next(table, "192.0.1.255"), 1);
  EXPECT_EQ(Next(table, "192.0.2.0"), 2);
  EXPECT_EQ(Next(table, "192.0.2.127"), 2);
  EXPECT_EQ(Next(table, "192.0.2.128"), 3);
  EXPECT_EQ(Next(table, "192.0.2.254"), 3);
  EXPECT_EQ(Next(table, "192.0.2.255"), 4);
  EXPECT_EQ(Next(table, "192.0.3.0"), 1);
  EXPECT_EQ(Next(table, "255.255.255.255"), 1);
  EXPECT_EQ(Next(table, "0.0.0.0"), 1);
}

TEST(RouteTableTest, KnowsBroadcastAddressesThatNoRouteOfTheirOwnHas) {
  const auto broadcast = [](std::string_view address) {
    return RouteTable::Route{P(address), {}, /*broadcast=*/true};
  };
  const RouteTable table({broadcast("198.51.100.255"), broadcast("192.0.2.255"),
                          broadcast("192.0.2.0"), To(P("192.0.2.0/24"), 1),
                          To(P("192.0.2.0/32"), 2), To(P("2001:db8::/64"), 1)});
  EXPECT_TRUE(table.IsBroadcast(A("192.0.2.255")));
  EXPECT_TRUE(table.IsBroadcast(A("198.51.100.255")));
  for (const char* host : {"192.0.2.0", "192.0.2.1", "192.0.2.254",
                           "198.51.100.254", "2001:db8::c000:2ff"}) {
    EXPECT_FALSE(table.IsBroadcast(A(host))) << host;
  }
  EXPECT_TRUE(table.Lookup(A("192.0.2.255"))->hops.empty());
  EXPECT_EQ(Next(table, "192.0.2.0"), 2);
  EXPECT_FALSE(RouteTable().IsBroadcast(A("192.0.2.255")));
}

TEST(RouteTableTest, NeitherDefaultRouteServesTheOtherFamily) {
  const RouteTable six({To(P("::/0"), 1)});
  EXPECT_EQ(Next(six, "192.0.2.1"), kNoDevice);
  EXPECT_EQ(Next(six, "2001:db8::1"), 1);
  EXPECT_EQ(Next(six, "::"), 1);
  EXPECT_EQ(Next(six, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 1);
  const RouteTable four({To(P("0.0.0.0/0"), 1)});
  EXPECT_EQ(Next(four, "2001:db8::1"), kNoDevice);
  EXPECT_EQ(Next(four, "255.255.255.255"), 1);
  // Behind the IPv4 addresses the route of IPv6 goes on.
  const RouteTable both({To(P("0.0.0.0/0"), 4), To(P("::/0"), 6)});
  EXPECT_EQ(Next(both, "255.255.255.255"), 4);
  EXPECT_EQ(Next(both, "::1:0:0:0"), 6);
}

TEST(RouteTableTest, HostBitsDoNotMatter) {
  const RouteTable table({To(P("192.0.2.200/24"), 1)});
  EXPECT_EQ(Next(table, "192.0.2.0"), 1);
  EXPECT_EQ(Next(table, "192.0.2.199"), 1);
}

TEST(RouteTableTest, OfAPrefixGivenTwiceTheLastCounts) {
  std::vector<RouteTable::Route> routes;
  for (DeviceId i = 1; i <= 40; ++i) {
    routes.push_back(To(P("192.0.2.7/24"), i));
  }
  EXPECT_EQ(Next(RouteTable(routes), "192.0.2.1"), 40);
}

TEST(RouteTableTest, UnreachableIsARouteWithoutHops) {
  const RouteTable table({To(P("0.0.0.0/0"), 1), {P("192.0.2.0/24"), {}}});
  const auto* route = table.Lookup(A("192.0.2.1"));
  ASSERT_NE(route, nullptr);
  EXPECT_TRUE(route->hops.empty());
}

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}
  // Few distinct bytes, so that prefixes nest and lookups meet their edges.
  IpAddress Address() {
    constexpr uint8_t kBytes[] = {0x00, 0xff, 0x7f, 0x80, 0x01, 0xfe};
    IpAddress address;
    for (uint8_t& byte : address.bytes) byte = kBytes[random_() % 6];
    if (random_() % 3 == 0) {  // most of it one byte
      std::fill(address.bytes.begin() + 2, address.bytes.end(),
                kBytes[random_() % 2]);
    }
    if (random_() % 2 == 0) return IpAddress::FromV4(&address.bytes[0]);
    // Never a mapped one: the parser lets none through.
    if (address.IsV4()) address.bytes[0] = 0x20;
    return address;
  }
  Prefix Net() {
    const IpAddress address = Address();
    const unsigned limit = address.IsV4() ? 33 : 129;
    return {address, static_cast<uint8_t>(random_() % limit)};
  }
  uint64_t Next() { return random_(); }

 private:
  std::mt19937_64 random_;
};

// The twin: every route looked at, the longest that contains the address kept.
DeviceId Longest(const std::vector<RouteTable::Route>& routes,
                 const IpAddress& address) {
  int length = -1;
  DeviceId device = kNoDevice;
  for (const auto& route : routes) {
    if (route.prefix.address.IsV4() != address.IsV4()) continue;
    bool inside = true;
    for (unsigned bit = 0; bit < route.prefix.WideLength(); ++bit) {
      const uint8_t mask = static_cast<uint8_t>(0x80U >> (bit % 8));
      inside = inside && (route.prefix.address.bytes[bit / 8] & mask) ==
                             (address.bytes[bit / 8] & mask);
    }
    if (!inside || route.prefix.length < length) continue;
    length = route.prefix.length;
    device = route.hops.front().device;
  }
  return device;
}

TEST(RouteTableTest, AgreesWithItsTwin) {
  Draw draw(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<RouteTable::Route> routes;
    const uint64_t count = draw.Next() % 60;
    for (uint64_t i = 0; i < count; ++i) {
      routes.push_back(To(draw.Net(), static_cast<DeviceId>(i + 1)));
    }
    const RouteTable table(routes);
    for (int i = 0; i < 300; ++i) {
      IpAddress address = draw.Address();
      if (!routes.empty() && i % 2 == 0) {
        // The first of a prefix, or one that differs from it in the last bits.
        address = routes[draw.Next() % count].prefix.Masked().address;
        address.bytes[15] ^= static_cast<uint8_t>(draw.Next() % 4);
        address.bytes[14] ^= static_cast<uint8_t>(draw.Next() % 2);
      }
      const auto* route = table.Lookup(address);
      const DeviceId found =
          route == nullptr ? kNoDevice : route->hops.front().device;
      ASSERT_EQ(found, Longest(routes, address))
          << address.ToString() << " in round " << round;
    }
  }
}

TEST(NeighbourTableTest, AgreesWithItsTwin) {
  Draw draw(2);
  for (int round = 0; round < 100; ++round) {
    std::map<std::pair<DeviceId, IpAddress>, AdjacencyId> twin;
    for (uint64_t i = draw.Next() % 100; i > 0; --i) {
      twin[{static_cast<DeviceId>(1 + draw.Next() % 3), draw.Address()}] =
          static_cast<AdjacencyId>(i);
    }
    std::vector<NeighbourTable::Entry> entries;
    for (const auto& [key, adjacency] : twin) {
      entries.insert(entries.begin(), {key.first, key.second, adjacency});
    }
    const NeighbourTable table(entries);
    for (int i = 0; i < 200; ++i) {
      std::pair<DeviceId, IpAddress> key(static_cast<DeviceId>(draw.Next() % 5),
                                         draw.Address());
      if (!twin.empty() && i % 2 == 0) {
        key.second =
            std::next(twin.begin(),
                      static_cast<ptrdiff_t>(draw.Next() % twin.size()))
                ->first.second;
      }
      const auto found = twin.find(key);
      ASSERT_EQ(table.Find(key.first, key.second),
                found == twin.end() ? kNoAdjacency : found->second);
    }
  }
  EXPECT_EQ(NeighbourTable().Find(1, A("192.0.2.1")), kNoAdjacency);
}

}  // namespace
}  // namespace godwit
