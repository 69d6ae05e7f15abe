// SPDX-License-Identifier: BSD-3-Clause
// One worker or several: the same packets out, the same ends counted. With
// several, most packets come to a worker that must hand them over, and every
// second device sends by one worker alone (walk.h).
#include <algorithm>

#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;

class WorkersWalk : public testing::TestWithParam<std::tuple<Family, int>> {
 protected:
  Walk::Options Several() const {
    return {.workers = static_cast<unsigned>(std::get<1>(GetParam()))};
  }
  const Family& at = std::get<0>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(, WorkersWalk,
                         testing::Combine(testing::Values(V4(), V6()),
                                          testing::Values(2, 3)),
                         [](const auto& param) {
                           return std::get<0>(param.param).name + "By" +
                                  std::to_string(std::get<1>(param.param));
                         });

// What a walk has to show for itself. Which l4port a mapping gets depends on
// the number of workers, so nothing that tells it is in here.
struct Story {
  std::vector<std::string> steps;
  std::map<std::string, uint64_t> counters;
};

class Teller {
 public:
  explicit Teller(const Walk::Options& options) : walk_(World(), options) {}
  Walk& walk() { return walk_; }

  std::vector<Arrival> Send(const std::string& device,
                            const PacketBuilder& packet) {
    return Send(device, packet.Frame());
  }
  std::vector<Arrival> Send(const std::string& device, const Bytes& frame) {
    auto arrivals = walk_.Send(device, frame);
    std::string step = device + " ->";
    for (const Arrival& arrival : arrivals) {
      step += ' ' + arrival.device + '/' + std::to_string(arrival.frame.size());
      EXPECT_TRUE(arrival.frame.size() < 40 || fragments_ ||
                  ChecksumsHold(arrival.Packet()));
    }
    // Handing over is no end, and its own count.
    story_.steps.push_back(step + ": " + walk_.ending());
    return arrivals;
  }
  void Fragments() { fragments_ = true; }
  Story Tell() {
    story_.counters = walk_.counters();
    return story_;
  }
  uint64_t handed_over() const { return walk_.handed_over(); }

