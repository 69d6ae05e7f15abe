// SPDX-License-Identifier: BSD-3-Clause
// What must be seen of a packet whose fate is known: bytes, checksums computed
// anew, counters. And the node's own answers.
#include <algorithm>

#include "tests/shadow/model.h"

namespace godwit::shadow {
namespace {

// A limit of 100 answers a second may bite after these.
constexpr unsigned kAnswersForSure = 40;

void SumHeader(Bytes& bytes) {
  Write16(bytes, 10, 0);
  const size_t header = (bytes.at(0) & 0xfU) * 4U;
  Write16(bytes, 10, 65535 - Sum().Add(Slice(bytes, 0, header)).value());
  // 0 modulo 65535 is 0xffff, since a header is not all zeros.
  if (Read16(bytes, 10) == 0xffff) Write16(bytes, 10, 0);
}

void WriteEnds(Bytes& bytes, bool v6, const std::optional<End>& source,
               const std::optional<End>& destination) {
  if (source) WriteAddress(bytes, v6 ? 8 : 12, source->address);
  if (destination) WriteAddress(bytes, v6 ? 24 : 16, destination->address);
}

// The 16-bit words that are `sum` modulo 65535, for a checksum's field.
std::vector<unsigned> Words(unsigned sum, unsigned protocol, bool exact) {
  if (sum != 0) return {sum};
  if (protocol == kUdp) return {0xffff};
  if (exact) return {0};
  return {0, 0xffff};
}

std::vector<Bytes> With(const Bytes& bytes, size_t at,
                        const std::vector<unsigned>& words) {
  std::vector<Bytes> all;
  for (const unsigned word : words) {
    all.push_back(bytes);
    Write16(all.back(), at, word);
  }
  return all;
}

// Of a UDP datagram, without what stands behind it.
Bytes Covered(const Packet& packet, const Bytes& bytes) {
  Bytes l4 = Slice(bytes, packet.l4, bytes.size());
  if (packet.protocol == kUdp) l4.resize(Read16(l4, 4));
  return l4;
}

}  // namespace

void Model::Ends(const std::string& from, const Packet& packet,
                 const Fate& fate) {
  if (fate.end == Fate::End::kDropped) {
    std::string reason = *fate.reasons.begin();
    for (const std::string& one : fate.reasons) {
      // One that is not accounted for yet, of several packets' reasons.
      const auto moved = seen_->counters.find(one);
      if (moved != seen_->counters.end() && moved->second > counters_[one]) {
        reason = one;
      }
    }
    Count(reason);
    if (fate.answer != Fate::Answer::kNone) TakeAnswer(from, packet, fate);
    return;
  }
  if (fate.end == Fate::End::kEchoed) {
    Count("consumed");
    TakeEcho(packet);
    return;
  }
  Count(fate.end == Fate::End::kDelivered ? "delivered"
        : fate.end == Fate::End::kSent    ? "sent"
                                          : "punted");
  const bool error = fate.quoted_source || fate.quoted_destination;
  TakeOut(error ? RewrittenError(packet, fate) : Rewritten(packet, fate),
          nullptr);
}

// P8, P9: only the ends, and checksums that are as right as they were.
Model::Expected Model::Rewritten(const Packet& packet, const Fate& fate) const {
  Expected expected = {fate.device, {packet.bytes}, {}};
  if (!fate.source && !fate.destination) return expected;
  Bytes bytes = packet.bytes;
  WriteEnds(bytes, packet.v6, fate.source, fate.destination);
  const bool usual = packet.protocol == kTcp || packet.protocol == kUdp;
  if (usual && fate.source) Write16(bytes, packet.l4, fate.source->l4port);
  if (usual && fate.destination) {
    Write16(bytes, packet.l4 + 2, fate.destination->l4port);
  }
  if (packet.Request() && fate.source) {
    Write16(bytes, packet.l4 + 4, fate.source->l4port);
  }
  if (packet.Reply() && fate.destination) {
    Write16(bytes, packet.l4 + 4, fate.destination->l4port);
  }
  if (!packet.v6) SumHeader(bytes);
  expected.any_of = {bytes};
  const size_t at = packet.ChecksumAt();
  if (at == 0) return expected;
  const unsigned before = Read16(packet.bytes, at);
  if (packet.protocol == kUdp && before == 0) return expected;
  if (packet.fragment) {
    expected.but = at;
    return expected;
  }
  // What was wrong with the checksum stays wrong with it, by as much.
  Sum wrong = L4Sum(packet.source, packet.destination, packet.protocol,
                    Covered(packet, packet.bytes));
  const bool exact = wrong.value() == 0 && before != 0xffff;
  Write16(bytes, at, 0);
  const Address source = Address::At(bytes, packet.v6 ? 8 : 12, packet.v6);
  const Address destination =
      Address::At(bytes, packet.v6 ? 24 : 16, packet.v6);
  wrong.Take(
      L4Sum(source, destination, packet.protocol, Covered(packet, bytes)));
  expected.any_of =
      With(bytes, at, Words(wrong.value(), packet.protocol, exact));
  return expected;
}

// ICE-06, ICE-07, ICE-09.
Model::Expected Model::RewrittenError(const Packet& packet,
                                      const Fate& fate) const {
  Expected expected = {fate.device, {}, {}};
  Bytes bytes = packet.bytes;
  WriteEnds(bytes, packet.v6, fate.source, fate.destination);
  if (!packet.v6) SumHeader(bytes);
  const Quote quote = ReadQuote(packet);
  const Bytes old = Slice(bytes, quote.at, bytes.size());
  Bytes inner = old;
  WriteEnds(inner, packet.v6, fate.quoted_source, fate.quoted_destination);
  const auto& end =
      fate.quoted_source ? fate.quoted_source : fate.quoted_destination;
  const bool icmp = quote.protocol == kIcmp4 || quote.protocol == kIcmp6;
  const size_t l4port = quote.l4 + (icmp ? 4 : fate.quoted_source ? 0 : 2);
  Write16(inner, l4port, end->l4port);
  if (!packet.v6) {
    // What was wrong with the quoted header's sum stays so.
    Sum wrong = Sum().Add(Slice(old, 0, quote.l4));
    Write16(inner, 10, 0);
    wrong.Take(Sum().Add(Slice(inner, 0, quote.l4)));
    Write16(inner, 10, wrong.value());
  }
  // The quoted l4 checksum, if it is there: by what its packet lost and got,
  // since the rest of it is not here.
  const size_t at = quote.l4 + (icmp ? 2 : quote.protocol == kUdp ? 6 : 16);
  std::vector<unsigned> words;
  const bool there = old.size() >= at + 2;
  const bool none = there && quote.protocol == kUdp && Read16(old, at) == 0;
  if (there && !none) {
    Sum sum = Sum().Add16(Read16(old, at));
    sum.Add16(Read16(old, l4port)).Take(Sum().Add16(end->l4port));
    if (quote.protocol != kIcmp4) {
      const size_t from = packet.v6 ? 8 : 12;
      const size_t to = packet.v6 ? 40 : 20;
      sum.Add(Slice(old, from, to)).Take(Sum().Add(Slice(inner, from, to)));
    }
    words = Words(sum.value(), quote.protocol, false);
    inner = With(inner, at, words).front();
  }
  std::copy(inner.begin(), inner.end(),
            bytes.begin() + static_cast<std::ptrdiff_t>(quote.at));
  const size_t outer = packet.l4 + 2;
  Write16(bytes, outer, 0);
  const Sum sum = L4Sum(Address::At(bytes, packet.v6 ? 8 : 12, packet.v6),
                        Address::At(bytes, packet.v6 ? 24 : 16, packet.v6),
                        packet.protocol, Slice(bytes, packet.l4, bytes.size()));
  Write16(bytes, outer, (65535 - sum.value()) % 65535);
  expected.any_of = {bytes};
  if (!words.empty()) expected.any_of = With(bytes, quote.at + at, words);
  return expected;
}

bool Model::TakeOut(const Expected& expected, Bytes* found) {
  for (auto out = left_.begin(); out != left_.end(); ++out) {
    if (out->device != expected.device) continue;
    for (Bytes bytes : expected.any_of) {
      if (expected.but && out->packet.size() == bytes.size()) {
        Write16(bytes, *expected.but, Read16(out->packet, *expected.but));
      }
      if (bytes != out->packet) continue;
      if (found != nullptr) *found = out->packet;
      left_.erase(out);
      return true;
    }
  }
  Complain("expected at " + expected.device + ": " +
           Hex(expected.any_of.front()));
  return false;
}

void Model::TakeEcho(const Packet& packet) {
  Count("generated");
  for (auto out = left_.begin(); out != left_.end(); ++out) {
    const Packet reply = Read(out->packet, packet.v6);
    Bytes echoed = packet.L4();
    echoed.at(0) = packet.v6 ? 129 : 0;
    Write16(echoed, 2, Read16(reply.bytes, reply.l4 + 2));
    if (reply.source != packet.destination || reply.L4() != echoed ||
        reply.destination != packet.source ||
        reply.ChecksumHolds() != packet.ChecksumHolds()) {
      continue;
    }
    Count(out->device == "uplink" ? "sent" : "delivered");
    left_.erase(out);
    return;
  }
  Complain("no echo");
}

void Model::TakeAnswer(const std::string& from, const Packet& packet,
                       const Fate& fate) {
  for (auto out = left_.begin(); out != left_.end(); ++out) {
    if (out->device != from) continue;
    const Packet answer = Read(out->packet, packet.v6);
    const std::string wrong = WrongAnswer(packet, fate, answer);
    if (!wrong.empty()) Complain("an answer with a wrong " + wrong);
    Count("generated");
    Count(from == "uplink" ? "sent" : "delivered");
    ++answers_;
    left_.erase(out);
    return;
  }
  if (fate.answer == Fate::Answer::kMust && answers_ < kAnswersForSure) {
    Complain("no answer to what is refused");
  }
}

// ANY-17, ICE-16, ICE-18, ICE-24.
std::string Model::WrongAnswer(const Packet& packet, const Fate& fate,
                               const Packet& answer) const {
  if (!answer.ip.empty() || answer.fragment) return "header";
  if (answer.destination != packet.source) return "destination";
  if (!answer.ChecksumHolds()) return "checksum";
  if (fate.answer == Fate::Answer::kMust &&
      answer.source != packet.destination) {
    return "source";
  }
  if (packet.fragment && packet.offset != 0) return "cause: a later fragment";
  if (answer.protocol == kTcp) {
    if (answer.From() != packet.To() || answer.To() != packet.From()) {
      return "end";
    }
    const uint32_t sequence = Read32(answer.bytes, answer.l4 + 4);
    const uint32_t acknowledged = Read32(answer.bytes, answer.l4 + 8);
    const Bytes l4 = packet.L4();
    if ((packet.flags & kAck) != 0) {
      const bool right = answer.flags == kRst && sequence == Read32(l4, 8);
      return right ? "" : "reset";
    }
    auto length = static_cast<uint32_t>(l4.size() - (l4.at(12) >> 4) * 4U);
    if ((packet.flags & kSyn) != 0) ++length;
    if ((packet.flags & kFin) != 0) ++length;
    const bool right = answer.flags == (kRst | kAck) && sequence == 0 &&
                       acknowledged == Read32(l4, 4) + length;
    return right ? "" : "reset";
  }
  if (!answer.Error()) return "type";
  // V6-11: a next header that nobody knows is a problem of parameters.
  const bool usual = packet.protocol == kUdp || packet.protocol == kTcp;
  const bool unknown = answer.v6 && !usual && answer.type == 4;
  if (answer.type != (answer.v6 ? 1U : 3U) && !unknown) return "type";
  if (answer.bytes.size() > (answer.v6 ? 1280U : 576U)) return "length";
  if (fate.reasons.contains("svc_miss") && packet.protocol == kUdp &&
      answer.code != (answer.v6 ? 4U : 3U)) {
    return "code";
  }
  const Bytes quote = Slice(answer.L4(), 8, answer.bytes.size());
  if (quote.size() < std::min<size_t>(packet.bytes.size(), packet.l4 + 8)) {
    return "quote: too short";
  }
  return quote == Slice(packet.bytes, 0, quote.size()) ? "" : "quote";
}

// Rule 7, to the packet.
std::string Model::Verdict() {
  for (const Out& out : left_) {
    Complain("seen at " + out.device + ": " + Hex(out.packet));
  }
  std::erase_if(counters_, [](const auto& one) { return one.second == 0; });
  if (counters_ != seen_->counters) {
    std::string text = "counters: expected";
    for (const auto& [name, by] : counters_) {
      text += " " + name + "=" + std::to_string(by);
    }
    text += ", seen";
    for (const auto& [name, by] : seen_->counters) {
      text += " " + name + "=" + std::to_string(by);
    }
    Complain(text);
  }
  return complaints_;
}

}  // namespace godwit::shadow
