// SPDX-License-Identifier: BSD-3-Clause
// What is told of mappings (RFC 6888 4), how soon an l4port serves again, and
// whom what is late for it then reaches (RFC 6888 REQ-8); when few are left
// (REQ-11).
#include <set>

#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Kind = MappingRecord::Kind;

// Without a remote: there is none in a record to compare (LOG-02).
auto Record(Kind kind, uint8_t protocol, const std::string& originator,
            uint16_t l4port, uint16_t given) {
  return testing::AllOf(
      testing::Field("kind", &MappingRecord::kind, kind),
      testing::Field("protocol", &MappingRecord::protocol, protocol),
      testing::Field("originator", &MappingRecord::originator,
                     *IpAddress::Parse(originator)),
      testing::Field("originator_l4port", &MappingRecord::originator_l4port,
                     l4port),
      testing::Field("given_l4port", &MappingRecord::given_l4port, given));
}

SnapshotBuilder Told(Mapping mapping) {
  SnapshotBuilder world = World();
  world.nat().mapping = mapping;
  world.nat().mappings_told = true;
  return world;
}

class MappingWalk : public WalkTest {
 protected:
  PacketBuilder From(unsigned l4port, unsigned remote_l4port = 53) const {
    return Udp(at.At(at.internal, l4port), at.At(at.remote, remote_l4port));
  }
};

GODWIT_BOTH_FAMILIES(MappingWalk);

TEST_P(MappingWalk, Log01AMappingIsToldWhenItBeginsAndWhenItEnds) {
  Walk walk(Told(Mapping::kPerDestination));
  Leave(walk, "crawl0", From(5000));
  EXPECT_THAT(
      walk.TakeMappings(),
      ElementsAre(Record(Kind::kBegins, 17, at.internal, 5000, given_)));
  for (int packet = 0; packet < 3; ++packet) Leave(walk, "crawl0", From(5000));
  EXPECT_THAT(walk.TakeMappings(), IsEmpty());
  walk.Wait(301);
  const auto ended = walk.TakeMappings();
  EXPECT_THAT(ended,
              ElementsAre(Record(Kind::kEnds, 17, at.internal, 5000, given_)));
}

TEST_P(MappingWalk, Log01TellsWhatSortItIsAndWhen) {
  Walk walk(Told(Mapping::kPerDestination));
  Leave(walk, "crawl0",
        Tcp(at.At(at.internal, 5000), at.At(at.remote, 80)).Flags("S"));
  const auto tcp = walk.TakeMappings();
  EXPECT_THAT(tcp,
              ElementsAre(Record(Kind::kBegins, 6, at.internal, 5000, given_)));
  walk.Wait(100);
  Leave(walk, "crawl0", Echo(at.internal, at.remote, 77));
  const auto echo = walk.TakeMappings();
  ASSERT_THAT(echo, ElementsAre(Record(Kind::kBegins, at.v4 ? 1 : 58,
                                       at.internal, 77, given_)));
  EXPECT_NEAR(echo[0].tick - tcp[0].tick, 1000, 1);
}

// 6888 4: one record for all that goes through it.
TEST_P(MappingWalk, Log01AnEndpointIndependentMappingIsToldOnce) {
  Walk walk(Told(Mapping::kEndpointIndependent));
  for (unsigned remote = 53; remote < 60; ++remote) {
    Leave(walk, "crawl0", From(5000, remote));
  }
  EXPECT_THAT(
      walk.TakeMappings(),
      ElementsAre(Record(Kind::kBegins, 17, at.internal, 5000, given_)));
  walk.Wait(301);
  EXPECT_THAT(walk.TakeMappings(),
              ElementsAre(Record(Kind::kEnds, 17, at.internal, 5000, given_)));
}

TEST_P(MappingWalk, Log01NothingIsToldUnlessAskedFor) {
  SnapshotBuilder world = World();
  Walk walk(world);
  Leave(walk, "crawl0", From(5000));
  EXPECT_THAT(walk.TakeMappings(), IsEmpty());
  world.nat().mappings_told = true;
  walk.Publish(world);
  // Of what was there before its end is told.
  walk.Wait(301);
  EXPECT_THAT(walk.TakeMappings(), testing::SizeIs(1));
  world.nat().mappings_told = false;
  walk.Publish(world);
  Leave(walk, "crawl0", From(5001));
  EXPECT_THAT(walk.TakeMappings(), IsEmpty());
}

