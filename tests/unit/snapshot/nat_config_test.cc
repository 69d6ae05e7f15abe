// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/snapshot/nat_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

namespace godwit {
namespace {

std::vector<uint16_t> L4Ports(unsigned low, unsigned high) {
  std::vector<uint16_t> all;
  for (unsigned i = low; i <= high; ++i) {
    // A hole, as the kernel's own range leaves.
    if (i >= 32768 && i < 61000) continue;
    all.push_back(static_cast<uint16_t>(i));
  }
  return all;
}

// MAP-18: every l4port has one owner, whose block it is in; ICQ-06 wants 0 and
// 65535 too.
TEST(L4PortPlanTest, EveryL4PortHasOneOwner) {
  for (const unsigned workers : {1U, 2U, 3U, 4U, 7U, 254U}) {
    const auto l4ports = L4Ports(0, 65535);
    const L4PortPlan plan(l4ports, workers);
    std::set<uint16_t> seen;
    for (unsigned worker = 0; worker < workers; ++worker) {
      const auto block = plan.BlockOf(worker);
      EXPECT_LE(block.size(), l4ports.size() / workers + 1);
      EXPECT_GE(block.size(), l4ports.size() / workers);
      for (const uint16_t l4port : block) {
        EXPECT_TRUE(seen.insert(l4port).second);
        EXPECT_EQ(plan.Owner(l4port), worker);
        EXPECT_TRUE(plan.Contains(l4port));
      }
    }
    EXPECT_EQ(std::vector<uint16_t>(seen.begin(), seen.end()), l4ports);
    EXPECT_FALSE(plan.Contains(32768));
    EXPECT_FALSE(plan.Contains(60999));
    EXPECT_EQ(plan.Owner(40000), L4PortPlan::kNobody);
  }
}

// CFG-05: the kernel takes an l4port or gives one back (`ports: auto`), or an
// operator moves the range: no other l4port changes hands.
TEST(L4PortPlanTest, LaterPlansLeaveL4PortsWhereTheyWere) {
  for (const unsigned workers : {1U, 2U, 3U, 7U}) {
    auto l4ports = L4Ports(1024, 32000);
    L4PortPlan plan(l4ports, workers);
    std::array<uint8_t, 65536> first{};
    for (unsigned i = 0; i < 65536; ++i) {
      first[i] = plan.Owner(static_cast<uint16_t>(i));
    }
    const auto expect_steered = [&] {
      for (unsigned i = 1024; i < 32000; ++i) {
        ASSERT_EQ(plan.Owner(static_cast<uint16_t>(i)), first[i]) << i;
      }
    };
    for (const uint16_t taken :
         std::vector<uint16_t>{1024, 5060, 8080, 31999}) {
      std::erase(l4ports, taken);
      plan = L4PortPlan(l4ports, workers, plan);
      EXPECT_FALSE(plan.Contains(taken));
      expect_steered();
    }
    plan = L4PortPlan(L4Ports(1024, 32000), workers, plan);
    EXPECT_TRUE(plan.Contains(8080));
    expect_steered();
    plan = L4PortPlan(L4Ports(61000, 65535), workers, plan);
    EXPECT_FALSE(plan.Contains(8080));
    expect_steered();
    for (unsigned worker = 0; worker < workers; ++worker) {
      EXPECT_NEAR(static_cast<double>(plan.BlockOf(worker).size()),
                  4536.0 / workers, 1.0);
    }
  }
}

// A part of the range is shared as evenly as the whole was.
TEST(L4PortPlanTest, LaterPlansLeaveNoWorkerWithout) {
  for (const unsigned workers : {2U, 3U, 4U}) {
    const L4PortPlan whole(L4Ports(1024, 16383), workers);
    const L4PortPlan part(L4Ports(1024, 4095), workers, whole);
    for (unsigned worker = 0; worker < workers; ++worker) {
      EXPECT_NEAR(static_cast<double>(part.BlockOf(worker).size()),
                  3072.0 / workers, 64.0);
      for (const uint16_t l4port : part.BlockOf(worker)) {
        EXPECT_EQ(whole.Owner(l4port), worker);
      }
    }
  }
}

TEST(L4PortPlanTest, FewerL4PortsThanWorkers) {
  const L4PortPlan plan({1024, 65535}, 4);
  EXPECT_TRUE(plan.Contains(1024));
  EXPECT_TRUE(plan.Contains(65535));
  size_t all = 0;
  for (unsigned worker = 0; worker < 4; ++worker) {
    all += plan.BlockOf(worker).size();
  }
  EXPECT_EQ(all, 2U);
}

TEST(L4PortPlanTest, NoneIsNobodys) {
  const L4PortPlan none;
  EXPECT_EQ(none, L4PortPlan({}, 2));
  EXPECT_FALSE(none.Contains(0));
  EXPECT_TRUE(none.BlockOf(0).empty());
}

TEST(NatConfigTest, KnowsItsOwnAddresses) {
  NatConfig nat;
  const auto own = IpAddress::Parse("203.0.113.7").value();
  // The second is no longer in use and nobody's.
  nat.unicast = {own, IpAddress{}, IpAddress::Parse("0.0.0.0").value()};
  EXPECT_TRUE(nat.IsUnicast(own));
  EXPECT_FALSE(nat.IsUnicast(IpAddress{}));
  EXPECT_FALSE(nat.IsUnicast(IpAddress::Parse("0.0.0.0").value()));
  EXPECT_FALSE(nat.IsUnicast(IpAddress::Parse("203.0.113.8").value()));
}

TEST(NatConfigTest, KnowsDirectDestinations) {
  NatConfig nat;
  nat.direct = {Prefix::Parse("203.0.113.0/24").value(),
                Prefix::Parse("::/0").value()};
  EXPECT_TRUE(nat.IsDirect(IpAddress::Parse("203.0.113.255").value()));
  EXPECT_FALSE(nat.IsDirect(IpAddress::Parse("203.0.114.0").value()));
  EXPECT_TRUE(nat.IsDirect(IpAddress::Parse("2001:db8::1").value()));
}

// What was once in force is not forgotten; what never was costs nothing.
TEST(NatConfigTest, RemembersWhatFlowsWereMadeBy) {
  const IpAddress first = *IpAddress::Parse("198.51.100.7");
  const IpAddress second = *IpAddress::Parse("2001:db8:7::7");
  NatConfig one;
  one.unicast = {first, second};
  one.l4ports = L4PortPlan(L4Ports(1024, 2047), 2);
  one.Remember(nullptr);
  EXPECT_FALSE(one.MayHaveMoved());
  EXPECT_FALSE(one.direct_used);
  NatConfig two = one;
  two.direct = {*Prefix::Parse("203.0.113.0/24")};
  two.Remember(&one);
  EXPECT_FALSE(two.MayHaveMoved());  // `direct` moves none by itself
  NatConfig three = one;
  three.unicast[0] = IpAddress{};
  three.Remember(&two);
  EXPECT_TRUE(three.MayHaveMoved());
  EXPECT_TRUE(three.direct_used);
  EXPECT_FALSE(three.endpoint_independent_used);
  EXPECT_FALSE(three.IsUnicast(first));
  EXPECT_TRUE(three.HasHad(first));
  EXPECT_EQ(three.IdOf(first), kNoUnicast);
  EXPECT_EQ(three.IdOf(second), 1);
  NatConfig four = one;
  four.mapping = Mapping::kEndpointIndependent;
  four.Remember(&three);
  EXPECT_TRUE(four.HasHad(first));
  EXPECT_THAT(four.former_unicast, testing::IsEmpty());  // it is back
  EXPECT_TRUE(four.per_destination_used);
  NatConfig five = one;
  five.l4ports = L4PortPlan(L4Ports(1024, 2100), 2, one.l4ports);
  five.Remember(&one);
  EXPECT_TRUE(five.MayHaveMoved());
  five = one;
  five.Remember(&four);
  EXPECT_TRUE(five.endpoint_independent_used);
  EXPECT_TRUE(five.plan_moved);
}

}  // namespace
}  // namespace godwit
