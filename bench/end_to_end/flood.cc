// SPDX-License-Identifier: BSD-3-Clause
#include "bench/end_to_end/flood.h"

#include <algorithm>
#include <random>
#include <string>

#include "bench/end_to_end/delays.h"
#include "bench/end_to_end/receive.h"
#include "dataplane/net/check.h"
#include "tests/support/packet_builder.h"

namespace godwit {
namespace {

constexpr uint32_t kFrames = 65536;
// Of the traffic's frames the largest that a flood runs beside has 60 bytes.
constexpr size_t kLeastPayload = 24;

std::string At(const IpAddress& address, unsigned l4port) {
  return AddressAndPort{address, static_cast<uint16_t>(l4port)}.ToString();
}

class Strangers {
 public:
  Strangers(const Traffic& traffic, const LinkEnds& link)
      : traffic_(traffic), link_(link) {}

  PacketBuilder Syn() {
    return Tcp(Source(), At(traffic_.service, 53))
        .Flags("S")
        .PayloadSize(kLeastPayload);
  }
  PacketBuilder Miss() {
    const std::string to = At(traffic_.service, 1024 + Draw(60000));
    return Draw(2) == 0 ? Udp(Source(), to).PayloadSize(kLeastPayload)
                        : Tcp(Source(), to).PayloadSize(kLeastPayload);
  }
  PacketBuilder Probe() {
    const std::string to = At(traffic_.unicast, 1 + Draw(65535));
    return Draw(2) == 0
               ? Udp(Source(), to).PayloadSize(kLeastPayload)
               : Tcp(Source(), to).Flags("S").PayloadSize(kLeastPayload);
  }
  PacketBuilder Fragment() {
    const bool first = Draw(2) == 0;
    return Udp(Source(), At(traffic_.service, 53))
        .PayloadSize(64)
        .Fragment(first ? 0 : 1024, first ? More::kYes : More::kNo,
                  static_cast<uint32_t>(random_()));
  }
  PacketBuilder Error() {
    const Bytes quoted =
        Udp(At(traffic_.service, 53), Source()).PayloadSize(8).Packet();
    const bool v4 = traffic_.kind.family == Family::kV4;
    return IcmpError(Host(), v4 ? 3 : 1, v4 ? 1 : 0, quoted);
  }
  PacketBuilder Broken() {
    const std::string to = At(traffic_.service, 53);
    switch (Draw(3)) {
      case 0:
        return Udp(to, to).PayloadSize(kLeastPayload);  // land
      case 1:
        return Udp(Source(), to).PayloadSize(kLeastPayload).UdpLength(4);
      default:
        return Tcp(At(traffic_.unicast, 5000), to).PayloadSize(kLeastPayload);
    }
  }
  Bytes FrameOf(PacketBuilder packet) const {
    return packet.FromMac(link_.source).ToMac(link_.destination).Frame();
  }

 private:
  unsigned Draw(unsigned count) {
    return static_cast<unsigned>(random_() % count);
  }
  std::string Source() {
    const uint32_t number = Draw(kRemoteEnds);
    return RemoteEnd(traffic_.kind.family, number).ToString();
  }
  std::string Host() {
    return RemoteEnd(traffic_.kind.family, Draw(kRemoteEnds))
        .address.ToString();
  }

  const Traffic& traffic_;
  const LinkEnds& link_;
  std::mt19937_64 random_{60};
};

}  // namespace

FrameTable FloodOf(std::string_view kind, const Traffic& traffic,
                   const LinkEnds& link) {
  Strangers strangers(traffic, link);
  const auto one = [&]() -> PacketBuilder {
    if (kind == "syn") return strangers.Syn();
    if (kind == "misses") return strangers.Miss();
    if (kind == "scan") return strangers.Probe();
    if (kind == "fragments") return strangers.Fragment();
    if (kind == "errors") return strangers.Error();
    GODWIT_CHECK(kind == "broken");
    return strangers.Broken();
  };
  FrameTable table(FrameTable::kMostBytes, kFrames);
  for (uint32_t at = 0; at < kFrames; ++at) {
    table.Set(at, strangers.FrameOf(one()));
  }
  return table;
}

namespace {

// When bursts of a pace are due; what could not be sent in time is not made up
// for beyond a few.
class Pace {
 public:
  Pace(double frames_a_second, uint64_t now)
      : interval_(frames_a_second > 0 ? Clocks(kPacedBurst / frames_a_second)
                                      : 0),
        next_(now) {}
  bool Due(uint64_t now) {
    if (interval_ == 0 || now < next_) return false;
    next_ = std::max(next_ + interval_, now - kMostLate * interval_);
    return true;
  }

