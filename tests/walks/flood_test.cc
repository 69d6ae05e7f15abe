// SPDX-License-Identifier: BSD-3-Clause
// Floods on a clock that the test moves: who is there already notices nothing,
// mappings are never evicted, what is held and what is answered is bounded
// (conformance tables, ADV-33, 49 to 57). `World()` and walk.h hold the books
// after every burst: packets, buffers, sources.
#include <algorithm>
#include <cstdlib>
#include <random>

#include "tests/walks/conversation.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Le;

constexpr size_t kBurst = 900;  // what a ring of the walk's holds
constexpr uint32_t kTable = 1024;
// The longest that a bucket of answers gives: its depth, then its rate.
constexpr uint64_t kAnswersASecond = 100;

bool Full() { return std::getenv("GODWIT_FULL") != nullptr; }

class FloodWalk : public WalkTest {
 protected:
  AddressAndPort End(const std::string& address, unsigned l4port) const {
    return *AddressAndPort::Parse(at.At(address, l4port));
  }
  // Whom nothing may happen to: ten of each kind.
  void Settle(Walk& walk) {
    for (unsigned i = 0; i < 10; ++i) {
      const auto begin = [&](uint8_t protocol, const char* device,
                             const std::string& from,
                             const AddressAndPort& to) {
        settled_.emplace_back(walk, protocol, device,
                              Ends{End(from, 4000 + i), to});
        ASSERT_TRUE(settled_.back().opened()) << walk.ending();
      };
      begin(kProtoUdp, "wan0", at.client, End(at.dns, 53));
      begin(kProtoTcp, "wan0", at.client, End(at.dns, 53));
      begin(kProtoTcp, "wan0", at.client, End(at.mail, 25));
      begin(kProtoUdp, "crawl0", at.internal, End(at.remote, 53));
      begin(kProtoTcp, "crawl0", at.internal, End(at.remote, 80));
    }
    mappings_ = walk.mappings();
    ASSERT_EQ(mappings_, 20u);
  }
  void ExpectNobodyNoticed(Walk& walk) {
    for (const Conversation& one : settled_) {
      ASSERT_EQ(one.Differs(walk), "") << one.ToString();
    }
    EXPECT_EQ(walk.mappings(), mappings_);
  }
  // Somebody new, each time.
  std::string Stranger() {
    const auto a = static_cast<unsigned>(random_());
    if (at.v4) {
      return "8." + std::to_string(a >> 24 & 255) + '.' +
             std::to_string(a >> 16 & 255) + '.' + std::to_string(a & 255);
    }
    char text[40];
    std::snprintf(text, sizeof(text), "2001:db8:c:%x::%x", a >> 16 & 0xffff,
                  a & 0xffff);
    return text;
  }
  unsigned AnyL4Port() {
    return 1024 + static_cast<unsigned>(random_() % 60000);
  }
  template <class Make>
  std::vector<Bytes> Many(size_t count, Make make) {
    std::vector<Bytes> frames;
    for (size_t i = 0; i < count; ++i) frames.push_back(make().Frame());
    return frames;
  }

  std::mt19937_64 random_{49};
  std::vector<Conversation> settled_;
  uint64_t mappings_ = 0;
};
GODWIT_BOTH_FAMILIES(FloodWalk);

// A minute. They fill all that inbound flows may have, and no more; those that
// have no entry are delivered all the same, and nothing is answered.
TEST_P(FloodWalk, Adv49ASynFloodTakesNothingFromAnybody) {
  Walk walk(World(), {.max_flows = kTable});
  Settle(walk);
  const int seconds = Full() ? 60 : 10;
  uint64_t most = 0;
  for (int second = 0; second < seconds; ++second) {
    const auto syns = Many(kBurst, [this] {
      return Tcp(at.At(Stranger(), AnyL4Port()), at.At(at.dns, 53)).Flags("S");
    });
    EXPECT_EQ(walk.SendAll("wan0", syns).size(), kBurst) << walk.ending();
    ExpectNobodyNoticed(walk);
    most = std::max(most, walk.inbound());
    walk.Wait(60.0 / seconds);
  }
  EXPECT_EQ(walk.counters()["generated"], 0u);
  EXPECT_LE(most, kTable * 7 / 8);
  EXPECT_GT(most, kTable * 3 / 4);  // or it was no flood
  // There is room for those who originate.
  Leave(walk, "crawl0", Udp(at.At(at.internal, 9000), at.At(at.remote, 53)));
}

