// SPDX-License-Identifier: BSD-3-Clause
// The kernel's side of an uplink: the TAP of a bypass device (`kernel:`), or
// the interface itself of an `xdp:` one.
#ifndef GODWIT_CONTROL_PLUMB_UPLINK_H_
#define GODWIT_CONTROL_PLUMB_UPLINK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dataplane/net/address.h"

namespace godwit {

// How many programs' queues a TAP has; who attaches must ask for the same
// (DPDK's TAP driver: several, virtio-user with one pair: single).
enum class TapMode { kSingleQueue, kMultiQueue };

// A TAP that stays when nobody has it open: its addresses, routes and MAC
// survive the process. One that exists already is taken as it is;
// AlreadyExists if the name is another kind of interface.
// Undone by DeleteLink(name).
absl::Status CreatePersistentTap(absl::string_view name, TapMode mode);

// What becomes of rp_filter. On a TAP, packets come in whose answer leaves
// elsewhere; on an interface that is the kernel's own it is the operator's.
enum class ReversePathFilter { kRelax, kKeep };

struct KernelUplink {
  std::string ifname{};             // the TAP or the interface; must exist
  std::optional<MacAddress> mac{};  // a TAP takes the device's own MAC
  std::optional<uint32_t> mtu{};    // bytes
  std::vector<Prefix> addresses{};  // with host bits
  std::vector<IpAddress> gateways{};
  ReversePathFilter reverse_path_filter = ReversePathFilter::kRelax;
};

// Sets what is given and brings the interface up; a TAP's offloads are turned
// off (call it after its driver has started, which may turn them on). What is
// there already stays, whoever made it. A default route gets metric 74 or the
// next free one. A TAP that is given no IPv4 address gets one that only this
// host can use: rp_filter drops everything on an interface without.
absl::Status PlumbUplink(const KernelUplink& uplink);

// A TAP beside an interface that the kernel has itself: nothing is to be said
// on it, no link-local address, MLD or router solicitation of its own. Call it
// before the TAP is up.
absl::Status KeepQuiet(absl::string_view ifname);

// ANY-25: what is bound to loopback is nobody's business on this link. Its own
// addresses are the node's: they need no check that delays them.
absl::Status KeepServiceAddressesQuiet(absl::string_view ifname);

// The MTU of a TAP beside an interface that the kernel has itself. It is the
// queue `kernel` alone: what comes for that from the uplink must pass, and what
// the usual queue sends, which never sees the uplink.
absl::StatusOr<uint16_t> MtuOfTapBeside(absl::string_view ifname);

// Removes the addresses and default routes that we made on `ifname`; an
// interface that is gone is no error.
absl::Status UnplumbUplink(absl::string_view ifname);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_UPLINK_H_
