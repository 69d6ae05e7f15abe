// SPDX-License-Identifier: BSD-3-Clause
// The inside of a queue's namespace (`netns:`): what makes an unmodified
// server that binds a service address just work there.
#ifndef GODWIT_CONTROL_PLUMB_QUEUE_NETNS_H_
#define GODWIT_CONTROL_PLUMB_QUEUE_NETNS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "dataplane/net/address.h"

namespace godwit {

// The next hops that programs see; their neighbour entries are permanent.
IpAddress GatewayV4();  // 169.254.103.119
IpAddress GatewayV6();  // fe80::6777

// What a namespace without a service address of a family originates from: on
// loopback, never seen outside. Not link-local: such sources are dropped.
IpAddress PrivateV4();  // 100.127.103.119 (RFC 6598)
IpAddress PrivateV6();  // fd67:6f64:7769:74::1 (RFC 4193)

struct QueueNetns {
  std::string netns{};       // a name under /run/netns; it must exist
  std::string ifname{};      // the queue's interface, in there already
  MacAddress gateway_mac{};  // ours, that frames are to be sent to
  // Of all services that have a queue in this namespace.
  std::vector<IpAddress> service_addresses{};
};

// In there: loopback and `ifname` up, offloads off, service addresses as /32
// and /128 on loopback, default routes through `ifname` with the first service
// address of the family as preferred source, neighbour entries; rp_filter not
// in the way, accept_ra and duplicate detection off on `ifname`.
// A default route of somebody else stays; ours has metric 74 or the next free
// one. Repeating it repairs what is missing.
absl::Status PlumbQueueNetns(const QueueNetns& queue_netns);

// Service addresses have changed: adds what is missing and removes, of those
// that we added, what is not wanted any more. Default routes follow. `wanted`
// are those of all services with a queue in this namespace.
absl::Status SetServiceAddresses(absl::string_view netns,
                                 const std::vector<IpAddress>& wanted);

// Removes all addresses and routes that we made in there. A namespace that is
// gone is no error.
absl::Status UnplumbQueueNetns(absl::string_view netns);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_QUEUE_NETNS_H_
