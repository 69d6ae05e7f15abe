// SPDX-License-Identifier: BSD-3-Clause
// The kernel's routes, links and neighbours -> what workers go by.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/compile/compiler.h"
#include "control/intent/defaults.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// Two uplinks, wan0 and wan1 (interfaces 10 and 11), a gateway on each.
class LinksTest : public testing::Test {
 protected:
  LinksTest() {
    egress_.l4ports = {20000, 20001};
    config_.mutable_node()->add_unicast("198.51.100.7");
    for (const int i : {0, 1}) {
      const std::string name = "wan" + std::to_string(i);
      config_.add_uplinks()->set_name(name);
      OpenUplink& uplink = uplinks_[name];
      uplink.name = name;
      uplink.id = static_cast<DeviceId>(1 + i);
      uplink.tap_id = static_cast<DeviceId>(3 + i);
      uplink.kernel_ifindex = 10 + i;
      Neighbour(10 + i, kGateway[i], NeighbourState::kReachable);
    }
  }

  static IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }
  NextHop Via(int i, uint16_t weight = 1) const {
    return {.gateway = Ip(kGateway[i]), .ifindex = 10 + i, .weight = weight};
  }
  void Neighbour(int ifindex, const char* address, NeighbourState state) {
    std::erase_if(observation_.neighbours, [ifindex](const auto& entry) {
      return entry.ifindex == ifindex;
    });
    observation_.neighbours.push_back(
        {.address = Ip(address), .ifindex = ifindex, .state = state});
    std::sort(
        observation_.neighbours.begin(), observation_.neighbours.end(),
        [](const auto& a, const auto& b) { return a.ifindex < b.ifindex; });
  }
  void Route(const char* prefix, std::vector<NextHop> hops,
             uint32_t metric = 0) {
    observation_.routes.push_back({.prefix = *Prefix::Parse(prefix),
                                   .next_hops = std::move(hops),
                                   .metric = metric,
                                   .table = 254});
  }

  uint16_t Compile() {
    const api::Config full = WithDefaults(config_);
    const std::map<std::string, OpenQueue> queues;
    const std::map<std::string, QueueLiveness> liveness;
    CompileInput input;
    input.config = &full;
    input.uplinks = &uplinks_;
    input.queues = &queues;
    input.observation = &observation_;
    input.egress = &egress_;
    input.liveness = &liveness;
    auto snapshot = compiler_.Compile(input);
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    snapshot_ = *std::move(snapshot);
    return snapshot_->epoch;
  }
  // Device -> weight of the next hops to use.
  std::vector<std::pair<int, int>> Ways(const char* to = "203.0.113.9") {
    const RouteTable::Route* route = snapshot_->routes.Lookup(Ip(to));
    std::vector<std::pair<int, int>> ways;
    if (route == nullptr) return ways;
    for (const RouteTable::NextHop& hop : route->hops) {
      if (hop.alive) ways.emplace_back(hop.device, hop.weight);
    }
    return ways;
  }

  static constexpr const char* kGateway[] = {"198.51.100.1", "192.0.2.1"};
  Compiler compiler_;
  EgressPorts egress_;
  api::Config config_;
  Observation observation_;
  std::map<std::string, OpenUplink> uplinks_;
  std::unique_ptr<Snapshot> snapshot_;
};

TEST_F(LinksTest, TakesAllNextHopsWithTheirWeights) {
  Route("0.0.0.0/0", {Via(0, 3), Via(1)});
  Compile();
  EXPECT_THAT(Ways(), ElementsAre(Pair(1, 3), Pair(2, 1)));
}

TEST_F(LinksTest, LeavesOutWhatTheKernelDoesNotUse) {
  for (const bool dead : {true, false}) {
    observation_.routes.clear();
    NextHop lost = Via(0);
    (dead ? lost.dead : lost.link_down) = true;
    Route("0.0.0.0/0", {lost, Via(1)});
    Compile();
    EXPECT_THAT(Ways(), ElementsAre(Pair(2, 1)));
  }
}

TEST_F(LinksTest, LeavesOutAnUplinkWithoutALinkAndMovesTheEpoch) {
  Route("0.0.0.0/0", {Via(0), Via(1)});
  const uint16_t epoch = Compile();
  uplinks_["wan0"].link_up = false;  // which its TAP need not know
  EXPECT_NE(Compile(), epoch);
  EXPECT_THAT(Ways(), ElementsAre(Pair(2, 1)));
}