// The same when the service answers each of them, as one with SYN cookies
// does: then no entry may be taken for another.
TEST_P(FloodWalk, Adv49ASynFloodThatIsAnsweredTakesNothingFromAnybody) {
  Walk walk(World(), {.max_flows = kTable});
  Settle(walk);
  for (int second = 0; second < 5; ++second) {
    for (const Arrival& syn : walk.SendAll(
             "wan0", Many(kBurst / 2, [this] {
               return Tcp(at.At(Stranger(), AnyL4Port()), at.At(at.dns, 53))
                   .Flags("S");
             }))) {
      const Bytes packet = syn.Packet();
      const size_t l4 = at.v4 ? 20 : 40;
      const IpAddress client = at.v4 ? IpAddress::FromV4(&packet[12])
                                     : IpAddress::FromV6(&packet[8]);
      const auto l4port =
          static_cast<unsigned>(packet[l4] * 256 + packet[l4 + 1]);
      EXPECT_THAT(walk.Send(syn.device, Tcp(at.At(at.dns, 53),
                                            at.At(client.ToString(), l4port))
                                            .Flags("SA")),
                  testing::SizeIs(1));
    }
    ExpectNobodyNoticed(walk);
    walk.Wait(1);
  }
  EXPECT_LE(walk.inbound(), kTable * 7 / 8);
  Leave(walk, "crawl0", Udp(at.At(at.internal, 9000), at.At(at.remote, 53)));
}

// What nobody serves: no entry, and as many answers as the bucket has.
TEST_P(FloodWalk, Adv55MissesLeaveNothingAndAreAnsweredFromABucket) {
  Walk walk(World(), {.max_flows = kTable});
  Settle(walk);
  const uint64_t inbound = walk.inbound();
  constexpr int kSeconds = 20;
  for (int second = 0; second < kSeconds; ++second) {
    const auto misses = Many(kBurst, [this] {
      const std::string from = at.At(Stranger(), AnyL4Port());
      return random_() % 2 == 0 ? Udp(from, at.At(at.dns, AnyL4Port()))
                                : Tcp(from, at.At(at.mail, AnyL4Port()));
    });
    const auto out = walk.SendAll("wan0", misses);
    EXPECT_THAT(out, Each(ArrivesAt("wan0")));
    EXPECT_LE(out.size(), kAnswersASecond);
    EXPECT_EQ(walk.inbound(), inbound);
    ExpectNobodyNoticed(walk);
    walk.Wait(1);
  }
  EXPECT_EQ(walk.counters()["svc_miss"], kSeconds * kBurst);
}

// Every l4port of the unicast address, by both protocols, as strangers and as
// the one remote end that a flow is open to.
TEST_P(FloodWalk, Adv51AScanOfTheUnicastAddressFindsNothing) {
  Walk walk(World(), {.max_flows = kTable});
  Settle(walk);
  const uint64_t inbound = walk.inbound();
  const unsigned step = Full() ? 1 : 17;
  for (const bool udp : {true, false}) {
    for (const std::string& from :
         {at.At(at.client, 4000), at.At(at.remote, 53), at.At(at.remote, 80)}) {
      std::vector<Bytes> probes;
      const auto send = [&] {
        for (const Arrival& out : walk.SendAll("wan0", probes)) {
          // To the kernel what is not of the range, to the queue what is of a
          // flow of this very remote end.
          if (out.device == "crawl0") continue;
          ASSERT_EQ(out.device, "gw0");
          const Bytes packet = out.Packet();
          const size_t l4 = (at.v4 ? 20U : 40U) + 2;
          const unsigned to = packet[l4] * 256U + packet[l4 + 1];
          EXPECT_TRUE(to < 50000 || to > 50999) << to;
        }
        probes.clear();
      };
      for (unsigned l4port = 1; l4port < 65536; l4port += step) {
        const std::string to = at.At(at.unicast, l4port);
        probes.push_back(
            (udp ? Udp(from, to) : Tcp(from, to).Flags("S")).Frame());
        if (probes.size() == kBurst) send();
      }
      send();
      EXPECT_EQ(walk.mappings(), mappings_);
      EXPECT_EQ(walk.inbound(), inbound);
    }
  }
  EXPECT_EQ(walk.counters()["generated"], 0u);
  ExpectNobodyNoticed(walk);
}

