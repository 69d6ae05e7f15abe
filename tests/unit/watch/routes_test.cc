// SPDX-License-Identifier: BSD-3-Clause
// Routes with several next hops, as operators and as routing daemons make them.
#include <net/if.h>

#include <string>
#include <vector>

#include "control/watch/kernel_tables.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/plumb/scratch_netns.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Two links, wana and wanb, with a gateway each.
class RoutesTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
    node_.Exec("sysctl -qw net.ipv6.conf.default.accept_dad=0");
    for (const std::string link : {"wana", "wanb"}) {
      node_.Ip("link add " + link + " type veth peer name " + link + "1");
      node_.Ip("link set " + link + "1 up");
      node_.Ip("link set " + link + " up");
    }
    node_.Ip("addr add 192.0.2.1/25 dev wana");
    node_.Ip("addr add 192.0.2.129/25 dev wanb");
    node_.Ip("addr add 2001:db8:a::1/64 dev wana nodad");
    node_.Ip("addr add 2001:db8:b::1/64 dev wanb nodad");
  }

  std::string Gateway(const std::string& link) const {
    if (GetParam()) return link == "wana" ? "192.0.2.9" : "192.0.2.139";
    return (link == "wana" ? "2001:db8:a::9" : "2001:db8:b::9");
  }
  std::string Via(const std::string& link) const {
    return "via " + Gateway(link) + " dev " + link;
  }
  // Of the default route: "wanb*3" is a next hop on wanb of weight 3; "!" of no
  // use.
  std::vector<std::string> Hops() const {
    std::vector<std::string> hops;
    node_.Enter([&] {
      auto socket = NetlinkSocket::Open();
      ASSERT_TRUE(socket.ok());
      const auto routes = ReadRoutes(*socket);
      ASSERT_TRUE(routes.ok()) << routes.status();
      for (const RouteEntry& route : *routes) {
        if (route.prefix.length != 0 || route.table != 254) continue;
        for (const NextHop& hop : route.next_hops) {
          char name[IF_NAMESIZE] = {};
          if_indextoname(static_cast<unsigned>(hop.ifindex), name);
          EXPECT_EQ(hop.gateway, *IpAddress::Parse(Gateway(name)));
          hops.push_back(std::string(hop.dead || hop.link_down ? "!" : "") +
                         name + "*" + std::to_string(hop.weight));
        }
      }
    });
    return hops;
  }
  void Ip(const std::string& arguments) const {
    node_.Ip((GetParam() ? "-4 " : "-6 ") + arguments);
  }

  ScratchNetns node_;
};
INSTANTIATE_TEST_SUITE_P(, RoutesTest, testing::Values(true, false),
                         [](const auto& family) {
                           return family.param ? std::string("V4")
                                               : std::string("V6");
                         });

TEST_P(RoutesTest, SeesNextHopsWithTheirWeightsAndLinks) {
  Ip("route add default nexthop " + Via("wana") + " weight 1 nexthop " +
     Via("wanb") + " weight 3");
  EXPECT_THAT(Hops(), ElementsAre("wana*1", "wanb*3"));
  node_.Ip("link set wana1 down");
  EXPECT_THAT(Hops(), ElementsAre("!wana*1", "wanb*3"));
}

// As FRR makes them: next hop objects, and groups of such.
TEST_P(RoutesTest, SeesGroupsOfNextHopObjects) {
  Ip("nexthop add id 1 " + Via("wana"));
  Ip("nexthop add id 2 " + Via("wanb"));
  node_.Ip("nexthop add id 9 group 1/2,3");
  Ip("route add default nhid 9");
  EXPECT_THAT(Hops(), ElementsAre("wana*1", "wanb*3"));
  // The kernel takes them out of the group, or the route with them.
  node_.Ip("link set wana down");
  EXPECT_THAT(Hops(), ElementsAre(StartsWith("wanb*")));
  node_.Ip("nexthop del id 2");
  EXPECT_THAT(Hops(), IsEmpty());
}

}  // namespace
}  // namespace godwit
