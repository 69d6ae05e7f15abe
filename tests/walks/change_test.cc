// SPDX-License-Identifier: BSD-3-Clause
// Contract, "Changes": what a new snapshot does to packets and flows; and
// packets that wait for it.
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

class ChangeWalk : public WalkTest {
 protected:
  std::string QueueOf(Walk& walk, unsigned l4port) const {
    const auto out =
        walk.Send("wan0", Udp(at.At(at.client, l4port), at.At(at.dns, 53)));
    return out.size() == 1 ? out[0].device : walk.ending();
  }
};
GODWIT_BOTH_FAMILIES(ChangeWalk);

TEST_P(ChangeWalk, LeavesFlowsOnADrainedQueueAndSendsItNoNewOnes) {
  SnapshotBuilder world = World();
  Walk walk(world);
  std::map<unsigned, std::string> before;
  for (unsigned i = 0; i < 16; ++i) before[i] = QueueOf(walk, 4000 + i);
  ASSERT_THAT(before, Contains(Pair(testing::_, "dns0")));
  world.queue("dns0").alive = false;
  walk.Publish(world.Change());
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_EQ(QueueOf(walk, 4000 + i), before[i]);
    EXPECT_EQ(QueueOf(walk, 5000 + i), "dns1");
  }
}

TEST_P(ChangeWalk, MovesOnlyTheFlowsOfAQueueThatGoes) {
  SnapshotBuilder world = World();
  Walk walk(world);
  std::map<unsigned, std::string> before;
  for (unsigned i = 0; i < 16; ++i) before[i] = QueueOf(walk, 4000 + i);
  world.service("dns").queues = {world.queue_id("dns1")};
  walk.Publish(world.Change());
  for (unsigned i = 0; i < 16; ++i) EXPECT_EQ(QueueOf(walk, 4000 + i), "dns1");
}

TEST_P(ChangeWalk, EndsTheFlowsOfAServiceThatGoes) {
  SnapshotBuilder world = World();
  Walk walk(world);
  QueueOf(walk, 4000);
  EXPECT_EQ(walk.inbound(), 1u);
  walk.Publish(world.RemoveService("dns").Change());
  EXPECT_EQ(walk.inbound(), 0u);
  EXPECT_EQ(QueueOf(walk, 4000), "gw0");  // an address of nobody's
}

