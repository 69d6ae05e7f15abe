// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/route.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control/plumb/address.h"
#include "control/watch/kernel_tables.h"

namespace godwit {
namespace {

// Below what DHCP clients and router advertisements use (100 and more), above
// what is written by hand without a metric.
constexpr uint32_t kFirstMetric = 74;

// Of both families, in the main table.
absl::StatusOr<std::vector<RouteEntry>> ReadDefaultRoutes(
    NetlinkSocket& socket) {
  auto routes = ReadRoutes(socket);
  if (!routes.ok()) return routes;
  std::erase_if(*routes, [](const RouteEntry& route) {
    return route.table != RT_TABLE_MAIN || route.prefix.length != 0;
  });
  return routes;
}

absl::Status SendRoute(NetlinkSocket& socket, uint16_t type, int flags,
                       const DefaultRoute& route, uint32_t metric) {
  rtmsg header{};
  header.rtm_family = route.gateway.IsV4() ? AF_INET : AF_INET6;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kPlumbProtocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  header.rtm_flags = RTNH_F_ONLINK;
  NetlinkMessage message(type, flags);
  message.Append(header);
  message.PutAddress(RTA_GATEWAY, route.gateway);
  message.PutU32(RTA_OIF, static_cast<uint32_t>(route.ifindex));
  message.PutU32(RTA_PRIORITY, metric);
  if (route.source) message.PutAddress(RTA_PREFSRC, *route.source);
  return socket.Request(
      message, absl::StrCat("default route via ", route.gateway.ToString()));
}

bool Leads(const RouteEntry& route, const DefaultRoute& wanted) {
  return std::any_of(route.next_hops.begin(), route.next_hops.end(),
                     [&wanted](const NextHop& hop) {
                       return hop.ifindex == wanted.ifindex &&
                              hop.gateway == wanted.gateway;
                     });
}

// Ours have one next hop with a gateway each.
bool IsOurs(const RouteEntry& route) {
  return route.protocol == kPlumbProtocol && route.next_hops.size() == 1 &&
         route.next_hops[0].gateway;
}

DefaultRoute DefaultRouteOf(const RouteEntry& route) {
  return DefaultRoute{route.next_hops[0].ifindex, *route.next_hops[0].gateway,
                      route.source};
}

}  // namespace

absl::Status EnsureDefaultRoute(NetlinkSocket& socket,
                                const DefaultRoute& wanted) {
  const auto routes = ReadDefaultRoutes(socket);
  if (!routes.ok()) return routes.status();
  const bool v4 = wanted.gateway.IsV4();
  uint32_t metric = kFirstMetric;
  for (const RouteEntry& route : *routes) {  // in order of their metrics
    if (route.prefix.address.IsV4() != v4) continue;
    if (Leads(route, wanted)) return absl::OkStatus();
    if (route.metric == metric) ++metric;
  }
  return SendRoute(socket, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, wanted,
                   metric);
}

absl::Status SetPreferredSources(NetlinkSocket& socket,
                                 const IpAddress& source_v4,
                                 const IpAddress& source_v6) {
  const auto routes = ReadDefaultRoutes(socket);
  if (!routes.ok()) return routes.status();
  for (const RouteEntry& route : *routes) {
    if (!IsOurs(route)) continue;
    DefaultRoute changed = DefaultRouteOf(route);
    changed.source = route.prefix.address.IsV4() ? source_v4 : source_v6;
    if (changed.source == route.source) continue;
    // Our metric is ours alone, so this one is replaced and no other, in one
    // step: no packet finds no route.
    const absl::Status status =
        SendRoute(socket, RTM_NEWROUTE, NLM_F_REPLACE, changed, route.metric);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RemoveDefaultRoutes(NetlinkSocket& socket, int ifindex) {
  const auto routes = ReadDefaultRoutes(socket);
  if (!routes.ok()) return routes.status();
  for (const RouteEntry& route : *routes) {
    if (!IsOurs(route)) continue;
    DefaultRoute gone = DefaultRouteOf(route);
    if (ifindex != 0 && gone.ifindex != ifindex) continue;
    gone.source = std::nullopt;  // any
    const absl::Status status =
        SendRoute(socket, RTM_DELROUTE, 0, gone, route.metric);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  return absl::OkStatus();
}

}  // namespace godwit
