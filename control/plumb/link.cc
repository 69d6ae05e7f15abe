// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/link.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "control/plumb/netns.h"
#include "control/watch/netlink.h"

namespace godwit {
namespace {

// Of several that a TAP can have; nullopt if it can have one only.
std::optional<uint32_t> OpenQueues(nlattr* tun) {
  nlattr* table[IFLA_TUN_MAX + 1];
  if (tun == nullptr ||
      nla_parse_nested(table, IFLA_TUN_MAX, tun, nullptr) != 0) {
    return std::nullopt;
  }
  return ReadU32(table[IFLA_TUN_NUM_QUEUES]);
}

LinkDetails DetailsOf(const nlmsghdr& message) {
  LinkDetails details;
  nlattr* table[IFLA_MAX + 1];
  if (nlmsg_parse(const_cast<nlmsghdr*>(&message), sizeof(ifinfomsg), table,
                  IFLA_MAX, nullptr) != 0) {
    return details;
  }
  const auto& header = *static_cast<const ifinfomsg*>(nlmsg_data(&message));
  details.ifindex = header.ifi_index;
  details.up = (header.ifi_flags & IFF_UP) != 0;
  details.carrier = (header.ifi_flags & IFF_LOWER_UP) != 0;
  details.attached =
      table[IFLA_CARRIER] != nullptr && nla_get_u8(table[IFLA_CARRIER]) != 0;
  details.mac = ReadMac(table[IFLA_ADDRESS]).value_or(MacAddress{});
  details.mtu = ReadU32(table[IFLA_MTU]).value_or(0);
  details.rxqs = ReadU32(table[IFLA_NUM_RX_QUEUES]).value_or(1);
  details.txqs = ReadU32(table[IFLA_NUM_TX_QUEUES]).value_or(1);
  details.peer_ifindex =
      static_cast<int>(ReadU32(table[IFLA_LINK]).value_or(0));
  details.peer_elsewhere = table[IFLA_LINK_NETNSID] != nullptr;
  if (table[IFLA_IFALIAS] != nullptr) {
    details.alias = nla_get_string(table[IFLA_IFALIAS]);
  }
  if (table[IFLA_LINKINFO] != nullptr) {
    nlattr* info[IFLA_INFO_MAX + 1];
    if (nla_parse_nested(info, IFLA_INFO_MAX, table[IFLA_LINKINFO], nullptr) ==
            0 &&
        info[IFLA_INFO_KIND] != nullptr) {
      details.kind = nla_get_string(info[IFLA_INFO_KIND]);
    }
    if (details.kind == "tun") {
      details.open_queues =
          OpenQueues(info[IFLA_INFO_DATA]).value_or(details.attached ? 1 : 0);
    }
  }
  return details;
}

std::string Describe(absl::string_view name, absl::string_view what) {
  return absl::StrCat("interface \"", name, "\": ", what);
}

// Sends an RTM_NEWLINK that changes the interface `name`; `fill` adds
// attributes and flags.
absl::Status ChangeLink(
    absl::string_view name, absl::string_view what,
    absl::FunctionRef<void(ifinfomsg&)> header_of,
    absl::FunctionRef<void(NetlinkMessage&)> attributes_of) {
  const auto link = GetLink(name);
  if (!link.ok()) return link.status();
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  ifinfomsg header{};
  header.ifi_index = link->ifindex;
  header_of(header);
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.Append(header);
  attributes_of(message);
  return socket->Request(message, Describe(name, what));
}

}  // namespace

absl::Status CheckLinkName(absl::string_view name) {
  bool valid =
      !name.empty() && name.size() < IFNAMSIZ && name != "." && name != "..";
  for (const char c : name) {
    if (c == '/' || c == ':' || absl::ascii_isspace(static_cast<uint8_t>(c))) {
      valid = false;
    }
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Describe(name,
               "a name has 1 to 15 bytes, without slash, colon and white "
               "space"));
}

absl::StatusOr<LinkDetails> GetLink(absl::string_view name) {
  const absl::Status valid = CheckLinkName(name);
  if (!valid.ok()) return valid;
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  NetlinkMessage message(RTM_GETLINK, 0);
  message.Append(ifinfomsg{});
  message.PutString(IFLA_IFNAME, name);
  LinkDetails details;
  const absl::Status status = socket->Get(
      message, Describe(name, "reading it"),
      [&details](const nlmsghdr& answer) { details = DetailsOf(answer); });
  if (absl::IsNotFound(status)) {
    return absl::NotFoundError(Describe(name, "there is none of that name"));
  }
  if (!status.ok()) return status;
  return details;
}

bool LinkExists(absl::string_view name) { return GetLink(name).ok(); }

absl::StatusOr<int> IfIndex(absl::string_view name) {
  const auto link = GetLink(name);
  if (!link.ok()) return link.status();
  return link->ifindex;
}

absl::StatusOr<MacAddress> GetMac(absl::string_view name) {
  const auto link = GetLink(name);
  if (!link.ok()) return link.status();
  return link->mac;
}

std::string VlanInterfaceOn(absl::string_view name, uint16_t vlan) {
  if (vlan == 0) return "";
  std::string tagged = absl::StrCat(name, ".", vlan);
  return LinkExists(tagged) ? tagged : "";
}

MacAddress MacFor(absl::string_view name) {
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const char c : name) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  }
  return {0x02,
          0x67,
          static_cast<uint8_t>(hash >> 24),
          static_cast<uint8_t>(hash >> 16),
          static_cast<uint8_t>(hash >> 8),
          static_cast<uint8_t>(hash)};
}

