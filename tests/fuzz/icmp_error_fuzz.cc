// SPDX-License-Identifier: BSD-3-Clause
// F4: an ICMP error about a packet of a live flow, from the wire about what
// left or from the queue about what it received.
//   As it is made, it arrives with outer header and quote translated as the
//   flow is, built again here in full (ICE-06, -07, -09, -10, -13), or ends for
//   the one reason there is (ICE-15, -21, -26, ANY-16, L2-07).
//   With bytes changed, it arrives with a right checksum or not at all.
//   After it the flow passes what it passed before, and ends when it would
//   have (ICE-11, -12; P17, P18).
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tests/fuzz/support/input.h"
#include "tests/fuzz/support/lasting_walk.h"
#include "tests/fuzz/support/oracle.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

enum class Kind : uint8_t { kUdp, kTcp, kEcho, kUdpIn, kTcpIn, kTcpVip };
constexpr size_t kKinds = 6;

// One packet as both ends of this node see it.
struct Sides {
  PacketBuilder inside;
  PacketBuilder outside;
};

struct Case {
  const Family* at;
  Kind kind;
  bool v4() const { return at->v4; }
  bool originated() const { return kind <= Kind::kEcho; }
  bool starts_outside() const {
    return kind == Kind::kUdpIn || kind == Kind::kTcpIn;
  }
  const char* queue() const {
    if (kind == Kind::kTcpVip) return "mail0";
    return originated() ? "crawl0" : "dns0";
  }
  std::string own() const {
    if (kind == Kind::kTcpVip) return at->mail;
    return originated() ? at->internal : at->dns;
  }
  std::string outside() const { return originated() ? at->unicast : own(); }
  unsigned own_l4port() const { return starts_outside() ? 53 : 5000; }

  // `given`: the l4port that it has outside. `payload`: what is behind.
  PacketBuilder Out(const std::string& from, unsigned l4port,
                    const Bytes& payload) const {
    const std::string there = at->At(at->remote, 443);
    if (kind == Kind::kEcho) {
      return Echo(from, at->remote, static_cast<uint16_t>(l4port))
          .Payload(payload);
    }
    if (kind == Kind::kUdp || kind == Kind::kUdpIn) {
      return Udp(at->At(from, l4port), there).Payload(payload);
    }
    return Tcp(at->At(from, l4port), there)
        .Flags(starts_outside() ? "SA" : "S")
        .Payload(payload);
  }
  PacketBuilder In(const std::string& to, unsigned l4port,
                   const Bytes& payload) const {
    const std::string there = at->At(at->remote, 443);
    if (kind == Kind::kEcho) {
      return EchoReply(at->remote, to, static_cast<uint16_t>(l4port))
          .Payload(payload);
    }
    if (kind == Kind::kUdp || kind == Kind::kUdpIn) {
      return Udp(there, at->At(to, l4port)).Payload(payload);
    }
    return Tcp(there, at->At(to, l4port))
        .Flags(starts_outside() ? "S" : "SA")
        .Payload(payload);
  }
};

LastingWalk& Stage() {
  static auto& stage = *new LastingWalk(
      [] {
        SnapshotBuilder world = World();
        // One queue, so that a case knows which.
        world.RemoveService("dns").Service("dns", {V4().dns, V6().dns},
                                           {"udp/53", "tcp/53", "icmp"},
                                           {"dns0"});
        return world;
      }(),
      Walk::Options{});
  return stage;
}

uint64_t Live(const Walk& walk) { return walk.mappings() + walk.inbound(); }

class Trial {
 public:
  Trial(const Case& c, Input input) : case_(c), input_(input) {}
  void Go();

 private:
  const Case& case_;
  Input input_;
  Walk* walk_ = nullptr;
  Bytes payload_;
  unsigned given_ = 0;

  void Open();
  void Exchange();
  // False: what was sent is no error any more.
  bool SendError();
  void CheckIntact(const PacketBuilder& built, const Bytes& quote,
                   const Bytes& other, uint8_t type, uint8_t code, uint32_t mtu,
                   const std::string& from, bool outward,
                   const std::vector<Arrival>& out);
  const char* Refusal(uint8_t type, uint8_t code, uint32_t mtu, size_t quoted,
                      const std::string& from, bool outward) const;
};

