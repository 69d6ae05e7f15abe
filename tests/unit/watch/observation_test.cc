// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/observation.h"

#include <string>

#include "control/watch/kernel_facts.h"
#include "gtest/gtest.h"

namespace godwit {
namespace {

constexpr uint32_t kMain = 254;
constexpr uint32_t kLocal = 255;

RouteEntry Route(const char* prefix, int ifindex, uint32_t metric = 0,
                 uint32_t table = kMain) {
  RouteEntry route;
  route.prefix = *Prefix::Parse(prefix);
  route.next_hops = {NextHop{.ifindex = ifindex}};
  route.metric = metric;
  route.table = table;
  return route;
}

// The interface a packet to `destination` would take; 0 for none.
int Out(const Observation& world, const char* destination) {
  const RouteEntry* route = LookupRoute(world, *IpAddress::Parse(destination));
  if (route == nullptr) return 0;
  return route->next_hops.empty() ? -1 : route->next_hops[0].ifindex;
}

TEST(LookupRouteTest, TakesTheLongestPrefixOfTheFamily) {
  Observation world;
  world.routes = {Route("0.0.0.0/0", 1), Route("198.51.100.0/24", 2),
                  Route("198.51.100.128/25", 3), Route("::/0", 4)};
  EXPECT_EQ(Out(world, "203.0.113.1"), 1);
  EXPECT_EQ(Out(world, "198.51.100.1"), 2);
  EXPECT_EQ(Out(world, "198.51.100.200"), 3);
  EXPECT_EQ(Out(world, "2001:db8::1"), 4);
}

TEST(LookupRouteTest, TakesTheLowestMetricThatIsAlive) {
  Observation world;
  world.routes = {Route("0.0.0.0/0", 1, 10), Route("0.0.0.0/0", 2, 20)};
  EXPECT_EQ(Out(world, "203.0.113.1"), 1);
  world.routes[0].next_hops[0].dead = true;
  EXPECT_EQ(Out(world, "203.0.113.1"), 2);
  world.routes[1].next_hops[0].dead = true;
  EXPECT_EQ(Out(world, "203.0.113.1"), 0);
}

TEST(LookupRouteTest, TheLocalTableComesFirst) {
  Observation world;
  world.routes = {Route("198.51.100.7/32", 2),
                  Route("198.51.100.0/24", 1, 0, kLocal),
                  Route("203.0.113.0/24", 3, 0, 7480)};
  EXPECT_EQ(Out(world, "198.51.100.7"), 1);
  EXPECT_EQ(Out(world, "203.0.113.1"), 0);
}

TEST(LookupRouteTest, ABlackholeIsAnAnswer) {
  Observation world;
  world.routes = {Route("0.0.0.0/0", 1), Route("203.0.113.0/24", 0)};
  world.routes[1].kind = RouteKind::kDiscard;
  world.routes[1].next_hops.clear();
  EXPECT_EQ(Out(world, "203.0.113.1"), -1);
}

TEST(ObservationTest, FindsByKey) {
  Observation world;
  world.links = {LinkEntry{.ifindex = 2, .name = "a"},
                 LinkEntry{.ifindex = 5, .name = "b"}};
  ASSERT_NE(FindLink(world, 5), nullptr);
  EXPECT_EQ(FindLink(world, 5)->name, "b");
  EXPECT_EQ(FindLink(world, 3), nullptr);
  const IpAddress one = *IpAddress::Parse("192.0.2.1");
  const IpAddress two = *IpAddress::Parse("192.0.2.2");
  world.neighbours = {NeighbourEntry{.address = one, .ifindex = 2},
                      NeighbourEntry{.address = one, .ifindex = 5}};
  EXPECT_EQ(FindNeighbour(world, 5, one), &world.neighbours[1]);
  EXPECT_EQ(FindNeighbour(world, 5, two), nullptr);
}

TEST(ObservationTest, TheUsableStatesForwardAlike) {
  Observation a;
  a.neighbours = {
      NeighbourEntry{.ifindex = 1, .state = NeighbourState::kReachable}};
  Observation b = a;
  b.neighbours[0].state = NeighbourState::kStale;
  EXPECT_NE(a, b);
  EXPECT_TRUE(SameForwarding(a, b));
  b.neighbours[0].state = NeighbourState::kFailed;
  EXPECT_FALSE(SameForwarding(a, b));
  b = a;
  b.neighbours[0].mac = {2, 0, 0, 0, 0, 1};
  EXPECT_FALSE(SameForwarding(a, b));
}

TEST(EphemeralRangeTest, ReadsWhatTheKernelWrites) {
  EXPECT_EQ(*ParseEphemeralRange("32768\t60999\n"),
            (L4PortRange{32768, 60999}));
  for (const char* text : {"", "1", "1 2 3", "9 8", "0 9", "1 65536", "a b"}) {
    EXPECT_FALSE(ParseEphemeralRange(text).ok()) << text;
  }
}

}  // namespace
}  // namespace godwit
