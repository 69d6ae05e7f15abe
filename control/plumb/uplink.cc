// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/uplink.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

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

constexpr char kTunDevice[] = "/dev/net/tun";
// Of a TAP without another: nobody on a link has it, or can reach it there.
constexpr char kTapAddress[] = "127.103.119.1/32";
constexpr uint32_t kUsualMtu = 1500;
constexpr uint32_t kLongestMtu = 65521;  // that a TAP has
constexpr int kNoLinkLocalAddress = 1;   // IN6_ADDR_GEN_MODE_NONE

absl::Status AddAddressesAndGateways(const KernelUplink& uplink, int ifindex) {
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  for (const Prefix& prefix : uplink.addresses) {
    const absl::Status status = EnsureAddress(*socket, ifindex, prefix);
    if (!status.ok()) return status;
  }
  for (const IpAddress& gateway : uplink.gateways) {
    const absl::Status status =
        EnsureDefaultRoute(*socket, {ifindex, gateway, std::nullopt});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// On an interface without any IPv4 address the kernel takes loose for strict,
// and drops what comes from sources that are routed elsewhere.
absl::Status EnsureSomeIpv4(const KernelUplink& uplink, int ifindex) {
  for (const Prefix& prefix : uplink.addresses) {
    if (prefix.address.IsV4()) return absl::OkStatus();
  }
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  return EnsureAddress(*socket, ifindex, *Prefix::Parse(kTapAddress));
}

absl::Status OnUplink(absl::string_view ifname, const absl::Status& status) {
  const std::string prefix = absl::StrCat("interface \"", ifname, "\": ");
  if (status.ok() || absl::StartsWith(status.message(), prefix)) return status;
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
}

}  // namespace

absl::Status CreatePersistentTap(absl::string_view name, TapMode mode) {
  const auto link = GetLink(name);
  if (link.ok() && link->kind == "tun") return absl::OkStatus();
  if (link.ok()) {
    return absl::AlreadyExistsError(absl::StrCat(
        "interface \"", name, "\": it exists already and is not a TAP"));
  }
  if (!absl::IsNotFound(link.status())) return link.status();
  const OwnedFd fd(open(kTunDevice, O_RDWR | O_CLOEXEC));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, kTunDevice);
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  int flags = IFF_TAP | IFF_NO_PI;
  if (mode == TapMode::kMultiQueue) flags |= IFF_MULTI_QUEUE;
  request.ifr_flags = static_cast<int16_t>(flags);
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0 ||
      ioctl(fd.get(), TUNSETPERSIST, 1UL) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("interface \"", name, "\": making the TAP"));
  }
  return absl::OkStatus();
}

absl::Status PlumbUplink(const KernelUplink& uplink) {
  const std::string& name = uplink.ifname;
  const auto link = GetLink(name);
  if (!link.ok()) return link.status();
  absl::Status status;
  // What the kernel sends through a TAP goes to the wire as it is.
  if (link->kind == "tun") status = DisableOffloads(name);
  // What a queue asks the queue `kernel` has the unicast address as source,
  // which is the kernel's own, too: on a TAP only godwit can send it.
  if (status.ok() && link->kind == "tun") {
    status = SetSysctl(absl::StrCat("ipv4/conf/", name, "/accept_local"), 1);
  }
  if (status.ok() && uplink.mac) status = SetMac(name, *uplink.mac);
  if (status.ok() && uplink.mtu) status = SetMtu(name, *uplink.mtu);
  if (status.ok() && uplink.reverse_path_filter == ReversePathFilter::kRelax) {
    status = RelaxReversePathFilter(name);
  }
  if (status.ok()) status = SetUp(name);
  if (status.ok()) status = AddAddressesAndGateways(uplink, link->ifindex);
  if (status.ok() && link->kind == "tun") {
    status = EnsureSomeIpv4(uplink, link->ifindex);
  }
  return OnUplink(name, status);
}

absl::Status KeepQuiet(absl::string_view ifname) {
  if (!HasIpv6()) return absl::OkStatus();
  const std::string conf = absl::StrCat("ipv6/conf/", ifname);
  absl::Status status =
      SetSysctl(absl::StrCat(conf, "/addr_gen_mode"), kNoLinkLocalAddress);
  status.Update(SetSysctl(absl::StrCat(conf, "/accept_ra"), 0));
  status.Update(SetSysctl(absl::StrCat(conf, "/router_solicitations"), 0));
  return OnUplink(ifname, status);
}

absl::Status KeepServiceAddressesQuiet(absl::string_view ifname) {
  const std::string conf = absl::StrCat("ipv4/conf/", ifname);
  absl::Status status = SetSysctl(absl::StrCat(conf, "/arp_ignore"), 1);
  if (status.ok()) status = SetSysctl(absl::StrCat(conf, "/arp_announce"), 2);
  SetSysctl(absl::StrCat("ipv6/conf/", ifname, "/accept_dad"), 0).IgnoreError();
  return status;
}

absl::StatusOr<uint16_t> MtuOfTapBeside(absl::string_view ifname) {
  const auto link = GetLink(ifname);
  if (!link.ok()) return link.status();
  return static_cast<uint16_t>(std::clamp(link->mtu, kUsualMtu, kLongestMtu));
}

absl::Status UnplumbUplink(absl::string_view ifname) {
  const auto ifindex = IfIndex(ifname);
  if (absl::IsNotFound(ifindex.status())) return absl::OkStatus();
  if (!ifindex.ok()) return ifindex.status();
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  absl::Status status = RemoveDefaultRoutes(*socket, *ifindex);
  if (status.ok()) status = RemoveOurAddresses(*socket, *ifindex, {});
  return OnUplink(ifname, status);
}

}  // namespace godwit
