// SPDX-License-Identifier: BSD-3-Clause
// Datagrams in pieces: the first names the flow, the others follow; put
// together here, and nowhere else, to see that the whole is what it was.
#include <algorithm>

#include "tests/shadow/model.h"

namespace godwit::shadow {
namespace {

// FRG-04: for so long the pieces of a datagram are waited for at least. After
// it each may be the first of another one.
constexpr int64_t kPatience = 2000;

}  // namespace

// `pieces` were seen to go for want of a first: the oldest.
void Model::ForgetDatagrams(int64_t pieces) {
  while (pieces > 0) {
    auto oldest = datagrams_.end();
    for (auto one = datagrams_.begin(); one != datagrams_.end(); ++one) {
      if (one->second.waiting.empty()) continue;
      const bool older = oldest == datagrams_.end() ||
                         one->second.since < oldest->second.since;
      if (older) oldest = one;
    }
    if (oldest == datagrams_.end()) return;
    pieces -= static_cast<int64_t>(oldest->second.waiting.size());
    datagrams_.erase(oldest);
  }
}

size_t Model::waiting() const {
  size_t sum = 0;
  for (const auto& [key, datagram] : datagrams_) {
    sum += datagram.waiting.size();
  }
  return sum;
}

void Model::JudgeFragment(const std::string& from, const Packet& packet) {
  const bool ours =
      IsServiceAddress(packet.destination) || IsUnicast(packet.destination);
  if (from == "kernel" || (from == "uplink" && !ours)) {
    Ends(from, packet, Decide(from, packet));  // not ours to follow
    return;
  }
  // RFC 8200 4.5: later fragments may name another protocol.
  const DatagramKey key = {from, packet.source, packet.destination, packet.id,
                           packet.v6 ? 0 : packet.protocol};
  const Reasons dead = {"frag_overlap", "frag_orphan", "frag_duplicate"};
  // One that was whole may be remembered, or this begins another.
  const auto other = datagrams_.find(key);
  const bool waits =
      other != datagrams_.end() && !other->second.waiting.empty();
  if (whole_.contains(key) && !waits && Saw(dead)) {
    Ends(from, packet, Fate::Dropped(dead));
    return;
  }
  // After its patience its pieces may be another datagram's.
  const auto old = datagrams_.find(key);
  if (old != datagrams_.end() && old->second.waiting.empty() &&
      now_ - old->second.since >= kPatience &&
      (Saw({"held"}) || (packet.First() && !Saw(dead)))) {
    datagrams_.erase(old);
  }
  Datagram& datagram = datagrams_[key];
  if (datagram.got.empty()) datagram.since = now_;
  const size_t begin = packet.offset;
  const size_t end = begin + packet.bytes.size() - packet.l4;
  bool overlaps = datagram.spoiled;
  for (const auto& [first, last] : datagram.got) {
    if (first == begin && last == end) {
      Again(datagram, from, packet);
      return;
    }
    overlaps = overlaps || (begin < last && first < end);
  }
  if (overlaps) {
    Spoil(datagram);
    Ends(from, packet, Fate::Dropped(dead));
    return;
  }
  datagram.got[begin] = end;
  if (!packet.more) datagram.total = end;
  if (!datagram.fate && !packet.First()) {
    Count("held");
    datagram.waiting.push_back({from, packet});
    return;
  }
  if (packet.First()) datagram.fate = Decide(from, packet);
  PieceLeaves(datagram, from, packet);
  for (const Piece& piece : datagram.waiting) {
    Count("held", -1);
    PieceLeaves(datagram, piece.from, piece.packet);
  }
  datagram.waiting.clear();
  size_t covered = 0;
  for (const auto& [first, last] : datagram.got) covered += last - first;
  if (datagram.total && covered == *datagram.total) {
    whole_.insert(key);
    datagrams_.erase(key);
  }
}

// An overlap ends a datagram, and what waited for its first.
void Model::Spoil(Datagram& datagram) {
  datagram.spoiled = true;
  const auto waited = static_cast<int64_t>(datagram.waiting.size());
  if (waited == 0) return;
  Count("held", -waited);
  Count("frag_overlap", waited);
  datagram.waiting.clear();
}

// An exact duplicate may be dropped, or go the way of the piece that it is.
void Model::Again(Datagram& datagram, const std::string& from,
                  const Packet& packet) {
  const Reasons dead = {"frag_overlap", "frag_orphan", "frag_duplicate"};
  if (datagram.spoiled || Saw(dead)) {
    Ends(from, packet, Fate::Dropped(dead));
  } else if (datagram.fate) {
    PieceLeaves(datagram, from, packet);
  } else {
    Count("held");
    datagram.waiting.push_back({from, packet});
  }
}

void Model::PieceLeaves(Datagram& datagram, const std::string& from,
                        const Packet& packet) {
  Fate fate = *datagram.fate;
  if (fate.end == Fate::End::kDropped || fate.end == Fate::End::kEchoed) {
    if (!packet.First()) {
      fate.answer = Fate::Answer::kNone;
      fate.end = Fate::End::kDropped;
      fate.reasons.insert("frag_orphan");
    }
    Ends(from, packet, fate);
    return;
  }
  // P12 lets a later piece be lost, if it is counted: while its first goes
  // from worker to worker for an l4port.
  const auto lost = seen_->counters.find("frag_orphan");
  if (world_.workers > 1 && fate.source && !packet.First() &&
      lost != seen_->counters.end() &&
      lost->second > counters_["frag_orphan"]) {
    Count("frag_orphan");
    return;
  }
  Count(fate.end == Fate::End::kDelivered ? "delivered"
        : fate.end == Fate::End::kSent    ? "sent"
                                          : "punted");
  Packet shown = packet;
  if (fate.fresh_id) {
    // FRG-09: one of the node's own for the datagram, no two alive alike.
    for (const Out& out : left_) {
      if (datagram.id || out.device != fate.device) continue;
      const Packet left = Read(out.packet, packet.v6);
      datagram.id = left.id;
      auto& used = ids_[{left.source, left.destination, left.protocol}];
      if (!used.insert(left.id).second) Complain("FRG-09: an id twice");
    }
    const uint32_t id = datagram.id.value_or(0);
    if (packet.v6) {
      Write32(shown.bytes, packet.id_at, id);
    } else {
      Write16(shown.bytes, packet.id_at, id);
    }
  }
  if (!packet.First()) shown.protocol = 255;  // no l4 header is there
  Bytes out;
  if (TakeOut(Rewritten(shown, fate), &out)) {
    PutTogether(datagram, packet, out);
  }
}

// P12, FRG-16.
void Model::PutTogether(Datagram& datagram, const Packet& packet,
                        const Bytes& out) {
  const Packet left = Read(out, packet.v6);
  const size_t end = packet.offset + packet.bytes.size() - packet.l4;
  for (Bytes* whole : {&datagram.in, &datagram.out}) {
    if (whole->size() < end) whole->resize(end);
  }
  const Bytes in_piece = packet.L4();
  const Bytes out_piece = left.L4();
  const auto at = static_cast<std::ptrdiff_t>(packet.offset);
  std::ranges::copy(in_piece, datagram.in.begin() + at);
  std::ranges::copy(out_piece, datagram.out.begin() + at);
  if (packet.First()) {
    datagram.first_in = packet;
    datagram.first_out = left;
  }
  if (datagram.done.insert(packet.offset).second) {
    datagram.put += in_piece.size();
  }
  if (!datagram.first_in || !datagram.total) return;
  if (datagram.put != *datagram.total) return;
  const Packet& in = *datagram.first_in;
  const size_t field = in.ChecksumAt();
  if (field == 0) return;
  if (in.protocol == kUdp && Read16(datagram.in, 6) == 0) {
    if (Read16(datagram.out, 6) != 0) Complain("UDP-01: a checksum of none");
    return;
  }
  const Sum before = L4Sum(in.source, in.destination, in.protocol, datagram.in);
  const Sum after =
      L4Sum(datagram.first_out->source, datagram.first_out->destination,
            in.protocol, datagram.out);
  if (before.value() != after.value()) {
    Complain("P8, P12: put together, its checksum is another");
  }
}

}  // namespace godwit::shadow
