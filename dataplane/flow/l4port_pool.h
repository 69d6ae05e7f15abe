// SPDX-License-Identifier: BSD-3-Clause
// Free external l4ports (or ICMP ids) of one worker's block, per destination.
//
// Theory of operation. An l4port serves again towards another destination, so
// what is free is asked per destination: a 64-bit keyed hash that the caller
// makes of (protocol, unicast address, remote address, remote l4port), or of
// less for endpoint-independent mapping. Most destinations have few flows; for
// them nothing at all is kept: a random l4port is drawn and the caller's flow
// index is asked whether it is taken (is_used). Flows are only counted, by
// class (some bits of the destination), to tell where drawing gets hopeless:
// when a draw fails and the class has N/16 flows (N: the block's size), the
// destination becomes dense and gets a bitmap, N bits and a count for each 4096
// of them, in which the k-th free bit, for a random k, is found in constant
// time, down to the last.
// The bitmap starts empty: a set bit says "taken", a clear one "not known to
// be". Every draw is still put to is_used, and what turns out to be taken is
// marked and never drawn again. As draws are random, of the at most N/16
// older flows each allocation meets 1/16 on average, to the last one; so it
// costs 1.07 questions, and kExhausted is said when all N bits are set, which
// means N live flows. When the class falls under N/32 the bitmap goes back.
// Blocks of up to 64 need no bitmap: all of it is asked, in random order.
//
// Memory for F flows: at most F/(N/32) + 1 bitmaps of N/8 + N/1024 bytes, 4.1
// bytes a flow whatever N; with classes and names of dense destinations 6. (As
// much as a block of 1024 or more can use; a smaller one can have fewer dense
// destinations than flows would allow.)
//
// Which l4port comes next can't be told from those before it (RFC 6056):
// random_stream.h.
#ifndef GODWIT_DATAPLANE_FLOW_L4PORT_POOL_H_
#define GODWIT_DATAPLANE_FLOW_L4PORT_POOL_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/table/flow_index.h"
#include "dataplane/table/random_stream.h"

namespace godwit {

enum class L4portStatus : uint8_t {
  kOk,
  kExhausted,  // every l4port of the block is taken towards this destination
  kNoMemory,   // no bitmap left for it, and drawing found none
};

struct L4portResult {
  L4portStatus status;
  uint16_t l4port;  // with kOk
  // With kOk: four fifths of the block or more are taken towards this
  // destination. (Not told of blocks without bitmaps.)
  bool few = false;
};

// The l4ports one worker may give out: any set, numbered from 0 in ascending
// order. 264 KiB, of which blocks that are mostly runs touch 8.
class L4portBlock {
 public:
  static constexpr uint32_t kNotInBlock = UINT32_MAX;

  // `l4ports` is ascending without repetition, 0 to 65536 of them.
  void Set(std::span<const uint16_t> l4ports);

  uint32_t size() const { return size_; }
  uint16_t L4portAt(uint32_t index) const {
    const int32_t first = l4port_of_run_[index / kRun];
    if (first != kNoRun) [[likely]] {
      return static_cast<uint16_t>(static_cast<uint32_t>(first) + index % kRun);
    }
    return l4ports_[index];
  }
  uint32_t IndexOf(uint16_t l4port) const {
    const int32_t first = index_of_run_[l4port / kRun];
    if (first != kNoRun) [[likely]] {
      return static_cast<uint32_t>(first) + l4port % kRun;
    }
    const uint16_t index = indices_[l4port];
    return index < size_ && l4ports_[index] == l4port ? index : kNotInBlock;
  }

 private:
  static constexpr uint32_t kRun = 64;
  static constexpr int32_t kNoRun = -1;

  uint32_t size_ = 0;
  // By the number / 64: where its first is, if all 64 are consecutive (and in
  // the block), else kNoRun.
  int32_t l4port_of_run_[65536 / kRun] = {};
  int32_t index_of_run_[65536 / kRun] = {};
  uint16_t l4ports_[65536] = {};
  uint16_t indices_[65536] = {};
};

// Written by: the lcore whose block it is, alone. Protocols with blocks of
// their own (ICMP ids) have a pool each; a pool may be built for far fewer
// flows than it will count: only destinations that become dense need room.
class L4portPool {
 public:
  static constexpr uint32_t kMaxFlows = (uint32_t{1} << 24) - 1;

  // Bytes of memory for `max_flows` live flows, 1 to kMaxFlows.
  static size_t BytesFor(uint32_t max_flows);

  // `memory` is BytesFor(max_flows) bytes or more, aligned to 64, stays the
  // caller's and is cleared. The object itself has 0.4 MiB. The block is empty
  // until SetBlock().
  L4portPool(std::span<std::byte> memory, uint32_t max_flows,
             const RandomStream::Seed& seed);
  L4portPool(const L4portPool&) = delete;
  L4portPool& operator=(const L4portPool&) = delete;

