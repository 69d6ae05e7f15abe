// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/kernel_facts.h"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/watch/netlink.h"
#include "dataplane/net/byteorder.h"

namespace godwit {
namespace {

constexpr char kEphemeralPath[] = "/proc/sys/net/ipv4/ip_local_port_range";

struct BoundSocket {
  IpAddress address;
  uint16_t l4port = 0;
  bool v6_only = false;
};

BoundSocket BoundSocketOf(const nlmsghdr& message) {
  const auto& diag = *static_cast<const inet_diag_msg*>(nlmsg_data(&message));
  BoundSocket socket;
  socket.l4port = Be16::FromWire(diag.id.idiag_sport).host();
  socket.address = diag.idiag_family == AF_INET
                       ? IpAddress::FromV4(diag.id.idiag_src)
                       : IpAddress::FromV6(diag.id.idiag_src);
  nlattr* v6_only = nlmsg_find_attr(const_cast<nlmsghdr*>(&message),
                                    sizeof(inet_diag_msg), INET_DIAG_SKV6ONLY);
  socket.v6_only = ReadU8(v6_only).value_or(0) != 0;
  return socket;
}

bool Receives(const BoundSocket& socket, const IpAddress& address) {
  if (socket.address == address) return true;
  if (!socket.address.IsUnspecified()) return false;
  if (socket.address.IsV4()) return address.IsV4();
  return !address.IsV4() || !socket.v6_only;
}

absl::Status CollectSockets(NetlinkSocket& netlink, uint8_t family,
                            uint8_t protocol,
                            const std::vector<IpAddress>& addresses,
                            std::set<ListeningL4Port>& into) {
  inet_diag_req_v2 request{};
  request.sdiag_family = family;
  request.sdiag_protocol = protocol;
  // A UDP socket that is only bound is in state CLOSE; a connected one receives
  // at its l4port too.
  request.idiag_states = protocol == IPPROTO_TCP
                             ? 1U << TCP_LISTEN
                             : (1U << TCP_CLOSE) | (1U << TCP_ESTABLISHED);
  NetlinkMessage message(SOCK_DIAG_BY_FAMILY, 0);
  message.Append(request);
  return netlink.Dump(
      message, "reading the sockets", [&](const nlmsghdr& answer) {
        if (nlmsg_valid_hdr(&answer, sizeof(inet_diag_msg)) == 0) return;
        const BoundSocket socket = BoundSocketOf(answer);
        if (socket.l4port == 0) return;
        for (const IpAddress& address : addresses) {
          if (!Receives(socket, address)) continue;
          into.insert(ListeningL4Port{protocol, socket.l4port});
          return;
        }
      });
}

}  // namespace

absl::StatusOr<L4PortRange> ParseEphemeralRange(absl::string_view text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
  uint32_t low = 0;
  uint32_t high = 0;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &low) ||
      !absl::SimpleAtoi(words[1], &high) || low == 0 || low > high ||
      high > 65535) {
    return absl::InternalError(absl::StrCat(kEphemeralPath, ": \"", text,
                                            "\" is not a range of l4ports"));
  }
  return L4PortRange{static_cast<uint16_t>(low), static_cast<uint16_t>(high)};
}

absl::StatusOr<L4PortRange> ReadEphemeralRange() {
  std::ifstream file(kEphemeralPath);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    return absl::NotFoundError(absl::StrCat("cannot read ", kEphemeralPath));
  }
  return ParseEphemeralRange(text.str());
}

absl::StatusOr<std::vector<ListeningL4Port>> ReadListeningL4Ports(
    const std::vector<IpAddress>& addresses) {
  auto netlink = NetlinkSocket::Open(NETLINK_SOCK_DIAG);
  if (!netlink.ok()) return netlink.status();
  std::set<ListeningL4Port> found;
  constexpr std::array<uint8_t, 2> kFamilies = {AF_INET, AF_INET6};
  constexpr std::array<uint8_t, 2> kProtocols = {IPPROTO_TCP, IPPROTO_UDP};
  for (const uint8_t family : kFamilies) {
    for (const uint8_t protocol : kProtocols) {
      const absl::Status status =
          CollectSockets(*netlink, family, protocol, addresses, found);
      // A dump that is Aborted changed under us: a socket may come or go right
      // after a whole one too.
      if (!status.ok() && !absl::IsAborted(status)) return status;
    }
  }
  return std::vector<ListeningL4Port>(found.begin(), found.end());
}

}  // namespace godwit
