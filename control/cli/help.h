// SPDX-License-Identifier: BSD-3-Clause
//
// The table of verbs as text that teaches: every level has examples.
#ifndef GODWIT_CONTROL_CLI_HELP_H_
#define GODWIT_CONTROL_CLI_HELP_H_

#include <string>

#include "absl/strings/string_view.h"
#include "control/cli/verbs.h"

namespace godwit::cli {

// `godwitctl --help`.
std::string HelpForAll();

// `godwitctl NOUN --help`; the noun is one of Nouns() with verbs of its own.
std::string HelpForNoun(const Noun& noun);

// `godwitctl NOUN VERB --help`.
std::string HelpForVerb(const Verb& verb);

// Such as `godwitctl service set NAME [--key=value ...]`.
std::string UsageOf(const Verb& verb);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_HELP_H_
