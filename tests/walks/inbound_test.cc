// SPDX-License-Identifier: BSD-3-Clause
// Contract, "On the wire", 1 and 2: to a service, and back.
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class InboundWalk : public WalkTest {};
GODWIT_BOTH_FAMILIES(InboundWalk);

TEST_P(InboundWalk, DeliversToOneOfTheQueuesUnchanged) {
  Walk walk(World());
  const auto query =
      Udp(at.At(at.client, 4000), at.At(at.dns, 53)).Ttl(3).Payload("who?");
  EXPECT_THAT(walk.Send("wan0", query),
              ElementsAre(AnyOf(Arrives("dns0", query.Packet()),
                                Arrives("dns1", query.Packet()))));
  EXPECT_THAT(walk.counters(),
              UnorderedElementsAre(Pair("received", 1), Pair("delivered", 1)));
}

TEST_P(InboundWalk, KeepsAFlowOnItsQueue) {
  Walk walk(World());
  for (unsigned l4port = 4000; l4port < 4032; ++l4port) {
    const auto syn =
        Tcp(at.At(at.client, l4port), at.At(at.dns, 53)).Flags("S");
    const auto first = walk.Send("wan0", syn);
    ASSERT_EQ(first.size(), 1u);
    for (const char* flags : {"A", "PA", "FA"}) {
      auto next = syn;
      next.Flags(flags);
      EXPECT_THAT(walk.Send("wan0", next),
                  ElementsAre(Arrives(first[0].device, next.Packet())));
    }
  }
}

TEST_P(InboundWalk, UsesEveryQueueOfTheService) {
  Walk walk(World());
  std::map<std::string, int> flows;
  for (unsigned l4port = 4000; l4port < 4064; ++l4port) {
    const auto out =
        walk.Send("wan0", Udp(at.At(at.client, l4port), at.At(at.dns, 53)));
    ASSERT_EQ(out.size(), 1u);
    ++flows[out[0].device];
  }
  EXPECT_THAT(flows, UnorderedElementsAre(Pair("dns0", testing::Gt(16)),
                                          Pair("dns1", testing::Gt(16))));
}

TEST_P(InboundWalk, CountsTheFlowsOfEachQueue) {
  Walk walk(World());
  std::map<std::string, uint64_t> flows;
  for (unsigned l4port = 4000; l4port < 4064; ++l4port) {
    const auto query = Udp(at.At(at.client, l4port), at.At(at.dns, 53));
    const auto out = walk.Send("wan0", query);
    ASSERT_EQ(out.size(), 1u);
    ++flows[out[0].device];
    walk.Send("wan0", query);  // the same flow
  }
  EXPECT_EQ(walk.InboundOf("dns0"), flows["dns0"]);
  EXPECT_EQ(walk.InboundOf("dns1"), flows["dns1"]);
  for (int i = 0; i < 1000 && walk.inbound() != 0; ++i) walk.Wait(1);
  EXPECT_EQ(walk.InboundOf("dns0"), 0u);
  EXPECT_EQ(walk.InboundOf("dns1"), 0u);
}

TEST_P(InboundWalk, LetsAReplyOutUnchanged) {
  Walk walk(World());
  walk.Send("wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 53)));
  const auto reply =
      Udp(at.At(at.dns, 53), at.At(at.client, 4000)).Ttl(7).Payload("me");
  EXPECT_THAT(walk.Send("dns0", reply),
              ElementsAre(Arrives("wan0", reply.Packet())));
  EXPECT_EQ(walk.ending(), "sent");
}

TEST_P(InboundWalk, LetsAReplyOutThatNothingCameBefore) {
  Walk walk(World());
  const auto reply = Udp(at.At(at.dns, 53), at.At(at.client, 4000));
  EXPECT_THAT(walk.Send("dns0", reply),
              ElementsAre(Arrives("wan0", reply.Packet())));
}

}  // namespace
}  // namespace godwit
