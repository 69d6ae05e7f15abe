// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/flow_index.h"

#include <cstring>

#include "dataplane/net/check.h"

namespace godwit {

uint32_t FlowIndex::BucketsFor(uint64_t max_keys) {
  const auto wanted = static_cast<uint64_t>(static_cast<double>(max_keys) /
                                            (kSlots * kMaxLoad));
  const uint64_t buckets = std::bit_ceil(wanted + 1);
  GODWIT_CHECK(buckets <= uint64_t{1} << 31);
  return buckets < 2 ? 2 : static_cast<uint32_t>(buckets);
}

FlowIndex::FlowIndex(std::span<std::byte> memory, uint32_t buckets)
    : buckets_(reinterpret_cast<Bucket*>(memory.data()), buckets),
      mask_(buckets - 1) {
  GODWIT_CHECK(buckets >= 2 && std::has_single_bit(buckets));
  GODWIT_CHECK(memory.size() >= BytesFor(buckets));
  GODWIT_CHECK(reinterpret_cast<uintptr_t>(memory.data()) % 64 == 0);
  std::memset(memory.data(), 0, BytesFor(buckets));
}

FlowIndex::InsertResult FlowIndex::Insert(uint64_t hash, uint32_t value) {
  const uint16_t tag = TagOf(hash);
  const uint32_t home = HomeOf(hash);
  uint32_t target = home;
  if (IsFull(buckets_[home])) [[unlikely]] {
    target = OtherOf(home, tag);
    if (IsFull(buckets_[target])) {
      if (!MakeRoom(home, target)) return InsertResult::kFull;
      if (!IsFull(buckets_[home])) target = home;
    }
  }
  Put(target, tag, value, home);
  ++size_;
  return InsertResult::kInserted;
}

bool FlowIndex::Erase(uint64_t hash, uint32_t value) {
  const uint16_t tag = TagOf(hash);
  const uint32_t home = HomeOf(hash);
  if (EraseFrom(home, tag, value, home)) return true;
  if (buckets_[home].keys_away == 0) return false;
  return EraseFrom(OtherOf(home, tag), tag, value, home);
}

void FlowIndex::Put(uint32_t at, uint16_t tag, uint32_t value, uint32_t home) {
  Bucket& bucket = buckets_[at];
  const auto slot = static_cast<uint32_t>(std::countr_one(bucket.used));
  const auto bit = static_cast<uint8_t>(1u << slot);
  bucket.tag[slot] = tag;
  bucket.value[slot] = value;
  bucket.used |= bit;
  if (at == home) return;
  bucket.away |= bit;
  ++buckets_[home].keys_away;
}

bool FlowIndex::EraseFrom(uint32_t at, uint16_t tag, uint32_t value,
                          uint32_t home) {
  Bucket& bucket = buckets_[at];
  for (uint32_t match = TagMatches(bucket, tag); match != 0;
       match &= match - 1) {
    const auto slot = static_cast<uint32_t>(std::countr_zero(match));
    if (bucket.value[slot] != value) continue;
    const auto keep = static_cast<uint8_t>(~(1u << slot));
    bucket.used &= keep;
    bucket.away &= keep;
    if (at != home) --buckets_[home].keys_away;
    --size_;
    return true;
  }
  return false;
}

// True if `home` or `other`, both full, now has a free slot.
bool FlowIndex::MakeRoom(uint32_t home, uint32_t other) {
  Node nodes[kMaxNodes];
  nodes[0] = {home, 0, 0};
  nodes[1] = {other, 1, 0};
  return Search(nodes, 2);
}

// Every node is a full bucket; its children are where its eight keys could
// go. The first child with room ends the search.
bool FlowIndex::Search(std::span<Node> nodes, uint32_t roots) {
  uint32_t count = roots;
  for (uint32_t at = 0; at < count; ++at) {
    const uint32_t from = nodes[at].bucket;
    uint32_t to[kSlots];
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      to[slot] = OtherOf(from, buckets_[from].tag[slot]);
      __builtin_prefetch(&buckets_[to[slot]]);
    }
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      const Node child{to[slot], static_cast<uint8_t>(at),
                       static_cast<uint8_t>(slot)};
      if (!IsFull(buckets_[child.bucket])) {
        MoveToOther(from, slot, child.bucket);
        MoveChain(nodes, at);
        return true;
      }
      if (count < nodes.size()) nodes[count++] = child;
    }
  }
  return false;
}

// A slot of nodes[at] has become free: passes it up to a root.
void FlowIndex::MoveChain(std::span<const Node> nodes, uint32_t at) {
  while (nodes[at].parent != at) {
    const Node& node = nodes[at];
    MoveToOther(nodes[node.parent].bucket, node.parent_slot, node.bucket);
    at = node.parent;
  }
}

void FlowIndex::MoveToOther(uint32_t from, uint32_t slot, uint32_t to) {
  Bucket& bucket = buckets_[from];
  const auto bit = static_cast<uint8_t>(1u << slot);
  const bool leaves_home = (bucket.away & bit) == 0;
  if (!leaves_home) --buckets_[to].keys_away;
  bucket.used &= static_cast<uint8_t>(~bit);
  bucket.away &= static_cast<uint8_t>(~bit);
  Put(to, bucket.tag[slot], bucket.value[slot], leaves_home ? from : to);
}

}  // namespace godwit
