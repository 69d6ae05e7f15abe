// SPDX-License-Identifier: BSD-3-Clause
//
// What each verb asks of the daemon, and what it has to say afterwards.
#ifndef GODWIT_CONTROL_CLI_CALLS_H_
#define GODWIT_CONTROL_CLI_CALLS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control/cli/client.h"
#include "control/cli/command_line.h"

namespace godwit::cli {

struct Answer {
  std::string text;                   // a table or JSON, for stdout
  std::vector<std::string> warnings;  // for stderr, one line each
};

// The command's verb and arguments as ParseCommandLine() gives them; the
// values of its keys are looked at here. The error is the operator's to read:
// INVALID_ARGUMENT for a value that can't be, else the daemon's own.
absl::StatusOr<Answer> Perform(const Command& command, Client& client);

// `config check` by the rules of the file alone.
absl::StatusOr<Answer> CheckWithoutDaemon(const Command& command);

// `version` of this program alone.
Answer VersionWithoutDaemon(const Command& command);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_CALLS_H_
