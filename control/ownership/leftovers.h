// SPDX-License-Identifier: BSD-3-Clause
// What a daemon that was killed has left on interfaces: tc and XDP programs.
// Those that its successor has a use for are replaced when that attaches its
// own.
#ifndef GODWIT_CONTROL_OWNERSHIP_LEFTOVERS_H_
#define GODWIT_CONTROL_OWNERSHIP_LEFTOVERS_H_

#include <set>
#include <string>
#include <vector>

#include "control/ownership/name_hold.h"

namespace godwit {

// Removes our programs from all interfaces of this namespace that no other
// live daemon holds, save what this process has attached. A line for each.
std::vector<std::string> RemoveLeftovers(NameHolds& names);

// Nobody has come to take over what an XDP program drops on these interfaces:
// it is removed where no live daemon holds the interface.
void RemoveSteering(const std::set<std::string>& interfaces);

}  // namespace godwit

#endif  // GODWIT_CONTROL_OWNERSHIP_LEFTOVERS_H_
