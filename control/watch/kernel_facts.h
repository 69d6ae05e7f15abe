// SPDX-License-Identifier: BSD-3-Clause
// What the kernel itself uses of the l4ports: read when asked for, in the
// network namespace of the calling thread.
#ifndef GODWIT_CONTROL_WATCH_KERNEL_FACTS_H_
#define GODWIT_CONTROL_WATCH_KERNEL_FACTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dataplane/net/address.h"

namespace godwit {

// Both ends belong to it, as in /proc/sys/net/ipv4/ip_local_port_range.
struct L4PortRange {
  uint16_t low = 0;
  uint16_t high = 0;
  friend bool operator==(const L4PortRange&, const L4PortRange&) = default;
};
// The range from which the kernel takes ephemeral l4ports (both families).
absl::StatusOr<L4PortRange> ReadEphemeralRange();
// The file's text, "32768\t60999\n".
absl::StatusOr<L4PortRange> ParseEphemeralRange(absl::string_view text);

struct ListeningL4Port {
  uint8_t protocol = 0;  // IPPROTO_TCP or IPPROTO_UDP
  uint16_t l4port = 0;
  friend auto operator<=>(const ListeningL4Port&,
                          const ListeningL4Port&) = default;
};
// The l4ports at which a local TCP socket listens or a UDP socket is bound, at
// one of `addresses` or at the wildcard of its family (`::` counts for IPv4
// too unless the socket is IPv6-only). Sorted, each once.
absl::StatusOr<std::vector<ListeningL4Port>> ReadListeningL4Ports(
    const std::vector<IpAddress>& addresses);

}  // namespace godwit

#endif  // GODWIT_CONTROL_WATCH_KERNEL_FACTS_H_
