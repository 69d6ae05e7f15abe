// SPDX-License-Identifier: BSD-3-Clause
// A worker that has run out of l4ports towards a destination borrows others'
// (stage/lend.h): all are given out before one flow is refused, and a lent flow
// is treated as any other (EXH-01).
#include <set>

#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr unsigned kL4Ports = 64;
// Of one owner, by the rule (flow/owner.h), with 2, 3 or 5 workers.
constexpr unsigned kStep = 60;

using Shape = std::tuple<Family, int, Mapping>;

std::string NameOfShape(const testing::TestParamInfo<Shape>& shape) {
  const auto& [family, workers, mapping] = shape.param;
  return family.name + "By" + std::to_string(workers) +
         (mapping == Mapping::kPerDestination ? "PerDestination"
                                              : "EndpointIndependent");
}

class LendWalk : public testing::TestWithParam<Shape> {
 protected:
  LendWalk() { world_.nat().mapping = std::get<2>(GetParam()); }

  std::string Inside(unsigned flow) const {
    return at.At(at.internal, 5000 + kStep * flow);
  }
  std::string Remote() const { return at.At(at.remote, 53); }
  PacketBuilder Query(unsigned flow) const {
    return Udp(Inside(flow), Remote());
  }
  // The l4port that it left with, 0 if it did not.
  unsigned Leave(const PacketBuilder& packet) {
    const auto out = walk_->Send("crawl0", packet);
    EXPECT_THAT(out, ElementsAre(ArrivesAt("wan0"))) << walk_->ending();
    return out.size() == 1 ? at.SourceL4PortOf(out[0].Packet()) : 0;
  }
  std::vector<unsigned> Fill(const char* flags = nullptr) {
    std::vector<unsigned> given;
    for (unsigned flow = 0; flow < kL4Ports; ++flow) {
      given.push_back(Leave(flags == nullptr
                                ? Query(flow)
                                : Tcp(Inside(flow), Remote()).Flags(flags)));
    }
    const std::set<unsigned> different(given.begin(), given.end());
    EXPECT_EQ(different.size(), kL4Ports);
    return given;
  }
  void ExpectAnswered(unsigned flow, unsigned given) {
    const auto answer = Udp(Remote(), at.At(at.unicast, given));
    EXPECT_THAT(
        walk_->Send("wan0", answer),
        ElementsAre(Arrives("crawl0", Udp(Remote(), Inside(flow)).Packet())));
  }
  void ExpectErrorsAndFragments(unsigned flow, unsigned given);
  void ChangeMapping() {
    auto& mapping = world_.nat().mapping;
    mapping = mapping == Mapping::kPerDestination
                  ? Mapping::kEndpointIndependent
                  : Mapping::kPerDestination;
    walk_->Publish(world_.Change());
  }
  void ExpectRefused(const PacketBuilder& packet) {
    EXPECT_THAT(walk_->Send("crawl0", packet),
                ElementsAre(ArrivesAt("crawl0")));
    EXPECT_EQ(walk_->ending(), "delivered nat_no_port");
  }
  // Until what is due has ended: a turn does a slice of it.
  void Pass(double seconds) {
    walk_->Wait(seconds);
    for (int i = 0; i < 100; ++i) walk_->Wait(0);
  }
  void Start() {
    Walk::Options options;
    options.workers = static_cast<unsigned>(std::get<1>(GetParam()));
    walk_ = std::make_unique<Walk>(world_, options);
  }

  const Family& at = std::get<0>(GetParam());
  SnapshotBuilder world_ = World().EgressL4Ports(50000, 50000 + kL4Ports - 1);
  std::unique_ptr<Walk> walk_;
  uint16_t next_id_ = 100;
};
INSTANTIATE_TEST_SUITE_P(
    , LendWalk,
    testing::Combine(testing::Values(V4(), V6()), testing::Values(2, 3, 5),
                     testing::Values(Mapping::kPerDestination,
                                     Mapping::kEndpointIndependent)),
    NameOfShape);

// Of a connection the owner may know no more than who lends its l4port.
TEST_P(LendWalk, ConnectionsGoOnAfterTheirSyn) {
  Start();
  const auto given = Fill("S");
  for (unsigned flow = 0; flow < kL4Ports; ++flow) {
    const auto segment = Tcp(Inside(flow), Remote());
    EXPECT_EQ(Leave(PacketBuilder(segment).Flags("A")), given[flow]);
    EXPECT_EQ(Leave(PacketBuilder(segment).Flags("FA")), given[flow]);
  }
  EXPECT_EQ(walk_->mappings(), kL4Ports);
}