// The flow is made, and its l4port outside known.
void Trial::Open() {
  walk_ = &Stage().Fresh();
  given_ = case_.own_l4port();
  if (case_.starts_outside()) {
    const auto first = case_.In(case_.own(), given_, payload_);
    const auto out = walk_->Send("wan0", first);
    GODWIT_CHECK(out.size() == 1 && out[0].device == case_.queue());
    return;
  }
  const auto first = case_.Out(case_.own(), given_, payload_);
  const auto out = walk_->Send(case_.queue(), first);
  GODWIT_CHECK(out.size() == 1 && out[0].device == "wan0");
  if (!case_.originated()) return;
  const Bytes left = out[0].Packet();
  const size_t at =
      (case_.v4() ? 20U : 40U) + (case_.kind == Kind::kEcho ? 4U : 0U);
  given_ = left[at] * 256U + left[at + 1];
  CheckOnlyTranslated(first.Packet(), left);
}

// Both directions pass, each as it must look on the other side.
void Trial::Exchange() {
  const auto in =
      walk_->Send("wan0", case_.In(case_.outside(), given_, payload_));
  GODWIT_CHECK(in.size() == 1 && in[0].device == case_.queue());
  GODWIT_CHECK(in[0].Packet() ==
               case_.In(case_.own(), case_.own_l4port(), payload_).Packet());
  const auto out = walk_->Send(
      case_.queue(), case_.Out(case_.own(), case_.own_l4port(), payload_));
  GODWIT_CHECK(out.size() == 1 && out[0].device == "wan0");
  GODWIT_CHECK(out[0].Packet() ==
               case_.Out(case_.outside(), given_, payload_).Packet());
}

// Why an error that is whole does not arrive; nullptr: it must.
const char* Trial::Refusal(uint8_t type, uint8_t code, uint32_t mtu,
                           size_t quoted, const std::string& from,
                           bool outward) const {
  const Family& at = *case_.at;
  if (!outward && at.v4 && type == 5) return "icmp_redirect";
  if (!outward && (from == at.unicast || from == at.dns)) {
    return "spoof_own_src";
  }
  if (at.v4 && type == 4) return "icmp_type";
  if (at.v4 && type == 5) return "icmp_redirect";
  if (quoted < (at.v4 ? 28U : 48U)) return "icmp_short";
  if (at.v4 && type == 3 && code == 4 && (mtu & 0xffff) != 0 &&
      (mtu & 0xffff) < 68) {
    return "ptb_small";
  }
  if (!at.v4 && type == 2 && mtu < 1280) return "ptb_small";
  return nullptr;
}

void Trial::CheckIntact(const PacketBuilder& built, const Bytes& quote,
                        const Bytes& other, uint8_t type, uint8_t code,
                        uint32_t mtu, const std::string& from, bool outward,
                        const std::vector<Arrival>& out) {
  const Family& at = *case_.at;
  if (const char* why = Refusal(type, code, mtu, quote.size(), from, outward)) {
    GODWIT_CHECK(out.empty());
    GODWIT_CHECK(walk_->ending() == why);
    return;
  }
  Bytes expected(other.begin(),
                 other.begin() + static_cast<ptrdiff_t>(quote.size()));
  // Half a checksum says nothing, and is left alone.
  const size_t sum = (at.v4 ? 20U : 40U) + 16;
  const bool tcp = case_.kind == Kind::kTcp || case_.kind == Kind::kTcpIn ||
                   case_.kind == Kind::kTcpVip;
  if (tcp && quote.size() == sum + 1) expected[sum] = quote[sum];
  PacketBuilder wanted = built;
  wanted.Payload(expected);
  if (outward) wanted.From(case_.outside());
  if (!outward) wanted.To(case_.own());
  GODWIT_CHECK(out.size() == 1);
  GODWIT_CHECK(out[0].device == (outward ? "wan0" : case_.queue()));
  GODWIT_CHECK(out[0].Packet() == wanted.Packet());
}

