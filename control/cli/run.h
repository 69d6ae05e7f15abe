// SPDX-License-Identifier: BSD-3-Clause
//
// A command -> a call -> what to print and how to exit.
#ifndef GODWIT_CONTROL_CLI_RUN_H_
#define GODWIT_CONTROL_CLI_RUN_H_

#include <string>
#include <vector>

#include "control/cli/command_line.h"

namespace godwit::cli {

struct Outcome {
  ExitCode exit_code = ExitCode::kDone;
  std::string out;  // for stdout
  std::string err;  // for stderr: why it failed, or warnings
};

// The whole program but for printing. `words` are those after its name.
Outcome Run(const std::vector<std::string>& words);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_RUN_H_
