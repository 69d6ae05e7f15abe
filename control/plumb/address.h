// SPDX-License-Identifier: BSD-3-Clause
// Addresses and neighbours of interfaces, in the socket's namespace.
#ifndef GODWIT_CONTROL_PLUMB_ADDRESS_H_
#define GODWIT_CONTROL_PLUMB_ADDRESS_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "control/watch/netlink.h"
#include "dataplane/net/address.h"

namespace godwit {

// Written into every address and route that we make (IFA_PROTO, rtm_protocol),
// so that we find ours again, after a restart too, and leave others alone.
// Linux before 5.18 does not keep it on addresses: those then stay.
inline constexpr uint8_t kPlumbProtocol = 74;

// Adds it as ours unless that interface has it, whoever made it. IPv6 without
// duplicate address detection: it can be used at once.
absl::Status EnsureAddress(NetlinkSocket& socket, int ifindex,
                           const Prefix& prefix);

// What is no longer there is no error.
absl::Status RemoveAddress(NetlinkSocket& socket, int ifindex,
                           const Prefix& prefix);

// Removes, of the addresses of `ifindex` that we made, all but `keep`.
absl::Status RemoveOurAddresses(NetlinkSocket& socket, int ifindex,
                                const std::vector<Prefix>& keep);

// A permanent entry, in place of whatever is known of `address`.
absl::Status SetNeighbour(NetlinkSocket& socket, int ifindex,
                          const IpAddress& address, const MacAddress& mac);

// The kernel forgets the neighbours of an interface whose MAC is set, to the
// same one too. Those of `ifname` are there again after such `work`: permanent
// ones as they were, others to be verified when they are used. In the namespace
// `netns`, empty: the caller's. No interface of that name: just `work`.
void KeepingNeighbours(absl::string_view ifname, absl::string_view netns,
                       absl::FunctionRef<void()> work);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_ADDRESS_H_
