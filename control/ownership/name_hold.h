// SPDX-License-Identifier: BSD-3-Clause
// The names of interfaces that a live daemon has. Two daemons on one interface
// would take its sockets, programs and addresses from each other, so the
// second is to be told before it touches anything.
#ifndef GODWIT_CONTROL_OWNERSHIP_NAME_HOLD_H_
#define GODWIT_CONTROL_OWNERSHIP_NAME_HOLD_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control/plumb/netns.h"

namespace godwit {

// Held until the last copy is gone, and never longer than the process lives.
using NameHold = std::shared_ptr<const OwnedFd>;

// Those of one process. A hold is a listening socket "\0godwit/IFNAME" in the
// daemon's own namespace, "\0godwit/IFNAME@INODE" for an interface in another:
// a socket in there would keep a deleted namespace alive.
class NameHolds {
 public:
  // Held by this object already: the same again. AlreadyExists, with its
  // process id, if another process has it.
  absl::StatusOr<NameHold> Hold(const std::string& name,
                                const std::string& netns);

 private:
  std::map<std::string, std::weak_ptr<const OwnedFd>> held_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_OWNERSHIP_NAME_HOLD_H_
