// SPDX-License-Identifier: BSD-3-Clause
// One interface of the calling thread's network namespace. Every change may be
// repeated; a missing interface is NotFound and named.
#ifndef GODWIT_CONTROL_PLUMB_LINK_H_
#define GODWIT_CONTROL_PLUMB_LINK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dataplane/net/address.h"

namespace godwit {

struct LinkDetails {
  int ifindex = 0;
  std::string kind;   // "veth", "tun"; empty for hardware
  std::string alias;  // ifalias: what its maker wrote there
  MacAddress mac{};
  uint32_t mtu = 0;  // bytes above the link header
  bool up = false;
  bool carrier = false;
  bool attached = false;     // carrier, also while it is down: of a TAP, that
                             // somebody has it open
  uint32_t open_queues = 0;  // of a TAP: by which a program takes packets
  uint32_t rxqs = 0;         // allocated, not all need be in use
  uint32_t txqs = 0;
  int peer_ifindex = 0;         // IFLA_LINK, in the peer's namespace; 0: none
  bool peer_elsewhere = false;  // the peer is in another namespace
};

// 1-15 bytes, no slash, no white space, neither "." nor "..".
absl::Status CheckLinkName(absl::string_view name);

absl::StatusOr<LinkDetails> GetLink(absl::string_view name);
bool LinkExists(absl::string_view name);
absl::StatusOr<int> IfIndex(absl::string_view name);
absl::StatusOr<MacAddress> GetMac(absl::string_view name);
// The interface of that VLAN on `name`, as the system's network configuration
// calls it (eth1.100); empty if there is none.
std::string VlanInterfaceOn(absl::string_view name, uint16_t vlan);
// A locally administered address, the same on every start.
MacAddress MacFor(absl::string_view name);

absl::Status SetMac(absl::string_view name, const MacAddress& mac);
absl::Status SetMtu(absl::string_view name, uint32_t mtu);
absl::Status SetUp(absl::string_view name);
absl::Status SetAlias(absl::string_view name, absl::string_view alias);
// What is no longer there is no error.
absl::Status DeleteLink(absl::string_view name);
// Into a namespace by name; it loses its addresses and goes down. Done already
// (it is there and not here): OK.
absl::Status MoveToNetns(absl::string_view name, absl::string_view netns);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_LINK_H_
