// SPDX-License-Identifier: BSD-3-Clause
// What a daemon that was killed has left: tc and XDP programs on interfaces,
// and interfaces that it made. Programs that its successor has a use for are
// replaced when that attaches its own; interfaces are taken over as they are.
#ifndef GODWIT_CONTROL_OWNERSHIP_LEFTOVERS_H_
#define GODWIT_CONTROL_OWNERSHIP_LEFTOVERS_H_

#include <set>
#include <string>
#include <vector>

#include "control/api/godwit.pb.h"
#include "control/ownership/name_hold.h"

namespace godwit {

// Removes our programs from all interfaces of this namespace that no other
// live daemon holds, save what this process has attached. A line for each.
std::vector<std::string> RemoveLeftovers(NameHolds& names);

// Nobody has come to take over what an XDP program drops on these interfaces:
// it is removed where no live daemon holds the interface.
void RemoveSteering(const std::set<std::string>& interfaces);

// An interface that a daemon makes, in words for RemoveMade. `netns`: empty,
// the daemon's own.
std::string MadeTap(const std::string& name, const std::string& netns);
std::string MadePair(const std::string& far_name, const std::string& netns);

// Removes, of what a daemon on this socket had made, what `now` does not have:
// if it carries our mark still, and no other live daemon holds it. In a
// namespace without a queue of `now` addresses and routes go, too. A line for
// each.
std::vector<std::string> RemoveMade(const std::vector<std::string>& made,
                                    const api::Config& now, NameHolds& names);

}  // namespace godwit

#endif  // GODWIT_CONTROL_OWNERSHIP_LEFTOVERS_H_
