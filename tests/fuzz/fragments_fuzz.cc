// SPDX-License-Identifier: BSD-3-Clause
// F5: a datagram in pieces, cut anywhere, in any order, more than once, too
// late, with forged ones between. P12: each piece leaves as the whole datagram
// would have, or is counted as what it is. Which of the two, a plain model
// says, which keeps the one datagram as lists.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/fuzz/support/input.h"
#include "tests/fuzz/support/lasting_walk.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

constexpr unsigned kPatience = 25;  // ticks
constexpr size_t kMostPieces = 64;
constexpr uint32_t kId = 0x4321;

struct Piece {
  size_t offset = 0;
  size_t size = 0;
  bool more = false;
  bool forged = false;
  size_t begin() const { return offset / 8; }
  size_t end() const { return (offset + size + 7) / 8; }
};
using Pieces = std::vector<Piece>;

struct Datagram {
  unsigned began = 0;
  bool refused = false;
  uint32_t id = 0;
  std::optional<bool> first_forged;  // nothing: the first has not come
  Pieces seen;
  Pieces waiting;
};

// RFC 6146 3.4, RFC 5722.
class Model {
 public:
  enum class Fate { kPasses, kWaits, kDuplicate, kOverlap, kFull };

  // `others`: those that waited, and share its fate.
  Fate See(const Piece& piece, Pieces& others) {
    if (!datagram_) datagram_.emplace().began = now_;
    Datagram& all = *datagram_;
    if (all.refused) return Fate::kOverlap;
    for (const Piece& one : all.seen) {
      if (piece.end() <= one.begin() || piece.begin() >= one.end()) continue;
      if (piece.begin() == one.begin() && piece.end() == one.end() &&
          (piece.offset != 0 || piece.forged == one.forged)) {
        return Fate::kDuplicate;
      }
      all.refused = true;
      others.swap(all.waiting);
      return Fate::kOverlap;
    }
    if (all.seen.size() == kMostPieces) return Fate::kFull;
    all.seen.push_back(piece);
    if (piece.offset == 0) {
      all.first_forged = piece.forged;
      others.swap(all.waiting);
    } else if (!all.first_forged) {
      all.waiting.push_back(piece);
      return Fate::kWaits;
    }
    return Fate::kPasses;
  }
  bool FirstIsForged() const { return datagram_->first_forged.value_or(false); }
  // What it is called where it leaves; 0: not known yet.
  uint32_t& id() { return datagram_->id; }
  // All of it has been here: its name may come again.
  void ForgetIfComplete() {
    size_t bytes = 0;
    size_t end = 0;
    for (const Piece& piece : datagram_->seen) {
      bytes += piece.size;
      if (!piece.more) end = piece.offset + piece.size;
    }
    if (end != 0 && bytes == end) datagram_.reset();
  }
  // Returns how many have waited too long.
  size_t Pass(unsigned ticks) {
    now_ += ticks;
    if (!datagram_ || now_ - datagram_->began <= kPatience) return 0;
    const size_t waited = datagram_->waiting.size();
    datagram_.reset();
    return waited;
  }

 private:
  unsigned now_ = 0;
  std::optional<Datagram> datagram_;
};

std::string Times(size_t count, const std::string& word) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += (i == 0 ? "" : " ") + word;
  return text;
}

LastingWalk& Stage(bool three_workers) {
  static const SnapshotBuilder world = [] {
    SnapshotBuilder one = World();
    // One queue, so that it is known which.
    one.RemoveService("dns").Service("dns", {V4().dns, V6().dns}, {"udp/53"},
                                     {"dns0"});
    return one;
  }();
  static auto& one = *new LastingWalk(world, {.workers = 1});
  static auto& three = *new LastingWalk(world, {.workers = 3});
  return three_workers ? three : one;
}

enum class Way : uint8_t { kToService, kOut, kEchoOut, kAnswer };

