// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/help.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace godwit::cli {
namespace {

constexpr char kProgram[] = "godwitctl";

using Rows = std::vector<std::pair<std::string, std::string>>;

// Two columns under a heading; nothing if there are no rows.
std::string Section(absl::string_view heading, const Rows& rows) {
  if (rows.empty()) return "";
  size_t width = 0;
  for (const auto& [left, right] : rows) width = std::max(width, left.size());
  std::string text = absl::StrCat("\n", heading, ":\n");
  for (const auto& [left, right] : rows) {
    absl::StrAppend(&text, "  ", left,
                    std::string(width - left.size() + 2, ' '), right, "\n");
  }
  return text;
}

std::string Examples(const std::vector<absl::string_view>& lines) {
  std::string text = "\nExamples:\n";
  for (absl::string_view line : lines) {
    absl::StrAppend(&text, "  ", kProgram, " ", line, "\n");
  }
  return text;
}

Rows RowsOf(absl::Span<const Key> keys) {
  Rows rows;
  for (const Key& key : keys) {
    rows.emplace_back(
        absl::StrCat("--", key.name, key.value.empty() ? "" : "=", key.value),
        std::string(key.help));
  }
  return rows;
}

std::string WordsOf(const Verb& verb) {
  return absl::StrCat(verb.noun, verb.verb.empty() ? "" : " ", verb.verb);
}

absl::string_view FirstLine(absl::string_view text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::string UsageOf(const Verb& verb) {
  std::string usage = absl::StrCat(kProgram, " ", WordsOf(verb));
  for (const Argument& argument : verb.arguments) {
    const bool optional = argument.need == Need::kOptional;
    absl::StrAppend(&usage, optional ? " [" : " ", argument.name,
                    optional ? "]" : "");
  }
  if (!verb.keys.empty()) absl::StrAppend(&usage, " [--key=value ...]");
  return usage;
}

std::string HelpForVerb(const Verb& verb) {
  Rows arguments;
  for (const Argument& argument : verb.arguments) {
    arguments.emplace_back(argument.name, argument.help);
  }
  return absl::StrCat("Usage: ", UsageOf(verb), "\n\n", verb.help, "\n",
                      Section("Arguments", arguments),
                      Section("Keys", RowsOf(verb.keys)),
                      Section("Everywhere", RowsOf(CommonKeys())),
                      Examples(absl::StrSplit(verb.examples, '\n')));
}

std::string HelpForNoun(const Noun& noun) {
  Rows verbs;
  std::vector<absl::string_view> examples;
  for (const Verb& verb : Verbs()) {
    if (verb.noun != noun.name) continue;
    verbs.emplace_back(verb.verb, verb.help);
    examples.push_back(FirstLine(verb.examples));
  }
  return absl::StrCat(
      "Usage: ", kProgram, " ", noun.name, " VERB [NAME] [--key=value ...]\n\n",
      noun.name, ": ", noun.help, ".\n", Section("Verbs", verbs),
      Section("Everywhere", RowsOf(CommonKeys())), Examples(examples),
      "\nMore: ", kProgram, " ", noun.name, " VERB --help\n");
}

std::string HelpForAll() {
  Rows nouns;
  for (const Noun& noun : Nouns()) {
    std::vector<absl::string_view> verbs;
    for (const Verb& verb : Verbs()) {
      if (verb.noun == noun.name && !verb.verb.empty()) {
        verbs.push_back(verb.verb);
      }
    }
    nouns.emplace_back(
        verbs.empty() ? std::string(noun.name)
                      : absl::StrCat(noun.name, " ", absl::StrJoin(verbs, "|")),
        noun.help);
  }
  return absl::StrCat(
      "Usage: ", kProgram,
      " [--socket PATH] [--json] NOUN VERB [NAME] [--key=value ...]\n\n"
      "Asks a running godwitd, and changes it: every change takes effect "
      "between two\npackets, or not at all.\n",
      Section("Nouns and verbs", nouns),
      Section("Everywhere", RowsOf(CommonKeys())),
      Examples({"status", "service list", "service set dns --queues=dns0,dns1",
                "queue drain dns0", "flow list --client=198.51.100.0/24",
                "explain udp 198.51.100.7:4000 192.0.2.53:53",
                "counters --drops --nonzero --json"}),
      "\nExit: 0 done, 1 refused, 2 usage, 3 daemon not reachable. More: ",
      kProgram, " NOUN --help\n");
}

}  // namespace godwit::cli
