// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/observation.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <tuple>

namespace godwit {
namespace {

// Reachable, stale, delay and probe are one for SameForwarding.
bool SameForwarding(const NeighbourEntry& a, const NeighbourEntry& b) {
  return a.address == b.address && a.ifindex == b.ifindex && a.mac == b.mac &&
         a.usable() == b.usable() && a.managed == b.managed &&
         a.silent == b.silent;
}

bool HasLiveNextHop(const RouteEntry& route) {
  if (route.kind == RouteKind::kDiscard) return true;
  return std::any_of(route.next_hops.begin(), route.next_hops.end(),
                     [](const NextHop& hop) { return !hop.dead; });
}

// Whether `a` is to be taken rather than `b`, both matching.
bool Better(const RouteEntry& a, const RouteEntry& b) {
  const auto rank = [](const RouteEntry& route) {
    return std::tuple(route.table == RT_TABLE_LOCAL ? 0 : 1,
                      128 - static_cast<int>(route.prefix.WideLength()),
                      route.metric);
  };
  return rank(a) < rank(b);
}

}  // namespace

const char* NeighbourStateName(NeighbourState state) {
  switch (state) {
    case NeighbourState::kNone:
      return "none";
    case NeighbourState::kIncomplete:
      return "incomplete";
    case NeighbourState::kReachable:
      return "reachable";
    case NeighbourState::kStale:
      return "stale";
    case NeighbourState::kDelay:
      return "delay";
    case NeighbourState::kProbe:
      return "probe";
    case NeighbourState::kFailed:
      return "failed";
    case NeighbourState::kNoArp:
      return "noarp";
    case NeighbourState::kPermanent:
      return "permanent";
  }
  return "unknown";
}

bool SameForwarding(const Observation& a, const Observation& b) {
  return a.links == b.links && a.addresses == b.addresses &&
         a.routes == b.routes &&
         std::equal(a.neighbours.begin(), a.neighbours.end(),
                    b.neighbours.begin(), b.neighbours.end(),
                    [](const NeighbourEntry& x, const NeighbourEntry& y) {
                      return SameForwarding(x, y);
                    });
}

const LinkEntry* FindLink(const Observation& observation, int ifindex) {
  const auto found = std::lower_bound(
      observation.links.begin(), observation.links.end(), ifindex,
      [](const LinkEntry& link, int key) { return link.ifindex < key; });
  if (found == observation.links.end() || found->ifindex != ifindex) {
    return nullptr;
  }
  return &*found;
}

const NeighbourEntry* FindNeighbour(const Observation& observation, int ifindex,
                                    const IpAddress& address) {
  const auto key = std::tuple(ifindex, address);
  const auto found = std::lower_bound(
      observation.neighbours.begin(), observation.neighbours.end(), key,
      [](const NeighbourEntry& entry, const auto& wanted) {
        return std::tuple(entry.ifindex, entry.address) < wanted;
      });
  if (found == observation.neighbours.end() || found->ifindex != ifindex ||
      found->address != address) {
    return nullptr;
  }
  return &*found;
}

const RouteEntry* LookupRoute(const Observation& observation,
                              const IpAddress& destination) {
  const RouteEntry* best = nullptr;
  for (const RouteEntry& route : observation.routes) {
    if (route.table != RT_TABLE_LOCAL && route.table != RT_TABLE_MAIN) continue;
    if (!route.prefix.Contains(destination) || !HasLiveNextHop(route)) continue;
    if (best == nullptr || Better(route, *best)) best = &route;
  }
  return best;
}

}  // namespace godwit
