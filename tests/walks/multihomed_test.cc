// SPDX-License-Identifier: BSD-3-Clause
// Two uplinks with a next hop each: which of them a flow takes, when it takes
// the other, and what stays the same.
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr unsigned kFlows = 64;

class MultihomedWalk : public WalkTest {
 protected:
  static SnapshotBuilder TwoUplinks() {
    SnapshotBuilder world = World();
    world.Uplink("wan1", "gw1");
    return world;
  }

  // What one packet from a queue became on a wire.
  struct Sent {
    std::string uplink;
    Bytes packet;
  };
  static Sent SendOne(Walk& walk, const char* queue,
                      const PacketBuilder& packet) {
    const auto out = walk.Send(queue, packet);
    EXPECT_THAT(out, SizeIs(1)) << walk.ending();
    if (out.size() != 1) return {};
    return {out[0].device, out[0].Packet()};
  }
  // An originated flow, told by the l4port of its program.
  Sent Originate(Walk& walk, unsigned l4port) const {
    return SendOne(walk, "crawl0",
                   Udp(at.At(at.internal, l4port), at.At(at.remote, 53)));
  }
  // A client's flow from its query, which came in at `uplink`, to its reply.
  std::string Ask(Walk& walk, const char* uplink, unsigned l4port) const {
    const auto in =
        walk.Send(uplink, Udp(at.At(at.client, l4port), at.At(at.dns, 53)));
    EXPECT_THAT(in, SizeIs(1)) << walk.ending();
    if (in.size() != 1) return "";
    const auto reply =
        SendOne(walk, in[0].device.c_str(),
                Udp(at.At(at.dns, 53), at.At(at.client, l4port)));
    return reply.uplink;
  }
};
GODWIT_BOTH_FAMILIES(MultihomedWalk);

TEST_P(MultihomedWalk, SpreadsFlowsAndKeepsEachOnItsNextHop) {
  Walk walk(TwoUplinks());
  std::map<std::string, unsigned> taken;
  for (unsigned i = 0; i < kFlows; ++i) {
    const Sent first = Originate(walk, 5000 + i);
    ++taken[first.uplink];
    const Sent again = Originate(walk, 5000 + i);
    EXPECT_EQ(again.uplink, first.uplink);
    EXPECT_EQ(again.packet, first.packet);
  }
  EXPECT_GT(taken["wan0"], kFlows / 5);
  EXPECT_GT(taken["wan1"], kFlows / 5);
}

TEST_P(MultihomedWalk, MovesTheFlowsOfADeadNextHopAndNoOther) {
  SnapshotBuilder world = TwoUplinks();
  Walk walk(world);
  std::map<unsigned, Sent> before;
  std::map<unsigned, std::string> replies;
  for (unsigned i = 0; i < kFlows; ++i) {
    before[i] = Originate(walk, 5000 + i);
    replies[i] = Ask(walk, "wan0", 4000 + i);
  }
  walk.Publish(world.Dead("wan0").Change());
  for (unsigned i = 0; i < kFlows; ++i) {
    const Sent now = Originate(walk, 5000 + i);
    EXPECT_EQ(now.uplink, "wan1");
    // The same unicast source and l4port: to its peer nothing has happened.
    EXPECT_EQ(now.packet, before[i].packet);
    EXPECT_EQ(Ask(walk, "wan1", 4000 + i), "wan1");
  }
  // What has moved stays, what is new is spread.
  walk.Publish(world.Alive("wan0").Change());
  std::map<std::string, unsigned> taken;
  for (unsigned i = 0; i < kFlows; ++i) {
    EXPECT_EQ(Originate(walk, 5000 + i).uplink, "wan1");
    EXPECT_EQ(Ask(walk, "wan0", 4000 + i), "wan1");
    ++taken[Originate(walk, 6000 + i).uplink];
  }
  EXPECT_GT(taken["wan0"], kFlows / 5);
  EXPECT_GT(taken["wan1"], kFlows / 5);
}

// Sweeping judges flows that no packet comes for.
TEST_P(MultihomedWalk, IdleFlowsStayToo) {
  SnapshotBuilder world = TwoUplinks();
  Walk walk(world);
  walk.Publish(world.Dead("wan0").Change());
  for (unsigned i = 0; i < kFlows; ++i) Originate(walk, 5000 + i);
  walk.Publish(world.Alive("wan0").Change());
  for (int i = 0; i < 100 && walk.judged() < walk.generation(); ++i) {
    walk.Wait(0.1);
  }
  ASSERT_EQ(walk.judged(), walk.generation());
  for (unsigned i = 0; i < kFlows; ++i) {
    EXPECT_EQ(Originate(walk, 5000 + i).uplink, "wan1");
  }
}

TEST_P(MultihomedWalk, AnswersMayComeByEitherUplink) {
  SnapshotBuilder world = TwoUplinks();
  Walk walk(world, {.workers = 3});
  for (unsigned i = 0; i < kFlows; ++i) {
    const Sent sent = Originate(walk, 5000 + i);
    const unsigned given = at.SourceL4PortOf(sent.packet);
    for (const char* uplink : {"wan0", "wan1"}) {
      EXPECT_THAT(walk.Send(uplink, Udp(at.At(at.remote, 53),
                                        at.At(at.unicast, given))),
                  ElementsAre(ArrivesAt("crawl0")));
    }
  }
}

TEST_P(MultihomedWalk, WhatWaitsForAGatewayThatDiesGoesByTheOther) {
  SnapshotBuilder world = TwoUplinks();
  Walk walk(world.Unresolved("wan0").Dead("wan1"));
  EXPECT_THAT(
      walk.Send("crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53))),
      SizeIs(0));
  EXPECT_THAT(walk.Publish(world.Alive("wan1").Dead("wan0").Change()),
              ElementsAre(ArrivesAt("wan1")));
}

TEST_P(MultihomedWalk, AllDeadIsAsGoodAsAllAlive) {
  SnapshotBuilder world = TwoUplinks();
  Walk walk(world.Dead("wan0").Dead("wan1"));
  std::map<std::string, unsigned> taken;
  for (unsigned i = 0; i < kFlows; ++i) {
    ++taken[Originate(walk, 5000 + i).uplink];
  }
  EXPECT_THAT(taken, SizeIs(2));
}

}  // namespace
}  // namespace godwit
