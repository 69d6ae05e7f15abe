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
