// SPDX-License-Identifier: BSD-3-Clause
// How long a mapping lives, and what keeps it alive (RFC 4787, RFC 5382, RFC
// 5508, RFC 7857 2 and 7).
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "tests/walks/world.h"

namespace {
// How often somebody has asked what time it is by the wall.
std::atomic<unsigned> wall_clock_reads{0};
bool IsWallClock(clockid_t id) {
  return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI;
}
}  // namespace

// The wall clock as this program has it: each look at it finds it an hour on.
extern "C" int clock_gettime(clockid_t id, timespec* now) noexcept {
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, id, now));
  if (IsWallClock(id)) now->tv_sec += 3600L * ++wall_clock_reads;
  return result;
}
extern "C" int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  timespec time;
  const int result = clock_gettime(CLOCK_REALTIME, &time);
  *now = {time.tv_sec, time.tv_nsec / 1000};
  return result;
}
extern "C" time_t time(time_t* out) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

namespace godwit {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

class TimersWalk : public WalkTest {
 protected:
  PacketBuilder Query() const {
    return Udp(at.At(at.internal, 5000), at.At(at.remote, 53)).Payload("who?");
  }
  PacketBuilder Answer() const {
    return Udp(at.At(at.remote, 53), at.At(at.unicast, given_)).Payload("me");
  }
  void ExpectAlive(Walk& walk, const PacketBuilder& answer) {
    EXPECT_THAT(walk.Send("wan0", answer), ElementsAre(ArrivesAt("crawl0")));
  }
  void ExpectGone(Walk& walk, const PacketBuilder& answer) {
    EXPECT_THAT(walk.Send("wan0", answer), IsEmpty());
    EXPECT_EQ(walk.ending(), "nat_filtered");
    EXPECT_EQ(walk.mappings(), 0u);
  }
};
GODWIT_BOTH_FAMILIES(TimersWalk);

TEST_P(TimersWalk, Flt03WhatIsFilteredRefreshesNothing) {
  Walk walk(World());
  Leave(walk, "crawl0", Query());
  for (int minute = 0; minute < 4; ++minute) {
    walk.Wait(60);
    walk.Send("wan0", Udp(at.At(at.remote, 54), at.At(at.unicast, given_)));
    EXPECT_EQ(walk.ending(), "nat_filtered");
  }
  walk.Wait(59);
  ExpectAlive(walk, Answer());
  walk.Wait(2);
  ExpectGone(walk, Answer());
}

TEST_P(TimersWalk, Tmr03WhatComesInRefreshesNothing) {
  Walk walk(World());
  Leave(walk, "crawl0", Query());
  for (int minute = 0; minute < 5; ++minute) {
    walk.Wait(59.9);
    ExpectAlive(walk, Answer());
  }
  walk.Wait(1);
  ExpectGone(walk, Answer());
}

// RFC 7857 7.1: an originator that complains does not want it.
TEST_P(TimersWalk, Tmr04ErrorsThatGoOutRefreshNothing) {
  Walk walk(World());
  Leave(walk, "crawl0", Query());
  for (int minute = 0; minute < 4; ++minute) {
    walk.Wait(60);
    const auto in = walk.Send("wan0", Answer());
    ASSERT_THAT(in, ElementsAre(ArrivesAt("crawl0")));
    EXPECT_THAT(walk.Send("crawl0", IcmpError(at.internal, at.v4 ? 3 : 1,
                                              at.v4 ? 3 : 4, in[0].Packet())),
                ElementsAre(ArrivesAt("wan0")));
  }
  walk.Wait(61);
  ExpectGone(walk, Answer());
}

// A reset gives four minutes, once: more of them give no more.
TEST_P(TimersWalk, Tmr04ResetsThatGoOutRefreshNothing) {
  Walk walk(World());
  const auto segment = Tcp(at.At(at.internal, 5000), at.At(at.remote, 80));
  const auto with = [](PacketBuilder packet, const char* flags) {
    return packet.Flags(flags);
  };
  Leave(walk, "crawl0", with(segment, "S"));
  const auto answer = Tcp(at.At(at.remote, 80), at.At(at.unicast, given_));
  walk.Send("wan0", with(answer, "SA"));
  walk.Send("crawl0", with(segment, "A"));
  for (int minute = 0; minute < 4; ++minute) {
    EXPECT_THAT(walk.Send("crawl0", with(segment, "R")),
                ElementsAre(ArrivesAt("wan0")));
    walk.Wait(59);
  }
  EXPECT_EQ(walk.mappings(), 1u);
  walk.Wait(5);
  ExpectGone(walk, with(answer, "R"));
}

TEST_P(TimersWalk, Tmr06ASynAloneIsKeptFourMinutes) {
  for (const int seconds : {239, 241}) {
    Walk walk(World());
    Leave(walk, "crawl0",
          Tcp(at.At(at.internal, 5000), at.At(at.remote, 80)).Flags("S"));
    walk.Wait(seconds);
    const auto answer =
        Tcp(at.At(at.remote, 80), at.At(at.unicast, given_)).Flags("SA");
    if (seconds < 240) {
      ExpectAlive(walk, answer);
    } else {
      ExpectGone(walk, answer);
    }
  }
}

TEST_P(TimersWalk, Tmr12AnEchoIsKeptAsLongAsIsSaid) {
  for (const uint32_t timeout : {60U, 120U}) {  // ICQ-05 too
    SnapshotBuilder world = World();
    world.nat().timeouts.icmp = timeout * 10;
    Walk walk(world);
    Leave(walk, "crawl0", Echo(at.internal, at.remote, 77));
    const auto reply = EchoReply(at.remote, at.unicast, given_);
    walk.Wait(timeout - 1);
    ExpectAlive(walk, reply);
    walk.Wait(2);
    EXPECT_THAT(walk.Send("wan0", reply), Not(Contains(ArrivesAt("crawl0"))));
    EXPECT_EQ(walk.mappings(), 0u);
  }
}

TEST_P(TimersWalk, Tmr14WorkersNeverAskTheWallClock) {
  Walk walk(World());
  const unsigned before = wall_clock_reads;
  Leave(walk, "crawl0", Query());
  walk.Wait(299);
  ExpectAlive(walk, Answer());
  walk.Wait(2);
  ExpectGone(walk, Answer());
  EXPECT_EQ(wall_clock_reads, before);
  EXPECT_GT(time(nullptr), 0);  // or nobody's look would be counted
  EXPECT_EQ(wall_clock_reads, before + 1);
}

// All that are due are gone before a worker rests, idle or not; the time for
// it is bounded by the turns that it takes (worker.cc, kExpireBudget).
TEST_P(TimersWalk, Tmr15ManyThatAreDueGoAtOnce) {
  constexpr unsigned kFlows = 10'000;
  Walk walk(World(), {.max_flows = 16384});
  std::vector<Bytes> frames;
  for (unsigned i = 0; i < kFlows; ++i) {
    frames.push_back(
        Udp(at.At(at.client, 1024 + i), at.At(at.dns, 53)).Frame());
    if (frames.size() < 500 && i + 1 < kFlows) continue;
    walk.SendAll("wan0", frames);
    frames.clear();
  }
  ASSERT_EQ(walk.inbound(), kFlows);
  walk.Wait(29);
  EXPECT_EQ(walk.inbound(), kFlows);
  walk.Wait(2);
  EXPECT_EQ(walk.inbound(), 0u);
}

TEST_P(TimersWalk, Tmr16AConnectionThatSleepsKeepsNobodyElse) {
  Walk walk(World(), {.max_flows = 256});
  const auto segment = Tcp(at.At(at.internal, 5000), at.At(at.remote, 80));
  auto syn = segment;
  Leave(walk, "crawl0", syn.Flags("S"));
  const auto answer = Tcp(at.At(at.remote, 80), at.At(at.unicast, given_));
  auto accept = answer;
  walk.Send("wan0", accept.Flags("SA"));
  for (unsigned round = 0; round < 4; ++round) {
    for (unsigned i = 0; i < 200; ++i) {
      const auto query =
          Udp(at.At(at.internal, 6000 + i), at.At(at.remote, 53));
      EXPECT_THAT(walk.Send("crawl0", query), ElementsAre(ArrivesAt("wan0")));
    }
    EXPECT_EQ(walk.mappings(), 201u);
    walk.Wait(301);
    EXPECT_EQ(walk.mappings(), 1u);
  }
  auto data = answer;
  ExpectAlive(walk, data.Flags("PA"));
}

class ExpiryWalk : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(, ExpiryWalk, testing::Values(1U, 2U, 3U),
                         testing::PrintToStringParamName());

// A packet and the end of its mapping in one turn: the old mapping takes it,
// or there is none. Nothing of a flow is shared between workers, so there is
// no race beyond this one.
TEST_P(ExpiryWalk, Tmr18EitherThePacketOrTheEndIsFirst) {
  const auto query = Udp("10.0.0.5:5000", "203.0.113.80:53");
  for (unsigned tick = 2990; tick <= 3010; ++tick) {
    SCOPED_TRACE(tick);
    Walk walk(World(), {.workers = GetParam()});
    const auto left = walk.Send("crawl0", query);
    ASSERT_THAT(left, ElementsAre(ArrivesAt("wan0")));
    const unsigned given = V4().SourceL4PortOf(left[0].Packet());
    const auto answer =
        Udp("203.0.113.80:53", "198.51.100.7:" + std::to_string(given));
    walk.Later(tick / 10.0);
    const auto in = walk.Send("wan0", answer);
    if (tick <= 3000) {
      EXPECT_THAT(
          in, ElementsAre(Arrives(
                  "crawl0", Udp("203.0.113.80:53", "10.0.0.5:5000").Packet())));
      EXPECT_EQ(walk.mappings(), 1u);
      const auto again = walk.Send("crawl0", query);
      ASSERT_THAT(again, ElementsAre(ArrivesAt("wan0")));
      EXPECT_EQ(again[0].Packet(), left[0].Packet());
    } else {
      EXPECT_THAT(in, IsEmpty());
      EXPECT_EQ(walk.ending(), "nat_filtered");
      EXPECT_EQ(walk.mappings(), 0u);
      EXPECT_THAT(walk.Send("crawl0", query), ElementsAre(ArrivesAt("wan0")));
    }
    EXPECT_EQ(walk.mappings(), 1u);
  }
}

}  // namespace
}  // namespace godwit
