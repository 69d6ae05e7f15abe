// SPDX-License-Identifier: BSD-3-Clause
// Fragments follow their first, in whatever order they come.
#include <algorithm>

#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FragmentsWalk : public WalkTest {};
GODWIT_BOTH_FAMILIES(FragmentsWalk);

Bytes PacketOf(const Bytes& frame) {
  return Bytes(frame.begin() + 14, frame.end());
}

TEST_P(FragmentsWalk, ComeToOneQueueInAnyOrder) {
  auto pieces = Udp(at.At(at.client, 4000), at.At(at.dns, 53))
                    .PayloadSize(900)
                    .Fragments(304);
  ASSERT_EQ(pieces.size(), 3u);
  std::vector<size_t> order = {0, 1, 2};
  do {
    Walk walk(World());
    std::vector<Arrival> out;
    for (const size_t i : order) {
      for (Arrival& arrival : walk.Send("wan0", pieces[i])) {
        out.push_back(arrival);
      }
    }
    ASSERT_EQ(out.size(), 3u);
    std::vector<Bytes> came;
    for (const Arrival& arrival : out) {
      EXPECT_EQ(arrival.device, out[0].device);
      came.push_back(arrival.Packet());
    }
    EXPECT_THAT(came, testing::UnorderedElementsAre(PacketOf(pieces[0]),
                                                    PacketOf(pieces[1]),
                                                    PacketOf(pieces[2])));
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(FragmentsWalk, AreTranslatedThereAndBack) {
  Walk walk(World());
  const auto packet =
      Udp(at.At(at.internal, 5000), at.At(at.remote, 53)).PayloadSize(900);
  std::vector<Arrival> out;
  for (const Bytes& piece : packet.Fragments(304)) {
    for (Arrival& arrival : walk.Send("crawl0", piece)) {
      out.push_back(arrival);
    }
  }
  ASSERT_EQ(out.size(), 3u);
  const size_t header = at.v4 ? 20 : 48;
  Bytes whole;
  for (const Arrival& arrival : out) {
    EXPECT_EQ(arrival.device, "wan0");
    const Bytes piece = arrival.Packet();
    whole.insert(whole.end(), piece.begin() + static_cast<ptrdiff_t>(header),
                 piece.end());
  }
  const unsigned given = whole[0] * 256U + whole[1];
  EXPECT_EQ(whole, Udp(at.At(at.unicast, given), at.At(at.remote, 53))
                       .PayloadSize(900)
                       .L4());
  // The answer's pieces come backwards and find the originator all the same.
  auto answer = Udp(at.At(at.remote, 53), at.At(at.unicast, given))
                    .PayloadSize(600)
                    .Fragments(304);
  const auto inside = Udp(at.At(at.remote, 53), at.At(at.internal, 5000))
                          .PayloadSize(600)
                          .Fragments(304);
  EXPECT_THAT(walk.Send("wan0", answer[1]), IsEmpty());
  EXPECT_THAT(
      walk.Send("wan0", answer[0]),
      testing::UnorderedElementsAre(Arrives("crawl0", PacketOf(inside[0])),
                                    Arrives("crawl0", PacketOf(inside[1]))));
}

TEST_P(FragmentsWalk, EndWithoutAFirst) {
  Walk walk(World());
  const auto pieces = Udp(at.At(at.client, 4000), at.At(at.dns, 53))
                          .PayloadSize(900)
                          .Fragments(304);
  EXPECT_THAT(walk.Send("wan0", pieces[1]), IsEmpty());
  EXPECT_THAT(walk.counters(), testing::Contains(testing::Pair("held", 1)));
  EXPECT_THAT(walk.Wait(3), IsEmpty());
  EXPECT_EQ(walk.ending(), "frag_timeout");
}

TEST_P(FragmentsWalk, EndTogetherWhenTheyOverlap) {
  Walk walk(World());
  auto packet = Udp(at.At(at.client, 4000), at.At(at.dns, 53)).PayloadSize(900);
  const auto pieces = packet.Fragments(304);
  EXPECT_THAT(
      walk.Send("wan0", pieces[0]),
      ElementsAre(testing::AnyOf(ArrivesAt("dns0"), ArrivesAt("dns1"))));
  auto forged = Ip(at.client, at.dns, 17).PayloadSize(304);
  EXPECT_THAT(walk.Send("wan0", forged.Fragment(8, More::kYes)), IsEmpty());
  EXPECT_EQ(walk.ending(), "frag_overlap");
  EXPECT_THAT(walk.Send("wan0", pieces[1]), IsEmpty());
  EXPECT_EQ(walk.ending(), "frag_overlap");
}

TEST_P(FragmentsWalk, OfWhatIsNotOursGoToTheKernelAsTheyCome) {
  Walk walk(World());
  const auto pieces = Udp(at.At(at.client, 4000), at.At(at.remote, 53))
                          .PayloadSize(900)
                          .Fragments(304);
  EXPECT_THAT(walk.Send("wan0", pieces[1]),
              ElementsAre(Arrives("gw0", PacketOf(pieces[1]))));
}

TEST(FragmentsOutWalk, CutsWhatIsTooBigAndMayBeCut) {
  SnapshotBuilder world = World();
  world.device("wan0").mtu = 576;
  Walk walk(world);
  const auto reply = Udp("192.0.2.53:53", "203.0.113.9:4000").PayloadSize(1200);
  const auto out = walk.Send("dns0", reply);
  ASSERT_EQ(out.size(), 3u);
  Bytes whole;
  for (const Arrival& arrival : out) {
    EXPECT_EQ(arrival.device, "wan0");
    const Bytes piece = arrival.Packet();
    EXPECT_LE(piece.size(), 576u);
    whole.insert(whole.end(), piece.begin() + 20, piece.end());
  }
  EXPECT_EQ(whole, reply.L4());
  EXPECT_EQ(walk.ending(), "sent sent sent consumed");
}

}  // namespace
}  // namespace godwit
