// SPDX-License-Identifier: BSD-3-Clause
// What godwit does not do, on purpose: packets that others would send, keep or
// change (docs/rfc-compliance.md, "Rows without a test of their own", has what
// could be switched on elsewhere).
#include <set>

#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NotDoneWalk : public WalkTest {
 protected:
  // What is given to `count` flows of successive l4ports from `first` on, each
  // `step` after the last.
  std::vector<unsigned> Given(Walk& walk, unsigned first, unsigned step,
                              unsigned count) {
    std::vector<unsigned> given;
    for (unsigned i = 0; i < count; ++i) {
      Leave(walk, "crawl0",
            Udp(at.At(at.internal, first + i * step), at.At(at.remote, 53)));
      given.push_back(given_);
    }
    return given;
  }
};
GODWIT_BOTH_FAMILIES(NotDoneWalk);

// 4787 4.2.1: an l4port of the range is not kept, even where it is free.
TEST_P(NotDoneWalk, Map09TheOriginatorsL4PortIsNotPreserved) {
  Walk walk(World());
  unsigned kept = 0;
  const auto given = Given(walk, 50000, 1, 64);
  for (unsigned i = 0; i < given.size(); ++i) kept += given[i] == 50000 + i;
  EXPECT_LT(kept, 8u);
}

// 4787 REQ-4, which 7857 8 lets go: the l4ports of even ones are of both kinds.
TEST_P(NotDoneWalk, Map11ParityIsNotPreserved) {
  Walk walk(World());
  std::set<unsigned> parities;
  for (const unsigned l4port : Given(walk, 40000, 2, 64)) {
    parities.insert(l4port % 2);
  }
  EXPECT_EQ(parities.size(), 2u);
}

// 4787 4.2.3: who sends from two in a row does not leave from two in a row.
TEST_P(NotDoneWalk, Map12ContiguityIsNotPreserved) {
  Walk walk(World());
  const auto given = Given(walk, 40000, 1, 64);
  unsigned in_a_row = 0;
  for (unsigned i = 1; i < given.size(); ++i) {
    in_a_row += given[i] == given[i - 1] + 1;
  }
  EXPECT_LT(in_a_row, 8u);
}

