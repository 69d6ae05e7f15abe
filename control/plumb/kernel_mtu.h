// SPDX-License-Identifier: BSD-3-Clause
// The MTU of an interface that is the kernel's own and was there before us, as
// `mtu:` of an `xdp:` device asks for it.
#ifndef GODWIT_CONTROL_PLUMB_KERNEL_MTU_H_
#define GODWIT_CONTROL_PLUMB_KERNEL_MTU_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace godwit {

class KernelMtu {
 public:
  // Of `ifname`, and of the VLAN interface on it where there is one (`tagged`;
  // empty: none): packets of that VLAN are as long as that allows.
  static absl::StatusOr<std::unique_ptr<KernelMtu>> Set(
      const std::string& ifname, const std::string& tagged, uint32_t mtu);
  // Back to what it was, where it is still what was set here.
  ~KernelMtu();
  KernelMtu(const KernelMtu&) = delete;
  KernelMtu& operator=(const KernelMtu&) = delete;

 private:
  explicit KernelMtu(uint32_t mtu) : mtu_(mtu) {}

  const uint32_t mtu_;
  std::vector<std::pair<std::string, uint32_t>> before_;  // as they were set
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_KERNEL_MTU_H_
