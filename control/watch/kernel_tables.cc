// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/kernel_tables.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>

#include "absl/functional/function_ref.h"

namespace godwit {
namespace {

constexpr int kDumpAttempts = 10;

// The attributes of a message behind a header of type Header, by type up to
// kMax; missing ones are null.
template <typename Header, int kMax>
class Attributes {
 public:
  explicit Attributes(const nlmsghdr& message) {
    valid_ = nlmsg_parse(const_cast<nlmsghdr*>(&message), sizeof(Header),
                         table_.data(), kMax, nullptr) == 0;
    if (valid_) {
      header_ = static_cast<const Header*>(nlmsg_data(&message));
    }
  }
  bool valid() const { return valid_; }
  const Header& header() const { return *header_; }
  const nlattr* operator[](int type) const {
    return table_[static_cast<size_t>(type)];
  }

 private:
  std::array<nlattr*, kMax + 1> table_{};
  const Header* header_ = nullptr;
  bool valid_ = false;
};

using LinkAttributes = Attributes<ifinfomsg, IFLA_MAX>;
using AddressAttributes = Attributes<ifaddrmsg, IFA_MAX>;
using NeighbourAttributes = Attributes<ndmsg, NDA_MAX>;
using RouteAttributes = Attributes<rtmsg, RTA_MAX>;

// Repeats `dump` while the list changes under it.
absl::Status UntilWhole(absl::FunctionRef<absl::Status()> dump) {
  absl::Status status;
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    status = dump();
    if (!absl::IsAborted(status)) break;
  }
  return status;
}

template <typename Entry, typename Header>
absl::StatusOr<std::vector<Entry>> DumpAll(
    NetlinkSocket& socket, uint16_t type, const Header& header,
    absl::string_view what,
    absl::FunctionRef<void(const nlmsghdr&, std::vector<Entry>&)> read) {
  std::vector<Entry> entries;
  const absl::Status status = UntilWhole([&] {
    entries.clear();
    NetlinkMessage request(type, 0);
    request.Append(header);
    return socket.Dump(request, what, [&](const nlmsghdr& message) {
      read(message, entries);
    });
  });
  if (!status.ok()) return status;
  return entries;
}

LinkEntry LinkOf(const LinkAttributes& attributes) {
  LinkEntry link;
  link.ifindex = attributes.header().ifi_index;
  if (attributes[IFLA_IFNAME] != nullptr) {
    link.name = nla_get_string(const_cast<nlattr*>(attributes[IFLA_IFNAME]));
  }
  link.mac = ReadMac(attributes[IFLA_ADDRESS]).value_or(MacAddress{});
  link.mtu = ReadU32(attributes[IFLA_MTU]).value_or(0);
  link.up = (attributes.header().ifi_flags & IFF_UP) != 0;
  link.carrier = (attributes.header().ifi_flags & IFF_LOWER_UP) != 0;
  return link;
}

// nullopt for what is not of IPv4 or IPv6.
std::optional<LocalAddress> LocalAddressOf(
    const AddressAttributes& attributes) {
  const ifaddrmsg& header = attributes.header();
  if (header.ifa_family != AF_INET && header.ifa_family != AF_INET6) {
    return std::nullopt;
  }
  // On a point-to-point link IFA_ADDRESS is the other end.
  auto address = ReadAddress(attributes[IFA_LOCAL]);
  if (!address) address = ReadAddress(attributes[IFA_ADDRESS]);
  if (!address) return std::nullopt;
  const uint32_t flags =
      ReadU32(attributes[IFA_FLAGS]).value_or(header.ifa_flags);
  LocalAddress local;
  local.ifindex = static_cast<int>(header.ifa_index);
  local.prefix = Prefix{*address, header.ifa_prefixlen};
  local.protocol = ReadU8(attributes[IFA_PROTO]).value_or(0);
  local.tentative = (flags & IFA_F_TENTATIVE) != 0;
  return local;
}

NeighbourState StateOf(uint16_t nud) {
  if ((nud & NUD_PERMANENT) != 0) return NeighbourState::kPermanent;
  if ((nud & NUD_NOARP) != 0) return NeighbourState::kNoArp;
  if ((nud & NUD_REACHABLE) != 0) return NeighbourState::kReachable;
  if ((nud & NUD_STALE) != 0) return NeighbourState::kStale;
  if ((nud & NUD_DELAY) != 0) return NeighbourState::kDelay;
  if ((nud & NUD_PROBE) != 0) return NeighbourState::kProbe;
  if ((nud & NUD_INCOMPLETE) != 0) return NeighbourState::kIncomplete;
  if ((nud & NUD_FAILED) != 0) return NeighbourState::kFailed;
  return NeighbourState::kNone;
}

std::optional<NeighbourEntry> NeighbourOf(
    const NeighbourAttributes& attributes) {
  const ndmsg& header = attributes.header();
  if (header.ndm_family != AF_INET && header.ndm_family != AF_INET6) {
    return std::nullopt;
  }
  const auto address = ReadAddress(attributes[NDA_DST]);
  if (!address || address->IsMulticast()) return std::nullopt;
  NeighbourEntry entry;
  entry.address = *address;
  entry.ifindex = header.ndm_ifindex;
  entry.mac = ReadMac(attributes[NDA_LLADDR]).value_or(MacAddress{});
  entry.state = StateOf(header.ndm_state);
  const uint32_t extended = ReadU32(attributes[NDA_FLAGS_EXT]).value_or(0);
  entry.managed = (extended & NTF_EXT_MANAGED) != 0;
  return entry;
}

// RTA_VIA: a gateway of another family than the route's.
std::optional<IpAddress> ViaOf(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  const auto* bytes = static_cast<const uint8_t*>(nla_data(attribute));
  const int size = nla_len(attribute);
  const int header = static_cast<int>(sizeof(rtvia));
  if (size == header + 4) return IpAddress::FromV4(bytes + header);
  if (size == header + 16) return IpAddress::FromV6(bytes + header);
  return std::nullopt;
}

NextHop NextHopOf(const nlattr* gateway, const nlattr* via, int ifindex,
                  unsigned flags) {
  NextHop hop;
  hop.gateway = ReadAddress(gateway);
  if (!hop.gateway) hop.gateway = ViaOf(via);
  hop.ifindex = ifindex;
  hop.dead = (flags & RTNH_F_DEAD) != 0;
  hop.link_down = (flags & RTNH_F_LINKDOWN) != 0;
  return hop;
}

std::vector<NextHop> MultipathOf(const nlattr* attribute) {
  std::vector<NextHop> hops;
  const char* at = static_cast<const char*>(nla_data(attribute));
  size_t left = static_cast<size_t>(nla_len(attribute));
  rtnexthop hop;
  while (left >= sizeof(hop)) {
    std::memcpy(&hop, at, sizeof(hop));
    if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left) break;
    const auto* first = reinterpret_cast<const nlattr*>(at + sizeof(hop));
    const int size = static_cast<int>(hop.rtnh_len - sizeof(hop));
    hops.push_back(NextHopOf(nla_find(first, size, RTA_GATEWAY),
                             nla_find(first, size, RTA_VIA), hop.rtnh_ifindex,
                             hop.rtnh_flags));
    // The wire has the weight less one.
    hops.back().weight = static_cast<uint16_t>(hop.rtnh_hops + 1);
    const size_t step = NLMSG_ALIGN(size_t{hop.rtnh_len});
    if (step >= left) break;
    at += step;
    left -= step;
  }
  return hops;
}

