// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/fragments.h"

#include "dataplane/net/check.h"

namespace godwit {

Fragments::Fragments()
    : storage_(std::make_unique<std::array<Datagram, kDatagrams>>()),
      datagrams_(*storage_) {
  slots_.fill(kNone);
  for (uint16_t i = 0; i < kDatagrams; ++i) {
    datagrams_[i].next_in_slot =
        i + 1U < kDatagrams ? static_cast<uint16_t>(i + 1) : kNone;
  }
  for (uint16_t i = 0; i < kWaiting; ++i) {
    waiting_[i].next = i + 1U < kWaiting ? static_cast<uint16_t>(i + 1) : kNone;
  }
}

uint16_t Fragments::Find(const FlowKey& key, uint16_t slot) const {
  for (uint16_t at = slots_[slot]; at != kNone;
       at = datagrams_[at].next_in_slot) {
    if (datagrams_[at].key == key) return at;
  }
  return kNone;
}

uint16_t Fragments::Begin(const FlowKey& key, uint16_t slot, uint32_t now) {
  const uint16_t number = free_datagram_;
  if (number == kNone) return kNone;
  Datagram& datagram = datagrams_[number];
  free_datagram_ = datagram.next_in_slot;
  datagram = Datagram{};
  datagram.key = key;
  datagram.slot = slot;
  datagram.began = now;
  datagram.fresh_id = NextId();
  datagram.next_in_slot = slots_[slot];
  slots_[slot] = number;
  datagram.older = newest_;
  if (newest_ != kNone) datagrams_[newest_].newer = number;
  newest_ = number;
  if (oldest_ == kNone) oldest_ = number;
  ++datagram_count_;
  return number;
}

void Fragments::Forget(uint16_t number) {
  Datagram& datagram = datagrams_[number];
  uint16_t* at = &slots_[datagram.slot];
  while (*at != number) at = &datagrams_[*at].next_in_slot;
  *at = datagram.next_in_slot;
  if (datagram.older != kNone) {
    datagrams_[datagram.older].newer = datagram.newer;
  } else {
    oldest_ = datagram.newer;
  }
  if (datagram.newer != kNone) {
    datagrams_[datagram.newer].older = datagram.older;
  } else {
    newest_ = datagram.older;
  }
  datagram.next_in_slot = free_datagram_;
  free_datagram_ = number;
  --datagram_count_;
}

rte_mbuf* Fragments::Unlink(uint16_t& head) {
  const uint16_t number = head;
  Waiting& waiting = waiting_[number];
  head = waiting.next;
  rte_mbuf* mbuf = waiting.mbuf;
  waiting = {nullptr, free_waiting_};
  free_waiting_ = number;
  --waiting_count_;
  return mbuf;
}

bool Fragments::Keep(Datagram& datagram, rte_mbuf* mbuf) {
  if (free_waiting_ == kNone) return false;
  const uint16_t number = free_waiting_;
  free_waiting_ = waiting_[number].next;
  waiting_[number] = {mbuf, datagram.waiting};
  datagram.waiting = number;
  ++waiting_count_;
  return true;
}

void Fragments::Release(Datagram& datagram) {
  GODWIT_CHECK(released_ == kNone);
  released_ = datagram.waiting;
  datagram.waiting = kNone;
}

Fragments::Answer Fragments::See(const FlowKey& key, uint64_t hash,
                                 const Piece& piece, const First* first,
                                 rte_mbuf* mbuf, uint32_t now, First& known,
                                 uint16_t& fresh_id) {
  const auto slot = static_cast<uint16_t>(hash % kSlots);
  uint16_t number = Find(key, slot);
  if (number == kNone) number = Begin(key, slot, now);
  if (number == kNone) return Answer::kFull;
  Datagram& datagram = datagrams_[number];
  if (datagram.refused) return Answer::kOverlap;
  const auto begin = static_cast<uint16_t>(piece.offset / 8);
  const auto end = static_cast<uint16_t>((piece.offset + piece.size + 7) / 8);
  for (uint8_t i = 0; i < datagram.pieces; ++i) {
    const auto& range = datagram.ranges[i];
    if (end <= range[0] || begin >= range[1]) continue;
    const bool same = begin == range[0] && end == range[1];
    const bool same_flow =
        first == nullptr ||
        (first->source_l4port == datagram.first.source_l4port &&
         first->destination_l4port == datagram.first.destination_l4port);
    if (same && same_flow) return Answer::kDuplicate;
    datagram.refused = true;
    Release(datagram);
    return Answer::kOverlap;
  }
  if (datagram.pieces == kPieces) return Answer::kFull;
  if (first == nullptr && !datagram.has_first && !Keep(datagram, mbuf)) {
    return Answer::kFull;
  }
  datagram.ranges[datagram.pieces++] = {begin, end};
  datagram.bytes += piece.size;
  if (!piece.more) datagram.end = piece.offset + piece.size;
  if (first != nullptr) {
    datagram.first = *first;
    datagram.has_first = true;
    Release(datagram);
  } else if (!datagram.has_first) {
    return Answer::kWaits;
  }
  known = datagram.first;
  fresh_id = datagram.fresh_id;
  // All of it has been here: its name may come again.
  if (datagram.end != 0 && datagram.bytes == datagram.end) Forget(number);
  return Answer::kKnown;
}

}  // namespace godwit