 private:
  static constexpr uint64_t kMostLate = 8;
  uint64_t interval_;
  uint64_t next_;
};

// What became of the frames of each window of time.
class Windows {
 public:
  explicit Windows(uint64_t begin) : begin_(begin) {}
  void Look(uint64_t now, const Outcome& so_far) {
    if (now < begin_ + Clocks(kWindow_s)) return;
    const uint64_t sent = so_far.sent - last_.sent;
    const double scale = static_cast<double>(rte_get_tsc_hz()) /
                         static_cast<double>(now - begin_);
    if (sent != 0) {
      const auto received =
          static_cast<double>(so_far.received - last_.received);
      goodput_.push_back(std::min(1.0, received / static_cast<double>(sent)));
      legal_.push_back(received * scale);
      flood_.push_back(static_cast<double>(so_far.flood - last_.flood) * scale);
    }
    begin_ = now;
    last_ = so_far;
  }
  // Of the quieter quarter.
  void Tell(Outcome& outcome) {
    if (goodput_.empty()) return;
    outcome.goodput = Quantile(goodput_, 1 - kQuiet);
    outcome.packets_per_second = Quantile(legal_, 1 - kQuiet);
    outcome.flood_per_second = Quantile(flood_, 1 - kQuiet);
  }

 private:
  // Many times as long as a ring lasts.
  static constexpr double kWindow_s = 0.002;
  uint64_t begin_;
  Outcome last_;
  std::vector<double> goodput_;
  std::vector<double> legal_;
  std::vector<double> flood_;
};

}  // namespace

Outcome Trial::Flooded(Way way, double seconds, double pace,
                       const FrameTable& flood, double flood_pace) {
  Side side = SideOf(way);
  const FrameTable& table = way == Way::kIn ? *in_ : *out_;
  uint32_t& at = way == Way::kIn ? at_in_ : at_out_;
  uint32_t at_flood = 0;
  Outcome outcome;
  const auto each = [&](const rte_mbuf& mbuf, uint16_t place) {
    if (place == 0) Look(way, FrameOf(mbuf), outcome);
  };
  const uint64_t begin = rte_rdtsc();
  Pace legal(pace, begin);
  Pace illegal(flood_pace, begin);
  Windows windows(begin);
  uint64_t now = 0;
  for (uint32_t turn = 0; (now = rte_rdtsc()) < begin + Clocks(seconds);
       ++turn) {
    windows.Look(now, outcome);
    // Each first by turns: neither finds the room that the other leaves.
    for (uint32_t i = 0; i < 2; ++i) {
      const bool is_legal = (turn + i) % 2 == 0;
      if (is_legal && legal.Due(now)) {
        uint32_t next = at;
        side.sender->Send(table, next, kPacedBurst);
        side.sender->Forget();
        at = (at + kPacedBurst) % table.count();
        outcome.sent += kPacedBurst;
      } else if (!is_legal && illegal.Due(now)) {
        outcome.flood_taken += side.sender->Send(flood, at_flood, kPacedBurst);
        side.sender->Forget();
        outcome.flood += kPacedBurst;
      }
    }
    outcome.received += Receive(*side.receiver, each);
    if (turn % kAnswerEvery == 0) AnswerOnly(*side.sender);
  }
  windows.Tell(outcome);
  ReceiveTail(side, outcome, each);
  return outcome;
}

}  // namespace godwit
