// SPDX-License-Identifier: BSD-3-Clause
// The kernel's interfaces that a configuration makes or opens, and the sockets
// that its devices listen at; and whether it may.
#ifndef GODWIT_CONTROL_OWNERSHIP_INTERFACES_H_
#define GODWIT_CONTROL_OWNERSHIP_INTERFACES_H_

#include <string>
#include <vector>

#include "control/api/godwit.pb.h"
#include "control/intent/findings.h"
#include "control/ownership/name_hold.h"

namespace godwit {

// Where the kernel sees `uplink`: `kernel:`, or "gw-" and the uplink's name.
std::string TapNameOf(const api::Uplink& uplink);

// "services[1].queues[0]" where the queue `kernel` is first named; empty:
// nowhere.
std::string KernelQueuePath(const api::Config& config);

struct InterfaceUse {
  enum class Kind {
    kOpened,  // there before us
    kTap,
    kPair,    // `name` is the far end
    kSocket,  // `name` is the path
  };
  std::string path;   // of the field that asks for it
  std::string value;  // as written there
  Kind kind = Kind::kOpened;
  std::string name;
  std::string netns;  // empty: the daemon's own
};

std::vector<InterfaceUse> InterfacesOf(const api::Uplink& uplink, int index);
std::vector<InterfaceUse> InterfacesOf(const api::Queue& queue, int index);
// And `lo`, for the queue `kernel`.
std::vector<InterfaceUse> InterfacesOf(const api::Config& config);

// Takes the name of `use` for this process; see NameHolds.
absl::StatusOr<NameHold> Hold(const InterfaceUse& use, NameHolds& names);

// Names that `config` would have us make and that are somebody else's
// interfaces on this machine, or that another daemon than that of `ours` has.
// Nothing is said of namespaces that this process may not enter.
std::vector<Finding> CheckInterfaces(const api::Config& config,
                                     const NameHolds& ours);

}  // namespace godwit

#endif  // GODWIT_CONTROL_OWNERSHIP_INTERFACES_H_
