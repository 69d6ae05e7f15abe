// SPDX-License-Identifier: BSD-3-Clause
// Whatever runs out has a counter of its own, and nobody else pays for it;
// buffers that are not ours alone are not written.
#include <rte_mbuf.h>

#include <cstring>

#include "tests/support/lanes.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

rte_mbuf* BufferWith(const Bytes& frame) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(Lanes::Get().pool());
  EXPECT_NE(mbuf, nullptr);
  char* room = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()));
  std::memcpy(room, frame.data(), frame.size());
  return mbuf;
}
Bytes BytesIn(const rte_mbuf* mbuf) {
  const auto* begin = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  return Bytes(begin, begin + mbuf->data_len);
}

class FullWalk : public WalkTest {
 protected:
  PacketBuilder Query(unsigned l4port) const {
    return Udp(at.At(at.internal, l4port), at.At(at.remote, 53));
  }
  Bytes SourceIn(const Bytes& packet) const {
    const auto begin = packet.begin() + (at.v4 ? 12 : 8);
    return Bytes(begin, begin + (at.v4 ? 4 : 16));
  }
  // One frame of each way that a packet takes.
  std::vector<std::pair<std::string, Bytes>> FrameOfEachWay(Walk& walk) {
    Leave(walk, "crawl0", Query(5000));
    return {
        {"crawl0", Query(5000).Frame()},
        {"wan0", Udp(at.At(at.remote, 53), at.At(at.unicast, given_)).Frame()},
        {"wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 53)).Frame()},
        {"wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 54)).Frame()},
        {"wan0", Echo(at.client, at.mail, 7).Frame()},
        {"wan0", Udp(at.At(at.client, 4000), at.At(at.unicast, 22)).Frame()},
        {"dns0", Udp(at.At(at.dns, 53), at.At(at.client, 4000)).Frame()},
        {"gw0", Udp(at.At(at.unicast, 22), at.At(at.client, 22)).Frame()}};
  }
};
GODWIT_BOTH_FAMILIES(FullWalk);

TEST_P(FullWalk, Exh06ATableThatIsFullSaysSo) {
  Walk walk(World(), {.max_flows = 16});
  for (unsigned i = 0; i < 16; ++i) Leave(walk, "crawl0", Query(5000 + i));
  EXPECT_THAT(walk.Send("crawl0", Query(6000)), Each(ArrivesAt("crawl0")));
  EXPECT_THAT(walk.ending(), HasSubstr("table_full"));
  Leave(walk, "crawl0", Query(5000));  // those that there are go on
  // Who asks a service is served without an entry.
  EXPECT_THAT(
      walk.Send("wan0", Udp(at.At(at.client, 4000), at.At(at.dns, 53))),
      ElementsAre(testing::AnyOf(ArrivesAt("dns0"), ArrivesAt("dns1"))));
  const auto counters = walk.counters();
  EXPECT_THAT(counters, Contains(Pair("table_full", 1)));
  EXPECT_FALSE(counters.contains("nat_no_port"));
  EXPECT_FALSE(counters.contains("mbuf_none"));
}

TEST_P(FullWalk, Exh06L4PortsThatAreOutSaySo) {
  Walk walk(World().EgressL4Ports(50000, 50003));
  for (unsigned i = 0; i < 4; ++i) Leave(walk, "crawl0", Query(5000 + i));
  walk.Send("crawl0", Query(6000));
  EXPECT_THAT(walk.counters(), Contains(Pair("nat_no_port", 1)));
  EXPECT_FALSE(walk.counters().contains("table_full"));
  EXPECT_FALSE(walk.counters().contains("mbuf_none"));
}

// An operator who adds an address must know for whom; refused after a round of
// all workers too.
TEST_P(FullWalk, TellsWhichUnicastAddressHasNoL4PortLeft) {
  for (const unsigned workers : {1U, 3U}) {
    SnapshotBuilder world = World();
    const std::vector<std::string> own = {
        at.unicast, at.v4 ? "198.51.100.8" : "2001:db8:7::8"};
    world.Unicast({V4().unicast, V6().unicast, own[1]});
    world.EgressL4Ports(50000, 50003);
    Walk walk(world, {.workers = workers});
    const Bytes second = Udp(at.At(own[1], 1), at.At(at.remote, 1)).Packet();
    // An originator stays on one of them.
    std::map<std::string, unsigned> refused;
    for (unsigned host = 1; host <= 8; ++host) {
      const std::string internal =
          (at.v4 ? "10.0.0." : "fd00::") + std::to_string(host);
      std::string used;
      for (unsigned i = 0; i < 6; ++i) {
        const auto out = walk.Send(
            "crawl0",
            Udp(at.At(internal, 5000 + i), at.At(at.remote, 1000 + host)));
        ASSERT_EQ(out.size(), 1u);
        if (out[0].device == "crawl0") {
          ++refused[used];
          continue;
        }
        used = own[SourceIn(out[0].Packet()) == SourceIn(second) ? 1 : 0];
      }
    }
    ASSERT_EQ(refused.size(), 2u);
    for (const std::string& address : own) {
      EXPECT_EQ(walk.ExhaustedAt(address), refused[address]) << address;
    }
    EXPECT_EQ(walk.ExhaustedAt(at.v4 ? V6().unicast : V4().unicast), 0u);
    EXPECT_EQ(walk.counters()["nat_no_port"], 16u);
  }
}

TEST_P(FullWalk, Exh06BuffersThatAreOutSaySo) {
  Walk walk(World());
  const Bytes frame = Query(5000).Frame();
  std::vector<rte_mbuf*> taken;
  while (rte_mbuf* mbuf = rte_pktmbuf_alloc(Lanes::Get().pool())) {
    taken.push_back(mbuf);
  }
  const auto give_back = [&taken] {
    rte_pktmbuf_free(taken.back());
    taken.pop_back();
  };
  // A chain must be copied, and there is nothing to copy it to.
  give_back();
  give_back();
  walk.CallerHolds(static_cast<unsigned>(taken.size()));
  EXPECT_THAT(walk.SendCut("crawl0", frame, {20}), IsEmpty());
  EXPECT_EQ(walk.ending(), "mbuf_none");
  // Nor is there one for an answer: the packet ends as it would have.
  give_back();
  for (int i = 0; i < 2; ++i)
    taken.push_back(rte_pktmbuf_alloc(Lanes::Get().pool()));
  walk.CallerHolds(static_cast<unsigned>(taken.size()));
  EXPECT_THAT(walk.Send("wan0", Udp(at.At(at.client, 1), at.At(at.dns, 54))),
              IsEmpty());
  EXPECT_EQ(walk.ending(), "svc_miss");
  // What needs no other buffer goes on.
  EXPECT_THAT(walk.Send("crawl0", frame), ElementsAre(ArrivesAt("wan0")));
  rte_pktmbuf_free_bulk(taken.data(), static_cast<unsigned>(taken.size()));
  walk.CallerHolds(0);
  EXPECT_THAT(walk.SendCut("crawl0", frame, {20}),
              ElementsAre(ArrivesAt("wan0")));
}

// Somebody else reads the same bytes: a second reference, a clone.
TEST_P(FullWalk, Mbf02SharedBuffersAreNotWritten) {
  Walk walk(World());
  for (const auto& [device, frame] : FrameOfEachWay(walk)) {
    const auto alone = walk.Send(device, frame);
    ASSERT_EQ(alone.size(), 1u);
    walk.CallerHolds(1);
    rte_mbuf* whole = BufferWith(frame);
    rte_mbuf_refcnt_update(whole, 1);
    EXPECT_EQ(walk.SendBuffers(device, {whole}), alone);
    EXPECT_EQ(rte_mbuf_refcnt_read(whole), 1);
    EXPECT_EQ(BytesIn(whole), frame);
    rte_mbuf* clone = rte_pktmbuf_clone(whole, Lanes::Get().pool());
    EXPECT_EQ(walk.SendBuffers(device, {clone}), alone);
    EXPECT_EQ(rte_mbuf_refcnt_read(whole), 1);
    EXPECT_EQ(BytesIn(whole), frame);
    rte_pktmbuf_free(whole);
    walk.CallerHolds(0);
  }
}

// Memory that is not the pool's.
TEST_P(FullWalk, Mbf02ExternalBuffersAreNotWritten) {
  Walk walk(World());
  for (const auto& [device, frame] : FrameOfEachWay(walk)) {
    const auto alone = walk.Send(device, frame);
    alignas(64) std::array<uint8_t, 2048> memory{};
    std::memcpy(memory.data(), frame.data(), frame.size());
    rte_mbuf_ext_shared_info shared{};
    shared.free_cb = [](void*, void*) {};
    rte_mbuf_ext_refcnt_set(&shared, 1);
    rte_mbuf* mbuf = rte_pktmbuf_alloc(Lanes::Get().pool());
    rte_pktmbuf_attach_extbuf(mbuf, memory.data(), RTE_BAD_IOVA,
                              static_cast<uint16_t>(frame.size()), &shared);
    rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()));
    EXPECT_EQ(walk.SendBuffers(device, {mbuf}), alone);
    EXPECT_EQ(Bytes(memory.begin(),
                    memory.begin() + static_cast<ptrdiff_t>(frame.size())),
              frame);
  }
}

