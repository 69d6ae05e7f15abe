// SPDX-License-Identifier: BSD-3-Clause
// The compiler's view of the link: next hops, neighbours, routes.
#include <algorithm>
#include <cstring>
#include <set>

#include "control/compile/compiler.h"
#include "dataplane/net/headers.h"

namespace godwit {
namespace {

// L2-09: of the networks that an uplink is in. The kernel may have hosts at
// their first addresses (Linux 5.14), and says which by a route.
std::vector<RouteTable::Route> BroadcastRoutes(const CompileInput& input) {
  std::set<int> uplinks;
  for (const auto& [name, uplink] : *input.uplinks) {
    uplinks.insert(uplink.kernel_ifindex);
  }
  std::vector<RouteTable::Route> routes;
  for (const LocalAddress& local : input.observation->addresses) {
    if (!uplinks.contains(local.ifindex)) continue;
    const auto edges = local.prefix.Edges();
    if (!edges) continue;
    for (const IpAddress& edge : {edges->first, edges->second}) {
      if (edge == local.prefix.address) continue;
      routes.push_back({{edge, 32}, {}, /*broadcast=*/true});
    }
  }
  return routes;
}

}  // namespace

AdjacencyId Compiler::AdjacencyOf(const NeighbourKey& key, Snapshot& snapshot) {
  auto known = adjacencies_.find(key);
  if (known == adjacencies_.end()) {
    std::set<AdjacencyId> used;
    for (const auto& [other, id] : adjacencies_) used.insert(id);
    AdjacencyId fresh = 1;
    for (const AdjacencyId id : used) {
      if (id != fresh) break;
      ++fresh;
    }
    // The last number means a loop; a full table leaves one unresolved.
    if (fresh >= UINT16_MAX - 1) return kNoAdjacency;
    known = adjacencies_.emplace(key, fresh).first;
  }
  Adjacency& adjacency = At(snapshot.adjacencies, known->second);
  adjacency.device = key.first;
  adjacency.next_hop = key.second;
  return known->second;
}

void Compiler::Resolve(AdjacencyId id, const MacAddress& mac,
                       Snapshot& snapshot) {
  if (id == kNoAdjacency) return;
  Adjacency& adjacency = snapshot.adjacencies[id];
  const Device& device = snapshot.devices[adjacency.device];
  EthHeader eth{};
  eth.destination = mac;
  eth.source = device.mac;
  if (device.vlan != 0) {
    eth.ether_type = Be16(kEtherTypeVlan);
    VlanTag tag{};
    tag.tci = Be16(device.vlan);
    std::memcpy(&adjacency.header[sizeof(eth)], &tag, sizeof(tag));
    adjacency.header_size = sizeof(eth) + sizeof(tag);
  }
  std::memcpy(adjacency.header.data(), &eth, sizeof(eth));
  adjacency.resolved = true;
}

void Compiler::AddNeighbours(const CompileInput& input, Snapshot& snapshot) {
  std::map<int, DeviceId> by_ifindex;
  for (const auto& [name, device] : *input.uplinks) {
    by_ifindex[device.kernel_ifindex] = device.id;
  }
  std::vector<NeighbourTable::Entry> entries;
  for (const NeighbourEntry& seen : input.observation->neighbours) {
    const auto device = by_ifindex.find(seen.ifindex);
    if (device == by_ifindex.end() || !seen.usable()) continue;
    if ((seen.mac[0] & 1) != 0) continue;
    const AdjacencyId id =
        AdjacencyOf({device->second, seen.address}, snapshot);
    Resolve(id, seen.mac, snapshot);
    entries.push_back({device->second, seen.address, id});
  }
  for (const auto& [key, mac] : learned_) {
    if (key.first >= snapshot.devices.size() ||
        snapshot.devices[key.first].side != Side::kQueue) {
      continue;
    }
    const AdjacencyId id = AdjacencyOf(key, snapshot);
    Resolve(id, mac, snapshot);
    entries.push_back({key.first, key.second, id});
  }
  snapshot.neighbours = NeighbourTable(std::move(entries));
}

void Compiler::AddRoutes(const CompileInput& input, Snapshot& snapshot) {
  std::map<int, DeviceId> by_ifindex;
  for (const auto& [name, device] : *input.uplinks) {
    by_ifindex[device.kernel_ifindex] = device.id;
  }
  gateways_.clear();
  // The kernel's order: the lowest metric of a prefix wins.
  std::map<Prefix, const RouteEntry*> best;
  for (const RouteEntry& route : input.observation->routes) {
    if (route.table != 254) continue;
    const RouteEntry*& slot = best[route.prefix.Masked()];
    if (slot == nullptr || route.metric < slot->metric) slot = &route;
  }
  std::vector<RouteTable::Route> routes = BroadcastRoutes(input);
  for (const auto& [prefix, route] : best) {
    RouteTable::Route out;
    out.prefix = prefix;
    for (const NextHop& hop : route->next_hops) {
      const auto device = by_ifindex.find(hop.ifindex);
      if (device == by_ifindex.end() || hop.dead || hop.link_down) continue;
      RouteTable::NextHop next;
      next.device = device->second;
      next.weight = static_cast<uint8_t>(std::min<uint16_t>(hop.weight, 255));
      if (hop.gateway.has_value()) {
        next.adjacency = AdjacencyOf({device->second, *hop.gateway}, snapshot);
        gateways_.insert({hop.ifindex, *hop.gateway});
      }
      out.hops.push_back(next);
    }
    routes.push_back(std::move(out));
  }
  snapshot.routes = RouteTable(std::move(routes));
}

bool Compiler::Learn(DeviceId device, const IpAddress& address,
                     const MacAddress& mac) {
  constexpr size_t kMaxLearned = 16384;
  const NeighbourKey key{device, address};
  const auto known = learned_.find(key);
  if (known != learned_.end()) {
    if (known->second == mac) return false;
    known->second = mac;
    return true;
  }
  if (learned_.size() >= kMaxLearned) return false;
  learned_[key] = mac;
  return true;
}

void Compiler::Unlearn(DeviceId device) {
  std::erase_if(learned_, [device](const auto& entry) {
    return entry.first.first == device;
  });
}

std::vector<Compiler::LearnedNeighbour> Compiler::learned() const {
  std::vector<LearnedNeighbour> list;
  for (const auto& [key, mac] : learned_) {
    list.push_back({key.first, key.second, mac});
  }
  return list;
}

}  // namespace godwit