class Trial {
 public:
  explicit Trial(Input input) : input_(input) {}
  void Go() {
    at_ = input_.Flag() ? &V6() : &V4();
    way_ = static_cast<Way>(input_.Below(4));
    stage_ = &Stage(input_.Flag());
    walk_ = &stage_->Fresh();
    // Two bytes at least, so that there are two pieces of any.
    Open(9 + input_.Word() % 3000U);
    Cut();
    // The shortest life of a flow here is a minute.
    for (unsigned passed = 0; input_.left() > 0 && passed < 450;) {
      const uint8_t step = input_.Byte();
      if (step < 0xe0) {
        Send(pieces_[step % pieces_.size()]);
      } else if (step < 0xf0) {
        const unsigned ticks = 1 + (step & 0xfU) * 2;
        passed += ticks;
        stage_->Wait(ticks / 10.0);
        GODWIT_CHECK(walk_->ending() ==
                     Times(model_.Pass(ticks), "frag_timeout"));
      } else {
        Send(Forged());
      }
    }
    // Another walk may be next, and the buffers are everybody's.
    stage_->Fresh();
  }

 private:
  // The datagram as it is sent, and as it leaves whole.
  void Open(size_t size) {
    const Bytes payload = Udp("1.1.1.1:1", "1.1.1.1:1").PayloadSize(size).L4();
    const auto between = [&](const std::string& from, unsigned from_l4port,
                             const std::string& to, unsigned to_l4port) {
      return Udp(at_->At(from, from_l4port), at_->At(to, to_l4port))
          .Payload(payload);
    };
    const auto query = between(at_->internal, 5000, at_->remote, 443);
    const auto echo = Echo(at_->internal, at_->remote, 77).Payload(payload);
    if (way_ == Way::kToService) {
      Take(between(at_->client, 4000, at_->dns, 53),
           between(at_->client, 4000, at_->dns, 53));
      return;
    }
    auto first = way_ == Way::kEchoOut ? echo : query;
    const auto left = walk_->Send("crawl0", first.PayloadSize(4));
    GODWIT_CHECK(left.size() == 1 && left[0].device == "wan0");
    const size_t l4 = (at_->v4 ? 20 : 40) + (way_ == Way::kEchoOut ? 4 : 0);
    const Bytes packet = left[0].Packet();
    const unsigned given = packet[l4] * 256U + packet[l4 + 1];
    if (way_ == Way::kEchoOut) {
      Take(echo, Echo(at_->unicast, at_->remote, static_cast<uint16_t>(given))
                     .Payload(payload));
    } else if (way_ == Way::kOut) {
      Take(query, between(at_->unicast, given, at_->remote, 443));
    } else {
      Take(between(at_->remote, 443, at_->unicast, given),
           between(at_->remote, 443, at_->internal, 5000));
    }
  }
  void Take(const PacketBuilder& in, const PacketBuilder& out) {
    in_l4_ = in.L4();
    out_l4_ = out.L4();
    in_ = in;
    out_ = out;
  }
  void Cut() {
    for (size_t offset = 0; offset < in_l4_.size();) {
      size_t size = (1 + input_.Below(150)) * 8;
      // As many as are left to see, the last with the rest.
      if (pieces_.size() > 40) size = 1200;
      size = std::min(size, in_l4_.size() - offset);
      if (pieces_.empty()) size = std::min(size, in_l4_.size() / 9 * 8);
      pieces_.push_back({offset, size, offset + size < in_l4_.size(), false});
      offset += size;
    }
  }
  Piece Forged() {
    Piece piece;
    piece.offset = (input_.Byte() % (in_l4_.size() / 8 + 4)) * 8;
    piece.size = (1 + input_.Below(20)) * 8;
    piece.more = input_.Flag() || piece.offset == 0;
    piece.forged = true;
    return piece;
  }