 private:
  Walk walk_;
  Story story_;
  bool fragments_ = false;
};

unsigned GivenL4Port(const Family& at, const std::vector<Arrival>& arrivals) {
  if (arrivals.empty()) return 1;
  return at.SourceL4PortOf(arrivals[0].Packet());
}

void InboundAndBack(const Family& at, Teller& teller) {
  for (unsigned i = 0; i < 40; ++i) {
    const std::string client = at.At(at.client, 4000 + i);
    const std::string dns = at.At(at.dns, 53);
    const auto out = teller.Send("wan0", Tcp(client, dns).Flags("S"));
    ASSERT_EQ(out.size(), 1u);
    teller.Send(out[0].device, Tcp(dns, client).Flags("SA"));
    teller.Send("wan0", Tcp(client, dns).Flags("A"));
    teller.Send("wan0", Udp(client, at.At(at.dns, 54)));
    teller.Send("wan0", Tcp(client, at.At(at.web, 80)).Flags("S"));
  }
}

void OutAndBack(const Family& at, Teller& teller) {
  for (unsigned i = 0; i < 40; ++i) {
    const std::string inside = at.At(at.internal, 5000 + i);
    const std::string remote = at.At(at.remote, 53);
    const auto query = Udp(inside, remote).PayloadSize(i);
    const auto out = teller.Send("crawl0", query);
    const unsigned given = GivenL4Port(at, out);
    teller.Send("wan0", Udp(remote, at.At(at.unicast, given)));
    teller.Send("crawl0", Udp(inside, remote));
    if (out.empty()) continue;
    teller.Send("wan0",
                IcmpError(at.router, at.v4 ? 3 : 1, 1, out[0].Packet()));
    teller.Send("crawl0", Tcp(inside, remote).Flags("A"));
    teller.Send("mail0", Tcp(at.At(at.mail, 6000 + i), remote).Flags("S"));
    teller.Send("wan0", Tcp(remote, at.At(at.mail, 6000 + i)).Flags("SA"));
    teller.Send("crawl0",
                Udp(at.At(at.unicast, 5000 + i), at.At(at.direct, 53)));
    teller.Send("wan0", Udp(at.At(at.direct, 53), at.At(at.unicast, 5000 + i)));
  }
}

void LocalAndBack(const Family& at, Teller& teller) {
  for (unsigned i = 0; i < 40; ++i) {
    const std::string inside = at.At(at.internal, 7000 + i);
    // One queue: which of several would depend on the l4port given.
    const std::string mail = at.At(at.mail, 25);
    const auto out = teller.Send("crawl0", Tcp(inside, mail).Flags("S"));
    ASSERT_THAT(out, ElementsAre(ArrivesAt("mail0")));
    const std::string given = at.At(at.unicast, GivenL4Port(at, out));
    teller.Send("mail0", Tcp(mail, given).Flags("SA"));
    teller.Send("crawl0", Tcp(inside, mail).Flags("A"));
  }
}

void InPieces(const Family& at, Teller& teller) {
  teller.Fragments();
  for (unsigned i = 0; i < 20; ++i) {
    auto pieces = Udp(at.At(at.client, 4000 + i), at.At(at.dns, 53))
                      .IpId(static_cast<uint16_t>(100 + i))
                      .PayloadSize(600)
                      .Fragments(304);
    if (i % 2 == 1) std::reverse(pieces.begin(), pieces.end());
    for (const Bytes& piece : pieces) teller.Send("wan0", piece);
    const auto out = Udp(at.At(at.internal, 8000 + i), at.At(at.remote, 53))
                         .PayloadSize(600)
                         .Fragments(304);
    for (const Bytes& piece : out) teller.Send("crawl0", piece);
  }
}

using Tale = void (*)(const Family&, Teller&);

void ExpectSame(const Family& at, const Walk::Options& several, Tale tale) {
  Story one;
  {
    Teller teller(Walk::Options{});
    tale(at, teller);
    one = teller.Tell();
    EXPECT_EQ(teller.handed_over(), 0u);
  }
  Teller teller(several);
  tale(at, teller);
  const Story more = teller.Tell();
  EXPECT_EQ(more.steps, one.steps);
  EXPECT_EQ(more.counters, one.counters);
  EXPECT_GT(teller.handed_over(), 10u);  // or it shows nothing
}

TEST_P(WorkersWalk, ServeAsOneDoes) {
  ExpectSame(at, Several(), InboundAndBack);
}
TEST_P(WorkersWalk, TranslateAsOneDoes) {
  ExpectSame(at, Several(), OutAndBack);
}
TEST_P(WorkersWalk, DeliverHereAsOneDoes) {
  ExpectSame(at, Several(), LocalAndBack);
}
TEST_P(WorkersWalk, FollowFragmentsAsOneDoes) {
  ExpectSame(at, Several(), InPieces);
}

// MAP-13: what becomes of a packet does not depend on how full the tables are,
// up to where there is room for no more mappings.
TEST_P(WorkersWalk, Map13DecideTheSameWhenTheyAreFull) {
  for (const Tale tale : {InboundAndBack, OutAndBack, LocalAndBack}) {
    std::vector<std::string> empty;
    {
      Teller teller(Walk::Options{});
      tale(at, teller);
      empty = teller.Tell().steps;
    }
    for (const unsigned percent : {0U, 50U, 85U}) {
      SCOPED_TRACE(percent);
      const unsigned workers = Several().workers;
      Teller teller(Several());
      // Mappings have a share that inbound flows can't take.
      const unsigned flows = 1024 * workers * percent / 100;
      for (unsigned i = 0; i < flows; ++i) {
        const std::string local = at.At(at.internal, 1024 + i / 800);
        const std::string remote = at.At(at.client, 1024 + i % 800);
        teller.walk().Send("crawl0", Udp(local, remote));
      }
      ASSERT_GE(teller.walk().mappings(), flows * 9 / 10);
      tale(at, teller);
      EXPECT_EQ(teller.Tell().steps, empty);
    }
  }
}

TEST_P(WorkersWalk, KeepAnEndpointIndependentMappingTogether) {
  SnapshotBuilder world = World();
  world.nat().mapping = Mapping::kEndpointIndependent;
  Walk walk(world, Several());
  std::vector<unsigned> given;
  for (unsigned i = 0; i < 8; ++i) {
    const auto out = walk.Send(
        "crawl0", Udp(at.At(at.internal, 5000), at.At(at.remote, 53 + i)));
    ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
    given.push_back(GivenL4Port(at, out));
  }
  EXPECT_THAT(given, testing::Each(given[0]));  // RFC 4787 REQ-1
}

}  // namespace
}  // namespace godwit
