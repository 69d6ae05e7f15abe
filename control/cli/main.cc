// SPDX-License-Identifier: BSD-3-Clause
//
// godwitctl: asks a running godwitd, and changes it.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "control/cli/run.h"

int main(int argc, char** argv) {
  // What gRPC has to say about a socket is said by us, in one line.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  const godwit::cli::Outcome outcome =
      godwit::cli::Run(std::vector<std::string>(argv + 1, argv + argc));
  std::fputs(outcome.err.c_str(), stderr);
  std::fputs(outcome.out.c_str(), stdout);
  if (std::fflush(stdout) != 0) {
    std::perror("godwitctl: stdout");
    return static_cast<int>(godwit::cli::ExitCode::kRefused);
  }
  return static_cast<int>(outcome.exit_code);
}