// Neither another l4port of the remote nor another remote gets in, whatever
// the mapping: there is no `adf`, no `eif` to choose.
TEST_P(NotDoneWalk, Flt02NoFilterIsLooser) {
  for (const Mapping mapping :
       {Mapping::kPerDestination, Mapping::kEndpointIndependent}) {
    SnapshotBuilder world = World();
    world.nat().mapping = mapping;
    Walk walk(world);
    Leave(walk, "crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
    const std::string given = at.At(at.unicast, given_);
    for (const std::string& other :
         {at.At(at.remote, 54), at.At(at.router, 53)}) {
      EXPECT_THAT(walk.Send("wan0", Udp(other, given)), IsEmpty());
      EXPECT_EQ(walk.ending(), "nat_filtered");
    }
    EXPECT_THAT(walk.Send("wan0", Udp(at.At(at.remote, 53), given)),
                ElementsAre(ArrivesAt("crawl0")));
  }
}

// 6146 3.5.2.2 would ask both ends whether a connection that nobody used for
// two hours still lives; a segment that godwit makes up could be another's.
TEST_P(NotDoneWalk, Tmr17AConnectionIsNotProbedWhenItsTimeIsUp) {
  Walk walk(World());
  const auto segment = Tcp(at.At(at.internal, 5000), at.At(at.remote, 80));
  auto syn = segment;
  Leave(walk, "crawl0", syn.Flags("S"));
  auto accept = Tcp(at.At(at.remote, 80), at.At(at.unicast, given_));
  walk.Send("wan0", accept.Flags("SA"));
  auto data = segment;
  walk.Send("crawl0", data.Flags("A"));
  const auto before = walk.counters();
  for (int minute = 0; minute < 123; ++minute) {
    EXPECT_THAT(walk.Wait(60), IsEmpty());
  }
  EXPECT_EQ(walk.mappings(), 1u);
  EXPECT_THAT(walk.Wait(120), IsEmpty());  // over the end, and past it
  EXPECT_EQ(walk.mappings(), 0u);
  EXPECT_EQ(walk.counters(), before);
}

// 13 and 14 are off, as are the other queries of ICMP: neither out, nor in,
// nor answered (1812 4.3.3.8 makes them optional, 6918 deprecates most).
TEST_P(NotDoneWalk, Icq07QueriesOtherThanEchoAreOff) {
  Walk walk(World());
  const auto types = at.v4 ? std::vector<uint8_t>{9, 10, 13, 14, 15, 16, 17, 18}
                           : std::vector<uint8_t>{139, 140, 200};
  for (const uint8_t type : types) {
    SCOPED_TRACE(int{type});
    EXPECT_THAT(
        walk.Send("crawl0",
                  Icmp(at.internal, at.remote, type, 0).PayloadSize(12)),
        IsEmpty());
    EXPECT_EQ(walk.ending(), "icmp_type");
    EXPECT_THAT(
        walk.Send("wan0", Icmp(at.client, at.dns, type, 0).PayloadSize(12)),
        IsEmpty());
    EXPECT_EQ(walk.ending(), "icmp_type");
    // Nor from a service's address: `icmp` there is echo, and no more.
    for (const char* queue : {"dns0", "crawl0"}) {
      EXPECT_THAT(
          walk.Send(queue, Icmp(at.dns, at.client, type, 0).PayloadSize(12)),
          IsEmpty());
      EXPECT_EQ(walk.ending(), "icmp_type");
    }
  }
  EXPECT_EQ(walk.mappings(), 0u);
}

// 4459: what ends on the unicast address is the kernel's, there and back.
TEST_P(NotDoneWalk, Oth06TunnelsOfTheUnicastAddressAreTheKernels) {
  Walk walk(World());
  constexpr uint8_t kIpip = 4;
  constexpr uint8_t kIp6 = 41;
  constexpr uint8_t kGre = 47;
  constexpr unsigned kVxlan = 4789;  // outside of `egress.ports`
  std::vector<std::pair<PacketBuilder, PacketBuilder>> tunnels;
  for (const uint8_t protocol : {kIpip, kIp6, kGre}) {
    tunnels.push_back(
        {Ip(at.router, at.unicast, protocol).PayloadSize(64).Ttl(3),
         Ip(at.unicast, at.router, protocol).PayloadSize(64)});
  }
  tunnels.push_back({Udp(at.At(at.router, 50500), at.At(at.unicast, kVxlan)),
                     Udp(at.At(at.unicast, 49999), at.At(at.router, kVxlan))});
  for (const auto& [in, out] : tunnels) {
    EXPECT_THAT(walk.Send("wan0", in),
                ElementsAre(Arrives("gw0", in.Packet())));
    EXPECT_EQ(walk.ending(), "punted");
    EXPECT_THAT(walk.Send("gw0", out),
                ElementsAre(Arrives("wan0", out.Packet())));
    EXPECT_EQ(walk.ending(), "sent");
  }
  EXPECT_EQ(walk.mappings(), 0u);
}

// 6296 3.6's own example of a prefix that is translated, and a neighbour in
// it: here both leave with the one unicast address, and an l4port each.
TEST(NotDoneWalk6, V612PrefixesAreNotTranslated) {
  Walk walk(World());
  const Family& at = V6();
  std::set<unsigned> l4ports;
  for (const char* inside :
       {"[fd01:203:405:1::1234]:5000", "[fd01:203:405:1::1235]:5000"}) {
    const auto out = walk.Send("crawl0", Udp(inside, at.At(at.remote, 53)));
    ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
    const unsigned given = at.SourceL4PortOf(out[0].Packet());
    EXPECT_EQ(out[0].Packet(),
              Udp(at.At(at.unicast, given), at.At(at.remote, 53)).Packet());
    l4ports.insert(given);
  }
  EXPECT_EQ(l4ports.size(), 2u);
}

}  // namespace
}  // namespace godwit