  void Prefetch(uint64_t destination) const {
    __builtin_prefetch(&ClassOf(destination), 1);
  }

  // What Allocate() would ask about first. Takes nothing. For a burst of new
  // flows: Draw() for each and prefetch where is_used will look, then
  // Allocate() each with its draw; the memory is then waited for once.
  struct Candidate {
    uint32_t index;   // kNone: nothing is free
    uint16_t l4port;  // else this one, if it still is when it is asked about
  };
  Candidate Draw(uint64_t destination);

  // Takes a random free l4port of the block. is_used(l4port) says whether a
  // live flow has it towards this destination: exactly those flows for which
  // Free() is still to come, so the flow must be findable before the next
  // Allocate(), and a caller that can't store the flow calls Free(). Anything
  // but kOk has taken nothing. `first` is Draw()'s for this destination, since
  // the last SetBlock().
  template <class IsUsed>
  L4portResult Allocate(uint64_t destination, Candidate first,
                        IsUsed&& is_used);
  template <class IsUsed>
  L4portResult Allocate(uint64_t destination, IsUsed&& is_used) {
    return Allocate(destination, Draw(destination), is_used);
  }

  // Counts a flow that Allocate() did not make in this process (state that
  // outlived its predecessor); it is findable already. Free() ends it too.
  template <class IsUsed>
  void Adopt(uint64_t destination, uint16_t l4port, IsUsed&& is_used);

  // Gives back what Allocate() or Adopt() took, in any order. An l4port that
  // is no longer in the block (SetBlock) is right here too.
  void Free(uint64_t destination, uint16_t l4port);

  // What is_used() may have said yes to, though it was not of this pool, has
  // ended: a session, or a flow that left as it was.
  void Unlearn(uint64_t destination, uint16_t l4port);

  // From here on only l4ports of `block` are given out; flows on others live
  // on. Takes some ns for each l4port known to be taken.
  void SetBlock(std::span<const uint16_t> block);

  const L4portBlock& block() const { return block_; }
  uint64_t live() const { return live_; }
  uint32_t dense_destinations() const { return dense_count_; }
  // How many destinations can be dense at a time.
  uint32_t dense_limit() const { return layout_.dense_limit; }

 private:
  static constexpr uint32_t kWholeWord = 64;  // blocks this small: no bitmap
  static constexpr uint32_t kMaxDraws = 256;  // with no bitmap left
  static constexpr uint32_t kNone = UINT32_MAX;

  // Destinations that share some bits.
  struct Class {
    uint32_t live : 24;
    uint32_t dense : 8;  // destinations of it that are dense
  };
  // A dense destination; its number is its bitmap's, too.
  struct Dense {
    uint64_t destination;
    uint32_t taken;  // bits set; on the free list: the next one's number
    bool in_use;
  };
  // What follows from the block's size N.
  struct Layout {
    uint32_t words;        // of 64 bits, N bits
    uint32_t groups;       // of 64 words; each has a count of clear bits
    uint32_t stride;       // words of a bitmap with its counts
    uint32_t dense_from;   // N/16
    uint32_t dense_until;  // N/32
    uint32_t dense_limit;  // max_flows/(N/32) and one more
    static Layout For(uint32_t block_size, uint32_t max_flows);
  };
  // How a pool's memory is shared out.
  struct Sizes {
    uint32_t classes;  // power of two
    uint32_t dense;
    uint32_t buckets;
    size_t bitmap_words;
    static Sizes For(uint32_t max_flows);
  };

  Class& ClassOf(uint64_t destination) const {
    return classes_[(destination >> 24) & (classes_.size() - 1)];
  }
  uint64_t* BitmapOf(uint32_t dense) const {
    return &bitmaps_[size_t{dense} * layout_.stride];
  }
  uint32_t* GroupsOf(uint32_t dense) const {
    return reinterpret_cast<uint32_t*>(BitmapOf(dense) + layout_.words);
  }
  uint32_t FindDense(uint64_t destination) const {
    return dense_index_.Find(destination, [&](uint32_t dense) {
      return dense_[dense].destination == destination;
    });
  }
  L4portResult Take(Class& of, uint32_t index) {
    of.live = (of.live + 1) & kMaxFlows;
    ++live_;
    return {L4portStatus::kOk, block_.L4portAt(index)};
  }

  template <class IsUsed>
  L4portResult AllocateDense(uint32_t dense, uint32_t first, Class& of,
                             IsUsed& is_used);
  template <class IsUsed>
  L4portResult AllocateFromWord(uint32_t first, Class& of, IsUsed& is_used);

