// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/veth.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "control/plumb/ethtool.h"
#include "control/plumb/link.h"
#include "control/plumb/netns.h"
#include "control/plumb/sysctl.h"
#include "control/watch/netlink.h"

namespace godwit {
namespace {

constexpr uint32_t kMinMtu = 68;     // RFC 791
constexpr uint32_t kMaxMtu = 3506;   // the kernel's limit with XDP attached
constexpr uint32_t kMaxQueues = 64;  // more than any worker count
constexpr uint8_t kNoAddress = 1;    // IN6_ADDR_GEN_MODE_NONE

// FNV-1a, its bits mixed as in MurmurHash3's end: the same on every start and
// machine, unlike the hashes of std and Abseil, which promise that to nobody.
uint64_t StableHash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  }
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33);
}

// Tells machines apart whose configurations are the same.
std::string MachineId() {
  std::ifstream file("/etc/machine-id");
  std::string id;
  std::getline(file, id);
  return id;
}

MacAddress StableMac(const VethSpec& spec, absl::string_view end) {
  const uint64_t hash = StableHash(
      absl::StrCat(MachineId(), "/", spec.netns, "/", spec.far_name, "/", end));
  MacAddress mac;
  for (size_t i = 0; i < mac.size(); ++i) {
    mac[i] = static_cast<uint8_t>(hash >> (8 * i));
  }
  // Locally administered, unicast (IEEE 802 8.2.2).
  mac[0] = static_cast<uint8_t>((mac[0] & 0xfc) | 0x02);
  return mac;
}

// What the near end's alias says, and so the sign that it is ours.
std::string AliasOf(const VethSpec& spec) {
  return absl::StrCat("godwit: near end of ", spec.netns, "/", spec.far_name);
}

absl::Status CheckSpec(const VethSpec& spec) {
  const absl::Status name = CheckLinkName(spec.far_name);
  if (!name.ok()) return name;
  if (spec.mtu < kMinMtu || spec.mtu > kMaxMtu) {
    return absl::InvalidArgumentError(
        absl::StrCat("veth \"", spec.far_name, "\": MTU ", spec.mtu, ": ",
                     kMinMtu, " to ", kMaxMtu, " is allowed"));
  }
  if (spec.rxqs == 0 || spec.rxqs > kMaxQueues) {
    return absl::InvalidArgumentError(
        absl::StrCat("veth \"", spec.far_name, "\": ", spec.rxqs,
                     " queues: 1 to ", kMaxQueues, " are allowed"));
  }
  return absl::OkStatus();
}

void PutEnd(NetlinkMessage& message, absl::string_view name,
            const MacAddress& mac, const VethSpec& spec) {
  message.PutString(IFLA_IFNAME, name);
  message.PutMac(IFLA_ADDRESS, mac);
  message.PutU32(IFLA_MTU, spec.mtu);
  message.PutU32(IFLA_NUM_TX_QUEUES, spec.rxqs);
  message.PutU32(IFLA_NUM_RX_QUEUES, spec.rxqs);
}

// Both ends in one request: the far end is born in its namespace, where its
// name is free even if it is taken here.
absl::Status MakePair(const VethSpec& spec, const std::string& near_name) {
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  absl::StatusOr<OwnedFd> netns = OwnedFd(-1);
  if (!spec.netns.empty()) netns = OpenNetns(spec.netns);
  if (!netns.ok()) return netns.status();
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.Append(ifinfomsg{});
  PutEnd(message, near_name, StableMac(spec, "near"), spec);
  message.BeginNest(IFLA_LINKINFO);
  message.PutString(IFLA_INFO_KIND, "veth");
  message.BeginNest(IFLA_INFO_DATA);
  message.BeginNest(VETH_INFO_PEER);
  message.Append(ifinfomsg{});
  PutEnd(message, spec.far_name, StableMac(spec, "far"), spec);
  if (!spec.netns.empty()) {
    message.PutU32(IFLA_NET_NS_FD, static_cast<uint32_t>(netns->get()));
  }
  for (int nest = 0; nest < 3; ++nest) message.EndNest();
  return socket->Request(message, absl::StrCat("making veth pair ", near_name,
                                               " - ", spec.far_name));
}

// The alias, and no IPv6 address: only settable on an interface that exists.
absl::Status MarkNearEnd(const VethSpec& spec, const std::string& near_name,
                         int near_ifindex) {
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  ifinfomsg header{};
  header.ifi_index = near_ifindex;
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.Append(header);
  message.PutString(IFLA_IFALIAS, AliasOf(spec));
  if (HasIpv6()) {
    message.BeginNest(IFLA_AF_SPEC);
    message.BeginNest(AF_INET6);
    message.PutU8(IFLA_INET6_ADDR_GEN_MODE, kNoAddress);
    message.EndNest();
    message.EndNest();
  }
  const absl::Status status = socket->Request(
      message, absl::StrCat("interface \"", near_name, "\": marking it"));
  if (!status.ok() || !HasIpv6()) return status;
  return SetSysctl(absl::StrCat("ipv6/conf/", near_name, "/disable_ipv6"), 1);
}

// Without a namespace in the spec the operator may have moved the far end into
// one of his own; it is his from then on.
bool FarEndMovedAway(const VethSpec& spec, const LinkDetails& near) {
  return spec.netns.empty() && near.peer_elsewhere;
}