TEST_P(LendWalk, RefusesNoneWhileAnyWorkerHasAnL4Port) {
  Start();
  const auto given = Fill();
  EXPECT_EQ(walk_->mappings(), kL4Ports);
  ExpectRefused(Query(kL4Ports));
  EXPECT_EQ(walk_->mappings(), kL4Ports);
  EXPECT_EQ(walk_->counters().at("nat_no_port"), 1u);
  // Each keeps its own, and what comes back finds its way.
  for (unsigned flow = 0; flow < kL4Ports; ++flow) {
    EXPECT_EQ(Leave(Query(flow)), given[flow]);
    ExpectAnswered(flow, given[flow]);
  }
  EXPECT_EQ(walk_->mappings(), kL4Ports);
}

TEST_P(LendWalk, GivesAllOutInOneBurst) {
  Start();
  std::vector<Bytes> frames;
  for (unsigned i = 0; i < 2 * kL4Ports; ++i) {
    frames.push_back(Query(i / 2).Frame());  // a second packet close behind
  }
  for (unsigned at_once = 0; at_once < frames.size(); at_once += 64) {
    const std::vector<Bytes> burst(frames.begin() + at_once,
                                   frames.begin() + at_once + 64);
    EXPECT_EQ(walk_->SendAll("crawl0", burst).size(), burst.size());
  }
  EXPECT_EQ(walk_->mappings(), kL4Ports);
  ExpectRefused(Query(kL4Ports));
}

void LendWalk::ExpectErrorsAndFragments(unsigned flow, unsigned given) {
  const auto answer = Udp(Remote(), at.At(at.unicast, given)).PayloadSize(64);
  const auto inward = walk_->Send("wan0", answer);
  ASSERT_THAT(inward, ElementsAre(ArrivesAt("crawl0")));
  const auto refused =
      IcmpError(at.internal, at.v4 ? 3 : 1, at.v4 ? 3 : 4, inward[0].Packet());
  EXPECT_THAT(
      walk_->Send("crawl0", refused),
      ElementsAre(Arrives("wan0", IcmpError(at.unicast, at.v4 ? 3 : 1,
                                            at.v4 ? 3 : 4, answer.Packet())
                                      .Packet())))
      << walk_->ending();
  const auto pieces =
      Query(flow).IpId(next_id_++).PayloadSize(600).Fragments(304);
  for (const Bytes& piece : pieces) {
    EXPECT_THAT(walk_->Send("crawl0", piece), ElementsAre(ArrivesAt("wan0")))
        << walk_->ending();
  }
}

TEST_P(LendWalk, TranslatesErrorsAndFragmentsOfALentFlow) {
  Start();
  const auto given = Fill();
  for (unsigned flow = 0; flow < kL4Ports; ++flow) {
    ExpectErrorsAndFragments(flow, given[flow]);
  }
  EXPECT_EQ(walk_->mappings(), kL4Ports);
}

// Two flows of each endpoint: of a binding, or each with an l4port of its own.
TEST_P(LendWalk, Cfg05AnotherMappingLeavesLentFlows) {
  Start();
  const auto given = Fill();
  const auto other = [this](unsigned flow) {
    return Udp(Inside(flow), at.At(at.client, 53));
  };
  std::vector<unsigned> others;
  for (unsigned flow = 0; flow < kL4Ports; ++flow) {
    others.push_back(Leave(other(flow)));
  }
  for (int round = 0; round < 4; ++round) {
    ChangeMapping();
    for (unsigned flow = 0; flow < kL4Ports; ++flow) {
      EXPECT_EQ(Leave(Query(flow)), given[flow]);
      EXPECT_EQ(Leave(other(flow)), others[flow]);
      ExpectAnswered(flow, given[flow]);
      ExpectErrorsAndFragments(flow, given[flow]);
    }
    EXPECT_EQ(walk_->mappings(), 2 * kL4Ports);
    ExpectRefused(Query(kL4Ports));
  }
}

TEST_P(LendWalk, ForgetsALentFlowAfterItsTime) {
  Start();
  Fill();
  Pass(299);
  const auto kept = Fill();
  Pass(299);
  EXPECT_EQ(Fill(), kept);  // refreshed: the same l4ports
  Pass(302);
  EXPECT_EQ(walk_->mappings(), 0u);
  Fill();
  ExpectRefused(Query(kL4Ports));
}