  // kNone if there is no bitmap left.
  uint32_t MakeDense(uint64_t destination, Class& of);
  void Release(uint32_t dense);
  void ClearBitmap(uint32_t dense);
  bool IsClear(uint32_t dense, uint32_t index) const {
    return (BitmapOf(dense)[index / 64] >> (index % 64) & 1) == 0;
  }
  void Mark(uint32_t dense, uint32_t index);
  void Unmark(uint32_t dense, uint32_t index);
  // A random index whose bit is clear; there must be one.
  uint32_t DrawClear(uint32_t dense);
  uint32_t RandomBitOf(uint64_t word);
  void ResetFreeList();
  uint32_t CompactDense(const Layout& old, uint32_t limit);
  void Translate(uint32_t dense, std::span<const uint64_t> old_bits);

  L4portBlock block_;
  RandomStream random_;
  uint32_t max_flows_;
  Layout layout_;
  std::span<Class> classes_;
  std::span<Dense> dense_;
  std::span<uint64_t> bitmaps_;
  FlowIndex dense_index_;
  uint32_t free_dense_ = kNone;  // head of the free list
  uint32_t dense_count_ = 0;
  uint64_t live_ = 0;
  uint16_t old_l4ports_[65536];  // SetBlock's
};

template <class IsUsed>
L4portResult L4portPool::Allocate(uint64_t destination, Candidate first,
                                  IsUsed&& is_used) {
  if (first.index == kNone) first = Draw(destination);
  if (first.index == kNone) return {L4portStatus::kExhausted, 0};
  Class& of = ClassOf(destination);
  if (of.dense != 0) {
    const uint32_t dense = FindDense(destination);
    if (dense != kNone) return AllocateDense(dense, first.index, of, is_used);
  }
  if (block_.size() <= kWholeWord) {
    return AllocateFromWord(first.index, of, is_used);
  }
  uint32_t index = first.index;
  for (uint32_t draw = 0; draw < kMaxDraws; ++draw) {
    if (!is_used(block_.L4portAt(index))) return Take(of, index);
    // Fewer: a 16th of the block or less is taken, the next draw will do.
    if (of.live >= layout_.dense_from) {
      const uint32_t dense = MakeDense(destination, of);
      if (dense != kNone) {
        Mark(dense, index);
        return AllocateDense(dense, DrawClear(dense), of, is_used);
      }
    }
    index = random_.Below(block_.size());
  }
  return {L4portStatus::kNoMemory, 0};
}

// Each turn but the first sets a bit, whether it finds a free l4port or learns
// of a taken one, so it ends.
template <class IsUsed>
L4portResult L4portPool::AllocateDense(uint32_t dense, uint32_t first,
                                       Class& of, IsUsed& is_used) {
  uint32_t index = first;
  while (!IsClear(dense, index) || is_used(block_.L4portAt(index))) {
    Mark(dense, index);
    if (dense_[dense].taken == block_.size()) {
      return {L4portStatus::kExhausted, 0};
    }
    index = DrawClear(dense);
  }
  Mark(dense, index);
  L4portResult result = Take(of, index);
  // What is taken and not known to be is a 16th of the block at most.
  result.few = uint64_t{dense_[dense].taken} * 5 >= uint64_t{block_.size()} * 4;
  return result;
}

template <class IsUsed>
L4portResult L4portPool::AllocateFromWord(uint32_t first, Class& of,
                                          IsUsed& is_used) {
  uint64_t untried = ~uint64_t{0} >> (kWholeWord - block_.size());
  uint32_t index = first;
  while (is_used(block_.L4portAt(index))) {
    untried &= ~(uint64_t{1} << index);
    if (untried == 0) return {L4portStatus::kExhausted, 0};
    index = RandomBitOf(untried);
  }
  return Take(of, index);
}

template <class IsUsed>
void L4portPool::Adopt(uint64_t destination, uint16_t l4port,
                       IsUsed&& is_used) {
  Class& of = ClassOf(destination);
  of.live = (of.live + 1) & kMaxFlows;
  ++live_;
  const uint32_t index = block_.IndexOf(l4port);
  if (index == L4portBlock::kNotInBlock || block_.size() <= kWholeWord) return;
  uint32_t dense = of.dense == 0 ? kNone : FindDense(destination);
  // By the same odds as in Allocate(): light destinations of a heavy class
  // must not use up the bitmaps.
  if (dense == kNone && of.live >= layout_.dense_from &&
      is_used(block_.L4portAt(random_.Below(block_.size())))) {
    dense = MakeDense(destination, of);
  }
  if (dense != kNone) Mark(dense, index);
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_L4PORT_POOL_H_