bool Trial::SendError() {
  const Family& at = *case_.at;
  // What is quoted is what the reporter saw; the other end saw `other`.
  const bool outward = input_.Flag();
  const Bytes inner =
      (outward ? case_.In(case_.own(), case_.own_l4port(), payload_)
               : case_.Out(case_.own(), case_.own_l4port(), payload_))
          .Packet();
  const Bytes outer = (outward ? case_.In(case_.outside(), given_, payload_)
                               : case_.Out(case_.outside(), given_, payload_))
                          .Packet();
  const Bytes& seen = outward ? inner : outer;
  constexpr std::array<uint8_t, 5> kTypes4 = {3, 11, 12, 4, 5};
  constexpr std::array<uint8_t, 5> kTypes6 = {1, 2, 3, 4, 2};
  const size_t type_number = input_.Below(5);
  const uint8_t type = at.v4 ? kTypes4[type_number] : kTypes6[type_number];
  const uint8_t code = input_.Byte();
  const uint32_t mtu = input_.Long();
  const size_t size = std::min<size_t>(input_.Word(), seen.size());
  const std::array<std::string, 4> senders = {at.router, at.remote, at.unicast,
                                              at.dns};
  const std::string from =
      outward ? case_.own() : senders[input_.Below(senders.size())];
  const Bytes quote(seen.begin(), seen.begin() + static_cast<ptrdiff_t>(size));
  const std::string to = outward ? at.remote : case_.outside();
  auto built = Icmp(from, to, type, code).Payload(quote).Mtu(mtu);
  Bytes frame = built.Frame();

  const size_t changes = input_.Below(4);
  for (size_t i = 0; i < changes; ++i) {
    const size_t place = input_.Word() % frame.size();
    frame[place] = static_cast<uint8_t>(frame[place] ^ input_.Byte());
  }
  const bool intact = frame == built.Frame();
  // In a chain, cut anywhere (MBF-03).
  std::vector<size_t> cuts;
  if (input_.Flag()) cuts = {input_.Word() % frame.size()};
  const auto out =
      walk_->SendCut(outward ? case_.queue() : "wan0", frame, cuts);
  if (intact) {
    CheckIntact(built, quote, outward ? outer : inner, type, code, mtu, from,
                outward, out);
    return true;
  }
  for (const Arrival& arrival : out) {
    const Bytes packet = arrival.Packet();
    const auto ip = ReadIp(packet);
    if (!ip || !IsError(packet, *ip) || arrival.device == "gw0") continue;
    GODWIT_CHECK(L4Residue(packet, *ip).value_or(0) == 0);
  }
  const Bytes sent = PacketOf(frame);
  const auto ip = ReadIp(sent);
  return ip && IsError(sent, *ip);
}

void Trial::Go() {
  payload_ = Bytes(input_.Byte() * 5U, 0x5a);
  Open();
  const uint8_t pause = input_.Byte();
  const bool timed = input_.Flag();
  if (!timed) {
    Exchange();
    const uint64_t live = Live(*walk_);
    if (!SendError()) return;
    GODWIT_CHECK(Live(*walk_) == live);
    Exchange();
    return;
  }
  // How long it lives is measured once without an error.
  static std::array<double, 2 * kKinds> lives{};
  double& life = lives[static_cast<size_t>(case_.kind) * 2 + case_.v4()];
  if (life == 0) {
    for (; Live(*walk_) != 0; life += 1) Stage().Wait(1);
    Open();
  }
  const double before = std::min<double>(pause, life - 2);
  Stage().Wait(before);
  if (!SendError()) return;
  Stage().Wait(life - 1.5 - before);
  GODWIT_CHECK(Live(*walk_) == 1);
  Stage().Wait(2);
  GODWIT_CHECK(Live(*walk_) == 0);
}

}  // namespace
}  // namespace godwit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace godwit;
  Input input(data, size);
  Case one;
  one.at = input.Flag() ? &V6() : &V4();
  one.kind = static_cast<Kind>(input.Below(kKinds));
  Trial(one, input).Go();
  return 0;
}
