// SPDX-License-Identifier: BSD-3-Clause
//
// Words on the command line -> which verb, with what.
#ifndef GODWIT_CONTROL_CLI_COMMAND_LINE_H_
#define GODWIT_CONTROL_CLI_COMMAND_LINE_H_

#include <map>
#include <string>
#include <vector>

#include "control/cli/verbs.h"

namespace godwit::cli {

// What scripts may rely on.
enum class ExitCode {
  kDone = 0,
  kRefused = 1,      // one line on stderr: what, why, what is allowed
  kUsage = 2,        // the command line is none
  kUnreachable = 3,  // no daemon answers on the socket
};

enum class Format { kTable, kJson };

struct Command {
  const Verb* verb = nullptr;  // in Verbs()
  std::vector<std::string> arguments;
  std::map<std::string, std::string> keys;  // a flag's value is "true"
  std::string socket;
  Format format = Format::kTable;
};

// Either a command to run, or what to print at once and end with `exit_code`:
// to stdout if that is kDone, else to stderr.
struct ParsedCommandLine {
  Command command;  // to run if its verb is set
  ExitCode exit_code = ExitCode::kDone;
  std::string text;  // ends in a newline
};

// `words` are those after the program's name. --json, --socket and --help may
// stand anywhere; a verb's own keys anywhere after the verb. Values are not
// looked at here, only that they are there.
ParsedCommandLine ParseCommandLine(const std::vector<std::string>& words);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_COMMAND_LINE_H_
