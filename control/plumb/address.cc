// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/address.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "control/plumb/link.h"
#include "control/plumb/netns.h"
#include "control/watch/kernel_tables.h"

namespace godwit {
namespace {

uint8_t FamilyOf(const IpAddress& address) {
  return address.IsV4() ? AF_INET : AF_INET6;
}

// The kernel adds no broadcast address by itself, and needs none.
NetlinkMessage AddressMessage(uint16_t type, int flags, int ifindex,
                              const Prefix& prefix) {
  ifaddrmsg header{};
  header.ifa_family = FamilyOf(prefix.address);
  header.ifa_prefixlen = prefix.length;
  // One of 127.0.0.0/8 is never chosen as a source beyond this host.
  header.ifa_scope =
      prefix.address.IsLoopback() ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  header.ifa_index = static_cast<uint32_t>(ifindex);
  NetlinkMessage message(type, flags);
  message.Append(header);
  message.PutAddress(IFA_LOCAL, prefix.address);
  message.PutAddress(IFA_ADDRESS, prefix.address);
  return message;
}

struct Neighbour {
  int ifindex;
  const IpAddress& address;
  const MacAddress& mac;
};

absl::Status WriteNeighbour(NetlinkSocket& socket, const Neighbour& neighbour,
                            uint16_t state, int flags) {
  ndmsg header{};
  header.ndm_family = FamilyOf(neighbour.address);
  header.ndm_ifindex = neighbour.ifindex;
  header.ndm_state = state;
  NetlinkMessage message(RTM_NEWNEIGH, flags);
  message.Append(header);
  message.PutAddress(NDA_DST, neighbour.address);
  message.PutMac(NDA_LLADDR, neighbour.mac);
  return socket.Request(message, absl::StrCat("setting neighbour ",
                                              neighbour.address.ToString()));
}

}  // namespace

absl::Status EnsureAddress(NetlinkSocket& socket, int ifindex,
                           const Prefix& prefix) {
  NetlinkMessage message =
      AddressMessage(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, prefix);
  message.PutU8(IFA_PROTO, kPlumbProtocol);
  if (!prefix.address.IsV4()) message.PutU32(IFA_FLAGS, IFA_F_NODAD);
  const absl::Status status = socket.Request(
      message, absl::StrCat("adding address ", prefix.ToString()));
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

absl::Status RemoveAddress(NetlinkSocket& socket, int ifindex,
                           const Prefix& prefix) {
  NetlinkMessage message = AddressMessage(RTM_DELADDR, 0, ifindex, prefix);
  const absl::Status status = socket.Request(
      message, absl::StrCat("removing address ", prefix.ToString()));
  // EADDRNOTAVAIL: it is not there.
  return absl::IsUnavailable(status) || absl::IsNotFound(status)
             ? absl::OkStatus()
             : status;
}

absl::Status RemoveOurAddresses(NetlinkSocket& socket, int ifindex,
                                const std::vector<Prefix>& keep) {
  const auto addresses = ReadAddresses(socket);
  if (!addresses.ok()) return addresses.status();
  for (const LocalAddress& address : *addresses) {
    if (address.ifindex != ifindex || address.protocol != kPlumbProtocol ||
        std::find(keep.begin(), keep.end(), address.prefix) != keep.end()) {
      continue;
    }
    const absl::Status status = RemoveAddress(socket, ifindex, address.prefix);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SetNeighbour(NetlinkSocket& socket, int ifindex,
                          const IpAddress& address, const MacAddress& mac) {
  return WriteNeighbour(socket, {ifindex, address, mac}, NUD_PERMANENT,
                        NLM_F_CREATE | NLM_F_REPLACE);
}

void KeepingNeighbours(absl::string_view ifname, absl::string_view netns,
                       absl::FunctionRef<void()> work) {
  std::vector<NeighbourEntry> known;
  RunInNetns(netns, [&] {
    const auto ifindex = IfIndex(ifname);
    if (!ifindex.ok()) return ifindex.status();
    auto socket = NetlinkSocket::Open();
    if (!socket.ok()) return socket.status();
    auto all = ReadNeighbours(*socket);
    if (!all.ok()) return all.status();
    std::erase_if(*all, [&ifindex](const NeighbourEntry& entry) {
      return entry.ifindex != *ifindex || !entry.usable() ||
             entry.state == NeighbourState::kNoArp;
    });
    known = *std::move(all);
    return absl::OkStatus();
  }).IgnoreError();
  work();
  if (known.empty()) return;
  RunInNetns(netns, [&] {
    auto socket = NetlinkSocket::Open();
    if (!socket.ok()) return socket.status();
    for (const NeighbourEntry& entry : known) {
      const bool is_permanent = entry.state == NeighbourState::kPermanent;
      WriteNeighbour(*socket, {entry.ifindex, entry.address, entry.mac},
                     is_permanent ? NUD_PERMANENT : NUD_STALE,
                     NLM_F_CREATE | (is_permanent ? NLM_F_REPLACE : NLM_F_EXCL))
          .IgnoreError();
    }
    return absl::OkStatus();
  }).IgnoreError();
}

}  // namespace godwit
