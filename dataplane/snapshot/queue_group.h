// SPDX-License-Identifier: BSD-3-Clause
// The service queues a flow hash chooses among.
//
// Weighted rendezvous hashing, worked out beforehand: each of a fixed number
// of rows holds the member with the highest score for that row (Thaler and
// Ravishankar 1998; weights by -w/ln(h), Schindelhauer and Schomaker 2005;
// rows as in GitHub's GLB). A member's score in a row depends on its id and
// weight alone, so when one goes only its own rows move, and when one comes it
// takes its share and nothing else moves.
#ifndef GODWIT_DATAPLANE_SNAPSHOT_QUEUE_GROUP_H_
#define GODWIT_DATAPLANE_SNAPSHOT_QUEUE_GROUP_H_

#include <cstdint>
#include <vector>

#include "dataplane/net/tuple.h"

namespace godwit {

class QueueGroup {
 public:
  struct Member {
    QueueId queue = 0;
    uint32_t weight = 1;  // 1-65535
    friend bool operator==(const Member&, const Member&) = default;
    friend auto operator<=>(const Member&, const Member&) = default;
  };
  // More than one member: this many rows. Members draw their rows at random,
  // so a share p is off by about sqrt(p(1-p)/kRows): half of all by 0.4 %.
  // A quarter of the rows had pairs of equal weight at 53 to 47.
  static constexpr uint32_t kRows = 16384;

  QueueGroup() = default;
  explicit QueueGroup(const std::vector<Member>& members);

  bool empty() const { return rows_.empty(); }
  // The queue for a flow; 0 if there is none alive.
  QueueId Choose(uint64_t hash) const {
    if (rows_.empty()) return 0;
    // Upper bits: the flow index uses the lower ones.
    return rows_[(hash >> 40) & (rows_.size() - 1)];
  }

 private:
  std::vector<QueueId> rows_;  // empty, 1, or kRows
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_SNAPSHOT_QUEUE_GROUP_H_
