// SPDX-License-Identifier: BSD-3-Clause
// A next hop, resolved to a link header that is ready to copy; and the routes
// that lead to it.
#ifndef GODWIT_DATAPLANE_SNAPSHOT_ADJACENCY_H_
#define GODWIT_DATAPLANE_SNAPSHOT_ADJACENCY_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/net/address.h"

namespace godwit {

// A device of the dataplane: an uplink, the TAP beside it, a service queue.
// Never given to another while the process lives. 0 is none.
using DeviceId = uint16_t;
inline constexpr DeviceId kNoDevice = 0;

// An index into Snapshot::adjacencies. 0 is none. A change of a neighbour's
// MAC keeps it; when one goes, Snapshot::epoch moves and flows look again.
using AdjacencyId = uint16_t;
inline constexpr AdjacencyId kNoAdjacency = 0;

struct alignas(64) Adjacency {
  DeviceId device = kNoDevice;  // kNoDevice: this number is not in use
  bool resolved = false;
  uint8_t header_size = 14;          // 14, or 18 with a VLAN tag
  std::array<uint8_t, 18> header{};  // ether type at the end left to rewrite
  IpAddress next_hop;
};

// Destination prefix -> next hops. Longest match by binary search over the
// disjoint ranges the prefixes cut the address space into: log2 of the number
// of routes steps, read only when a flow is made.
class RouteTable {
 public:
  struct NextHop {
    DeviceId device = kNoDevice;
    AdjacencyId adjacency = kNoAdjacency;  // gateway; none: on-link
    uint8_t weight = 1;
    bool alive = true;  // of several, some: what is sent there may arrive
  };
  struct Route {
    Prefix prefix;
    std::vector<NextHop> hops;  // empty: unreachable, prohibited, not ours
    bool broadcast = false;     // of an IPv4 address that means a whole network
  };

  RouteTable() = default;
  // Any order; host bits are cleared. Of a prefix given twice the last counts.
  explicit RouteTable(std::vector<Route> routes);

  // The route for `destination`; nullptr if there is none.
  const Route* Lookup(const IpAddress& destination) const;
  // Whether Lookup() finds a route that is `broadcast`: they are few, and every
  // new flow asks.
  bool IsBroadcast(const IpAddress& address) const {
    return address.IsV4() &&
           std::binary_search(broadcasts_.begin(), broadcasts_.end(),
                              address.V4Wire());
  }
  const std::vector<Route>& routes() const { return routes_; }

 private:
  struct Range {
    IpAddress begin;
    uint32_t route;  // index + 1; 0: none
  };
  std::vector<Route> routes_;
  std::vector<Range> ranges_;         // sorted by begin; each ends at the next
  std::vector<uint32_t> broadcasts_;  // V4Wire() of such a host route, sorted
};

// (device, address) -> adjacency, for on-link destinations and for the far
// ends of service queues.
class NeighbourTable {
 public:
  struct Entry {
    DeviceId device = kNoDevice;
    IpAddress address;
    AdjacencyId adjacency = kNoAdjacency;
  };
  NeighbourTable() = default;
  explicit NeighbourTable(std::vector<Entry> entries);
  AdjacencyId Find(DeviceId device, const IpAddress& address) const;

 private:
  std::vector<Entry> entries_;  // sorted by device, address
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_SNAPSHOT_ADJACENCY_H_
