// SPDX-License-Identifier: BSD-3-Clause
// Settings under /proc/sys/net of the calling thread's network namespace.
#ifndef GODWIT_CONTROL_PLUMB_SYSCTL_H_
#define GODWIT_CONTROL_PLUMB_SYSCTL_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace godwit {

// `path` is what follows /proc/sys/net/, as "ipv4/conf/lo/rp_filter". Writes
// only if the value differs. NotFound if this kernel has no such setting.
absl::Status SetSysctl(absl::string_view path, int value);
absl::StatusOr<int> GetSysctl(absl::string_view path);

// Whether the kernel has IPv6 at all (it may be started without).
bool HasIpv6();

// Packets come in on `ifname` from sources that are routed elsewhere: loose,
// which the namespace's own `all` can't overrule with strict. Without any IPv4
// address on `ifname` the kernel drops them all the same.
absl::Status RelaxReversePathFilter(absl::string_view ifname);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_SYSCTL_H_
