// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/kernel_mtu.h"

#include "control/plumb/link.h"

namespace godwit {

absl::StatusOr<std::unique_ptr<KernelMtu>> KernelMtu::Set(
    const std::string& ifname, const std::string& tagged, uint32_t mtu) {
  const auto now = GetLink(ifname);
  if (!now.ok()) return now.status();
  // A VLAN interface can't be above the one it is on; and the kernel lowers it
  // with that one, after which nobody would know what it had.
  std::vector<std::string> order = {ifname};
  if (!tagged.empty()) {
    order.insert(mtu < now->mtu ? order.begin() : order.end(), tagged);
  }
  std::unique_ptr<KernelMtu> set(new KernelMtu(mtu));
  for (const std::string& name : order) {
    const auto link = GetLink(name);
    if (!link.ok()) return link.status();
    if (link->mtu == mtu) continue;
    const absl::Status status = SetMtu(name, mtu);
    if (!status.ok()) return status;
    set->before_.emplace_back(name, link->mtu);
  }
  return set;
}

KernelMtu::~KernelMtu() {
  for (auto it = before_.rbegin(); it != before_.rend(); ++it) {
    const auto link = GetLink(it->first);
    if (link.ok() && link->mtu == mtu_) {
      SetMtu(it->first, it->second).IgnoreError();
    }
  }
}

}  // namespace godwit
