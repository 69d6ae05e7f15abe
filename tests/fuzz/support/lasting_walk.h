// SPDX-License-Identifier: BSD-3-Clause
// A walk for many inputs: to build one takes longer than what most inputs do
// in it. Between two inputs so much time passes that nothing of the first is
// left, which is checked; what then differs from a new walk are the l4ports and
// fragment identifiers that come next, so no fuzzer may depend on those.
#ifndef GODWIT_TESTS_FUZZ_SUPPORT_LASTING_WALK_H_
#define GODWIT_TESTS_FUZZ_SUPPORT_LASTING_WALK_H_

#include <memory>
#include <utility>
#include <vector>

#include "dataplane/net/check.h"
#include "tests/support/lanes.h"
#include "tests/support/walk.h"

namespace godwit {

class LastingWalk {
 public:
  LastingWalk(SnapshotBuilder world, const Walk::Options& options)
      : world_(std::move(world)), options_(options) {}

  // In which nothing lives.
  Walk& Fresh() {
    // Datagrams of which no fragment waits are remembered, and nothing says so.
    if (walk_ != nullptr) Wait(4);
    // What else may live longest: UDP, TCP.
    for (const double seconds : {310.0, 7500.0}) {
      if (walk_ == nullptr || IsEmpty()) break;
      Wait(seconds);
      // A turn ends a slice of what is due.
      for (uint64_t before = 0; !IsEmpty() && Flows() != before;) {
        before = Flows();
        Wait(0);
      }
    }
    GODWIT_CHECK(walk_ == nullptr || IsEmpty());
    // A walk's clock goes for five days.
    if (walk_ == nullptr || seconds_ > 3 * 86400) {
      walk_.reset();
      walk_ = std::make_unique<Walk>(world_, options_);
      seconds_ = 0;
    }
    walk_->TakeEvents();
    return *walk_;
  }
  Walk& walk() { return *walk_; }
  // Walk::Wait and Walk::Later, noted.
  std::vector<Arrival> Wait(double seconds) {
    seconds_ += seconds;
    return walk_->Wait(seconds);
  }
  void Later(double seconds) {
    seconds_ += seconds;
    walk_->Later(seconds);
  }
  // For what a world has become: Walk::Publish.
  SnapshotBuilder& world() { return world_; }

 private:
  uint64_t Flows() const { return walk_->mappings() + walk_->inbound(); }
  bool IsEmpty() const {
    return Flows() == 0 && Lanes::Get().buffers_in_use() == 0;
  }

  SnapshotBuilder world_;
  Walk::Options options_;
  std::unique_ptr<Walk> walk_;
  double seconds_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_SUPPORT_LASTING_WALK_H_