// What comes from clients is no mapping, nor what is never translated.
TEST_P(MappingWalk, Log01OnlyMappingsAreTold) {
  Walk walk(Told(Mapping::kPerDestination));
  walk.Send("wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 53)));
  Leave(walk, "crawl0", Udp(at.At(at.unicast, 50001), at.At(at.direct, 53)));
  EXPECT_THAT(walk.TakeMappings(), IsEmpty());
}

class RestWalk : public MappingWalk {
 protected:
  // 64 l4ports, so a quarter are 16.
  SnapshotBuilder Small(Mapping mapping, uint32_t rest = 0) const {
    SnapshotBuilder world = World();
    world.nat().mapping = mapping;
    world.nat().rest = rest;
    world.EgressL4Ports(50000, 50063);
    return world;
  }
  // Takes all the l4ports that are free, by as many originators' endpoints
  // from `first` on; what they were given.
  std::set<unsigned> TakeAll(Walk& walk, unsigned first) {
    std::set<unsigned> given;
    for (unsigned i = 0; i < 65; ++i) {
      const auto out = walk.Send("crawl0", From(first + i));
      if (walk.ending().find("nat_no_port") != std::string::npos) break;
      EXPECT_THAT(out, ElementsAre(ArrivesAt("wan0"))) << walk.ending();
      given.insert(at.SourceL4PortOf(out[0].Packet()));
    }
    return given;
  }
};
GODWIT_BOTH_FAMILIES(RestWalk);

TEST_P(RestWalk, Map14AFreedL4PortRests) {
  Walk walk(Small(Mapping::kEndpointIndependent, 1200));
  Leave(walk, "crawl0", From(5000));
  const unsigned rests = given_;
  walk.Wait(301);
  EXPECT_EQ(walk.mappings(), 0u);
  EXPECT_EQ(walk.resting(), 1u);
  walk.Wait(117);
  const auto before = TakeAll(walk, 6000);
  EXPECT_EQ(before.size(), 63u);
  EXPECT_FALSE(before.contains(rests));
  // Late packets of the old remote find nothing there.
  EXPECT_THAT(
      walk.Send("wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, rests))),
      IsEmpty());
  EXPECT_EQ(walk.ending(), "nat_filtered");
  walk.Wait(4);
  EXPECT_EQ(walk.resting(), 0u);
  Leave(walk, "crawl0", From(7000));
  EXPECT_EQ(given_, rests);
}

// 6888 REQ-8: how many rest has a bound; the rest serves again at once.
TEST_P(RestWalk, Map14AtMostAQuarterRests) {
  Walk walk(Small(Mapping::kEndpointIndependent, 1200));
  EXPECT_EQ(TakeAll(walk, 5000).size(), 64u);
  walk.Wait(301);
  EXPECT_EQ(walk.resting(), 16u);
  EXPECT_EQ(TakeAll(walk, 6000).size(), 48u);
  walk.Wait(121);
  EXPECT_EQ(walk.resting(), 0u);
  EXPECT_EQ(TakeAll(walk, 7000).size(), 16u);
}

// 6888 REQ-8 a and c: TCP is tracked, and per destination only the remote of
// before could be taken for that of now.
TEST_P(RestWalk, Map14WhatIsExemptServesAgainAtOnce) {
  {
    Walk walk(Small(Mapping::kPerDestination, 1200));
    Leave(walk, "crawl0", From(5000));
    walk.Wait(301);
    EXPECT_EQ(TakeAll(walk, 6000).size(), 64u);
  }
  Walk walk(Small(Mapping::kEndpointIndependent, 1200));
  Leave(walk, "crawl0",
        Tcp(at.At(at.internal, 5000), at.At(at.remote, 80)).Flags("S"));
  walk.Wait(241);
  EXPECT_EQ(walk.mappings(), 0u);
  EXPECT_EQ(walk.resting(), 0u);
}

class RoomWalk : public RestWalk {
 protected:
  static unsigned Count(const std::vector<Event>& events, const IpAddress& of) {
    unsigned count = 0;
    for (const Event& event : events) {
      count += event.kind == EventKind::kFewL4Ports && event.address == of;
    }
    return count;
  }
  void Fill(Walk& walk, unsigned first, unsigned end) const {
    for (unsigned i = first; i < end; ++i) {
      EXPECT_THAT(walk.Send("crawl0", From(6000 + i)),
                  ElementsAre(ArrivesAt("wan0")));
    }
  }
};
GODWIT_BOTH_FAMILIES(RoomWalk);

// 6888 REQ-11 c: before somebody is refused, and once a second at most.
TEST_P(RoomWalk, Exh03FourFifthsOfTheL4PortsAreTold) {
  SnapshotBuilder world = World();
  world.EgressL4Ports(50000, 50255);
  Walk walk(world);
  const IpAddress remote = *IpAddress::Parse(at.remote);
  Fill(walk, 0, 200);
  EXPECT_EQ(Count(walk.TakeEvents(), remote), 0u);
  Fill(walk, 200, 225);
  EXPECT_EQ(Count(walk.TakeEvents(), remote), 1u);
  walk.Wait(1);
  Fill(walk, 225, 256);
  EXPECT_EQ(Count(walk.TakeEvents(), remote), 1u);
  EXPECT_EQ(walk.mappings(), 256u);
}

// 6888 REQ-8 c is what lets an l4port serve again at once, after a restart
// that kept nothing (MAP-15) too: what an old remote sends late finds nobody
// new, unless the new one speaks to that very endpoint.
TEST_P(RestWalk, Map15ALatePacketOfAnOldRemoteReachesNobodyNew) {
  for (const Mapping mapping :
       {Mapping::kPerDestination, Mapping::kEndpointIndependent}) {
    unsigned old = 0;
    {
      Walk before(Small(mapping));
      Leave(before, "crawl0", From(5000, 99));
      old = given_;
    }
    Walk walk(Small(mapping));  // restarted
    EXPECT_TRUE(TakeAll(walk, 6000).contains(old));
    EXPECT_THAT(
        walk.Send("wan0", Udp(at.At(at.remote, 99), at.At(at.unicast, old))),
        IsEmpty());
    EXPECT_EQ(walk.ending(), "nat_filtered");
    EXPECT_THAT(
        walk.Send("wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, old))),
        ElementsAre(ArrivesAt("crawl0")));
  }
}

}  // namespace
}  // namespace godwit
