// SPDX-License-Identifier: BSD-3-Clause
#include "control/compile/compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "control/intent/defaults.h"

namespace godwit {
namespace {

// A node without devices: what flows are decided by, and no more.
class CompilerTest : public testing::Test {
 protected:
  CompilerTest() { egress_.l4ports = {20000, 20001}; }

  std::unique_ptr<Snapshot> Compile(const api::Config& config,
                                    bool changed = true) {
    const api::Config full = WithDefaults(config);
    CompileInput input;
    input.config = &full;
    input.uplinks = &uplinks_;
    input.queues = &queues_;
    input.observation = &observation_;
    input.egress = &egress_;
    input.liveness = &liveness_;
    input.config_changed = changed;
    input.judged = judged_;
    auto snapshot = compiler_.Compile(input);
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot.ok() ? *std::move(snapshot) : nullptr;
  }

  static api::Config Empty() {
    api::Config config;
    config.mutable_node()->add_unicast("198.51.100.7");
    return config;
  }
  static void Add(api::Config& config, const std::string& name) {
    config.add_queues()->set_name(name);
    api::Service& service = *config.add_services();
    service.set_name(name);
    service.add_queues()->set_queue("kernel");
  }

  Compiler compiler_;
  EgressPorts egress_;
  Observation observation_;
  std::map<std::string, OpenUplink> uplinks_;
  std::map<std::string, OpenQueue> queues_;
  std::map<std::string, QueueLiveness> liveness_;
  uint64_t judged_ = 0;
};

TEST_F(CompilerTest, NumbersStayWhileNamesStay) {
  api::Config config = Empty();
  Add(config, "a");
  Add(config, "b");
  Compile(config);
  const ServiceId service = compiler_.ServiceNumber("b");
  const QueueId queue = compiler_.QueueNumber("b");
  config.mutable_services()->DeleteSubrange(0, 1);
  config.mutable_queues()->DeleteSubrange(0, 1);
  const auto snapshot = Compile(config);
  EXPECT_EQ(compiler_.ServiceNumber("b"), service);
  EXPECT_EQ(compiler_.QueueNumber("b"), queue);
  EXPECT_EQ(compiler_.ServiceNumber("a"), kNoService);
  EXPECT_TRUE(snapshot->services[service].in_use);
}

TEST_F(CompilerTest, WhatComesBackIsAnother) {
  api::Config config = Empty();
  Add(config, "a");
  Compile(config);
  const ServiceId service = compiler_.ServiceNumber("a");
  const QueueId queue = compiler_.QueueNumber("a");
  Compile(Empty());
  Compile(config);
  EXPECT_NE(compiler_.ServiceNumber("a"), service);
  EXPECT_NE(compiler_.QueueNumber("a"), queue);
}

TEST_F(CompilerTest, NumbersDoNotRunOut) {
  constexpr int kAtOnce = 500;
  for (int i = 0; i < 100'000; i += kAtOnce) {
    api::Config config = Empty();
    for (int k = 0; k < kAtOnce; ++k) Add(config, absl::StrCat("s", i + k));
    const auto snapshot = Compile(config);
    ASSERT_NE(snapshot, nullptr) << i;
    judged_ = snapshot->generation;
  }
  // The tables by number stay as short as what is in use and rests.
  EXPECT_LE(compiler_.highest_service(), 2 * kAtOnce + 1024u + 1);
  EXPECT_LE(compiler_.highest_queue(), 2 * kAtOnce + 1024u + 1);
}

TEST_F(CompilerTest, NoNumberGoesToAnotherWhileAFlowMayNameIt) {
  std::set<ServiceId> services;
  std::set<QueueId> queues;
  for (int i = 0; i < 4000; i += 500) {  // no worker gets to judging
    api::Config config = Empty();
    for (int k = 0; k < 500; ++k) Add(config, absl::StrCat("s", i + k));
    ASSERT_NE(Compile(config), nullptr);
    for (int k = 0; k < 500; ++k) {
      const std::string name = absl::StrCat("s", i + k);
      EXPECT_TRUE(services.insert(compiler_.ServiceNumber(name)).second);
      EXPECT_TRUE(queues.insert(compiler_.QueueNumber(name)).second);
    }
  }
}

TEST_F(CompilerTest, TheEpochMovesWithWhatFlowsAreDecidedBy) {
  const auto first = Compile(Empty());
  const auto same = Compile(Empty(), /*changed=*/false);
  EXPECT_EQ(same->epoch, first->epoch);
  EXPECT_EQ(same->generation, first->generation + 1);
  EXPECT_NE(Compile(Empty())->epoch, first->epoch);
}

TEST_F(CompilerTest, LanesAreSharedOutOverTheWorkers) {
  api::Config config = Empty();
  config.add_queues()->set_name("q");
  OpenQueue& queue = queues_["q"];
  queue.id = 1;
  queue.name = "q";
  queue.lanes.rxqs = {{7, 0}, {7, 1}};
  queue.lanes.txqs = {{7, 0}};
  const auto snapshot = Compile(config);
  ASSERT_EQ(snapshot->devices.size(), 2u);
  EXPECT_EQ(snapshot->devices[1].rx[0].size(), 2u);
  EXPECT_EQ(snapshot->devices[1].tx_owner[0], 0);
  queue.lanes = {};  // it does not run
  EXPECT_TRUE(Compile(config)->devices[1].rx[0].empty());
  // Nothing is sent, least of all by the first device there is.
  EXPECT_TRUE(Compile(config)->devices[1].tx.empty());
}

TEST_F(CompilerTest, GoesOnWithTheNumbersOfAnEarlierProcess) {
  Numbers numbers;
  numbers.services = {{"web", 9}, {"gone", 2}};
  numbers.queues = {{"web0", 5}};
  numbers.unicast = {*IpAddress::Parse("203.0.113.1"),
                     *IpAddress::Parse("203.0.113.2")};
  compiler_.Restore(numbers, {.endpoint_independent = true});
  api::Config config = Empty();
  config.mutable_node()->add_unicast("203.0.113.2");
  config.mutable_node()->add_unicast("203.0.113.3");
  config.add_queues()->set_name("web0");
  config.add_queues()->set_name("dns0");
  config.add_services()->set_name("web");
  const auto snapshot = Compile(config);
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(compiler_.ServiceNumber("web"), 9);
  EXPECT_EQ(compiler_.QueueNumber("web0"), 5);
  EXPECT_NE(compiler_.QueueNumber("dns0"), 5);
  EXPECT_EQ(snapshot->nat->IdOf(*IpAddress::Parse("203.0.113.2")), 1);
  EXPECT_EQ(snapshot->nat->IdOf(*IpAddress::Parse("198.51.100.7")), 0);
  EXPECT_EQ(snapshot->nat->IdOf(*IpAddress::Parse("203.0.113.3")), 2);
  EXPECT_FALSE(snapshot->nat->IsUnicast(*IpAddress::Parse("203.0.113.1")));
  EXPECT_TRUE(snapshot->nat->endpoint_independent_used);
  EXPECT_TRUE(Compile(config)->nat->endpoint_independent_used);
}

// L2-09: of an uplink's networks alone, and no address of our own.
TEST_F(CompilerTest, BroadcastAddressesAreNobodys) {
  OpenUplink& uplink = uplinks_["wan0"];
  uplink.id = 1;
  uplink.tap_id = 2;
  uplink.kernel_ifindex = 5;
  const auto has = [this](int ifindex, const char* text) {
    observation_.addresses.push_back({ifindex, *Prefix::Parse(text)});
  };
  has(5, "198.51.100.7/24");
  has(5, "203.0.113.0/25");
  has(5, "203.0.113.192/31");
  has(5, "203.0.113.200/32");
  has(5, "2001:db8:7::7/64");
  has(6, "192.0.2.9/24");
  api::Config config = Empty();
  config.add_uplinks()->set_name("wan0");
  // The kernel says that there is a host.
  observation_.routes.push_back({.prefix = *Prefix::Parse("198.51.100.0/32"),
                                 .next_hops = {{.ifindex = 5}},
                                 .table = 254});
  const auto snapshot = Compile(config);
  std::set<std::string> broadcast;
  for (const RouteTable::Route& route : snapshot->routes.routes()) {
    if (snapshot->routes.IsBroadcast(route.prefix.address)) {
      broadcast.insert(route.prefix.ToString());
    }
  }
  EXPECT_THAT(broadcast,
              testing::ElementsAre("198.51.100.255/32", "203.0.113.127/32"));
}

}  // namespace
}  // namespace godwit
