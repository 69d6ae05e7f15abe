// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/snapshot/queue_group.h"

#include <cmath>

namespace godwit {
namespace {

// A fixed mix of row and member (splitmix64): the same on every node and in
// every process, so that siblings and successors choose alike.
uint64_t Score(uint32_t row, QueueId queue) {
  uint64_t x = (uint64_t{queue} << 32) + row + 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

QueueGroup::QueueGroup(const std::vector<Member>& members) {
  if (members.empty()) return;
  if (members.size() == 1) {
    rows_.push_back(members.front().queue);
    return;
  }
  rows_.resize(kRows);
  for (uint32_t row = 0; row < kRows; ++row) {
    double best = -1;
    for (const Member& member : members) {
      // (0, 1): 53 bits and a half, so never 0 or 1.
      const double uniform =
          (static_cast<double>(Score(row, member.queue) >> 11) + 0.5) * 0x1p-53;
      const double score =
          static_cast<double>(member.weight) / -std::log(uniform);
      if (score > best) {
        best = score;
        rows_[row] = member.queue;
      }
    }
  }
}

}  // namespace godwit