// A worker that can't send it all: who floods the kernel takes nothing from
// those who talk with it or from the link; with datagrams, nothing from who
// opens a connection.
TEST_P(FloodWalk, Adv51AFloodOfTheKernelLeavesBgpAndSshTheirs) {
  const auto bgp = Tcp(at.At(at.router, 5000), at.At(at.unicast, 179))
                       .Flags("A")
                       .PayloadSize(19)
                       .Frame();
  const auto bfd =
      Udp(at.At(at.router, 5000), at.At(at.unicast, 3784)).Ttl(255).Frame();
  const auto ssh =
      Tcp(at.At(at.client, 5000), at.At(at.unicast, 22)).Flags("S").Frame();
  for (const bool udp : {true, false}) {
    Walk walk(World(), {.max_flows = kTable});
    EXPECT_THAT(
        walk.Send(
            "gw0",
            Tcp(at.At(at.unicast, 179), at.At(at.router, 5000)).Flags("A")),
        testing::SizeIs(1));
    const std::vector<Bytes> wanted =
        udp ? std::vector{bgp, bfd, ssh} : std::vector{bgp, bfd};
    std::vector<Bytes> frames;
    size_t sent = 0;
    for (size_t i = 0; i < kBurst; ++i) {
      const std::string from = at.At(Stranger(), AnyL4Port());
      if (i % 10 == 5) {
        frames.push_back(wanted[sent++ % wanted.size()]);
      } else if (udp) {
        frames.push_back(Udp(from, at.At(at.unicast, 9)).Frame());
      } else {
        frames.push_back(Tcp(from, at.At(at.unicast, 22)).Flags("S").Frame());
      }
    }
    size_t got = 0;
    size_t flood = 0;
    for (const Arrival& out : walk.SendAll("wan0", frames)) {
      ASSERT_EQ(out.device, "gw0");
      const bool is_wanted =
          std::any_of(wanted.begin(), wanted.end(), [&out](const Bytes& one) {
            // The link's addresses are the TAP's.
            return std::equal(out.frame.begin() + 14, out.frame.end(),
                              one.begin() + 14, one.end());
          });
      ++(is_wanted ? got : flood);
    }
    EXPECT_EQ(got, sent);
    EXPECT_LT(flood, kBurst / 3);
    EXPECT_GT(flood, kBurst / 16);
    EXPECT_EQ(walk.counters()["kernel_full"], kBurst - got - flood);
  }
}

// Nobody is limited where there is time for all.
TEST_P(FloodWalk, Adv51WhatIsNoFloodReachesTheKernelWhole) {
  Walk walk(World(), {.max_flows = kTable});
  for (int i = 0; i < 100; ++i) {
    const auto few = Many(30, [this] {
      return Udp(at.At(Stranger(), AnyL4Port()), at.At(at.unicast, 9));
    });
    EXPECT_EQ(walk.SendAll("wan0", few).size(), few.size());
  }
}

// First fragments whose others never come, and others whose first never comes:
// so many are held as there is room for, and none for longer than they may.
TEST_P(FloodWalk, Adv33FragmentsAreHeldWithinBounds) {
  Walk walk(World(), {.max_flows = kTable});
  Settle(walk);
  uint32_t id = 0;
  uint64_t most = 0;
  const int bursts = Full() ? 146 : 30;  // 65,536 identifiers, twice
  for (int burst = 0; burst < bursts; ++burst) {
    const bool first = burst % 2 == 0;
    const auto pieces = Many(kBurst, [&] {
      return Udp(at.At(Stranger(), AnyL4Port()), at.At(at.dns, 53))
          .PayloadSize(64)
          .Fragment(first ? 0 : 1024, first ? More::kYes : More::kNo, ++id);
    });
    walk.SendAll("wan0", pieces);
    most = std::max(most, walk.counters()["held"]);
    ExpectNobodyNoticed(walk);
    if (burst % 10 == 9) walk.Wait(0.1);
  }
  EXPECT_GT(most, 100u);
  EXPECT_LE(most, 512u);
  walk.Wait(3);
  for (int slice = 0; slice < 70; ++slice) walk.Wait(0);  // 16 a turn
  EXPECT_EQ(walk.counters()["held"], 0u);
  // And one that is whole passes, cut or not.
  for (const Conversation& one : settled_) {
    EXPECT_EQ(one.PiecesDiffer(walk, static_cast<uint16_t>(++id)), "");
  }
}

