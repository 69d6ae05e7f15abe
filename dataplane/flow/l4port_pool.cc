// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/l4port_pool.h"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "dataplane/net/check.h"
#include "dataplane/table/memory.h"

namespace godwit {
namespace {

constexpr uint32_t kMaxBlock = 65536;
constexpr uint32_t kSmallestBlock = 1024;  // that memory is made for
constexpr uint32_t kWordBits = 64;

constexpr uint32_t kGroupBits = 4096;  // bits whose clear ones are counted

uint32_t WordsFor(uint32_t bits) { return (bits + kWordBits - 1) / kWordBits; }

// The number of the set bit of `word` that has `before` set ones below it.
uint32_t BitOfRank(uint64_t word, uint32_t before) {
  return static_cast<uint32_t>(
      std::countr_zero(_pdep_u64(uint64_t{1} << before, word)));
}

}  // namespace

void L4portBlock::Set(std::span<const uint16_t> l4ports) {
  GODWIT_CHECK(l4ports.size() <= kMaxBlock);
  size_ = static_cast<uint32_t>(l4ports.size());
  for (uint32_t i = 0; i < size_; ++i) {
    GODWIT_CHECK(i == 0 || l4ports[i - 1] < l4ports[i]);
    l4ports_[i] = l4ports[i];
    indices_[l4ports[i]] = static_cast<uint16_t>(i);
  }
  for (uint32_t at = 0; at < kMaxBlock / kRun; ++at) {
    const uint32_t first = at * kRun;
    const uint32_t last = first + kRun - 1;
    const bool run_of_l4ports =
        last < size_ && l4ports_[last] - l4ports_[first] == kRun - 1;
    l4port_of_run_[at] = run_of_l4ports ? l4ports_[first] : kNoRun;
    index_of_run_[at] = kNoRun;
    const uint32_t index = indices_[first];
    const bool run_of_indices = index + kRun <= size_ &&
                                l4ports_[index] == first &&
                                l4ports_[index + kRun - 1] == last;
    if (run_of_indices) index_of_run_[at] = static_cast<int32_t>(index);
  }
}

L4portPool::Layout L4portPool::Layout::For(uint32_t block_size,
                                           uint32_t max_flows) {
  Layout layout;
  layout.words = WordsFor(block_size);
  layout.groups = (block_size + kGroupBits - 1) / kGroupBits;
  layout.stride = layout.words + (layout.groups + 1) / 2;
  layout.dense_from = std::max(2u, block_size / 16);
  layout.dense_until = layout.dense_from / 2;
  layout.dense_limit =
      block_size <= kWholeWord ? 0 : max_flows / layout.dense_until + 1;
  return layout;
}

L4portPool::Sizes L4portPool::Sizes::For(uint32_t max_flows) {
  const Layout smallest = Layout::For(kSmallestBlock, max_flows);
  const Layout largest = Layout::For(kMaxBlock, max_flows);
  Sizes sizes;
  // So many that chance alone makes no class heavy.
  sizes.classes = std::bit_ceil(std::clamp(max_flows / 32, 64u, 65536u));
  sizes.dense = smallest.dense_limit;
  sizes.buckets = FlowIndex::BucketsFor(uint64_t{2} * sizes.dense);
  // The last term: rounding never takes the last bitmap of a larger block.
  sizes.bitmap_words =
      size_t{smallest.dense_limit} * smallest.stride + 2 * largest.stride;
  return sizes;
}

size_t L4portPool::BytesFor(uint32_t max_flows) {
  const Sizes sizes = Sizes::For(max_flows);
  return BytesToTake<Class>(sizes.classes) + BytesToTake<Dense>(sizes.dense) +
         BytesToTake<uint64_t>(sizes.bitmap_words) +
         FlowIndex::BytesFor(sizes.buckets);
}

L4portPool::L4portPool(std::span<std::byte> memory, uint32_t max_flows,
                       const RandomStream::Seed& seed)
    : random_(seed),
      max_flows_(max_flows),
      layout_(Layout::For(0, max_flows)),
      classes_(godwit::Take<Class>(memory, Sizes::For(max_flows).classes)),
      dense_(godwit::Take<Dense>(memory, Sizes::For(max_flows).dense)),
      bitmaps_(
          godwit::Take<uint64_t>(memory, Sizes::For(max_flows).bitmap_words)),
      dense_index_(memory, Sizes::For(max_flows).buckets) {
  GODWIT_CHECK(max_flows >= 1 && max_flows <= kMaxFlows);
  std::ranges::fill(classes_, Class{0, 0});
  std::ranges::fill(dense_, Dense{0, 0, false});
  block_.Set({});
  ResetFreeList();
}

// Every dense destination not in use becomes free to be, up to the limit of
// the present block.
void L4portPool::ResetFreeList() {
  const size_t fitting = bitmaps_.size() / std::max(layout_.stride, 1u);
  layout_.dense_limit = static_cast<uint32_t>(
      std::min({size_t{layout_.dense_limit}, dense_.size(), fitting}));
  free_dense_ = kNone;
  for (uint32_t i = layout_.dense_limit; i-- > 0;) {
    if (dense_[i].in_use) continue;
    dense_[i].taken = free_dense_;
    free_dense_ = i;
  }
}

void L4portPool::Free(uint64_t destination, uint16_t l4port) {
  Class& of = ClassOf(destination);
  GODWIT_CHECK(of.live > 0);
  of.live = (of.live - 1) & kMaxFlows;
  --live_;
  if (of.dense == 0) return;
  const uint32_t dense = FindDense(destination);
  if (dense == kNone) return;
  const uint32_t index = block_.IndexOf(l4port);
  if (index != L4portBlock::kNotInBlock) Unmark(dense, index);
  if (of.live < layout_.dense_until || dense_[dense].taken == 0) Release(dense);
}

void L4portPool::Unlearn(uint64_t destination, uint16_t l4port) {
  if (ClassOf(destination).dense == 0) return;
  const uint32_t dense = FindDense(destination);
  const uint32_t index = block_.IndexOf(l4port);
  if (dense == kNone || index == L4portBlock::kNotInBlock) return;
  Unmark(dense, index);
}

L4portPool::Candidate L4portPool::Draw(uint64_t destination) {
  if (block_.size() == 0) return {kNone, 0};
  uint32_t dense = kNone;
  if (ClassOf(destination).dense != 0) dense = FindDense(destination);
  if (dense != kNone && dense_[dense].taken == block_.size()) return {kNone, 0};
  const uint32_t index =
      dense == kNone ? random_.Below(block_.size()) : DrawClear(dense);
  return {index, block_.L4portAt(index)};
}

uint32_t L4portPool::MakeDense(uint64_t destination, Class& of) {
  const uint32_t dense = free_dense_;
  if (dense == kNone || of.dense == 0xff) return kNone;
  if (dense_index_.Insert(destination, dense) ==
      FlowIndex::InsertResult::kFull) {
    return kNone;
  }
  free_dense_ = dense_[dense].taken;
  dense_[dense] = {destination, 0, true};
  ++of.dense;
  ++dense_count_;
  ClearBitmap(dense);
  return dense;
}

void L4portPool::Release(uint32_t dense) {
  const uint64_t destination = dense_[dense].destination;
  --ClassOf(destination).dense;
  --dense_count_;
  dense_index_.Erase(destination, dense);
  dense_[dense] = {0, free_dense_, false};
  free_dense_ = dense;
}

// Bits past the block's end are clear but not counted, so never drawn.
void L4portPool::ClearBitmap(uint32_t dense) {
  std::memset(BitmapOf(dense), 0, size_t{layout_.words} * 8);
  uint32_t* clear_in_group = GroupsOf(dense);
  uint32_t left = block_.size();
  for (uint32_t group = 0; group < layout_.groups; ++group) {
    clear_in_group[group] = std::min(left, kGroupBits);
    left -= clear_in_group[group];
  }
}

void L4portPool::Mark(uint32_t dense, uint32_t index) {
  uint64_t& word = BitmapOf(dense)[index / kWordBits];
  const uint64_t bit = uint64_t{1} << (index % kWordBits);
  if ((word & bit) != 0) return;
  word |= bit;
  --GroupsOf(dense)[index / kGroupBits];
  ++dense_[dense].taken;
}

void L4portPool::Unmark(uint32_t dense, uint32_t index) {
  uint64_t& word = BitmapOf(dense)[index / kWordBits];
  const uint64_t bit = uint64_t{1} << (index % kWordBits);
  if ((word & bit) == 0) return;
  word &= ~bit;
  ++GroupsOf(dense)[index / kGroupBits];
  --dense_[dense].taken;
}

// All clear bits are equally likely: a random bit if it is clear, else the
// k-th clear one for a random k, by the counts of at most 16 groups and the
// words of one.
uint32_t L4portPool::DrawClear(uint32_t dense) {
  const uint64_t* bits = BitmapOf(dense);
  const uint32_t index = random_.Below(block_.size());
  if ((bits[index / kWordBits] >> (index % kWordBits) & 1) == 0) return index;
  uint32_t before = random_.Below(block_.size() - dense_[dense].taken);
  const uint32_t* clear_in_group = GroupsOf(dense);
  while (before >= *clear_in_group) before -= *clear_in_group++;
  auto at = static_cast<uint32_t>(clear_in_group - GroupsOf(dense)) *
            (kGroupBits / kWordBits);
  for (;; ++at) {
    const auto clear = static_cast<uint32_t>(std::popcount(~bits[at]));
    if (before < clear) break;
    before -= clear;
  }
  return at * kWordBits + BitOfRank(~bits[at], before);
}

uint32_t L4portPool::RandomBitOf(uint64_t word) {
  const auto bits = static_cast<uint32_t>(std::popcount(word));
  return BitOfRank(word, random_.Below(bits));
}

// What is known of dense destinations is kept, under the new numbers. Those
// that the new block's layout has no room for, or that are not dense by its
// measure, are forgotten, which loses nothing but knowledge.
void L4portPool::SetBlock(std::span<const uint16_t> block) {
  const Layout old = layout_;
  const uint32_t old_size = block_.size();
  for (uint32_t i = 0; i < old_size; ++i) old_l4ports_[i] = block_.L4portAt(i);
  block_.Set(block);
  layout_ = Layout::For(block_.size(), max_flows_);
  const size_t fitting = bitmaps_.size() / std::max(layout_.stride, 1u);
  const uint32_t kept = CompactDense(
      old, static_cast<uint32_t>(std::min(
               {size_t{layout_.dense_limit}, dense_.size(), fitting})));
  uint64_t old_bits[kMaxBlock / kWordBits];
  // In the order in which no bitmap is overwritten before it is read.
  for (uint32_t i = 0; i < kept; ++i) {
    const uint32_t dense = layout_.stride <= old.stride ? i : kept - 1 - i;
    std::memcpy(old_bits, &bitmaps_[size_t{dense} * old.stride],
                size_t{old.words} * 8);
    Translate(dense, {old_bits, old.words});
  }
  ResetFreeList();
}

// Moves the dense destinations to keep, at most `limit`, to the front, and
// releases the others. Returns how many are kept.
uint32_t L4portPool::CompactDense(const Layout& old, uint32_t limit) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < dense_.size(); ++i) {
    if (!dense_[i].in_use) continue;
    const uint64_t destination = dense_[i].destination;
    if (kept == limit || ClassOf(destination).live < layout_.dense_until) {
      Release(i);
      continue;
    }
    if (kept != i) {
      dense_index_.Erase(destination, i);
      // Cannot be full: an entry of the same hash has just left.
      dense_index_.Insert(destination, kept);
      std::memcpy(&bitmaps_[size_t{kept} * old.stride],
                  &bitmaps_[size_t{i} * old.stride], size_t{old.words} * 8);
      dense_[kept] = dense_[i];
      dense_[i] = {0, 0, false};
    }
    ++kept;
  }
  return kept;
}

void L4portPool::Translate(uint32_t dense, std::span<const uint64_t> old_bits) {
  ClearBitmap(dense);
  dense_[dense].taken = 0;
  for (uint32_t at = 0; at < old_bits.size(); ++at) {
    for (uint64_t bits = old_bits[at]; bits != 0; bits &= bits - 1) {
      const uint32_t old_index =
          at * kWordBits + static_cast<uint32_t>(std::countr_zero(bits));
      const uint32_t index = block_.IndexOf(old_l4ports_[old_index]);
      if (index != L4portBlock::kNotInBlock) Mark(dense, index);
    }
  }
}

}  // namespace godwit