// walk.cc looks at the flags of all that leaves.
TEST_P(FullWalk, Mbf04WordsOfTheReceiveSideEndThere) {
  Walk walk(World());
  for (const auto& [device, frame] : FrameOfEachWay(walk)) {
    const auto alone = walk.Send(device, frame);
    rte_mbuf* mbuf = BufferWith(frame);
    mbuf->ol_flags = RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_IP_CKSUM_BAD |
                     RTE_MBUF_F_RX_L4_CKSUM_BAD | RTE_MBUF_F_RX_VLAN |
                     RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM |
                     RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_VLAN;
    mbuf->tx_offload = UINT64_MAX;
    mbuf->vlan_tci = 100;
    mbuf->hash.rss = 7;
    EXPECT_EQ(walk.SendBuffers(device, {mbuf}), alone);
  }
}

// A driver that has taken the tag off: it is looked at all the same.
TEST_P(FullWalk, Mbf04ATagThatWasTakenOffCounts) {
  SnapshotBuilder world = World();
  world.device("wan0").vlan = 100;
  Walk walk(world);
  const Bytes frame = Udp(at.At(at.client, 4000), at.At(at.quiet, 99)).Frame();
  for (const uint16_t vlan : {uint16_t{100}, uint16_t{200}}) {
    rte_mbuf* mbuf = BufferWith(frame);
    mbuf->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    mbuf->vlan_tci = vlan;
    const auto out = walk.SendBuffers("wan0", {mbuf});
    if (vlan == 100) {
      EXPECT_THAT(out, ElementsAre(ArrivesAt("quiet0")));
    } else {
      EXPECT_THAT(out, IsEmpty());
    }
  }
}

