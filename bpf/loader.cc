// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/loader.h"

#include <bpf/bpf.h>
#include <drop.skel.h>
#include <egress.skel.h>
#include <steer.skel.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "bpf/inspect.h"
#include "bpf/skeleton.h"
#include "dataplane/net/check.h"

namespace godwit {

SteeringProgram::SteeringProgram() = default;

SteeringProgram::~SteeringProgram() {
  Detach();
  steer_bpf::destroy(steer_);
  egress_bpf::destroy(egress_);
}

absl::StatusOr<std::unique_ptr<SteeringProgram>> SteeringProgram::Load() {
  std::unique_ptr<SteeringProgram> program(new SteeringProgram());
  absl::Status status = program->LoadSteer();
  if (!status.ok()) return status;
  status = program->LoadEgress();
  if (!status.ok()) return status;
  program->sync_ = std::make_unique<TableSync>(
      bpf_map__fd(program->steer_->maps.steer_config),
      bpf_map__fd(program->steer_->maps.steer_addresses));
  return program;
}

absl::Status SteeringProgram::LoadSteer() {
  const SkeletonOptions options;
  steer_ = steer_bpf::open(options.get());
  if (steer_ == nullptr) return options.Failed(errno, "opening steer.bpf.c");
  const int error = steer_bpf::load(steer_);
  if (error != 0) return options.Failed(-error, "loading steer.bpf.c");
  return absl::OkStatus();
}

absl::Status SteeringProgram::LoadEgress() {
  const SkeletonOptions options;
  egress_ = egress_bpf::open(options.get());
  if (egress_ == nullptr) return options.Failed(errno, "opening egress.bpf.c");
  int error = bpf_map__reuse_fd(egress_->maps.steer_config,
                                bpf_map__fd(steer_->maps.steer_config));
  if (error == 0) {
    error = bpf_map__reuse_fd(egress_->maps.steer_addresses,
                              bpf_map__fd(steer_->maps.steer_addresses));
  }
  if (error == 0) error = egress_bpf::load(egress_);
  if (error != 0) return options.Failed(-error, "loading egress.bpf.c");
  return absl::OkStatus();
}

absl::Status SteeringProgram::Publish(const SteeringTables& tables) {
  return sync_->Publish(tables);
}

absl::Status SteeringProgram::Attach(const std::string& interface_name) {
  if (!sync_->published()) {
    return absl::FailedPreconditionError(
        absl::StrCat(interface_name, ": no steering tables published yet"));
  }
  // XDP first: from here on what is ours does not meet the kernel.
  auto xdp = XdpAttachment::Attach(interface_name, steer_fd());
  if (!xdp.ok()) return xdp.status();
  auto tc = TcAttachment::Attach(interface_name, TcSide::kEgress, egress_fd());
  if (!tc.ok()) return tc.status();
  tc_ = *std::move(tc);
  xdp_ = *std::move(xdp);
  return absl::OkStatus();
}

void SteeringProgram::Detach() {
  xdp_.reset();
  tc_.reset();
}

XdpMode SteeringProgram::mode() const {
  GODWIT_CHECK(attached());
  return xdp_->mode();
}

const std::optional<SteerCounters>& SteeringProgram::predecessor() const {
  GODWIT_CHECK(attached());
  return xdp_->predecessor();
}

int SteeringProgram::xsks_map_fd() const {
  return bpf_map__fd(steer_->maps.xsks_map);
}

int SteeringProgram::steer_fd() const {
  return bpf_program__fd(steer_->progs.xsk_def_prog);
}

int SteeringProgram::egress_fd() const {
  return bpf_program__fd(egress_->progs.godwit_egress);
}

absl::StatusOr<SteerCounters> SteeringProgram::steer_counters() const {
  return SumOverCpus<SteerCounters>(bpf_map__fd(steer_->maps.steer_counters));
}

absl::StatusOr<EgressCounters> SteeringProgram::egress_counters() const {
  return SumOverCpus<EgressCounters>(
      bpf_map__fd(egress_->maps.egress_counters));
}

absl::StatusOr<std::unique_ptr<IngressDrop>> IngressDrop::Attach(
    const std::string& interface_name) {
  const SkeletonOptions options;
  drop_bpf* drop = drop_bpf::open(options.get());
  if (drop == nullptr) return options.Failed(errno, "opening drop.bpf.c");
  const int error = drop_bpf::load(drop);
  if (error != 0) {
    drop_bpf::destroy(drop);
    return options.Failed(-error, "loading drop.bpf.c");
  }
  auto tc = TcAttachment::Attach(interface_name, TcSide::kIngress,
                                 bpf_program__fd(drop->progs.godwit_drop));
  // The filter holds the program from here on.
  drop_bpf::destroy(drop);
  if (!tc.ok()) return tc.status();
  return std::unique_ptr<IngressDrop>(new IngressDrop(*std::move(tc)));
}

}  // namespace godwit
