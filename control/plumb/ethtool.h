// SPDX-License-Identifier: BSD-3-Clause
// What `ethtool` sets, by SIOCETHTOOL, on an interface of the calling thread's
// network namespace.
#ifndef GODWIT_CONTROL_PLUMB_ETHTOOL_H_
#define GODWIT_CONTROL_PLUMB_ETHTOOL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace godwit {

// `ethtool -K IFNAME tx off tso off gso off gro off`: the kernel's packets
// leave complete, with full checksums and of MTU size at most. Without it TCP
// never connects through us. What the driver does not have is off already.
absl::Status DisableOffloads(absl::string_view ifname);

// Receive queues in use: of the channels, or what the driver says otherwise;
// at least 1.
absl::StatusOr<uint32_t> RxQueueCount(absl::string_view ifname);

// `ethtool -L`: receive and transmit queues in use. The driver's combined
// channels if it knows no separate ones; then `rx` must equal `tx`.
absl::Status SetChannels(absl::string_view ifname, uint32_t rx, uint32_t tx);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_ETHTOOL_H_
