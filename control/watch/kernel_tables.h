// SPDX-License-Identifier: BSD-3-Clause
// The kernel's lists, one dump each: what KernelWatch repeats and what plumb
// looks at before it changes anything.
#ifndef GODWIT_CONTROL_WATCH_KERNEL_TABLES_H_
#define GODWIT_CONTROL_WATCH_KERNEL_TABLES_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "control/watch/netlink.h"
#include "control/watch/observation.h"

namespace godwit {

// Sorted as Observation wants them. A dump that a change interrupted is
// repeated; Aborted if it is so ten times in a row.
absl::StatusOr<std::vector<LinkEntry>> ReadLinks(NetlinkSocket& socket);
absl::StatusOr<std::vector<LocalAddress>> ReadAddresses(NetlinkSocket& socket);
// Without multicast neighbours.
absl::StatusOr<std::vector<NeighbourEntry>> ReadNeighbours(
    NetlinkSocket& socket);
// The one of an event; nullopt for what is none of ours, multicast too.
std::optional<NeighbourEntry> NeighbourIn(const nlmsghdr& message);
// One, however many there are; NotFound.
absl::StatusOr<NeighbourEntry> ReadNeighbour(NetlinkSocket& socket, int ifindex,
                                             const IpAddress& address);
// Of tables main and local; without multicast, broadcast and anycast routes.
absl::StatusOr<std::vector<RouteEntry>> ReadRoutes(NetlinkSocket& socket);

}  // namespace godwit

#endif  // GODWIT_CONTROL_WATCH_KERNEL_TABLES_H_