// Errors about what was never sent, and about what was: they move no state and
// no deadline. Who is silent ends when its time is over, errors or not.
TEST_P(FloodWalk, Ice11AFloodOfErrorsKeepsNothingAliveAndEndsNothing) {
  Walk walk(World(), {.max_flows = kTable});
  Settle(walk);
  const auto error = [this](const Bytes& quoted) {
    return IcmpError(at.router, at.v4 ? 3 : 1, at.v4 ? 1 : 0, quoted);
  };
  const Bytes forged =
      Udp(at.At(at.unicast, 50001), at.At(at.client, 7)).Packet();
  for (int burst = 0; burst < 10; ++burst) {
    EXPECT_THAT(
        walk.SendAll("wan0", std::vector<Bytes>(kBurst, error(forged).Frame())),
        IsEmpty());
    ExpectNobodyNoticed(walk);
  }
  EXPECT_EQ(walk.counters()["icmp_unmatched"], 10 * kBurst);
  const Bytes sent = Leave(walk, "crawl0",
                           Udp(at.At(at.internal, 9000), at.At(at.remote, 53)));
  const uint64_t with = walk.mappings();
  for (int tens = 0; tens < 29; ++tens) {
    EXPECT_EQ(walk.SendAll("wan0", std::vector<Bytes>(100, error(sent).Frame()))
                  .size(),
              100u);
    walk.Wait(10);
    for (const Conversation& one : settled_) ASSERT_EQ(one.Differs(walk), "");
  }
  EXPECT_EQ(walk.mappings(), with);
  walk.Wait(15);
  EXPECT_EQ(walk.mappings(), with - 1);
  EXPECT_THAT(walk.Send("wan0", error(sent)), IsEmpty());
}

// Ten minutes of ten times what there is: those who have an l4port keep it,
// who asks for one more is told so, at the rate of the bucket, and the log has
// a line a second at most. Then one goes, and one may come.
TEST_P(FloodWalk, Adv57Exh02TenMinutesOfExhaustionEvictNobody) {
  Walk walk(World().EgressL4Ports(50000, 50063), {.max_flows = kTable});
  std::vector<Conversation> all;
  for (unsigned i = 0; i < 64; ++i) {
    all.emplace_back(walk, kProtoUdp, "crawl0",
                     Ends{End(at.internal, 4000 + i), End(at.remote, 53)});
    ASSERT_TRUE(all.back().opened());
  }
  std::vector<Bytes> more;
  for (unsigned i = 0; i < 640; ++i) {
    more.push_back(
        Udp(at.At(at.internal, 5000 + i), at.At(at.remote, 53)).Frame());
  }
  walk.TakeEvents();
  size_t lines = 0;
  const int step = Full() ? 1 : 10;
  for (int second = 0; second < 600; second += step) {
    const auto told = walk.SendAll("crawl0", more);
    EXPECT_THAT(told, Each(ArrivesAt("crawl0")));
    EXPECT_THAT(told.size(), Le(kAnswersASecond));
    const auto events = walk.TakeEvents();
    EXPECT_LE(events.size(), 1u);
    lines += events.size();
    if (second % 100 == 0) {
      for (const Conversation& one : all) ASSERT_EQ(one.Differs(walk), "");
    }
    walk.Wait(step);
    ASSERT_EQ(walk.mappings(), 64u);
  }
  EXPECT_GT(lines, 0u);
  EXPECT_EQ(walk.counters()["nat_no_port"],
            640U * static_cast<unsigned>(600 / step));
  // EXH-05: all but the first fall silent.
  for (int i = 0; i < 60; ++i) {
    walk.Wait(10);
    EXPECT_EQ(all[0].Differs(walk), "");
  }
  EXPECT_EQ(walk.mappings(), 1u);
  EXPECT_THAT(walk.Send("crawl0", more[0]),
              testing::ElementsAre(ArrivesAt("wan0")));
}

}  // namespace
}  // namespace godwit
