// SPDX-License-Identifier: BSD-3-Clause
// Contract, "Changes": an established flow keeps its decision until it ends,
// wherever the rules of today would have put it (stage/seek.h, CFG-05).
#include <memory>
#include <set>

#include "tests/walks/conversation.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;

class MovesWalk : public testing::TestWithParam<std::tuple<Family, int>> {
 protected:
  AddressAndPort End(const std::string& address, unsigned l4port) const {
    return {*IpAddress::Parse(address), static_cast<uint16_t>(l4port)};
  }
  uint8_t icmp() const { return at.v4 ? kProtoIcmp : kProtoIcmpv6; }
  void Start() {
    Walk::Options options;
    options.workers = static_cast<unsigned>(std::get<1>(GetParam()));
    walk_ = std::make_unique<Walk>(world_, options);
  }
  void Use(Mapping mapping) { world_.nat().mapping = mapping; }
  void Publish() { walk_->Publish(world_.Change()); }

  const Conversation& Open(uint8_t protocol, const std::string& device,
                           const AddressAndPort& from,
                           const AddressAndPort& to) {
    all_.emplace_back(*walk_, protocol, device, Ends{from, to});
    EXPECT_TRUE(all_.back().opened())
        << all_.back().ToString() << ": " << walk_->ending();
    return all_.back();
  }
  // Of what `queue` originates: every protocol, from an address of its own and
  // from the node's, within the range of l4ports and outside of it.
  void OpenOriginated(const std::string& queue, unsigned l4port) {
    const AddressAndPort remote = End(at.remote, 443);
    const AddressAndPort nobody = End(at.remote, 0);
    for (const uint8_t protocol : {kProtoUdp, kProtoTcp}) {
      Open(protocol, queue, End(at.internal, l4port), remote);
      Open(protocol, queue, End(at.internal, l4port), End(at.client, 443));
      Open(protocol, queue, End(at.unicast, l4port), remote);
      Open(protocol, queue, End(at.unicast, 45000 + l4port), remote);
      Open(protocol, queue, End(at.unicast, l4port), End(at.direct, 443));
      Open(protocol, queue, End(at.unicast, 45000 + l4port),
           End(at.direct, 443));
    }
    Open(icmp(), queue, End(at.internal, l4port), nobody);
    Open(icmp(), queue, End(at.unicast, l4port), nobody);
  }
  void ExpectAllAsBefore() {
    for (const Conversation& one : all_) EXPECT_EQ(one.Differs(*walk_), "");
  }

  const Family& at = std::get<0>(GetParam());
  SnapshotBuilder world_ = World();
  std::unique_ptr<Walk> walk_;
  std::vector<Conversation> all_;
};
INSTANTIATE_TEST_SUITE_P(, MovesWalk,
                         testing::Combine(testing::Values(V4(), V6()),
                                          testing::Values(2, 3, 5)),
                         [](const auto& param) {
                           return std::get<0>(param.param).name + "By" +
                                  std::to_string(std::get<1>(param.param));
                         });

TEST_P(MovesWalk, Cfg05AnotherMappingLeavesFlows) {
  Start();
  unsigned l4port = 5000;
  for (const Mapping mapping :
       {Mapping::kEndpointIndependent, Mapping::kPerDestination,
        Mapping::kEndpointIndependent, Mapping::kPerDestination}) {
    for (int i = 0; i < 5; ++i) OpenOriginated("crawl0", l4port++);
    const uint64_t mappings = walk_->mappings();
    Use(mapping);
    Publish();
    ExpectAllAsBefore();
    EXPECT_EQ(walk_->mappings(), mappings);
  }
}

TEST_P(MovesWalk, Cfg05AnotherMappingRangeAndDirectTogetherLeaveFlows) {
  Start();
  const auto direct = world_.nat().direct;
  unsigned l4port = 5000;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 3; ++i) OpenOriginated("crawl0", l4port++);
    const uint64_t mappings = walk_->mappings();
    Use(round % 2 == 0 ? Mapping::kEndpointIndependent
                       : Mapping::kPerDestination);
    // The second has l4ports that were programs' own before.
    const std::pair<uint16_t, uint16_t> ranges[] = {
        {52000, 52999}, {4096, 5999}, {50000, 50999}};
    world_.EgressL4Ports(ranges[round % 3].first, ranges[round % 3].second);
    world_.nat().direct = direct;
    if (round % 4 == 0) world_.Direct(at.remote + (at.v4 ? "/32" : "/128"));
    if (round % 4 == 1) world_.nat().direct.clear();
    Publish();
    ExpectAllAsBefore();
    EXPECT_EQ(walk_->mappings(), mappings);
    world_.nat().direct = direct;
    Publish();
  }
}

