// SPDX-License-Identifier: BSD-3-Clause
// Default routes of the main table, in the socket's namespace.
#ifndef GODWIT_CONTROL_PLUMB_ROUTE_H_
#define GODWIT_CONTROL_PLUMB_ROUTE_H_

#include <optional>

#include "absl/status/status.h"
#include "control/watch/netlink.h"
#include "dataplane/net/address.h"

namespace godwit {

struct DefaultRoute {
  int ifindex = 0;
  IpAddress gateway;                // says the family too
  std::optional<IpAddress> source;  // preferred for programs that bind none
};

// There is a default route through that interface and gateway afterwards; one
// that is there already stays as it is. A new one gets metric 74, or the next
// that no default route of the family has; it never takes another's place.
// The gateway is taken to be on the link, whatever the addresses there.
absl::Status EnsureDefaultRoute(NetlinkSocket& socket,
                                const DefaultRoute& wanted);

// All our default routes get `source_v4` or `source_v6` as preferred source.
absl::Status SetPreferredSources(NetlinkSocket& socket,
                                 const IpAddress& source_v4,
                                 const IpAddress& source_v6);

// Removes the default routes that we made: through `ifindex`, or all for 0.
absl::Status RemoveDefaultRoutes(NetlinkSocket& socket, int ifindex);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_ROUTE_H_