std::optional<RouteKind> KindOf(uint8_t type) {
  switch (type) {
    case RTN_UNICAST:
      return RouteKind::kUnicast;
    case RTN_LOCAL:
      return RouteKind::kLocal;
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT:
      return RouteKind::kDiscard;
    default:
      return std::nullopt;
  }
}

std::optional<RouteEntry> RouteOf(const RouteAttributes& attributes) {
  const rtmsg& header = attributes.header();
  const auto kind = KindOf(header.rtm_type);
  if (!kind || (header.rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
  RouteEntry route;
  route.kind = *kind;
  route.table = ReadU32(attributes[RTA_TABLE]).value_or(header.rtm_table);
  if (route.table != RT_TABLE_MAIN && route.table != RT_TABLE_LOCAL) {
    return std::nullopt;
  }
  const uint8_t zeros[4] = {};
  const IpAddress any =
      header.rtm_family == AF_INET ? IpAddress::FromV4(zeros) : IpAddress{};
  route.prefix = Prefix{ReadAddress(attributes[RTA_DST]).value_or(any),
                        header.rtm_dst_len};
  route.source = ReadAddress(attributes[RTA_PREFSRC]);
  route.metric = ReadU32(attributes[RTA_PRIORITY]).value_or(0);
  route.protocol = header.rtm_protocol;
  if (route.kind == RouteKind::kDiscard) return route;
  if (attributes[RTA_MULTIPATH] != nullptr) {
    route.next_hops = MultipathOf(attributes[RTA_MULTIPATH]);
  } else {
    const auto ifindex = ReadU32(attributes[RTA_OIF]).value_or(0);
    route.next_hops.push_back(
        NextHopOf(attributes[RTA_GATEWAY], attributes[RTA_VIA],
                  static_cast<int>(ifindex), header.rtm_flags));
  }
  return route;
}

}  // namespace

absl::StatusOr<std::vector<LinkEntry>> ReadLinks(NetlinkSocket& socket) {
  auto links = DumpAll<LinkEntry>(
      socket, RTM_GETLINK, ifinfomsg{}, "reading the interfaces",
      [](const nlmsghdr& message, std::vector<LinkEntry>& into) {
        const LinkAttributes attributes(message);
        if (attributes.valid()) into.push_back(LinkOf(attributes));
      });
  if (!links.ok()) return links;
  std::sort(links->begin(), links->end(),
            [](const LinkEntry& a, const LinkEntry& b) {
              return a.ifindex < b.ifindex;
            });
  return links;
}

absl::StatusOr<std::vector<LocalAddress>> ReadAddresses(NetlinkSocket& socket) {
  auto addresses = DumpAll<LocalAddress>(
      socket, RTM_GETADDR, ifaddrmsg{}, "reading the addresses",
      [](const nlmsghdr& message, std::vector<LocalAddress>& into) {
        const AddressAttributes attributes(message);
        if (!attributes.valid()) return;
        const auto address = LocalAddressOf(attributes);
        if (address) into.push_back(*address);
      });
  if (!addresses.ok()) return addresses;
  std::sort(addresses->begin(), addresses->end(),
            [](const LocalAddress& a, const LocalAddress& b) {
              return std::tie(a.ifindex, a.prefix) <
                     std::tie(b.ifindex, b.prefix);
            });
  return addresses;
}

absl::StatusOr<std::vector<NeighbourEntry>> ReadNeighbours(
    NetlinkSocket& socket) {
  auto neighbours = DumpAll<NeighbourEntry>(
      socket, RTM_GETNEIGH, ndmsg{}, "reading the neighbours",
      [](const nlmsghdr& message, std::vector<NeighbourEntry>& into) {
        const auto entry = NeighbourIn(message);
        if (entry) into.push_back(*entry);
      });
  if (!neighbours.ok()) return neighbours;
  std::sort(neighbours->begin(), neighbours->end(),
            [](const NeighbourEntry& a, const NeighbourEntry& b) {
              return std::tie(a.ifindex, a.address) <
                     std::tie(b.ifindex, b.address);
            });
  return neighbours;
}

std::optional<NeighbourEntry> NeighbourIn(const nlmsghdr& message) {
  const NeighbourAttributes attributes(message);
  if (!attributes.valid()) return std::nullopt;
  return NeighbourOf(attributes);
}

absl::StatusOr<NeighbourEntry> ReadNeighbour(NetlinkSocket& socket, int ifindex,
                                             const IpAddress& address) {
  ndmsg header{};
  header.ndm_family = address.IsV4() ? AF_INET : AF_INET6;
  header.ndm_ifindex = ifindex;
  NetlinkMessage request(RTM_GETNEIGH, 0);
  request.Append(header);
  request.PutAddress(NDA_DST, address);
  std::optional<NeighbourEntry> entry;
  const absl::Status status = socket.Get(
      request, "reading a neighbour",
      [&entry](const nlmsghdr& message) { entry = NeighbourIn(message); });
  if (!status.ok()) return status;
  if (!entry) return absl::NotFoundError("no such neighbour");
  return *entry;
}

absl::StatusOr<std::vector<RouteEntry>> ReadRoutes(NetlinkSocket& socket) {
  std::vector<RouteEntry> all;
  const uint8_t families[] = {AF_INET, AF_INET6};
  const uint8_t tables[] = {RT_TABLE_MAIN, RT_TABLE_LOCAL};
  for (const uint8_t family : families) {
    for (const uint8_t table : tables) {
      rtmsg header{};
      header.rtm_family = family;
      header.rtm_table = table;
      auto routes = DumpAll<RouteEntry>(
          socket, RTM_GETROUTE, header, "reading the routes",
          [family](const nlmsghdr& message, std::vector<RouteEntry>& into) {
            const RouteAttributes attributes(message);
            // A kernel without IPv6 answers with IPv4.
            if (!attributes.valid() ||
                attributes.header().rtm_family != family) {
              return;
            }
            auto route = RouteOf(attributes);
            if (route) into.push_back(*std::move(route));
          });
      // A table nobody has used yet does not exist.
      if (absl::IsNotFound(routes.status())) continue;
      if (!routes.ok()) return routes;
      std::move(routes->begin(), routes->end(), std::back_inserter(all));
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const RouteEntry& a, const RouteEntry& b) {
                     return std::tie(a.table, a.prefix, a.metric) <
                            std::tie(b.table, b.prefix, b.metric);
                   });
  return all;
}

}  // namespace godwit
