// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/cli/help.h"

namespace godwit::cli {
namespace {

constexpr char kDefaultSocket[] = "/run/godwit/control.sock";

// What may stand at every level; bound to the options of all of them.
struct Common {
  bool json = false;
  bool help = false;
  std::string socket = kDefaultSocket;
};

// Unknown words are collected and not thrown, so that the message can say
// what would have been known.
void Prepare(CLI::App& app, Common& common) {
  app.set_help_flag("");
  app.allow_extras();
  // Beyond one word a name such as `status` would be taken for the noun.
  app.require_subcommand(0, 1);
  app.add_flag("--json", common.json);
  app.add_flag("-h,--help", common.help);
  app.add_option("--socket", common.socket);
}

void AddVerb(CLI::App& app, const Verb& verb) {
  for (const Key& key : verb.keys) {
    const std::string name = absl::StrCat("--", key.name);
    CLI::Option* option =
        key.value.empty() ? app.add_flag(name) : app.add_option(name);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
}

std::unique_ptr<CLI::App> MakeApp(Common& common) {
  auto app = std::make_unique<CLI::App>();
  Prepare(*app, common);
  for (const Noun& noun : Nouns()) {
    Prepare(*app->add_subcommand(std::string(noun.name)), common);
  }
  for (const Verb& verb : Verbs()) {
    CLI::App* at = app->get_subcommand(std::string(verb.noun));
    if (!verb.verb.empty()) {
      at = at->add_subcommand(std::string(verb.verb));
      Prepare(*at, common);
    }
    AddVerb(*at, verb);
  }
  return app;
}

// `--key=` is a key with an empty value; CLI11 would take the next word.
std::vector<std::string> SplitEmptyValues(
    const std::vector<std::string>& words) {
  std::vector<std::string> split;
  for (const std::string& word : words) {
    if (absl::StartsWith(word, "--") && absl::EndsWith(word, "=")) {
      split.push_back(word.substr(0, word.size() - 1));
      split.push_back("");
    } else {
      split.push_back(word);
    }
  }
  return split;
}

const Noun* FindNoun(absl::string_view name) {
  for (const Noun& noun : Nouns()) {
    if (noun.name == name) return &noun;
  }
  return nullptr;
}

// The verbs of a noun; a noun that is its own verb has one with an empty name.
std::vector<const Verb*> VerbsOf(absl::string_view noun) {
  std::vector<const Verb*> verbs;
  for (const Verb& verb : Verbs()) {
    if (verb.noun == noun) verbs.push_back(&verb);
  }
  return verbs;
}

std::string NamesOf(const std::vector<const Verb*>& verbs) {
  return absl::StrJoin(verbs, ", ", [](std::string* out, const Verb* verb) {
    absl::StrAppend(out, verb->verb);
  });
}

std::string KeysOf(const Verb& verb) {
  const auto name = [](std::string* out, const Key& key) {
    absl::StrAppend(out, "--", key.name);
  };
  return absl::StrJoin({absl::StrJoin(verb.keys, ", ", name),
                        absl::StrJoin(CommonKeys(), ", ", name)},
                       verb.keys.empty() ? "" : ", ");
}

ParsedCommandLine Usage(const std::string& problem,
                        absl::string_view known_here) {
  ParsedCommandLine parsed;
  parsed.exit_code = ExitCode::kUsage;
  parsed.text = absl::StrCat("usage: ", problem, ": ", known_here, "\n");
  return parsed;
}

ParsedCommandLine Help(std::string text) {
  ParsedCommandLine parsed;
  parsed.text = std::move(text);
  return parsed;
}

bool IsKey(const std::string& word) {
  return word.size() > 1 && word[0] == '-';
}

// The first word that no level knew, or null.
const std::string* FirstUnknown(const std::vector<std::string>& words,
                                size_t known_names) {
  size_t names = 0;
  for (const std::string& word : words) {
    if (IsKey(word) || ++names > known_names) return &word;
  }
  return nullptr;
}

std::string Unknown(const std::string& word, absl::string_view what) {
  return absl::StrCat("unknown ", IsKey(word) ? "key" : what, " \"", word,
                      "\"");
}

// Reads a verb's own words, once everything in front of them was understood.
ParsedCommandLine ReadVerb(CLI::App& app, const Verb& verb,
                           const Common& common) {
  const std::vector<std::string> words = app.remaining();
  const std::string usage = UsageOf(verb);
  if (const std::string* word = FirstUnknown(words, verb.arguments.size())) {
    return IsKey(*word)
               ? Usage(Unknown(*word, ""),
                       absl::StrCat("it takes ", KeysOf(verb)))
               : Usage(absl::StrCat("\"", *word, "\" is too much"), usage);
  }
  if (words.size() < verb.arguments.size() &&
      verb.arguments[words.size()].need == Need::kRequired) {
    return Usage(absl::StrCat(verb.arguments[words.size()].name, " is missing"),
                 usage);
  }
  ParsedCommandLine parsed;
  for (const Key& key : verb.keys) {
    const CLI::Option* option = app.get_option(absl::StrCat("--", key.name));
    const std::vector<std::string>& values = option->results();
    if (values.empty()) continue;
    if (values.size() > 1) {
      return Usage(absl::StrCat("--", key.name, " is given twice"), usage);
    }
    if (key.value.empty() && values[0] != "true") {
      return Usage(absl::StrCat("--", key.name, " takes no value"), usage);
    }
    parsed.command.keys[std::string(key.name)] = values[0];
  }
  parsed.command.verb = &verb;
  parsed.command.arguments = words;
  parsed.command.socket = common.socket;
  parsed.command.format = common.json ? Format::kJson : Format::kTable;
  return parsed;
}

ParsedCommandLine Read(CLI::App& app, const Common& common) {
  const std::vector<CLI::App*> nouns = app.get_subcommands();
  const std::vector<std::string> before_noun = app.remaining();
  const std::string nouns_known = absl::StrCat(
      "nouns are ",
      absl::StrJoin(Nouns(), ", ", [](std::string* out, const Noun& noun) {
        absl::StrAppend(out, noun.name);
      }));
  if (const std::string* word = FirstUnknown(before_noun, 0)) {
    return Usage(Unknown(*word, "noun"),
                 IsKey(*word) ? "see godwitctl --help" : nouns_known);
  }
  if (nouns.empty()) {
    return common.help ? Help(HelpForAll())
                       : Usage("a noun is missing", nouns_known);
  }
  CLI::App& noun_app = *nouns.front();
  const Noun& noun = *FindNoun(noun_app.get_name());
  const std::vector<const Verb*> verbs = VerbsOf(noun.name);
  if (verbs.front()->verb.empty()) {
    return common.help ? Help(HelpForVerb(*verbs.front()))
                       : ReadVerb(noun_app, *verbs.front(), common);
  }
  const std::string verbs_known =
      absl::StrCat(noun.name, " has ", NamesOf(verbs));
  const std::vector<std::string> before_verb = noun_app.remaining();
  if (const std::string* word = FirstUnknown(before_verb, 0)) {
    return Usage(Unknown(*word, "verb"), verbs_known);
  }
  const std::vector<CLI::App*> verb_apps = noun_app.get_subcommands();
  if (verb_apps.empty()) {
    return common.help ? Help(HelpForNoun(noun))
                       : Usage("a verb is missing", verbs_known);
  }
  CLI::App& verb_app = *verb_apps.front();
  for (const Verb* verb : verbs) {
    if (verb->verb != verb_app.get_name()) continue;
    return common.help ? Help(HelpForVerb(*verb))
                       : ReadVerb(verb_app, *verb, common);
  }
  return Usage("a verb is missing", verbs_known);
}

}  // namespace

ParsedCommandLine ParseCommandLine(const std::vector<std::string>& words) {
  Common common;
  const std::unique_ptr<CLI::App> app = MakeApp(common);
  std::vector<std::string> reversed = SplitEmptyValues(words);
  std::reverse(reversed.begin(), reversed.end());  // as CLI11 wants them
  try {
    app->parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return Usage(error.what(), "see godwitctl --help");
  }
  return Read(*app, common);
}

}  // namespace godwit::cli
