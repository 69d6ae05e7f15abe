// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/route_table.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/plumb/address.h"

namespace godwit {
namespace {

std::optional<AnnouncedRoute> OursIn(const nlmsghdr& message, uint32_t table) {
  if (message.nlmsg_type != RTM_NEWROUTE) return std::nullopt;
  const auto& header = *static_cast<const rtmsg*>(nlmsg_data(&message));
  if (header.rtm_protocol != kPlumbProtocol ||
      header.rtm_type != RTN_BLACKHOLE) {
    return std::nullopt;
  }
  std::array<nlattr*, RTA_MAX + 1> attributes{};
  if (nlmsg_parse(const_cast<nlmsghdr*>(&message), sizeof(rtmsg),
                  attributes.data(), RTA_MAX, nullptr) != 0) {
    return std::nullopt;
  }
  if (ReadU32(attributes[RTA_TABLE]).value_or(header.rtm_table) != table) {
    return std::nullopt;
  }
  const auto address = ReadAddress(attributes[RTA_DST]);
  if (!address || header.rtm_dst_len != (address->IsV4() ? 32 : 128)) {
    return std::nullopt;
  }
  return AnnouncedRoute{*address,
                        ReadU32(attributes[RTA_PRIORITY]).value_or(0)};
}

}  // namespace

absl::StatusOr<RouteTable> RouteTable::Open() {
  auto netlink = NetlinkSocket::Open();
  if (!netlink.ok()) return netlink.status();
  // A dump is then of the one table that is asked for.
  const int on = 1;
  if (setsockopt(netlink->fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
                 sizeof(on)) != 0) {
    return absl::ErrnoToStatus(errno, "netlink: strict checking");
  }
  return RouteTable(*std::move(netlink));
}

absl::StatusOr<std::set<AnnouncedRoute>> RouteTable::Read(uint32_t table) {
  std::set<AnnouncedRoute> routes;
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(family);
    NetlinkMessage message(RTM_GETROUTE, NLM_F_DUMP);
    message.Append(header);
    message.PutU32(RTA_TABLE, table);
    const absl::Status status =
        netlink_.Dump(message, "list of routes", [&](const nlmsghdr& one) {
          const auto ours = OursIn(one, table);
          if (ours) routes.insert(*ours);
        });
    // What a routing daemon changes meanwhile is none of ours; and a table
    // without a route is none yet.
    if (!status.ok() && !absl::IsAborted(status) && !absl::IsNotFound(status)) {
      return status;
    }
  }
  return routes;
}

absl::Status RouteTable::Request(uint16_t type, int flags, uint32_t table,
                                 const AnnouncedRoute& route) {
  const bool is_v4 = route.address.IsV4();
  rtmsg header{};
  header.rtm_family = is_v4 ? AF_INET : AF_INET6;
  header.rtm_dst_len = is_v4 ? 32 : 128;
  header.rtm_table = RT_TABLE_UNSPEC;  // RTA_TABLE has it
  header.rtm_protocol = kPlumbProtocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_BLACKHOLE;
  NetlinkMessage message(type, flags);
  message.Append(header);
  message.PutAddress(RTA_DST, route.address);
  message.PutU32(RTA_TABLE, table);
  message.PutU32(RTA_PRIORITY, route.metric);
  return netlink_.Request(
      message,
      absl::StrCat("route to ", route.address.ToString(), " in table ", table));
}

absl::StatusOr<size_t> RouteTable::Set(uint32_t table,
                                       const std::set<AnnouncedRoute>& wanted,
                                       const std::set<IpAddress>& kept) {
  const auto there = Read(table);
  if (!there.ok()) return there.status();
  absl::Status first;
  size_t changed = 0;
  for (const AnnouncedRoute& route : wanted) {
    if (there->contains(route)) continue;
    ++changed;
    first.Update(
        Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, table, route));
  }
  for (const AnnouncedRoute& route : *there) {
    if (wanted.contains(route) || kept.contains(route.address)) continue;
    ++changed;
    const absl::Status status = Request(RTM_DELROUTE, 0, table, route);
    if (!absl::IsNotFound(status)) first.Update(status);
  }
  if (!first.ok()) return first;
  return changed;
}

}  // namespace godwit