// With three workers one sends for all to every second device (walk.h), so
// its ring takes a third of what comes. Sends 2700 packets in one burst, each
// ninth to mail0 and the others as `flood`: how many came where.
std::map<std::string, unsigned> Flood(Walk& walk, const Family& at,
                                      const PacketBuilder& flood) {
  std::vector<Bytes> frames(2700, flood.Frame());
  const Bytes other =
      Tcp(at.At(at.client, 4000), at.At(at.mail, 25)).Flags("S").Frame();
  for (size_t i = 0; i < frames.size(); i += 9) frames[i] = other;
  std::map<std::string, unsigned> came;
  for (const Arrival& arrival : walk.SendAll("wan0", frames)) {
    ++came[arrival.device];
  }
  EXPECT_EQ(came["mail0"], 300u);
  return came;
}

TEST_P(FullWalk, Mbf06AQueueThatIsFullCostsNoOther) {
  Walk walk(World(), {.workers = 3});
  auto came = Flood(walk, at, Udp(at.At(at.client, 4000), at.At(at.quiet, 99)));
  EXPECT_GE(came["quiet0"], 1000u);
  EXPECT_LT(came["quiet0"], 2400u);
  EXPECT_EQ(walk.counters()["queue_full"], 2400 - came["quiet0"]);
  EXPECT_EQ(walk.DroppedAt("quiet0"), 2400 - came["quiet0"]);
  EXPECT_EQ(walk.DroppedAt("mail0"), 0u);
  EXPECT_THAT(walk.Send("wan0", Udp(at.At(at.client, 1), at.At(at.quiet, 99))),
              ElementsAre(ArrivesAt("quiet0")));
}

