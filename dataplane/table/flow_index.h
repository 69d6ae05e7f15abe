// SPDX-License-Identifier: BSD-3-Clause
// The hash index of the flow table: hash -> 32-bit value, in cache lines.
//
// Theory of operation. Keys are not stored here, only a 16-bit tag of the
// hash beside the value (a flow entry's number and side); whoever looks up
// compares the real key in the entry the value names. A bucket is one cache
// line of eight slots. A key lives in its home bucket, or, when that is full,
// in the other one, home ^ f(tag): each is the other's other, so an entry can
// be moved between its two from what the bucket alone says, without its key.
// The home bucket counts those of its keys that live away, so that a lookup
// normally reads one line: two only when the key is away, or unknown and some
// key of the same home is away (2% of the homes at load 0.5, 25% at 0.85).
// When both are full, a breadth-first search over at most kMaxNodes buckets
// looks for a chain of moves that ends at a free slot; it moves nothing until
// it has one, so a refused insertion changes nothing. It reaches loads over
// 0.95; BucketsFor() keeps it under kMaxLoad.
//
// Memory: 64 bytes for 8 slots: 9.4 bytes a key at load 0.85, 16 at 0.5.
// Speed is had in bursts: Prefetch() all, then Candidate() all and prefetch
// the entries named, then Find() all.
#ifndef GODWIT_DATAPLANE_TABLE_FLOW_INDEX_H_
#define GODWIT_DATAPLANE_TABLE_FLOW_INDEX_H_

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace godwit {

// Written by: the lcore that owns it, alone. Contents hold no pointers.
class FlowIndex {
 public:
  // "No such key"; not allowed as a value.
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kSlots = 8;
  static constexpr double kMaxLoad = 0.85;

  enum class InsertResult { kInserted, kFull };

  // Buckets (a power of two, at least 2) for `max_keys` keys at kMaxLoad or
  // below; at most 2^31 buckets.
  static uint32_t BucketsFor(uint64_t max_keys);
  static size_t BytesFor(uint32_t buckets) {
    return size_t{buckets} * sizeof(Bucket);
  }

  // `memory` is BytesFor(buckets) bytes or more, aligned to 64, and stays the
  // caller's; it is cleared.
  FlowIndex(std::span<std::byte> memory, uint32_t buckets);

  void Prefetch(uint64_t hash) const {
    __builtin_prefetch(&buckets_[HomeOf(hash)]);
  }

  // The first value whose tag matches: nearly always the one Find() returns,
  // or kNone. For prefetching the entry.
  uint32_t Candidate(uint64_t hash) const {
    const Bucket& home = buckets_[HomeOf(hash)];
    uint32_t match = TagMatches(home, TagOf(hash));
    if (match != 0) [[likely]] {
      return home.value[std::countr_zero(match)];
    }
    if (home.keys_away == 0) [[likely]]
      return kNone;
    const Bucket& other = buckets_[OtherOf(HomeOf(hash), TagOf(hash))];
    match = TagMatches(other, TagOf(hash));
    return match == 0 ? kNone : other.value[std::countr_zero(match)];
  }

  // The value for which matches(value) says that it is the key, or kNone.
  template <class Matches>
  uint32_t Find(uint64_t hash, Matches&& matches) const {
    const Bucket& home = buckets_[HomeOf(hash)];
    const uint32_t found = FindIn(home, TagOf(hash), matches);
    if (found != kNone) [[likely]]
      return found;
    if (home.keys_away == 0) [[likely]]
      return kNone;
    const Bucket& other = buckets_[OtherOf(HomeOf(hash), TagOf(hash))];
    return FindIn(other, TagOf(hash), matches);
  }

  // The key must not be in the index. kFull changes nothing.
  InsertResult Insert(uint64_t hash, uint32_t value);

  // True if (hash, value) was there; it no longer is.
  bool Erase(uint64_t hash, uint32_t value);

  // Calls visit(value) for every value, in no order.
  template <class Visit>
  void ForEach(Visit&& visit) const {
    for (const Bucket& bucket : buckets_) {
      for (uint32_t used = bucket.used; used != 0; used &= used - 1) {
        visit(bucket.value[std::countr_zero(used)]);
      }
    }
  }

  uint64_t size() const { return size_; }
  uint64_t slots() const { return uint64_t{kSlots} * buckets_.size(); }

 private:
  friend class FlowIndexPeer;  // tests: tag matching against its plain twin

  struct alignas(64) Bucket {
    uint16_t tag[kSlots];
    uint32_t value[kSlots];
    uint32_t keys_away;  // keys whose home this is, living in their other
    uint8_t used;        // bit per slot
    uint8_t away;        // bit per slot: this is not the key's home
  };
  static_assert(sizeof(Bucket) == 64, "a lookup reads one cache line");

  // The search for a free slot: two roots, their 16 neighbours, and as many
  // of the next level as fit.
  static constexpr uint32_t kMaxNodes = 128;
  struct Node {
    uint32_t bucket;
    uint8_t parent;       // in the search; a root is its own
    uint8_t parent_slot;  // whose key would move here
  };

  static uint16_t TagOf(uint64_t hash) {
    return static_cast<uint16_t>(hash >> 48);
  }
  uint32_t HomeOf(uint64_t hash) const {
    return static_cast<uint32_t>(hash) & mask_;
  }
  // Odd, so never the same bucket.
  uint32_t OtherOf(uint32_t bucket, uint16_t tag) const {
    return bucket ^ (((uint32_t{tag} * 0x9e3779b1u) | 1) & mask_);
  }

  // Bit per used slot whose tag is `tag`.
  static uint32_t TagMatches(const Bucket& bucket, uint16_t tag) {
    const __m128i tags =
        _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tag));
    const __m128i equal =
        _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<int16_t>(tag)));
    const int bits = _mm_movemask_epi8(_mm_packs_epi16(equal, equal));
    return static_cast<uint32_t>(bits) & bucket.used;
  }

  template <class Matches>
  static uint32_t FindIn(const Bucket& bucket, uint16_t tag, Matches& matches) {
    for (uint32_t match = TagMatches(bucket, tag); match != 0;
         match &= match - 1) {
      const uint32_t value = bucket.value[std::countr_zero(match)];
      if (matches(value)) [[likely]]
        return value;
    }
    return kNone;
  }

  static bool IsFull(const Bucket& bucket) { return bucket.used == 0xff; }
  bool MakeRoom(uint32_t home, uint32_t other);
  bool Search(std::span<Node> nodes, uint32_t roots);
  void MoveChain(std::span<const Node> nodes, uint32_t leaf);
  void MoveToOther(uint32_t from, uint32_t slot, uint32_t to);
  void Put(uint32_t bucket, uint16_t tag, uint32_t value, uint32_t home);
  bool EraseFrom(uint32_t bucket, uint16_t tag, uint32_t value, uint32_t home);

  std::span<Bucket> buckets_;
  uint32_t mask_;
  uint64_t size_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_TABLE_FLOW_INDEX_H_