// Numbers of what is gone are given to others by this.
TEST_P(ChangeWalk, TellsWhenNoFlowIsLeftThatWasNotJudged) {
  SnapshotBuilder world = World();
  Walk walk(world, {.workers = 2, .max_flows = 16'384});
  for (int i = 0; i < 100 && walk.judged() < walk.generation(); ++i) {
    walk.Wait(1);
  }
  for (unsigned i = 0; i < 16; ++i) QueueOf(walk, 4000 + i);
  walk.Publish(world.RemoveService("dns").Change());
  EXPECT_LT(walk.judged(), walk.generation());
  for (int i = 0; i < 100 && walk.judged() < walk.generation(); ++i) {
    walk.Wait(1);
  }
  EXPECT_EQ(walk.judged(), walk.generation());
  EXPECT_EQ(walk.inbound(), 0u);
}

TEST_P(ChangeWalk, DropsWhatNoQueueOfTheServiceCanTake) {
  SnapshotBuilder world = World();
  world.queue("dns0").alive = false;
  world.queue("dns1").alive = false;
  Walk walk(world);
  EXPECT_EQ(QueueOf(walk, 4000), "svc_no_queue");
}

TEST_P(ChangeWalk, LetsPacketsWaitForTheGateway) {
  SnapshotBuilder world = World();
  Walk walk(world.Unresolved("wan0"));
  const auto query = Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  EXPECT_THAT(walk.Send("crawl0", query), IsEmpty());
  EXPECT_THAT(walk.counters(), Contains(Pair("held", 1)));
  EXPECT_THAT(walk.TakeEvents(),
              Contains(testing::Field(&Event::kind, EventKind::kResolve)));
  const auto out = walk.Publish(world.Resolved("wan0"));
  ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
  EXPECT_TRUE(ChecksumsHold(out[0].Packet()));
  EXPECT_THAT(walk.counters(), Not(Contains(Pair("held", testing::_))));
}

TEST_P(ChangeWalk, GivesUpOnAGatewayThatNeverAnswers) {
  Walk walk(World().Unresolved("wan0"));
  walk.Send("crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
  EXPECT_THAT(walk.Wait(4), IsEmpty());
  EXPECT_EQ(walk.ending(), "neighbor_failed");
}

TEST_P(ChangeWalk, AsksAQueueForTheAddressItSendsTo) {
  SnapshotBuilder world = World();
  Walk walk(world.Unresolved("mail0"));
  const auto syn = Tcp(at.At(at.client, 4000), at.At(at.mail, 25)).Flags("S");
  EXPECT_THAT(walk.Send("wan0", syn), ElementsAre(ArrivesAt("mail0")));
  EXPECT_EQ(walk.ending(), "delivered");  // the question; the SYN waits
  EXPECT_THAT(walk.counters(), Contains(Pair("held", 1)));
  EXPECT_THAT(walk.Publish(world.Resolved("mail0")),
              ElementsAre(Arrives("mail0", syn.Packet())));
}

TEST_P(ChangeWalk, HoldsOnlySoManyForOneNeighbour) {
  Walk walk(World().Unresolved("wan0"));
  for (unsigned i = 0; i < WaitingRoom::kMaxPerNeighbour; ++i) {
    walk.Send("crawl0",
              Udp(at.At(at.internal, 5000 + i), at.At(at.remote, 53)));
    EXPECT_EQ(walk.ending(), "");
  }
  walk.Send("crawl0", Udp(at.At(at.internal, 6000), at.At(at.remote, 53)));
  EXPECT_EQ(walk.ending(), "neighbor_wait");
}

TEST_P(ChangeWalk, SaysWhenThereIsNoRoute) {
  Walk walk(World().NoRoutes());
  EXPECT_THAT(
      walk.Send("crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53))),
      Not(Contains(ArrivesAt("wan0"))));
  EXPECT_THAT(walk.ending(), testing::HasSubstr("route_none"));
}

TEST_P(ChangeWalk, GivesEachL4PortOnceAndThenSaysSo) {
  Walk walk(World().EgressL4Ports(50000, 50007));
  std::set<std::string> sources;
  for (unsigned i = 0; i < 8; ++i) {
    const Bytes left =
        Leave(walk, "crawl0",
              Udp(at.At(at.internal, 5000 + i), at.At(at.remote, 53)));
    sources.insert(std::to_string(given_));
  }
  EXPECT_EQ(sources.size(), 8u);
  EXPECT_THAT(
      walk.Send("crawl0", Udp(at.At(at.internal, 6000), at.At(at.remote, 53))),
      Each(ArrivesAt("crawl0")));
  EXPECT_THAT(walk.ending(), testing::HasSubstr("nat_no_port"));
  // Towards another destination they serve again.
  Leave(walk, "crawl0", Udp(at.At(at.internal, 6000), at.At(at.client, 53)));
}

// Under load: packets in the same turn, some that wait for a neighbour, some
// for a first fragment. With AddressSanitizer what has gone is not touched.
TEST_P(ChangeWalk, Cfg04AServiceComesAndGoesUnderLoad) {
  SnapshotBuilder with = World();
  SnapshotBuilder without = World();
  without.RemoveService("dns");
  with.Unresolved("dns1");
  Walk walk(with);
  const std::string dns = at.At(at.dns, 53);
  for (unsigned round = 0; round < 500; ++round) {
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 8; ++i) {
      const std::string client = at.At(at.client, 4000 + i);
      frames.push_back(Udp(client, dns).Frame());
      frames.push_back(Tcp(client, dns).Flags("A").Frame());
      auto pieces = Udp(client, dns).PayloadSize(600).Fragments(304);
      frames.push_back(pieces[(round + i) % 2]);
    }
    walk.SendAll("wan0", frames);
    walk.SendAll("dns0", {Udp(dns, at.At(at.client, 4000)).Frame()});
    with.Change();
    without.Change();
    walk.Publish(round % 2 == 0 ? without : with);
    for (int i = 0; i < 8 && walk.judged() != walk.generation(); ++i) {
      walk.Wait(0);
    }
    EXPECT_EQ(walk.judged(), walk.generation());
    if (round % 2 == 0) {
      EXPECT_EQ(walk.inbound(), 0u);
      EXPECT_EQ(QueueOf(walk, 4000), "gw0");
    }
    if (round % 50 == 49) walk.Wait(4);
  }
}

// What is given out is another range now: a mapping stays what it is as long
// as it lives, and its l4port is nobody's after that (MAP-20).
TEST_P(ChangeWalk, Cfg05Map20AnotherRangeLeavesMappings) {
  SnapshotBuilder world = World().EgressL4Ports(50000, 50003);
  Walk walk(world);
  const auto query = [this](unsigned i) {
    return Udp(at.At(at.internal, 5000 + i), at.At(at.remote, 53));
  };
  std::vector<uint16_t> given;
  for (unsigned i = 0; i < 4; ++i) {
    Leave(walk, "crawl0", query(i));
    given.push_back(given_);
  }
  walk.Publish(world.EgressL4Ports(52000, 52001).Change());
  for (unsigned i = 0; i < 4; ++i) {
    Leave(walk, "crawl0", query(i));
    EXPECT_EQ(given_, given[i]);
    EXPECT_THAT(
        walk.Send("wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, given_))),
        ElementsAre(Arrives(
            "crawl0",
            Udp(at.At(at.remote, 53), at.At(at.internal, 5000 + i)).Packet())));
  }
  for (unsigned i = 0; i < 2; ++i) {
    Leave(walk, "crawl0", query(10 + i));
    EXPECT_GE(given_, 52000);
  }
  walk.Send("crawl0", query(12));
  EXPECT_THAT(walk.ending(), testing::HasSubstr("nat_no_port"));
  walk.Wait(301);
  EXPECT_EQ(walk.mappings(), 0u);
  for (const uint16_t l4port : given) {
    EXPECT_THAT(
        walk.Send("wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, l4port))),
        ElementsAre(ArrivesAt("gw0")));
  }
  for (unsigned i = 0; i < 2; ++i) {
    Leave(walk, "crawl0", query(20 + i));
    EXPECT_GE(given_, 52000);
  }
}

// With several workers too: `direct` says how flows begin, not where they are
// found.
TEST_P(ChangeWalk, Cfg05DirectLeavesFlowsAsTheyBegan) {
  const std::string remote = at.At(at.remote, 53);
  const std::string direct = at.At(at.direct, 53);
  SnapshotBuilder world = World();
  Walk walk(world, {.workers = 3});
  std::map<unsigned, uint16_t> given;
  for (unsigned i = 0; i < 30; ++i) {
    Leave(walk, "crawl0", Udp(at.At(at.internal, 5000 + i), remote));
    given[i] = given_;
    // One from within the range of l4ports, one from outside of it.
    for (const unsigned own : {50000 + i, 2000 + i}) {
      Leave(walk, "crawl0", Udp(at.At(at.unicast, own), direct));
      EXPECT_EQ(given_, own);
    }
  }
  const auto expect_as_before = [&] {
    for (unsigned i = 0; i < 30; ++i) {
      EXPECT_THAT(walk.Send("wan0", Udp(remote, at.At(at.unicast, given[i]))),
                  ElementsAre(ArrivesAt("crawl0")));
      Leave(walk, "crawl0", Udp(at.At(at.internal, 5000 + i), remote));
      EXPECT_EQ(given_, given[i]);
      for (const unsigned own : {50000 + i, 2000 + i}) {
        EXPECT_THAT(walk.Send("wan0", Udp(direct, at.At(at.unicast, own))),
                    ElementsAre(ArrivesAt("crawl0")));
        Leave(walk, "crawl0", Udp(at.At(at.unicast, own), direct));
        EXPECT_EQ(given_, own);
      }
    }
    EXPECT_EQ(walk.mappings(), 90u);
  };
  walk.Publish(
      world.Direct(at.v4 ? at.remote + "/32" : at.remote + "/128").Change());
  expect_as_before();
  world.nat().direct.clear();
  walk.Publish(world.Change());
  expect_as_before();
}

// With several workers too: what comes back finds the one that has the
// mapping, whatever is given out since (CFG-05).
TEST_P(ChangeWalk, Cfg05AnswersFindTheirWorkerInAnotherRange) {
  for (const auto& [low, high] : std::vector<std::pair<uint16_t, uint16_t>>{
           {50001, 50999}, {49000, 51999}, {52000, 52999}, {50000, 50063}}) {
    SnapshotBuilder world = World();
    Walk walk(world, {.workers = 3});
    std::map<unsigned, uint16_t> given;
    for (unsigned i = 0; i < 100; ++i) {
      Leave(walk, "crawl0",
            Udp(at.At(at.internal, 5000 + i), at.At(at.remote, 53)));
      given[5000 + i] = given_;
      Leave(walk, "crawl0",
            Echo(at.internal, at.remote, static_cast<uint16_t>(5000 + i)));
      given[i] = given_;
    }
    walk.Publish(world.EgressL4Ports(low, high).Change());
    for (unsigned i = 0; i < 100; ++i) {
      EXPECT_THAT(walk.Send("wan0", Udp(at.At(at.remote, 53),
                                        at.At(at.unicast, given[5000 + i]))),
                  ElementsAre(ArrivesAt("crawl0")));
      EXPECT_THAT(walk.Send("wan0", EchoReply(at.remote, at.unicast, given[i])),
                  ElementsAre(ArrivesAt("crawl0")));
    }
    EXPECT_EQ(walk.mappings(), 200u);
  }
}

TEST_P(ChangeWalk, TakesTheUplinksTagOffAndPutsItOn) {
  SnapshotBuilder world = World();
  world.device("wan0").vlan = 100;
  Walk walk(world);
  auto query = Udp(at.At(at.client, 4000), at.At(at.dns, 53));
  EXPECT_THAT(walk.Send("wan0", query), IsEmpty());
  EXPECT_EQ(walk.ending(), "l2_vlan");
  auto tagged = query;
  const auto in = walk.Send("wan0", tagged.Vlan(100));
  ASSERT_EQ(in.size(), 1u);
  EXPECT_EQ(in[0].frame.size(), query.Frame().size());
  const auto reply = Udp(at.At(at.dns, 53), at.At(at.client, 4000));
  auto tagged_reply = reply;
  const auto out = walk.Send(in[0].device, reply);
  ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
  EXPECT_EQ(out[0].frame, tagged_reply.Vlan(100)
                              .FromMac(kTestDestinationMac)
                              .ToMac(FarEndMac(1))
                              .Frame());
}

}  // namespace
}  // namespace godwit
