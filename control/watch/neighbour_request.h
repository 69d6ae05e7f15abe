// SPDX-License-Identifier: BSD-3-Clause
// What one asks of the kernel about a neighbour.
#ifndef GODWIT_CONTROL_WATCH_NEIGHBOUR_REQUEST_H_
#define GODWIT_CONTROL_WATCH_NEIGHBOUR_REQUEST_H_

#include <compare>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "control/watch/netlink.h"
#include "dataplane/net/address.h"

namespace godwit {

// A neighbour as the kernel knows it.
struct NeighbourKey {
  int ifindex = 0;
  IpAddress address{};
  friend auto operator<=>(const NeighbourKey&, const NeighbourKey&) = default;
};

// To resolve it, or confirm it, and to keep it so by itself (kKeep:
// NTF_EXT_MANAGED, Linux 5.16) or no longer.
enum class Keeping : uint8_t { kLeave, kKeep };
absl::Status UseNeighbour(NetlinkSocket& socket, const NeighbourKey& key,
                          Keeping keeping);
// To be in `state` (NUD_*). It is no longer kept then.
absl::Status SetNeighbour(NetlinkSocket& socket, const NeighbourKey& key,
                          uint16_t state, absl::string_view what);

}  // namespace godwit

#endif  // GODWIT_CONTROL_WATCH_NEIGHBOUR_REQUEST_H_
