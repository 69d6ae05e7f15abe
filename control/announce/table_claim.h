// SPDX-License-Identifier: BSD-3-Clause
// Whose a table is: the process that owns its routes listens at a name in its
// network namespace (an abstract socket, which goes with the process), so that
// a successor finds it, and a second daemon keeps off.
#ifndef GODWIT_CONTROL_ANNOUNCE_TABLE_CLAIM_H_
#define GODWIT_CONTROL_ANNOUNCE_TABLE_CLAIM_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>

#include "absl/status/statusor.h"
#include "control/plumb/netns.h"

namespace godwit {

struct TableClaim {
  enum class State : uint8_t {
    kNobody,   // has it
    kLeft,     // an owner whose daemon is gone
    kInUse,    // by a daemon that runs
    kUnknown,  // no answer in time, or a process that is not ours to trust
  };
  State state = State::kNobody;
  pid_t owner = 0;  // the process that has the routes
};

// Changes nothing.
TableClaim AskForTable(uint32_t table, std::chrono::milliseconds patience);
// An owner whose daemon is gone lets go of the table and ends: kNobody.
TableClaim TakeTable(uint32_t table, std::chrono::milliseconds patience);

// The owner's side: listens at the name.
absl::StatusOr<OwnedFd> ClaimTable(uint32_t table);
// Answers one that has connected, `in_use` saying whether our daemon lives.
// True when it has taken the table; then `listener` is closed.
bool AnswerClaim(OwnedFd& listener, bool in_use);

}  // namespace godwit

#endif  // GODWIT_CONTROL_ANNOUNCE_TABLE_CLAIM_H_
