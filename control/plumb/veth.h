// SPDX-License-Identifier: BSD-3-Clause
// The pair behind a `veth:IFNAME` service queue: the far end is the local
// program's, the near end ours, driven by AF_XDP.
#ifndef GODWIT_CONTROL_PLUMB_VETH_H_
#define GODWIT_CONTROL_PLUMB_VETH_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dataplane/net/address.h"

namespace godwit {

struct VethSpec {
  std::string far_name{};  // IFNAME
  std::string netns{};     // the far end's namespace; empty: the caller's own
  uint32_t rxqs = 1;       // of each end, and as many txqs: XDP wants the near
                           // end's receive side to match the far end's sending
  uint32_t mtu = 1500;     // of both ends, 68-3506 (AF_XDP frames fit a page)
};

struct VethPair {
  std::string near_name{};
  int near_ifindex = 0;  // in the caller's namespace
  MacAddress near_mac{};
  MacAddress far_mac{};  // zero if the operator moved the far end elsewhere
};

// "gw-" + the far name's first 7 bytes + "-" + 4 hex digits of a hash of
// namespace and far name: at most 15 bytes, the same on every start.
std::string NearName(absl::string_view far_name, absl::string_view netns);

// Deletes the pair if it carries our mark; whether it did.
absl::StatusOr<bool> DeleteOurPair(const std::string& far_name,
                                   const std::string& netns);

// AlreadyExists if one of the two names belongs to somebody else's interface,
// so that CreateVethPair would refuse.
absl::Status CheckVethNames(const std::string& far_name,
                            const std::string& netns);

// Makes the pair, the far end directly in its namespace, or takes up the one
// an earlier run left (MACs, addresses and routes of the far end stay); one
// that does not fit any more is made anew. A far end without `netns` may be
// moved by the operator; it is then left as it is. Both ends come up. The near
// end is without IPv6, so that the kernel says nothing there; the far end is
// without offloads. MACs are locally administered and the same on every start.
// AlreadyExists if one of the names belongs to somebody else's interface.
// Undone by DeleteLink(near_name).
absl::StatusOr<VethPair> CreateVethPair(const VethSpec& spec);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_VETH_H_