// Whether `near` is the pair that `spec` asks for, the far end where and as it
// should be.
bool Fits(const VethSpec& spec, const LinkDetails& near) {
  if (near.rxqs != spec.rxqs || near.txqs != spec.rxqs) return false;
  if (FarEndMovedAway(spec, near)) return true;
  LinkDetails far;
  const absl::Status read = RunInNetns(spec.netns, [&] {
    const auto link = GetLink(spec.far_name);
    if (link.ok()) far = *link;
    return link.status();
  });
  return read.ok() && far.kind == "veth" && far.ifindex == near.peer_ifindex &&
         far.peer_ifindex == near.ifindex;
}

absl::Status NearNameTaken(const VethSpec& spec, const std::string& near_name) {
  return absl::AlreadyExistsError(absl::StrCat(
      "veth \"", spec.far_name, "\": its near end would be called \"",
      near_name, "\", but that is another interface already"));
}

absl::Status CheckFarNameIsFree(const VethSpec& spec) {
  return RunInNetns(spec.netns, [&spec]() -> absl::Status {
    const auto far = GetLink(spec.far_name);
    if (absl::IsNotFound(far.status())) return absl::OkStatus();
    if (!far.ok()) return far.status();
    return absl::AlreadyExistsError(
        absl::StrCat("veth \"", spec.far_name,
                     "\": an interface of that name exists and is not the far "
                     "end of a pair of godwit"));
  });
}

// Takes up the pair of an earlier run or makes it.
absl::Status EnsurePair(const VethSpec& spec, const std::string& near_name) {
  const auto near = GetLink(near_name);
  if (absl::IsNotFound(near.status())) {
    const absl::Status is_free = CheckFarNameIsFree(spec);
    return is_free.ok() ? MakePair(spec, near_name) : is_free;
  }
  if (!near.ok()) return near.status();
  const bool fits = near->kind == "veth" && Fits(spec, *near);
  // An empty alias: an earlier run ended between making and marking, if the
  // far end is there and is called so. What is ours surely may be made anew.
  if (near->kind != "veth" ||
      (near->alias != AliasOf(spec) && !(near->alias.empty() && fits))) {
    return NearNameTaken(spec, near_name);
  }
  if (fits) return absl::OkStatus();
  const absl::Status deleted = DeleteLink(near_name);
  if (!deleted.ok()) return deleted;
  return MakePair(spec, near_name);
}

absl::Status PrepareFarEnd(const VethSpec& spec, MacAddress& mac) {
  return RunInNetns(spec.netns, [&]() -> absl::Status {
    const auto link = GetLink(spec.far_name);
    if (!link.ok()) return link.status();
    mac = link->mac;
    absl::Status status = SetMtu(spec.far_name, spec.mtu);
    if (status.ok()) status = DisableOffloads(spec.far_name);
    if (status.ok()) status = SetUp(spec.far_name);
    return status;
  });
}

}  // namespace

std::string NearName(absl::string_view far_name, absl::string_view netns) {
  const uint64_t hash = StableHash(absl::StrCat(netns, "/", far_name));
  return absl::StrFormat("gw-%s-%04x", far_name.substr(0, 7),
                         static_cast<uint16_t>(hash >> 48));
}

absl::StatusOr<bool> DeleteOurPair(const std::string& far_name,
                                   const std::string& netns) {
  VethSpec spec;
  spec.far_name = far_name;
  spec.netns = netns;
  const std::string near_name = NearName(far_name, netns);
  const auto near = GetLink(near_name);
  if (absl::IsNotFound(near.status())) return false;
  if (!near.ok()) return near.status();
  if (near->kind != "veth" || near->alias != AliasOf(spec)) return false;
  const absl::Status deleted = DeleteLink(near_name);
  if (!deleted.ok()) return deleted;
  return true;
}

absl::Status CheckVethNames(const std::string& far_name,
                            const std::string& netns) {
  VethSpec spec;
  spec.far_name = far_name;
  spec.netns = netns;
  const std::string near_name = NearName(far_name, netns);
  const auto near = GetLink(near_name);
  if (absl::IsNotFound(near.status())) return CheckFarNameIsFree(spec);
  if (!near.ok()) return near.status();
  if (near->alias == AliasOf(spec)) return absl::OkStatus();
  if (near->alias.empty() && near->kind == "veth" && Fits(spec, *near)) {
    return absl::OkStatus();
  }
  return NearNameTaken(spec, near_name);
}

absl::StatusOr<VethPair> CreateVethPair(const VethSpec& spec) {
  absl::Status status = CheckSpec(spec);
  if (!status.ok()) return status;
  VethPair pair;
  pair.near_name = NearName(spec.far_name, spec.netns);
  status = EnsurePair(spec, pair.near_name);
  if (!status.ok()) return status;
  const auto near = GetLink(pair.near_name);
  if (!near.ok()) return near.status();
  pair.near_ifindex = near->ifindex;
  pair.near_mac = near->mac;
  status = MarkNearEnd(spec, pair.near_name, near->ifindex);
  if (status.ok()) status = SetMtu(pair.near_name, spec.mtu);
  if (status.ok() && !FarEndMovedAway(spec, *near)) {
    status = PrepareFarEnd(spec, pair.far_mac);
  }
  if (status.ok()) status = SetUp(pair.near_name);
  if (!status.ok()) return status;
  return pair;
}

}  // namespace godwit
