// SPDX-License-Identifier: BSD-3-Clause
// Our routes in the table that a routing daemon reads. They are blackholes:
// no rule leads there, and they need no interface that could go away.
#ifndef GODWIT_CONTROL_ANNOUNCE_ROUTE_TABLE_H_
#define GODWIT_CONTROL_ANNOUNCE_ROUTE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control/watch/netlink.h"
#include "dataplane/net/address.h"

namespace godwit {

// A host route, told by our protocol number.
struct AnnouncedRoute {
  IpAddress address;
  uint32_t metric = 0;
  friend auto operator<=>(const AnnouncedRoute&,
                          const AnnouncedRoute&) = default;
};

class RouteTable {
 public:
  // Of the calling thread's network namespace.
  static absl::StatusOr<RouteTable> Open();

  // Those that are ours, and no other's. Costs what this table costs, however
  // large the main one is.
  absl::StatusOr<std::set<AnnouncedRoute>> Read(uint32_t table);

  // Ours in that table are `wanted` afterwards, and what was there of `kept`;
  // first all that is to be there comes, then what is to go goes. Goes on
  // after an error and returns the first; else how many had to be changed.
  absl::StatusOr<size_t> Set(uint32_t table,
                             const std::set<AnnouncedRoute>& wanted,
                             const std::set<IpAddress>& kept = {});

 private:
  explicit RouteTable(NetlinkSocket netlink) : netlink_(std::move(netlink)) {}
  absl::Status Request(uint16_t type, int flags, uint32_t table,
                       const AnnouncedRoute& route);

  NetlinkSocket netlink_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_ANNOUNCE_ROUTE_TABLE_H_
