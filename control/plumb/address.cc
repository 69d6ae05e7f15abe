// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/address.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
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
  ndmsg header{};
  header.ndm_family = FamilyOf(address);
  header.ndm_ifindex = ifindex;
  header.ndm_state = NUD_PERMANENT;
  NetlinkMessage message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  message.Append(header);
  message.PutAddress(NDA_DST, address);
  message.PutMac(NDA_LLADDR, mac);
  return socket.Request(message,
                        absl::StrCat("setting neighbour ", address.ToString()));
}

}  // namespace godwit
