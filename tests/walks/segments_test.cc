// SPDX-License-Identifier: BSD-3-Clause
// Frames in chains of buffers come out as whole ones do (MBF-03).
#include "tests/walks/world.h"

namespace godwit {
namespace {

class SegmentsWalk : public WalkTest {};
GODWIT_BOTH_FAMILIES(SegmentsWalk);

// A frame of each kind that is rewritten, and where it is sent in.
std::vector<std::pair<std::string, Bytes>> FramesOf(const Family& at) {
  const auto out =
      Udp(at.At(at.internal, 5000), at.At(at.remote, 53)).PayloadSize(40);
  const auto left =
      Udp(at.At(at.unicast, 50500), at.At(at.remote, 53)).PayloadSize(40);
  auto chain = out;
  auto padded = out;
  padded.Trailer(13);
  if (at.v4) {
    chain.Options(Bytes(12, 1));
  } else {
    chain.Extension(0, FromHex("0502 0000")).Extension(60);
  }
  return {
      {"wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 53)).Frame()},
      {"wan0", Echo(at.client, at.mail, 7).Payload("ping").Frame()},
      {"wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 54)).Frame()},
      {"wan0", left.Frame()},
      {"wan0", IcmpError(at.router, at.v4 ? 3 : 1, 1, left.Packet()).Frame()},
      {"crawl0", out.Frame()},
      {"crawl0", chain.Frame()},
      {"crawl0", padded.Frame()},
      {"crawl0",
       Tcp(at.At(at.internal, 5000), at.At(at.remote, 80)).Flags("S").Frame()},
      {"crawl0", Echo(at.internal, at.remote, 77).PayloadSize(30).Frame()},
      {"dns0", Udp(at.At(at.dns, 53), at.At(at.client, 4000)).Frame()},
      {"gw0", Udp(at.At(at.unicast, 3784), at.At(at.remote, 3784)).Frame()}};
}

// How `frame` fares in a world of its own.
struct Fate {
  std::vector<Arrival> arrivals;
  std::string ending;
  friend bool operator==(const Fate&, const Fate&) = default;
};
void PrintTo(const Fate& fate, std::ostream* out) {
  *out << fate.ending;
  for (const Arrival& arrival : fate.arrivals) {
    *out << "; ";
    PrintTo(arrival, out);
  }
}
Fate FateOf(const std::string& device, const Bytes& frame,
            const std::vector<size_t>& cuts) {
  Walk walk(World());
  auto arrivals = walk.SendCut(device, frame, cuts);
  return {std::move(arrivals), walk.ending()};
}

TEST_P(SegmentsWalk, CutAnywhereGoTheSameWay) {
  for (const auto& [device, frame] : FramesOf(at)) {
    const Fate whole = FateOf(device, frame, {});
    for (size_t cut = 0; cut <= frame.size(); ++cut) {
      EXPECT_EQ(FateOf(device, frame, {cut}), whole) << cut;
    }
  }
}

TEST_P(SegmentsWalk, CutEverywhereGoTheSameWay) {
  for (const auto& [device, frame] : FramesOf(at)) {
    std::vector<size_t> cuts;
    for (size_t cut = 1; cut < frame.size(); ++cut) cuts.push_back(cut);
    EXPECT_EQ(FateOf(device, frame, cuts), FateOf(device, frame, {}));
  }
}

// RFC 4443 3.1: an error quotes as much as fits, so its end may be behind what
// is brought together of a chain.
TEST_P(SegmentsWalk, LongErrorsCutAnywhereGoTheSameWay) {
  SnapshotBuilder world = World();
  world.RemoveService("dns").Service("dns", {at.dns}, {"udp/53"}, {"dns0"});
  const auto reply =
      Udp(at.At(at.dns, 53), at.At(at.client, 4000)).PayloadSize(1201);
  const auto error = IcmpError(at.router, at.v4 ? 3 : 1, 1, reply.Packet());
  auto wrong = error;
  wrong.BadL4Checksum();
  for (const size_t cut : {0u, 100u, 1100u, 1153u, 1155u, 1200u, 1201u}) {
    Walk walk(world);
    const auto out = walk.SendCut("wan0", error.Frame(), {cut});
    EXPECT_THAT(out, testing::ElementsAre(Arrives("dns0", error.Packet())));
    EXPECT_EQ(walk.ending(), "delivered") << cut;
    walk.SendCut("wan0", wrong.Frame(), {cut});
    EXPECT_EQ(walk.ending(), "icmp_csum") << cut;
  }
}

// ANY-18, ICE-18: what is said about a long frame has all of it, too.
TEST_P(SegmentsWalk, LongFramesCutAnywhereAreAnsweredTheSame) {
  const auto echo = Echo(at.client, at.mail, 7).PayloadSize(1400).Frame();
  const auto missed =
      Udp(at.At(at.client, 4000), at.At(at.mail, 9)).PayloadSize(1400).Frame();
  for (const Bytes& frame : {echo, missed}) {
    const Fate whole = FateOf("wan0", frame, {});
    EXPECT_EQ(whole.arrivals.size(), 1u);
    for (const size_t cut : {100u, 1153u, 1155u, 1200u, 1293u, 1400u}) {
      EXPECT_EQ(FateOf("wan0", frame, {cut}), whole) << cut;
    }
  }
  // Longer than a buffer, and than what 16 bits hold with the link header.
  for (const size_t size : std::vector<size_t>{3000, at.v4 ? 65507U : 65487U}) {
    const Bytes longest = Echo(at.client, at.mail, 7).PayloadSize(size).Frame();
    std::vector<size_t> cuts;
    for (size_t cut = 2000; cut < longest.size(); cut += 2000) {
      cuts.push_back(cut);
    }
    const Fate fate = FateOf("wan0", longest, cuts);
    EXPECT_EQ(fate.arrivals.size(), 0u);
    EXPECT_EQ(fate.ending, "consumed");
  }
}

TEST_P(SegmentsWalk, LongFramesStayInTheirChain) {
  SnapshotBuilder world = World();
  for (const char* device : {"wan0", "crawl0"}) {
    world.device(device).mtu = 9000;
  }
  Walk walk(world);
  const auto packet =
      Udp(at.At(at.internal, 5000), at.At(at.remote, 53)).PayloadSize(4000);
  const auto out = walk.SendCut("crawl0", packet.Frame(), {1500, 2900});
  ASSERT_EQ(out.size(), 1u);
  const Bytes left = out[0].Packet();
  EXPECT_TRUE(ChecksumsHold(left));
  EXPECT_EQ(left.size(), packet.Packet().size());
}

TEST(SegmentsFragmentWalk, LongFramesAreCutOutOfTheirChain) {
  SnapshotBuilder world = World();
  world.device("crawl0").mtu = 9000;
  const Family& at = V4();
  const auto packet =
      Udp(at.At(at.internal, 5000), at.At(at.remote, 53)).PayloadSize(4000);
  Walk walk(world);
  const auto pieces =
      walk.SendCut("crawl0", packet.Frame(), {1500, 1501, 2900});
  ASSERT_EQ(pieces.size(), 3u);
  Bytes together;
  for (const Arrival& piece : pieces) {
    const Bytes bytes = piece.Packet();
    together.insert(together.end(), bytes.begin() + 20, bytes.end());
  }
  // Behind the UDP header, of which the l4port and the checksum are new.
  const Bytes sent = packet.L4();
  ASSERT_EQ(together.size(), sent.size());
  EXPECT_TRUE(std::equal(sent.begin() + 8, sent.end(), together.begin() + 8));
}

}  // namespace
}  // namespace godwit