// A connection's entry at its owner outlives it at its lender by far.
TEST_P(LendWalk, BeginsAnewWhereTheLenderHasEnded) {
  Start();
  Fill("S");
  Pass(241);
  EXPECT_EQ(walk_->mappings(), 0u);
  EXPECT_THAT(walk_->Send("crawl0", Tcp(Inside(60), Remote()).Flags("A")),
              IsEmpty());
  EXPECT_EQ(walk_->ending(), "nat_tcp_nosyn");
  const auto given = Fill("S");
  ExpectRefused(Tcp(Inside(kL4Ports), Remote()).Flags("S"));
  EXPECT_EQ(Fill("S"), given);
  // Others take them all; then an entry says "lent" of a flow nobody has.
  Pass(241);
  for (unsigned flow = 0; flow < kL4Ports; ++flow) {
    Leave(Tcp(Inside(100 + flow), Remote()).Flags("S"));
  }
  for (unsigned flow = 0; flow < kL4Ports; ++flow) {
    EXPECT_THAT(walk_->Send("crawl0", Tcp(Inside(flow), Remote()).Flags("S")),
                ElementsAre(ArrivesAt("crawl0")));
  }
  EXPECT_EQ(walk_->mappings(), kL4Ports);
  EXPECT_EQ(walk_->counters().at("nat_no_port"), kL4Ports + 1);
}

// A binding that is lent was made by a flow to a service of this node.
TEST_P(LendWalk, Cfg05AChangeLeavesLentFlowsToServices) {
  Start();
  const auto say = [this](unsigned flow, const char* flags) {
    EXPECT_THAT(walk_->Send("crawl0",
                            Tcp(Inside(flow), at.At(at.mail, 25)).Flags(flags)),
                ElementsAre(ArrivesAt("mail0")))
        << walk_->ending();
  };
  for (unsigned flow = 0; flow < kL4Ports; ++flow) say(flow, "S");
  walk_->Publish(world_.Change());
  for (unsigned flow = 0; flow < kL4Ports; ++flow) say(flow, "A");
  EXPECT_EQ(walk_->mappings(), kL4Ports);
}

// The first that all wait for must look for an l4port itself.
TEST_P(LendWalk, Frg02PiecesThatWaitFollowAFirstThatBorrows) {
  Start();
  for (unsigned flow = 0; flow < kL4Ports; ++flow) {
    const auto pieces =
        Query(flow).IpId(next_id_++).PayloadSize(900).Fragments(304);
    EXPECT_THAT(walk_->SendAll("crawl0", {pieces[2], pieces[1]}), IsEmpty());
    EXPECT_THAT(walk_->Send("crawl0", pieces[0]),
                testing::SizeIs(pieces.size()))
        << walk_->ending();
  }
  // None is left: they end as their first does, and none goes round for ever.
  const auto refused =
      Query(kL4Ports).IpId(next_id_++).PayloadSize(600).Fragments(304);
  walk_->Send("crawl0", refused[1]);
  EXPECT_THAT(walk_->Send("crawl0", refused[0]),
              ElementsAre(ArrivesAt("crawl0")));
  EXPECT_EQ(walk_->ending(), "delivered nat_no_port frag_orphan");
}

// Each packet of a lent flow asks its owner first, who knows the binding only.
TEST_P(LendWalk, ALimitThatIsReachedRefusesNoLentFlow) {
  Start();
  const auto given = Fill();
  world_.queue("crawl0").flow_limit = kL4Ports;
  world_.queue("crawl0").rate_limit = 1;
  walk_->Publish(world_.Change());
  for (unsigned flow = 0; flow < kL4Ports; ++flow) {
    EXPECT_EQ(Leave(Query(flow)), given[flow]);
  }
  EXPECT_THAT(walk_->Send("crawl0", Query(kL4Ports)),
              ElementsAre(ArrivesAt("crawl0")));
  EXPECT_EQ(walk_->ending(), "delivered limit_flows");
}

TEST_P(LendWalk, EndsLentFlowsWithTheirAddress) {
  Start();
  Fill();
  const std::string other = at.v4 ? "198.51.100.8" : "2001:db8:7::8";
  walk_->Publish(world_.Unicast({other}).Change());
  EXPECT_EQ(walk_->mappings(), 0u);
  Fill();
  EXPECT_EQ(walk_->mappings(), kL4Ports);
}

// Another mapping has other owners, and entries of the ones before are still
// there: no packet goes from one to the other and back for ever.
TEST_P(LendWalk, EndsEachPacketWhenTheMappingChanges) {
  Start();
  for (int round = 0; round < 4; ++round) {
    for (unsigned i = 0; i < 3 * kL4Ports; ++i) {
      const auto packet = Tcp(at.At(at.internal, 5000 + kStep * (i / 3)),
                              at.At(at.remote, 53 + i % 3))
                              .Flags("S");
      EXPECT_EQ(walk_->Send("crawl0", packet).size(), 1u) << walk_->ending();
    }
    ChangeMapping();
    Pass(241);  // the flows end, what says where they were does not
  }
}

}  // namespace
}  // namespace godwit