TEST_P(MovesWalk, ErrorsAndPiecesFollowTheirFlows) {
  Start();
  uint16_t id = 100;
  for (const Mapping mapping :
       {Mapping::kPerDestination, Mapping::kEndpointIndependent,
        Mapping::kPerDestination}) {
    Use(mapping);
    Publish();
    for (unsigned i = 0; i < 12; ++i) {
      const unsigned l4port = 5000 + id + i;
      for (const uint8_t protocol : {kProtoUdp, kProtoTcp}) {
        Open(protocol, "crawl0", End(at.internal, l4port), End(at.remote, 53));
      }
      Open(icmp(), "crawl0", End(at.internal, l4port), End(at.remote, 0));
    }
    for (const Conversation& one : all_) {
      EXPECT_EQ(one.PiecesDiffer(*walk_, id++), "");
      EXPECT_EQ(one.ErrorsDiffer(*walk_, at.router), "");
    }
  }
}

// RFC 4787 REQ-1 for what begins under it; what began before goes its own way.
TEST_P(MovesWalk, ABindingServesAgainWhenItsMappingDoes) {
  Use(Mapping::kEndpointIndependent);
  Start();
  std::map<unsigned, uint16_t> bound;
  for (unsigned l4port = 5000; l4port < 5020; ++l4port) {
    bound[l4port] =
        Open(kProtoUdp, "crawl0", End(at.internal, l4port), End(at.remote, 53))
            .outside()
            .l4port;
  }
  Use(Mapping::kPerDestination);
  Publish();
  ExpectAllAsBefore();
  for (unsigned l4port = 5000; l4port < 5020; ++l4port) {
    Open(kProtoUdp, "crawl0", End(at.internal, l4port), End(at.remote, 54));
  }
  Use(Mapping::kEndpointIndependent);
  Publish();
  ExpectAllAsBefore();
  for (unsigned l4port = 5000; l4port < 5020; ++l4port) {
    const Conversation& one =
        Open(kProtoUdp, "crawl0", End(at.internal, l4port), End(at.remote, 55));
    EXPECT_EQ(one.outside().l4port, bound[l4port]);
  }
  ExpectAllAsBefore();
}

// Flows of both mappings at once: none gets what another has.
TEST_P(MovesWalk, TwoFlowsNeverShareAnL4PortTowardsOneRemote) {
  world_.EgressL4Ports(50000, 50059);
  Start();
  unsigned l4port = 5000;
  for (int round = 0; round < 3; ++round) {
    for (unsigned i = 0; i < 10; ++i, ++l4port) {
      Open(kProtoUdp, "crawl0", End(at.internal, l4port), End(at.client, 53));
      Open(kProtoUdp, "crawl0", End(at.internal, l4port), End(at.remote, 53));
    }
    Use(round % 2 == 0 ? Mapping::kEndpointIndependent
                       : Mapping::kPerDestination);
    Publish();
  }
  // Also those that were bound towards the one, and now go to the other.
  for (unsigned i = 5000; i < 5020; ++i) {
    Open(kProtoUdp, "crawl0", End(at.internal, i), End(at.client, 54));
  }
  std::set<std::pair<uint16_t, std::string>> seen;
  for (const Conversation& one : all_) {
    EXPECT_TRUE(
        seen.emplace(one.outside().l4port, one.far_end().ToString()).second)
        << one.ToString();
  }
  ExpectAllAsBefore();
}

// A destination with many flows remembers what was found taken there.
TEST_P(MovesWalk, WhatSessionsHadServesOthersAfterThem) {
  constexpr unsigned kL4Ports = 700;
  world_.EgressL4Ports(50000, 50000 + kL4Ports - 1);
  Use(Mapping::kEndpointIndependent);
  Start();
  const auto open = [this](unsigned begin, unsigned end) {
    for (unsigned l4port = begin; l4port < end; ++l4port) {
      Open(kProtoUdp, "crawl0", End(at.internal, l4port), End(at.remote, 53));
    }
  };
  open(5000, 5300);
  Use(Mapping::kPerDestination);
  Publish();
  walk_->Wait(200);
  open(6000, 6300);
  walk_->Wait(110);
  EXPECT_EQ(walk_->mappings(), 300u);
  open(7000, 7400);
  EXPECT_EQ(walk_->mappings(), kL4Ports);
}

// What leaves as it is has no choice of l4ports.
TEST_P(MovesWalk, WhatMayLeaveAsItIsTakesNoFlowFromAnother) {
  Start();
  const Conversation first =
      Open(kProtoUdp, "crawl0", End(at.internal, 5000), End(at.remote, 53));
  world_.Direct(at.remote + (at.v4 ? "/32" : "/128"));
  Publish();
  const auto same =
      Udp(at.At(at.unicast, first.outside().l4port), at.At(at.remote, 53));
  EXPECT_THAT(walk_->Send("dns0", same),
              testing::Not(testing::Contains(ArrivesAt("wan0"))));
  EXPECT_THAT(walk_->ending(), testing::HasSubstr("nat_no_port"));
  ExpectAllAsBefore();
}

