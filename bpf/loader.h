// SPDX-License-Identifier: BSD-3-Clause
// The programs of one `xdp:` uplink: opened, loaded, attached; detached when
// destroyed, and left in place when the process dies. All of it belongs to the
// control thread, in the network namespace of the interface.
#ifndef GODWIT_BPF_LOADER_H_
#define GODWIT_BPF_LOADER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/map_layout.h"
#include "bpf/map_sync.h"
#include "bpf/tc_attachment.h"
#include "bpf/xdp_attachment.h"

struct steer_bpf;
struct egress_bpf;

namespace godwit {

// In this order: Load, Publish, Attach, then the AF_XDP sockets. libxdp finds
// the program on the interface and takes it as its own, so that DPDK's AF_XDP
// driver needs no argument for it (no xdp_prog=).
class SteeringProgram {
 public:
  // Errors carry the verifier's words.
  static absl::StatusOr<std::unique_ptr<SteeringProgram>> Load();
  ~SteeringProgram();
  SteeringProgram(const SteeringProgram&) = delete;
  SteeringProgram& operator=(const SteeringProgram&) = delete;

  // See TableSync::Publish. Both programs change in the same step.
  absl::Status Publish(const SteeringTables& tables);

  // Attaches the steering to the interface's receive side, native, or generic
  // where the driver has no XDP; then the source rule to its egress (tc).
  // FailedPrecondition before the first Publish: programs without tables
  // would pass what is ours and stop what is the kernel's.
  // What a crashed run has left is replaced; another's XDP program is refused.
  absl::Status Attach(const std::string& interface_name);
  void Detach();

  bool attached() const { return xdp_ != nullptr; }
  // Precondition: attached.
  XdpMode mode() const;
  // Precondition: attached. See XdpAttachment.
  const std::optional<SteerCounters>& predecessor() const;
  uint64_t generation() const { return sync_->generation(); }

  // Of the XSKMAP, key: receive queue. libxdp fills it by itself; for sockets
  // made without it. Stays ours.
  int xsks_map_fd() const;
  // For BPF_PROG_TEST_RUN.
  int steer_fd() const;
  int egress_fd() const;

  // Sums over the CPUs, since Load.
  absl::StatusOr<SteerCounters> steer_counters() const;
  absl::StatusOr<EgressCounters> egress_counters() const;

 private:
  SteeringProgram();
  absl::Status LoadSteer();
  absl::Status LoadEgress();

  steer_bpf* steer_ = nullptr;
  egress_bpf* egress_ = nullptr;
  std::unique_ptr<TableSync> sync_;
  std::unique_ptr<TcAttachment> tc_;
  std::unique_ptr<XdpAttachment> xdp_;
};

// The kernel stops answering what an `afpacket:` uplink's packet socket reads:
// every frame is dropped at tc ingress, after packet sockets have seen it.
class IngressDrop {
 public:
  static absl::StatusOr<std::unique_ptr<IngressDrop>> Attach(
      const std::string& interface_name);

 private:
  explicit IngressDrop(std::unique_ptr<TcAttachment> tc) : tc_(std::move(tc)) {}
  std::unique_ptr<TcAttachment> tc_;
};

}  // namespace godwit

#endif  // GODWIT_BPF_LOADER_H_
