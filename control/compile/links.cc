// SPDX-License-Identifier: BSD-3-Clause
// The compiler's view of the link: next hops, neighbours, routes.
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <span>

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

std::pair<int, IpAddress> KeyOf(const NextHop& hop) {
  return {hop.ifindex, hop.gateway.value_or(IpAddress{})};
}

// Where the kernel's next hops lead, and how good each of them is.
class Ways {
 public:
  explicit Ways(const CompileInput& input) : observation_(*input.observation) {
    for (const auto& [name, uplink] : *input.uplinks) {
      uplinks_[uplink.kernel_ifindex] = &uplink;
    }
  }

  // nullptr: over an interface that is not ours.
  const OpenUplink* UplinkOf(const NextHop& hop) const {
    const auto found = uplinks_.find(hop.ifindex);
    return found == uplinks_.end() ? nullptr : found->second;
  }

  HopState StateOf(const NextHop& hop) const {
    if (hop.dead || hop.link_down) return HopState::kDown;
    const OpenUplink* uplink = UplinkOf(hop);
    if (uplink == nullptr) return HopState::kAlive;
    if (!uplink->link_up) return HopState::kDown;
    if (!hop.gateway) return HopState::kAlive;
    const NeighbourEntry* gateway =
        FindNeighbour(observation_, hop.ifindex, *hop.gateway);
    const bool answers =
        gateway != nullptr && gateway->usable() && !gateway->silent;
    return answers ? HopState::kAlive : HopState::kSilent;
  }

  // That of its best next hop.
  HopState StateOf(const RouteEntry& route) const {
    if (route.kind == RouteKind::kDiscard) return HopState::kAlive;
    HopState best = HopState::kDown;
    for (const NextHop& hop : route.next_hops) {
      best = std::max(best, StateOf(hop));
    }
    return best;
  }

  // Of the routes of one prefix, which come by metric: the first that leads
  // anywhere, else the first that might. nullptr if all are down: then a
  // shorter prefix serves, as in the kernel with ignore_routes_with_linkdown.
  const RouteEntry* BestOf(std::span<const RouteEntry> rivals) const {
    const RouteEntry* best = nullptr;
    HopState best_state = HopState::kDown;
    for (const RouteEntry& route : rivals) {
      const HopState state = StateOf(route);
      if (state <= best_state) continue;
      best = &route;
      best_state = state;
    }
    return best;
  }

 private:
  const Observation& observation_;
  std::map<int, const OpenUplink*> uplinks_;  // by kernel_ifindex
};

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

bool Compiler::AddRoutes(const CompileInput& input, Snapshot& snapshot) {
  const Ways ways(input);
  gateways_.clear();
  std::map<std::pair<int, IpAddress>, HopState> contested;
  std::vector<RouteTable::Route> routes = BroadcastRoutes(input);
  const std::vector<RouteEntry>& seen = input.observation->routes;
  for (auto begin = seen.begin(); begin != seen.end();) {
    const Prefix prefix = begin->prefix.Masked();
    const auto end = std::find_if(begin, seen.end(), [&](const RouteEntry& r) {
      return r.table != begin->table || r.prefix.Masked() != prefix;
    });
    const std::span<const RouteEntry> rivals(begin, end);
    begin = end;
    if (rivals.front().table != RT_TABLE_MAIN) continue;
    const bool several =
        rivals.size() > 1 || rivals.front().next_hops.size() > 1;
    for (const RouteEntry& route : rivals) {
      for (const NextHop& hop : route.next_hops) {
        const OpenUplink* uplink = ways.UplinkOf(hop);
        if (uplink == nullptr) continue;
        if (several) contested[KeyOf(hop)] = ways.StateOf(hop);
        if (hop.dead || hop.link_down || !hop.gateway) continue;
        bool& watched = gateways_[KeyOf(hop)];
        watched = watched || several;
      }
    }
    const RouteEntry* best = ways.BestOf(rivals);
    if (best == nullptr) continue;
    RouteTable::Route out;
    out.prefix = prefix;
    for (const NextHop& hop : best->next_hops) {
      const OpenUplink* uplink = ways.UplinkOf(hop);
      if (uplink == nullptr) continue;
      RouteTable::NextHop next;
      next.device = uplink->id;
      next.weight = static_cast<uint8_t>(std::min<uint16_t>(hop.weight, 255));
      next.alive = ways.StateOf(hop) == ways.StateOf(*best);
      if (hop.gateway.has_value()) {
        next.adjacency = AdjacencyOf({uplink->id, *hop.gateway}, snapshot);
      }
      out.hops.push_back(next);
    }
    routes.push_back(std::move(out));
  }
  snapshot.routes = RouteTable(std::move(routes));
  const bool moved = routes_ != seen || contested_ != contested;
  routes_ = seen;
  contested_ = std::move(contested);
  return moved;
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
