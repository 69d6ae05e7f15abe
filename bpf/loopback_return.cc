// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/loopback_return.h"

#include <loopback.skel.h>

#include <cerrno>
#include <utility>

#include "bpf/skeleton.h"

namespace godwit {

absl::StatusOr<std::unique_ptr<LoopbackReturn>> LoopbackReturn::Attach(
    const SteeringTables& first) {
  const SkeletonOptions options;
  std::unique_ptr<LoopbackReturn> made(new LoopbackReturn());
  made->program_ = loopback_bpf::open(options.get());
  if (made->program_ == nullptr) {
    return options.Failed(errno, "opening loopback.bpf.c");
  }
  const int error = loopback_bpf::load(made->program_);
  if (error != 0) return options.Failed(-error, "loading loopback.bpf.c");
  made->sync_ = std::make_unique<TableSync>(
      bpf_map__fd(made->program_->maps.steer_config),
      bpf_map__fd(made->program_->maps.steer_addresses));
  const absl::Status published = made->Publish(first);
  if (!published.ok()) return published;
  auto tc = TcAttachment::Attach("lo", TcSide::kEgress, made->program_fd());
  if (!tc.ok()) return tc.status();
  made->tc_ = *std::move(tc);
  return made;
}

LoopbackReturn::~LoopbackReturn() {
  tc_.reset();
  loopback_bpf::destroy(program_);
}

absl::Status LoopbackReturn::Publish(const SteeringTables& tables) {
  return sync_->Publish(tables);
}

int LoopbackReturn::program_fd() const {
  return bpf_program__fd(program_->progs.godwit_loopback);
}

}  // namespace godwit
