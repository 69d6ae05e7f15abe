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

// UDP over IPv6 without a checksum is for no host: none of its pieces, in
// whatever order, are a service's.
TEST_P(FragmentsWalk, AreRefusedWithTheirFirst) {
  auto pieces = Udp(at.At(at.client, 4000), at.At(at.dns, 53))
                    .PayloadSize(900)
                    .NoUdpChecksum()
                    .Fragments(304);
  std::sort(pieces.begin(), pieces.end());
  do {
    Walk walk(World());
    size_t came = 0;
    for (const Bytes& piece : pieces) came += walk.Send("wan0", piece).size();
    EXPECT_EQ(came, at.v4 ? 3u : 0u);
    const auto counters = walk.counters();
    EXPECT_EQ(counters.contains("udp6_zero") ? counters.at("udp6_zero") : 0,
              at.v4 ? 0u : 3u);
  } while (std::next_permutation(pieces.begin(), pieces.end()));
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

// A wrong checksum stays as wrong as it was, in the first piece alone.
TEST_P(FragmentsWalk, Frg16OnlyTheFirstsChecksumIsChanged) {
  const auto wrong = [](PacketBuilder packet) {
    packet.PayloadSize(900);
    const Bytes l4 = packet.L4();
    return packet.L4Checksum(static_cast<uint16_t>(l4[6] * 256 + l4[7] + 1));
  };
  Walk walk(World());
  const auto packet =
      wrong(Udp(at.At(at.internal, 5000), at.At(at.remote, 53)));
  const size_t header = at.v4 ? 20 : 48;
  std::vector<Bytes> bodies;
  for (const Bytes& piece : packet.Fragments(304)) {
    const auto out = walk.Send("crawl0", piece);
    ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
    const Bytes left = out[0].Packet();
    bodies.emplace_back(left.begin() + static_cast<ptrdiff_t>(header),
                        left.end());
  }
  const unsigned given = bodies[0][0] * 256U + bodies[0][1];
  const Bytes whole =
      wrong(Udp(at.At(at.unicast, given), at.At(at.remote, 53))).L4();
  EXPECT_EQ(bodies[0], Bytes(whole.begin(), whole.begin() + 304));
  EXPECT_EQ(bodies[1], Bytes(whole.begin() + 304, whole.begin() + 608));
  EXPECT_EQ(bodies[2], Bytes(whole.begin() + 608, whole.end()));
}

// After each Send the walk counts all buffers. A piece that comes again when
// its datagram is through begins another, which never has its first.
TEST_P(FragmentsWalk, Frg17NothingIsLostOfWhatIsOdd) {
  Walk walk(World());
  const std::vector<std::pair<std::string, PacketBuilder>> packets = {
      {"wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 53))},
      {"crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53))},
      {"crawl0", Echo(at.internal, at.remote, 7)},
      {"crawl0", Ip(at.internal, at.remote, 47)},
      {"wan0", Ip(at.client, at.dns, 47)},
      {"wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, 50500))}};
  for (const auto& [device, packet] : packets) {
    auto odd = packet;
    const size_t l4 = packet.L4().size();
    // The last piece is one byte.
    const auto pieces = odd.PayloadSize(609 - l4).Fragments(304);
    ASSERT_EQ(pieces.size(), 3u);
    for (const std::vector<size_t>& order :
         {std::vector<size_t>{0, 0, 1, 1, 2, 2},
          std::vector<size_t>{2, 2, 1, 1, 0, 0},
          std::vector<size_t>{1, 0, 1, 2, 0, 1}}) {
      for (const size_t i : order) walk.Send(device, pieces[i]);
      walk.Wait(4);
      EXPECT_EQ(walk.counters()["held"], 0u);
    }
  }
  EXPECT_EQ(walk.counters()["frag_duplicate"], packets.size() * 5);
  EXPECT_EQ(walk.counters()["frag_timeout"], packets.size());
}

// RFC 8200 4.5: the next header of the first counts; what the others say is
// ignored.
TEST(FragmentsHeaderWalk, Frg20TheFirstsNextHeaderRules) {
  for (const bool first_is_first : {true, false}) {
    Walk walk(World());
    auto pieces = Udp("[2001:db8:c::9]:4000", "[2001:db8:53::53]:53")
                      .PayloadSize(900)
                      .Fragments(304);
    pieces[1][14 + 40] = 6;  // TCP
    pieces[2][14 + 40] = 60;
    if (!first_is_first) std::swap(pieces[0], pieces[2]);
    std::vector<Arrival> out;
    for (const Bytes& piece : pieces) {
      for (Arrival& arrival : walk.Send("wan0", piece)) out.push_back(arrival);
    }
    ASSERT_EQ(out.size(), 3u);
    for (const Arrival& arrival : out) {
      EXPECT_EQ(arrival.device, out[0].device);
      EXPECT_THAT(arrival.device, testing::StartsWith("dns"));
    }
    EXPECT_EQ(walk.inbound(), 1u);
  }
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
