// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/queue_netns.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "control/plumb/address.h"
#include "control/plumb/ethtool.h"
#include "control/plumb/link.h"
#include "control/plumb/netns.h"
#include "control/plumb/route.h"
#include "control/plumb/sysctl.h"
#include "control/watch/netlink.h"

namespace godwit {
namespace {

constexpr uint8_t kGatewayV4[] = {169, 254, 0x67, 0x77};
constexpr uint8_t kGatewayV6[] = {0xfe, 0x80, 0, 0, 0, 0, 0,    0,
                                  0,    0,    0, 0, 0, 0, 0x67, 0x77};
constexpr uint8_t kPrivateV4[] = {100, 127, 0x67, 0x77};
constexpr uint8_t kPrivateV6[] = {0xfd, 0x67, 0x6f, 0x64, 0x77, 0x69, 0, 0x74,
                                  0,    0,    0,    0,    0,    0,    0, 1};

Prefix HostPrefix(const IpAddress& address) {
  return Prefix{address, static_cast<uint8_t>(address.IsV4() ? 32 : 128)};
}

// What loopback is to have, and which of it programs originate from.
struct LoopbackPlan {
  std::vector<Prefix> addresses;
  IpAddress source_v4;
  IpAddress source_v6;
};

LoopbackPlan PlanLoopback(const std::vector<IpAddress>& service_addresses) {
  LoopbackPlan plan;
  std::optional<IpAddress> first_v4;
  std::optional<IpAddress> first_v6;
  for (const IpAddress& address : service_addresses) {
    plan.addresses.push_back(HostPrefix(address));
    auto& first = address.IsV4() ? first_v4 : first_v6;
    if (!first) first = address;
  }
  if (!first_v4) plan.addresses.push_back(HostPrefix(PrivateV4()));
  if (!first_v6 && HasIpv6()) {
    plan.addresses.push_back(HostPrefix(PrivateV6()));
  }
  plan.source_v4 = first_v4.value_or(PrivateV4());
  plan.source_v6 = first_v6.value_or(PrivateV6());
  return plan;
}

absl::Status AddToLoopback(NetlinkSocket& socket, int loopback,
                           const std::vector<Prefix>& addresses) {
  for (const Prefix& address : addresses) {
    const absl::Status status = EnsureAddress(socket, loopback, address);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Adds before it removes, and moves the routes in between: the kernel drops an
// IPv4 route whose preferred source goes away.
absl::Status FollowServiceAddresses(const std::vector<IpAddress>& wanted) {
  const auto loopback = IfIndex("lo");
  if (!loopback.ok()) return loopback.status();
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  const LoopbackPlan plan = PlanLoopback(wanted);
  absl::Status status = AddToLoopback(*socket, *loopback, plan.addresses);
  if (!status.ok()) return status;
  status = SetPreferredSources(*socket, plan.source_v4, plan.source_v6);
  if (!status.ok()) return status;
  return RemoveOurAddresses(*socket, *loopback, plan.addresses);
}

// Before the interface is up: the kernel is to ask for no router and to check
// no address on its way up.
absl::Status SetInterfaceSysctls(const std::string& ifname) {
  absl::Status status = RelaxReversePathFilter(ifname);
  if (!status.ok() || !HasIpv6()) return status;
  const std::string conf = absl::StrCat("ipv6/conf/", ifname);
  status.Update(SetSysctl(absl::StrCat(conf, "/accept_ra"), 0));
  status.Update(SetSysctl(absl::StrCat(conf, "/accept_dad"), 0));
  status.Update(SetSysctl(absl::StrCat(conf, "/disable_ipv6"), 0));
  status.Update(SetSysctl("ipv6/conf/lo/disable_ipv6", 0));
  return status;
}

absl::Status BringUp(const std::string& ifname) {
  absl::Status status = GetLink(ifname).status();
  if (status.ok()) status = SetUp("lo");
  if (status.ok()) status = SetInterfaceSysctls(ifname);
  if (status.ok()) status = DisableOffloads(ifname);
  if (status.ok()) status = SetUp(ifname);
  return status;
}

absl::Status RouteThrough(const QueueNetns& queue_netns) {
  const auto ifindex = IfIndex(queue_netns.ifname);
  if (!ifindex.ok()) return ifindex.status();
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  const LoopbackPlan plan = PlanLoopback(queue_netns.service_addresses);
  std::vector<DefaultRoute> routes = {{*ifindex, GatewayV4(), plan.source_v4}};
  if (HasIpv6()) routes.push_back({*ifindex, GatewayV6(), plan.source_v6});
  for (const DefaultRoute& route : routes) {
    absl::Status status =
        SetNeighbour(*socket, *ifindex, route.gateway, queue_netns.gateway_mac);
    if (status.ok()) status = EnsureDefaultRoute(*socket, route);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// "netns "dns": " in front of what went wrong inside.
absl::Status Inside(absl::string_view netns, const absl::Status& status) {
  if (status.ok()) return status;
  const std::string prefix = absl::StrCat("netns \"", netns, "\": ");
  if (absl::StartsWith(status.message(), prefix)) return status;
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
}

}  // namespace

IpAddress GatewayV4() { return IpAddress::FromV4(kGatewayV4); }
IpAddress GatewayV6() { return IpAddress::FromV6(kGatewayV6); }
IpAddress PrivateV4() { return IpAddress::FromV4(kPrivateV4); }
IpAddress PrivateV6() { return IpAddress::FromV6(kPrivateV6); }

absl::Status PlumbQueueNetns(const QueueNetns& queue_netns) {
  const absl::Status status = RunInNetns(queue_netns.netns, [&] {
    absl::Status done = BringUp(queue_netns.ifname);
    if (done.ok()) done = FollowServiceAddresses(queue_netns.service_addresses);
    if (done.ok()) done = RouteThrough(queue_netns);
    return done;
  });
  return Inside(queue_netns.netns, status);
}

absl::Status SetServiceAddresses(absl::string_view netns,
                                 const std::vector<IpAddress>& wanted) {
  return Inside(netns, RunInNetns(netns, [&wanted] {
                  return FollowServiceAddresses(wanted);
                }));
}

absl::Status UnplumbQueueNetns(absl::string_view netns) {
  if (!NetnsExists(netns)) return absl::OkStatus();
  return Inside(netns, RunInNetns(netns, []() -> absl::Status {
                  const auto loopback = IfIndex("lo");
                  if (!loopback.ok()) return loopback.status();
                  auto socket = NetlinkSocket::Open();
                  if (!socket.ok()) return socket.status();
                  const absl::Status removed =
                      RemoveDefaultRoutes(*socket, /*ifindex=*/0);
                  if (!removed.ok()) return removed;
                  return RemoveOurAddresses(*socket, *loopback, {});
                }));
}

}  // namespace godwit
