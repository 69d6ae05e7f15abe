// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/run.h"

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "control/api/utf8.h"
#include "control/cli/calls.h"
#include "control/cli/client.h"
#include "control/cli/values.h"

namespace godwit::cli {
namespace {

// Errors of a file begin with FILE:LINE and have a line each, so that editors
// find them; any other refusal is one line.
bool IsOfFile(const Command& command, absl::string_view message) {
  const Verb& verb = *command.verb;
  return !verb.arguments.empty() && verb.arguments[0].names == Names::kFile &&
         absl::StartsWith(message, absl::StrCat(command.arguments[0], ":"));
}

Outcome Failed(const Command& command, const absl::Status& status) {
  Outcome outcome;
  const std::string message(status.message());
  if (absl::IsUnavailable(status)) {
    outcome.exit_code = ExitCode::kUnreachable;
    outcome.err = absl::StrCat(message, "\n");
    return outcome;
  }
  outcome.exit_code = ExitCode::kRefused;
  outcome.err =
      IsOfFile(command, message)
          ? absl::StrCat(message, "\n")
          : absl::StrCat("refused: ",
                         absl::StrReplaceAll(message, {{"\n", "; "}}), "\n");
  return outcome;
}

Outcome Done(const Answer& answer) {
  Outcome outcome;
  outcome.out = answer.text;
  for (const std::string& warning : answer.warnings) {
    absl::StrAppend(&outcome.err, "warning: ", warning, "\n");
  }
  return outcome;
}

Outcome CheckAlone(const Command& command) {
  const absl::StatusOr<Answer> answer = CheckWithoutDaemon(command);
  return answer.ok() ? Done(*answer) : Failed(command, answer.status());
}

// What can be done with nobody there.
Outcome WithoutDaemon(const Command& command, const absl::Status& why) {
  if (command.verb->action == Action::kConfigCheck) return CheckAlone(command);
  Outcome outcome = Failed(command, why);
  if (command.verb->action == Action::kVersion) {
    outcome.out = VersionWithoutDaemon(command).text;
  }
  return outcome;
}

}  // namespace

Outcome Run(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (IsUtf8(word)) continue;
    Outcome outcome;
    outcome.exit_code = ExitCode::kUsage;
    outcome.err =
        absl::StrCat("\"", absl::CHexEscape(word), "\" is not text in UTF-8\n");
    return outcome;
  }
  const ParsedCommandLine parsed = ParseCommandLine(words);
  if (parsed.command.verb == nullptr) {
    Outcome outcome;
    outcome.exit_code = parsed.exit_code;
    (parsed.exit_code == ExitCode::kDone ? outcome.out : outcome.err) =
        parsed.text;
    return outcome;
  }
  // The daemon would look at its own machine.
  if (parsed.command.keys.contains("file-only")) {
    return CheckAlone(parsed.command);
  }
  absl::StatusOr<Client> client = Client::Connect(parsed.command.socket);
  if (!client.ok()) return WithoutDaemon(parsed.command, client.status());
  const absl::StatusOr<Answer> answer = Perform(parsed.command, *client);
  return answer.ok() ? Done(*answer) : Failed(parsed.command, answer.status());
}

}  // namespace godwit::cli