  // Of a piece of `whole`, which has the bytes `l4`.
  PacketBuilder Packet(const PacketBuilder& whole, const Bytes& l4,
                       const Piece& piece, uint32_t id) const {
    Bytes part;
    if (!piece.forged) {
      const auto begin = l4.begin() + static_cast<ptrdiff_t>(piece.offset);
      part.assign(begin, begin + static_cast<ptrdiff_t>(piece.size));
    } else {
      part.assign(piece.size, 0xee);
      // Of another flow, to the same service or from the same program.
      if (piece.offset == 0) {
        std::copy(l4.begin(), l4.begin() + 8, part.begin());
        part[way_ == Way::kEchoOut ? 5 : 1] ^= 1;
      }
    }
    const bool echo = way_ == Way::kEchoOut;
    const uint8_t icmp = at_->v4 ? kProtoIcmp : kProtoIcmpv6;
    return Ip(whole.source().ToString(), whole.destination().ToString(),
              echo ? icmp : kProtoUdp)
        .Payload(part)
        .Fragment(piece.offset, piece.more ? More::kYes : More::kNo, id)
        .IpId(static_cast<uint16_t>(id));
  }
  uint32_t IdOf(const Bytes& packet) const {
    const auto word = [&packet](size_t at) {
      return packet[at] * 256U + packet[at + 1];
    };
    return at_->v4 ? word(4) : word(44) << 16 | word(46);
  }

  void Send(const Piece& piece) {
    const bool inside = way_ == Way::kOut || way_ == Way::kEchoOut;
    const auto out = walk_->Send(inside ? "crawl0" : "wan0",
                                 Packet(*in_, in_l4_, piece, kId).Frame());
    Pieces others;
    switch (model_.See(piece, others)) {
      case Model::Fate::kWaits:
        GODWIT_CHECK(out.empty() && walk_->ending().empty());
        return;
      case Model::Fate::kDuplicate:
        GODWIT_CHECK(out.empty() && walk_->ending() == "frag_duplicate");
        return;
      case Model::Fate::kOverlap:
        GODWIT_CHECK(out.empty() && walk_->ending() == Times(1 + others.size(),
                                                             "frag_overlap"));
        return;
      case Model::Fate::kFull:
        GODWIT_CHECK(out.empty() && walk_->ending() == "frag_budget");
        return;
      case Model::Fate::kPasses:
        others.push_back(piece);
        CheckPassed(out, others);
        model_.ForgetIfComplete();
    }
  }
  void CheckPassed(const std::vector<Arrival>& out, const Pieces& passed) {
    if (model_.FirstIsForged() && way_ == Way::kAnswer) {
      // From somewhere else: FLT-01.
      GODWIT_CHECK(out.empty());
      GODWIT_CHECK(walk_->ending() == Times(passed.size(), "nat_filtered"));
      return;
    }
    const char* device = "wan0";
    if (way_ == Way::kToService) device = "dns0";
    if (way_ == Way::kAnswer) device = "crawl0";
    GODWIT_CHECK(out.size() == passed.size());
    std::vector<Bytes> came;
    for (const Arrival& arrival : out) {
      GODWIT_CHECK(arrival.device == device);
      came.push_back(arrival.Packet());
      // FRG-09: one name for all of it.
      if (model_.id() == 0) model_.id() = IdOf(came.back()) + 1;
      GODWIT_CHECK(IdOf(came.back()) + 1 == model_.id());
    }
    const bool renamed = way_ == Way::kOut || way_ == Way::kEchoOut;
    if (!renamed) GODWIT_CHECK(model_.id() == kId + 1);
    if (model_.FirstIsForged() && renamed) return;  // with an l4port of its own
    std::vector<Bytes> wanted;
    for (const Piece& piece : passed) {
      wanted.push_back(Packet(*out_, out_l4_, piece, model_.id() - 1).Packet());
    }
    std::sort(came.begin(), came.end());
    std::sort(wanted.begin(), wanted.end());
    GODWIT_CHECK(came == wanted);
  }

  Input input_;
  const Family* at_ = nullptr;
  Way way_ = Way::kToService;
  LastingWalk* stage_ = nullptr;
  Walk* walk_ = nullptr;
  std::optional<PacketBuilder> in_;
  std::optional<PacketBuilder> out_;
  Bytes in_l4_;
  Bytes out_l4_;
  Pieces pieces_;
  Model model_;
};

}  // namespace
}  // namespace godwit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  godwit::Trial(godwit::Input(data, size)).Go();
  return 0;
}