TEST_P(MovesWalk, EveryPolicyWorksUnderBothMappings) {
  world_.service("dns").replies = Replies::kTracked;
  Start();
  unsigned l4port = 4000;
  for (const Mapping mapping :
       {Mapping::kPerDestination, Mapping::kEndpointIndependent}) {
    Use(mapping);
    Publish();
    for (unsigned i = 0; i < 12; ++i, ++l4port) {
      Open(kProtoTcp, "mail0", End(at.mail, l4port), End(at.remote, 25));
      Open(kProtoUdp, "mail0", End(at.mail, l4port), End(at.remote, 53));
      Open(kProtoTcp, "wan0", End(at.client, l4port), End(at.dns, 53));
      Open(kProtoUdp, "wan0", End(at.client, l4port), End(at.dns, 53));
      Open(icmp(), "wan0", End(at.client, l4port), End(at.dns, 0));
      // From an endpoint, but no reply.
      Open(kProtoTcp, "dns0", End(at.dns, 53), End(at.remote, l4port));
      Open(kProtoUdp, "dns0", End(at.dns, 53), End(at.remote, l4port));
      Open(kProtoTcp, "crawl0", End(at.internal, l4port), End(at.mail, 25));
    }
    ExpectAllAsBefore();
    for (const Conversation& one : all_) {
      EXPECT_EQ(one.ErrorsDiffer(*walk_, at.router), "");
    }
  }
  world_.service("dns").replies = Replies::kTuple;
  world_.queue("mail0").originate = Originate::kUnicast;
  Publish();
  ExpectAllAsBefore();
}

TEST_P(MovesWalk, ASourceThatBecomesAnEndpointKeepsItsFlows) {
  Use(Mapping::kEndpointIndependent);
  Start();
  for (unsigned l4port = 5000; l4port < 5012; ++l4port) {
    Open(kProtoUdp, "crawl0", End(at.internal, l4port), End(at.remote, 53));
    Open(kProtoTcp, "crawl0", End(at.internal, l4port), End(at.remote, 53));
  }
  world_.Service("late", {at.internal}, {"udp/5000-5999", "tcp/5000-5999"},
                 {"crawl0"});
  Publish();
  ExpectAllAsBefore();
  world_.RemoveService("late");
  Publish();
  ExpectAllAsBefore();
  EXPECT_EQ(walk_->mappings(), 24u);
}

TEST_P(MovesWalk, ASourceThatBecomesTheNodesOwnKeepsItsFlows) {
  Start();
  for (unsigned l4port = 50100; l4port < 50112; ++l4port) {
    Open(kProtoUdp, "crawl0", End(at.internal, l4port), End(at.remote, 53));
    Open(kProtoTcp, "crawl0", End(at.internal, l4port), End(at.remote, 53));
  }
  // Behind those that are there: whom an originator has does not move.
  auto& nat = world_.nat();
  nat.unicast.push_back(*IpAddress::Parse(at.internal));
  ++nat.plan_version;
  Publish();
  ExpectAllAsBefore();
  nat.unicast.back() = IpAddress{};
  ++nat.plan_version;
  Publish();
  ExpectAllAsBefore();
  EXPECT_EQ(walk_->mappings(), 24u);
}

// Who is not the flow's queue may speak for the service, but takes nothing.
TEST_P(MovesWalk, AReplyOfAnotherQueueTakesNoFlow) {
  Start();
  for (unsigned l4port = 4000; l4port < 4024; ++l4port) {
    const Conversation& one =
        Open(kProtoUdp, "wan0", End(at.client, l4port), End(at.dns, 53));
    const char* other = one.far_device() == "dns0" ? "dns1" : "dns0";
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(
          walk_->Send(other, Udp(at.At(at.dns, 53), at.At(at.client, l4port))),
          ElementsAre(ArrivesAt("wan0")));
      EXPECT_EQ(one.Differs(*walk_), "");
    }
  }
  EXPECT_EQ(walk_->inbound(), 24u);
}

TEST_P(MovesWalk, EndsWhatTheContractSays) {
  Start();
  // Both ends in the node: the service goes.
  Open(kProtoUdp, "crawl0", End(at.internal, 5000), End(at.dns, 53));
  // `vip`: its address goes to another service, of other queues.
  Open(kProtoUdp, "mail0", End(at.mail, 5000), End(at.remote, 53));
  EXPECT_EQ(walk_->mappings(), 2u);
  world_.RemoveService("dns").RemoveService("mail");
  world_.Service("post", {V4().mail, V6().mail}, {"tcp/25"}, {"dns0"});
  Publish();
  for (int i = 0; i < 20; ++i) walk_->Wait(0);
  EXPECT_EQ(walk_->mappings(), 0u);
  EXPECT_EQ(walk_->inbound(), 0u);
}

}  // namespace
}  // namespace godwit
