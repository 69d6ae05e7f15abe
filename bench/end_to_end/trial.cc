// SPDX-License-Identifier: BSD-3-Clause
#include "bench/end_to_end/trial.h"

#include <rte_cycles.h>

#include <algorithm>
#include <bitset>
#include <numeric>
#include <random>

#include "bench/end_to_end/delays.h"
#include "bench/end_to_end/receive.h"
#include "dataplane/net/headers.h"

namespace godwit {
namespace {

constexpr uint16_t kServiceL4Port = 53;
constexpr uint16_t kFirstLocalL4Port = 10000;
constexpr uint16_t kLocalL4Ports = 16384;
// Sent in place of what a plain device does not translate.
constexpr uint16_t kAnyOutsideL4Port = 20000;

constexpr double kSettle_s = 0.02;
constexpr double kWindow_s = 0.001;
// Long enough for a p99.
constexpr double kLatencyWindow_s = 0.005;
// Room for more than the pace promises.
constexpr double kSpare = 1.2;
constexpr double kEstablish_s = 60;

// The steps that begin a TCP connection; of UDP, one datagram each way.
struct Step {
  bool forward;
  uint8_t tcp_flags;
  uint32_t sequence;
  uint32_t acknowledgment;
};
constexpr Step kBeginning[] = {{true, kTcpSyn, 0, 0},
                               {false, kTcpSyn | kTcpAck, 0, 1},
                               {true, kTcpAck, 1, 1},
                               {false, kTcpAck, 1, 1}};

}  // namespace

Trial::Trial(const Traffic& traffic, Link& uplink, Link& queue,
             const MacAddress& uplink_mac, const MacAddress& queue_mac)
    : traffic_(traffic),
      uplink_(uplink),
      queue_(queue),
      uplink_mac_(uplink_mac),
      queue_mac_(queue_mac),
      order_(traffic.flows),
      outside_(traffic.flows, traffic.plain ? kAnyOutsideL4Port : 0) {
  // In order, flows would lie beside their neighbours in every table.
  std::iota(order_.begin(), order_.end(), 0U);
  std::ranges::shuffle(order_, std::mt19937_64(42));
}

Trial::Side Trial::SideOf(Way way) {
  if (way == Way::kIn) return {&uplink_, &queue_, {uplink_mac_, uplink_.mac()}};
  return {&queue_, &uplink_, {queue_mac_, queue_.mac()}};
}

uint16_t Trial::SizeOf(uint32_t number) const {
  const uint16_t size = traffic_.sizes[number % traffic_.sizes.size()];
  return std::max(size, LeastSize(traffic_.kind));
}

Endpoints Trial::FirstEnds(uint32_t number) const {
  const AddressAndPort remote = RemoteEnd(traffic_.kind.family, number);
  if (!traffic_.originated) {
    return {remote.address, traffic_.service, remote.l4port, kServiceL4Port};
  }
  const auto local =
      static_cast<uint16_t>(kFirstLocalL4Port + number % kLocalL4Ports);
  return {traffic_.service, remote.address, local, remote.l4port};
}

FrameTable Trial::TableOf(Way way, const FrameKind& kind) const {
  FrameTable table(kind, traffic_.flows);
  const bool in = way == Way::kIn;
  const LinkEnds link = in ? LinkEnds{uplink_mac_, uplink_.mac()}
                           : LinkEnds{queue_mac_, queue_.mac()};
  const bool first = in != traffic_.originated;
  for (uint32_t at = 0; at < traffic_.flows; ++at) {
    const uint32_t number = order_[at];
    Endpoints ends = FirstEnds(number);
    if (!first) {
      ends = {ends.destination, ends.source, ends.destination_l4port,
              ends.source_l4port};
      if (traffic_.originated) {
        ends.destination = traffic_.unicast;
        ends.destination_l4port = outside_[number];
      }
    }
    // The order of sizes is told, so it is that of the sending.
    table.Set(at, link, ends, SizeOf(at), kind);
  }
  return table;
}

bool Trial::IsOurs(const rte_mbuf& mbuf) const {
  const uint16_t least = LeastSize(traffic_.kind);
  const auto stamped =
      static_cast<uint32_t>(HeaderSize(traffic_.kind) + kStampSize);
  if (mbuf.pkt_len == stamped) return true;
  return std::ranges::any_of(traffic_.sizes, [&](uint16_t size) {
    return mbuf.pkt_len == std::max(size, least);
  });
}

bool Trial::Look(Way way, std::span<const uint8_t> frame, Outcome& outcome) {
  ++outcome.looked_at;
  const Endpoints ends = EndpointsOf(frame);
  const bool in = way == Way::kIn;
  const AddressAndPort remote =
      in ? AddressAndPort{ends.source, ends.source_l4port}
         : AddressAndPort{ends.destination, ends.destination_l4port};
  const uint32_t number = NumberOf(remote);
  bool right = number < traffic_.flows && FrameChecksumsHold(frame) &&
               RemoteEnd(traffic_.kind.family, number) == remote;
  if (right) {
    const Endpoints first = FirstEnds(number);
    AddressAndPort local =
        in ? AddressAndPort{ends.destination, ends.destination_l4port}
           : AddressAndPort{ends.source, ends.source_l4port};
    AddressAndPort wanted =
        traffic_.originated
            ? AddressAndPort{first.source, first.source_l4port}
            : AddressAndPort{first.destination, first.destination_l4port};
    if (traffic_.originated && !in && !traffic_.plain) {
      uint16_t& outside = outside_[number];
      if (outside == 0 && local.address == traffic_.unicast) {
        outside = local.l4port;
      }
      wanted = {traffic_.unicast, outside};
    } else if (traffic_.originated && in && traffic_.plain) {
      wanted = {traffic_.unicast, kAnyOutsideL4Port};
    }
    right = local == wanted;
  }
  if (!right) ++outcome.wrong;
  return right;
}

void Trial::AnswerOnly(Link& link) {
  Receive(link, [](const rte_mbuf&, uint16_t) {});
}

bool Trial::PassAll(Way way, const FrameKind& kind, Outcome& outcome) {
  Side side = SideOf(way);
  const FrameTable all = TableOf(way, kind);
  std::vector<bool> seen(traffic_.flows);
  uint32_t missing = traffic_.flows;
  const auto each = [&](const rte_mbuf& mbuf, uint16_t) {
    const std::span<const uint8_t> frame = FrameOf(mbuf);
    if (!Look(way, frame, outcome)) return;
    const Endpoints ends = EndpointsOf(frame);
    const uint32_t number =
        way == Way::kIn ? NumberOf({ends.source, ends.source_l4port})
                        : NumberOf({ends.destination, ends.destination_l4port});
    if (!seen[number]) --missing;
    seen[number] = true;
  };
  const uint64_t deadline = rte_rdtsc() + Clocks(kEstablish_s);
  // All of them once, whole bursts at a time; then, one by one, what got lost.
  for (uint16_t burst = kLinkBurst; missing != 0 && rte_rdtsc() < deadline;
       burst = 1) {
    for (uint32_t at = 0; at < all.count() && rte_rdtsc() < deadline;) {
      if (burst == 1 && seen[order_[at]]) {
        ++at;
        continue;
      }
      const auto left =
          static_cast<uint16_t>(std::min<uint32_t>(burst, all.count() - at));
      uint32_t next = at;
      const uint16_t taken = side.sender->Send(all, next, left);
      outcome.sent += taken;
      at += taken;
      outcome.received += Receive(*side.receiver, each);
      if (at % kAnswerEvery == 0) AnswerOnly(*side.sender);
    }
    ReceiveTail(side, outcome, each);
  }
  return missing == 0;
}

// What is still under way of other flows is not to be taken for these.
void Trial::Drain() {
  const uint64_t deadline = rte_rdtsc() + Clocks(kEstablish_s);
  uint64_t last = rte_rdtsc();
  for (uint64_t now = last; now < last + Clocks(kTail_s) && now < deadline;
       now = rte_rdtsc()) {
    const auto none = [](const rte_mbuf&, uint16_t) {};
    if (Receive(uplink_, none) + Receive(queue_, none) != 0) last = now;
  }
}

bool Trial::Establish(Outcome& outcome) {
  Drain();
  FrameKind& kind = traffic_.kind;
  const bool tcp = kind.protocol == kProtoTcp;
  const Way forward = traffic_.originated ? Way::kOut : Way::kIn;
  const Way back = traffic_.originated ? Way::kIn : Way::kOut;
  const auto steps = std::span(kBeginning).first(tcp ? 4 : 2);
  for (const Step& step : steps) {
    FrameKind with = kind;
    with.tcp_flags = step.tcp_flags;
    with.tcp_sequence = step.sequence;
    with.tcp_acknowledgment = step.acknowledgment;
    if (!PassAll(step.forward ? forward : back, with, outcome)) return false;
  }
  kind.tcp_flags = kTcpPsh | kTcpAck;
  kind.tcp_sequence = kind.tcp_acknowledgment = 1;
  in_ = std::make_unique<FrameTable>(TableOf(Way::kIn, kind));
  out_ = std::make_unique<FrameTable>(TableOf(Way::kOut, kind));
  return true;
}

// The upper quartile of the milliseconds in which anything came: on a shared
// machine the mean is the neighbours'.
Outcome Trial::Rate(Way way, double seconds) {
  Side side = SideOf(way);
  const FrameTable& table = way == Way::kIn ? *in_ : *out_;
  uint32_t& at = way == Way::kIn ? at_in_ : at_out_;
  Outcome outcome;
  const auto each = [&](const rte_mbuf& mbuf, uint16_t place) {
    if (place == 0) Look(way, FrameOf(mbuf), outcome);
  };
  std::vector<double> rates;
  uint64_t begin = rte_rdtsc() + Clocks(kSettle_s);
  const uint64_t end = begin + Clocks(seconds);
  const uint64_t window = Clocks(kWindow_s);
  uint64_t now = 0;
  uint64_t before = 0;
  bool settled = false;
  for (uint32_t turn = 0; (now = rte_rdtsc()) < end; ++turn) {
    if (now >= begin + (settled ? window : 0)) {
      if (settled && outcome.received != before) {
        rates.push_back(static_cast<double>(outcome.received - before) /
                        static_cast<double>(now - begin));
      }
      settled = true;
      begin = now;
      before = outcome.received;
    }
    outcome.sent += side.sender->Send(table, at, kLinkBurst);
    outcome.received += Receive(*side.receiver, each);
    if (turn % kAnswerEvery == 0) AnswerOnly(*side.sender);
  }
  if (!rates.empty()) {
    outcome.packets_per_second =
        Quantile(rates, 1 - kQuiet) * static_cast<double>(rte_get_tsc_hz());
  }
  ReceiveTail(side, outcome, each);
  return outcome;
}

Outcome Trial::Latency(Way way, double seconds, double pace) {
  Side side = SideOf(way);
  const size_t stamp_at = HeaderSize(traffic_.kind);
  const auto least = static_cast<uint16_t>(stamp_at + kStampSize);
  const std::vector<uint16_t> sizes = traffic_.sizes;
  for (uint16_t& size : traffic_.sizes) size = std::max(size, least);
  const FrameTable table = TableOf(way, traffic_.kind);
  Outcome outcome;
  Delays delays(static_cast<size_t>(kSpare * seconds * pace));
  uint64_t arrival = 0;
  const auto each = [&](const rte_mbuf& mbuf, uint16_t place) {
    const std::span<const uint8_t> frame = FrameOf(mbuf);
    if (place == 0) arrival = rte_rdtsc();
    delays.Add(arrival - ReadStamp(&frame[stamp_at]));
    if (place == 0) Look(way, frame, outcome);
  };
  const uint64_t interval = Clocks(kPacedBurst / pace);
  const uint64_t begin = rte_rdtsc();
  uint64_t next = begin;
  uint64_t window = begin + Clocks(kLatencyWindow_s);
  uint32_t at = 0;
  uint64_t now = 0;
  for (uint32_t turn = 0; (now = rte_rdtsc()) < begin + Clocks(seconds);
       ++turn) {
    if (now >= window) {
      delays.BeginWindow();
      window = now + Clocks(kLatencyWindow_s);
    }
    if (now >= next) {
      if (now > next + interval) {
        ++outcome.late;
        next = now;  // no bunch of bursts in place of what was missed
      }
      next += interval;
      outcome.sent += side.sender->Send(table, at, kPacedBurst, stamp_at);
    }
    outcome.received += Receive(*side.receiver, each);
    if (turn % (kAnswerEvery * kAnswerEvery) == 0) AnswerOnly(*side.sender);
  }
  outcome.packets_per_second = static_cast<double>(outcome.sent) *
                               static_cast<double>(rte_get_tsc_hz()) /
                               static_cast<double>(now - begin);
  ReceiveTail(side, outcome, each);
  // These first: the others mix the windows.
  outcome.p50_ns = delays.TypicalPercentileNs(0.5);
  outcome.p99_ns = delays.TypicalPercentileNs(0.99);
  outcome.p99_all_ns = delays.PercentileNs(0.99);
  traffic_.sizes = sizes;
  return outcome;
}

}  // namespace godwit