absl::Status SetMac(absl::string_view name, const MacAddress& mac) {
  const auto old = GetMac(name);
  if (!old.ok()) return old.status();
  if (*old == mac) return absl::OkStatus();
  return ChangeLink(
      name, absl::StrCat("setting its MAC to ", MacToString(mac)),
      [](ifinfomsg&) {},
      [&mac](NetlinkMessage& message) { message.PutMac(IFLA_ADDRESS, mac); });
}

absl::Status SetMtu(absl::string_view name, uint32_t mtu) {
  const auto link = GetLink(name);
  if (!link.ok()) return link.status();
  if (link->mtu == mtu) return absl::OkStatus();
  return ChangeLink(
      name, absl::StrCat("setting its MTU to ", mtu), [](ifinfomsg&) {},
      [mtu](NetlinkMessage& message) { message.PutU32(IFLA_MTU, mtu); });
}

absl::Status SetUp(absl::string_view name) {
  const auto link = GetLink(name);
  if (!link.ok()) return link.status();
  if (link->up) return absl::OkStatus();
  return ChangeLink(
      name, "setting it up",
      [](ifinfomsg& header) {
        header.ifi_flags = IFF_UP;
        header.ifi_change = IFF_UP;
      },
      [](NetlinkMessage&) {});
}

absl::Status SetAlias(absl::string_view name, absl::string_view alias) {
  return ChangeLink(
      name, "setting its alias", [](ifinfomsg&) {},
      [alias](NetlinkMessage& message) {
        message.PutString(IFLA_IFALIAS, alias);
      });
}

absl::Status DeleteLink(absl::string_view name) {
  const auto link = GetLink(name);
  if (absl::IsNotFound(link.status())) return absl::OkStatus();
  if (!link.ok()) return link.status();
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket.status();
  ifinfomsg header{};
  header.ifi_index = link->ifindex;
  NetlinkMessage message(RTM_DELLINK, 0);
  message.Append(header);
  return socket->Request(message, Describe(name, "deleting it"));
}

absl::Status MoveToNetns(absl::string_view name, absl::string_view netns) {
  const auto target = OpenNetns(netns);
  if (!target.ok()) return target.status();
  if (!LinkExists(name)) {
    return RunInNetns(netns, [name] { return GetLink(name).status(); });
  }
  return ChangeLink(
      name, absl::StrCat("moving it to netns \"", netns, "\""),
      [](ifinfomsg&) {},
      [&target](NetlinkMessage& message) {
        message.PutU32(IFLA_NET_NS_FD, static_cast<uint32_t>(target->get()));
      });
}

}  // namespace godwit