TEST_P(FullWalk, Mbf05AKernelThatIsFullCostsNoOther) {
  Walk walk(World(), {.workers = 3});
  auto came = Flood(walk, at,
                    Tcp(at.At(at.client, 1), at.At(at.unicast, 22)).Flags("S"));
  EXPECT_LT(came["gw0"], 2400u);
  EXPECT_EQ(walk.counters()["kernel_full"], 2400 - came["gw0"]);
  EXPECT_THAT(
      walk.Send("wan0", Udp(at.At(at.client, 1), at.At(at.unicast, 22))),
      ElementsAre(ArrivesAt("gw0")));
}

TEST_P(FullWalk, Mbf05AnUplinkThatIsFullCostsNoOther) {
  const SnapshotBuilder world = World().Uplink("wan1", "gw1");
  ASSERT_EQ(world.device_id("wan1") % 2, 0u);  // one sends for all
  Walk walk(world, {.workers = 3});
  std::vector<Bytes> frames;
  for (unsigned i = 0; i < 2700; ++i) {
    frames.push_back(
        Udp(at.At(at.dns, 53), at.At(at.client, 1024 + i)).Frame());
  }
  std::map<std::string, unsigned> came;
  for (const Arrival& arrival : walk.SendAll("dns0", frames)) {
    ++came[arrival.device];
  }
  const uint64_t lost = 2700 - came["wan0"] - came["wan1"];
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(walk.counters()["uplink_full"], lost);
  EXPECT_EQ(walk.DroppedAt("wan1"), lost);
  EXPECT_EQ(walk.DroppedAt("wan0"), 0u);
  EXPECT_THAT(walk.Send("dns0", Udp(at.At(at.dns, 53), at.At(at.client, 1))),
              testing::SizeIs(1));
}

// Nobody takes what workers tell: they lose it, and no packet.
TEST(FullEventsWalk, Log04WorkersDoNotWaitForWhoListens) {
  Walk walk(World());
  const auto announcement = [](unsigned i) {
    const auto a = static_cast<uint8_t>(i >> 8);
    const auto b = static_cast<uint8_t>(i);
    Bytes frame = FromHex(
        "ffffffffffff 0200000000aa 0806 0001 0800 06 04 0002 0200000000aa");
    Append(frame,
           {10, 1, a, b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 10, 1, a, b});
    return frame;
  };
  std::vector<Bytes> frames;
  for (unsigned i = 0; i < 4000; ++i) {
    frames.push_back(announcement(i));
    if (frames.size() < 500) continue;
    frames.push_back(Udp("10.0.0.5:5000", "203.0.113.80:53").Frame());
    EXPECT_THAT(walk.SendAll("crawl0", frames), ElementsAre(ArrivesAt("wan0")));
    frames.clear();
  }
  EXPECT_THAT(walk.counters(), Contains(Pair("consumed", 4000)));
  EXPECT_EQ(walk.lost_events(), 4000u - EventSink::kCapacity);
  EXPECT_EQ(walk.TakeEvents().size(), EventSink::kCapacity);
  walk.Send("crawl0", announcement(4001));
  EXPECT_EQ(walk.TakeEvents().size(), 1u);
}

}  // namespace
}  // namespace godwit
