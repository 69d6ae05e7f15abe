// SPDX-License-Identifier: BSD-3-Clause
// Non-first fragments follow their first: virtual reassembly (RFC 6146 3.4).
//
// Theory of operation. All fragments of a datagram come to one worker
// (owner.h, OfDatagram). The first one names the flow; what it says is kept
// here for the others, and those that came before it wait. Nothing is put
// together: each fragment travels on by itself, by the flow of the first, so
// sizes and order stay what the sender chose. An overlap ends the datagram
// (RFC 5722; RFC 1858 and 3128 for IPv4: the l4ports decide where a datagram
// goes, so a second first fragment is an attack).
//
// Bounded: kDatagrams at once, kWaiting fragments that wait, kPieces of one
// datagram. Full is a verdict. A datagram is forgotten kPatience after it
// began; all have the same patience, so the oldest is always the next to go.
#ifndef GODWIT_DATAPLANE_FLOW_FRAGMENTS_H_
#define GODWIT_DATAPLANE_FLOW_FRAGMENTS_H_

#include <array>
#include <cstdint>
#include <memory>

#include "dataplane/net/tuple.h"

struct rte_mbuf;

namespace godwit {

// Written by: the worker that owns it, alone.
class Fragments {
 public:
  static constexpr uint32_t kDatagrams = 1024;
  static constexpr uint32_t kWaiting = 512;
  static constexpr uint32_t kPieces = 64;
  static constexpr uint32_t kPatience = 25;  // ticks: RFC 6146 wants 2 s

  // What the first fragment says for all.
  struct First {
    uint16_t source_l4port = 0;
    uint16_t destination_l4port = 0;
    uint8_t protocol = 0;
    bool has_l4ports = false;  // it names a flow: TCP, UDP, echo
    bool is_icmp_error = false;
    bool lacks_checksum = false;  // of UDP over IPv6: not for a host (UDP-03)
  };
  struct Piece {
    uint32_t offset = 0;  // bytes of payload before it
    uint32_t size = 0;    // bytes of payload
    bool more = false;
  };
  enum class Answer : uint8_t {
    kKnown,      // goes on as First says
    kWaits,      // until the first comes; the buffer is kept here
    kDuplicate,  // seen already: drop it alone
    kOverlap,    // drop it, and all that is still to come
    kFull,
  };

  Fragments();

  // One fragment. `datagram` is hashed by `hash`. With `first` it is a first
  // fragment; `known` is what all of them go by when kKnown is answered.
  // `fresh_id` is what the datagram is to be called if its source changes.
  Answer See(const FlowKey& datagram, uint64_t hash, const Piece& piece,
             const First* first, rte_mbuf* mbuf, uint32_t now, First& known,
             uint16_t& fresh_id);

  // Those that waited for what See has just learned, or for an end by overlap.
  template <class Visit>
  void TakeReleased(Visit&& visit) {
    while (released_ != kNone) visit(Unlink(released_));
  }
  // Those whose datagram has waited too long; a bounded slice.
  template <class Visit>
  void Expire(uint32_t now, Visit&& visit) {
    for (int i = 0; i < 16 && oldest_ != kNone; ++i) {
      Datagram& datagram = datagrams_[oldest_];
      if (now - datagram.began <= kPatience) return;
      uint16_t waiting = datagram.waiting;
      Forget(oldest_);
      while (waiting != kNone) visit(Unlink(waiting));
    }
  }
  uint32_t waiting() const { return waiting_count_; }
  uint32_t datagrams() const { return datagram_count_; }
  // Makes the names of different workers differ: see NextId.
  void SetStride(unsigned worker, unsigned workers) {
    id_ = static_cast<uint16_t>(worker);
    stride_ = static_cast<uint16_t>(workers);
  }
  // A name for a datagram whose source is translated (RFC 6864 5.3.1): none
  // is given twice by any worker within 65536 / workers datagrams.
  uint16_t NextId() {
    const uint16_t id = id_;
    id_ = static_cast<uint16_t>(id_ + stride_);
    return id;
  }

 private:
  static constexpr uint16_t kNone = UINT16_MAX;
  static constexpr uint32_t kSlots = 2048;

  struct Datagram {
    FlowKey key;
    First first;
    bool has_first = false;
    bool refused = false;  // overlapped: everything more of it is dropped
    uint8_t pieces = 0;
    uint16_t fresh_id = 0;
    uint16_t waiting = kNone;
    uint16_t next_in_slot = kNone;
    uint16_t older = kNone;
    uint16_t newer = kNone;
    uint16_t slot = 0;
    uint32_t began = 0;
    uint32_t bytes = 0;
    uint32_t end = 0;  // of the last fragment; 0: not seen
    std::array<std::array<uint16_t, 2>, kPieces> ranges;  // in 8-byte units
  };
  struct Waiting {
    rte_mbuf* mbuf = nullptr;
    uint16_t next = kNone;
  };

  uint16_t Find(const FlowKey& key, uint16_t slot) const;
  uint16_t Begin(const FlowKey& key, uint16_t slot, uint32_t now);
  void Forget(uint16_t number);
  rte_mbuf* Unlink(uint16_t& head);
  bool Keep(Datagram& datagram, rte_mbuf* mbuf);
  void Release(Datagram& datagram);

  std::unique_ptr<std::array<Datagram, kDatagrams>> storage_;
  std::array<Datagram, kDatagrams>& datagrams_;
  std::array<uint16_t, kSlots> slots_;
  std::array<Waiting, kWaiting> waiting_;
  uint16_t free_datagram_ = 0;
  uint16_t free_waiting_ = 0;
  uint16_t oldest_ = kNone;
  uint16_t newest_ = kNone;
  uint16_t released_ = kNone;
  uint32_t waiting_count_ = 0;
  uint32_t datagram_count_ = 0;
  uint16_t id_ = 0;
  uint16_t stride_ = 1;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_FRAGMENTS_H_
