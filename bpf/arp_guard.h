// SPDX-License-Identifier: BSD-3-Clause
// What is believed of ARP on the kernel's side of one uplink: arp.bpf.c, for
// as long as this lives. All of it belongs to the control thread, in the
// network namespace of the interface.
#ifndef GODWIT_BPF_ARP_GUARD_H_
#define GODWIT_BPF_ARP_GUARD_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/map_layout.h"
#include "bpf/tc_attachment.h"
#include "dataplane/net/address.h"

struct arp_bpf;

namespace godwit {

class ArpGuard {
 public:
  struct Holder {
    MacAddress mac{};
    ArpWhose whose = kArpNeighbour;
    friend bool operator==(const Holder&, const Holder&) = default;
  };
  using Holders = std::map<IpAddress, Holder>;  // IPv4
  // Frames in which another said that `address` is his, and who was the last.
  struct Claim {
    IpAddress address{};
    MacAddress mac{};
    uint64_t frames = 0;
  };

  // All is passed until Publish. What a crashed run has left is replaced.
  static absl::StatusOr<std::unique_ptr<ArpGuard>> Attach(
      const std::string& interface_name);
  ~ArpGuard();
  ArpGuard(const ArpGuard&) = delete;
  ArpGuard& operator=(const ArpGuard&) = delete;

  // In place of those of the last call. One that fails keeps none of the
  // others from being set, and is tried again with the next call.
  absl::Status Publish(const Holders& holders);
  // What is published holds until then, and not longer: to be called again in
  // time, also after a Publish.
  absl::Status HoldUntil(std::chrono::steady_clock::time_point end);

  // Since the last call.
  std::vector<Claim> Take();

  int program_fd() const;  // for test runs

 private:
  ArpGuard() = default;

  arp_bpf* program_ = nullptr;
  std::unique_ptr<TcAttachment> tc_;
  Holders known_;  // as the program has them
};

}  // namespace godwit

#endif  // GODWIT_BPF_ARP_GUARD_H_