TEST_F(LinksTest, LeavesOutAGatewayThatDoesNotAnswer) {
  Route("0.0.0.0/0", {Via(0), Via(1)});
  const uint16_t epoch = Compile();
  for (const auto state : {NeighbourState::kFailed, NeighbourState::kIncomplete,
                           NeighbourState::kNone}) {
    Neighbour(10, kGateway[0], state);
    EXPECT_NE(Compile(), epoch);
    EXPECT_THAT(Ways(), ElementsAre(Pair(2, 1)));
  }
  Neighbour(10, kGateway[0], NeighbourState::kReachable);
  Compile();
  EXPECT_THAT(Ways(), ElementsAre(Pair(1, 1), Pair(2, 1)));
}

TEST_F(LinksTest, WithoutAnyGatewayThatAnswersAllAreTried) {
  Route("0.0.0.0/0", {Via(0), Via(1)});
  for (const int i : {0, 1}) {
    Neighbour(10 + i, kGateway[i], NeighbourState::kFailed);
  }
  Compile();
  EXPECT_THAT(Ways(), ElementsAre(Pair(1, 1), Pair(2, 1)));
  uplinks_["wan1"].link_up = false;
  Compile();
  EXPECT_THAT(Ways(), ElementsAre(Pair(1, 1)));
}

TEST_F(LinksTest, TheNextMetricServesWhileTheFirstIsOfNoUse) {
  Route("0.0.0.0/0", {Via(0)}, 100);
  Route("0.0.0.0/0", {Via(1)}, 200);
  const uint16_t epoch = Compile();
  EXPECT_THAT(Ways(), ElementsAre(Pair(1, 1)));
  Neighbour(10, kGateway[0], NeighbourState::kFailed);
  EXPECT_NE(Compile(), epoch);
  EXPECT_THAT(Ways(), ElementsAre(Pair(2, 1)));
  // With neither it is the first that is asked for.
  Neighbour(11, kGateway[1], NeighbourState::kFailed);
  Compile();
  EXPECT_THAT(Ways(), ElementsAre(Pair(1, 1)));
}

TEST_F(LinksTest, AShorterPrefixServesWhereALongerOneHasNoLink) {
  Route("0.0.0.0/0", {Via(1)});
  Route("203.0.113.0/24", {Via(0)});
  Compile();
  EXPECT_THAT(Ways(), ElementsAre(Pair(1, 1)));
  observation_.routes[1].next_hops[0].link_down = true;
  Compile();
  EXPECT_THAT(Ways(), ElementsAre(Pair(2, 1)));
  // What the operator discards, or sends over what is not ours, stays so.
  observation_.routes[1].next_hops = {{.ifindex = 99}};
  Compile();
  EXPECT_THAT(Ways(), IsEmpty());
  observation_.routes[1].kind = RouteKind::kDiscard;
  observation_.routes[1].next_hops.clear();
  Compile();
  EXPECT_THAT(Ways(), IsEmpty());
}

TEST_F(LinksTest, OneWayAloneIsAskedForAndNothingMovesByItsNeighbour) {
  Route("0.0.0.0/0", {Via(0)});
  const uint16_t epoch = Compile();
  EXPECT_THAT(compiler_.gateways(),
              ElementsAre(Pair(Pair(10, Ip(kGateway[0])), false)));
  Neighbour(10, kGateway[0], NeighbourState::kIncomplete);
  EXPECT_EQ(Compile(), epoch);
  EXPECT_THAT(Ways(), ElementsAre(Pair(1, 1)));
}

TEST_F(LinksTest, GatewaysThatStandInForEachOtherAreWatched) {
  Route("0.0.0.0/0", {Via(0)}, 100);
  Route("0.0.0.0/0", {Via(1)}, 200);
  Compile();
  EXPECT_THAT(compiler_.gateways(),
              ElementsAre(Pair(Pair(10, Ip(kGateway[0])), true),
                          Pair(Pair(11, Ip(kGateway[1])), true)));
}

}  // namespace
}  // namespace godwit
