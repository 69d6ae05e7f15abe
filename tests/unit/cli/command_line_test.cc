// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/cli/help.h"

namespace godwit::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

ParsedCommandLine Parse(absl::string_view line) {
  return ParseCommandLine(absl::StrSplit(line, ' ', absl::SkipEmpty()));
}

std::string WordsOf(const Verb& verb) {
  return absl::StrCat(verb.noun, verb.verb.empty() ? "" : " ", verb.verb);
}

// The command that `line` must be.
Command Good(absl::string_view line) {
  ParsedCommandLine parsed = Parse(line);
  EXPECT_NE(parsed.command.verb, nullptr) << line << ": " << parsed.text;
  EXPECT_EQ(parsed.exit_code, ExitCode::kDone);
  return parsed.command;
}

TEST(CommandLineTest, ReadsVerbArgumentsAndKeys) {
  const Command command =
      Good("service set dns --ports=udp/53,tcp/53 --queues=dns0,dns1:10");
  EXPECT_EQ(command.verb->action, Action::kServiceSet);
  EXPECT_THAT(command.arguments, ElementsAre("dns"));
  EXPECT_THAT(command.keys,
              UnorderedElementsAre(Pair("ports", "udp/53,tcp/53"),
                                   Pair("queues", "dns0,dns1:10")));
  EXPECT_EQ(command.socket, "/run/godwit/control.sock");
  EXPECT_EQ(command.format, Format::kTable);
}

TEST(CommandLineTest, TakesCommonKeysAnywhere) {
  for (const char* line : {"--json --socket /s service show dns",
                           "--json --socket=/s service show dns",
                           "service --json show --socket /s dns",
                           "service show --socket=/s dns --json",
                           "service show dns --json --socket /s"}) {
    const Command command = Good(line);
    EXPECT_EQ(command.format, Format::kJson) << line;
    EXPECT_EQ(command.socket, "/s") << line;
    EXPECT_THAT(command.arguments, ElementsAre("dns")) << line;
  }
}

TEST(CommandLineTest, TakesKeysBeforeAndAfterTheArgument) {
  for (const char* line :
       {"service set --affinity=flow dns", "service set dns --affinity flow",
        "service set --affinity flow dns"}) {
    const Command command = Good(line);
    EXPECT_THAT(command.arguments, ElementsAre("dns")) << line;
    EXPECT_THAT(command.keys, ElementsAre(Pair("affinity", "flow"))) << line;
  }
}

TEST(CommandLineTest, TakesAnEmptyValueAndNotTheNextWordForIt) {
  EXPECT_THAT(Good("service set dns --affinity= --ports=").keys,
              UnorderedElementsAre(Pair("affinity", ""), Pair("ports", "")));
  EXPECT_THAT(Good("service set --affinity= dns").arguments,
              ElementsAre("dns"));
}

TEST(CommandLineTest, TakesNestedKeysAndFlags) {
  EXPECT_THAT(Good("queue set dns0 --limits.flows=5").keys,
              ElementsAre(Pair("limits.flows", "5")));
  EXPECT_THAT(Good("egress set --timeouts.udp=300s").keys,
              ElementsAre(Pair("timeouts.udp", "300s")));
  EXPECT_THAT(
      Good("counters --drops --nonzero").keys,
      UnorderedElementsAre(Pair("drops", "true"), Pair("nonzero", "true")));
}

TEST(CommandLineTest, TakesValuesAsTheyAre) {
  const Command command =
      Good("explain udp [2001:db8::1]:4000 [2001:db8::53] --from=a=b");
  EXPECT_THAT(command.arguments,
              ElementsAre("udp", "[2001:db8::1]:4000", "[2001:db8::53]"));
  EXPECT_THAT(command.keys, ElementsAre(Pair("from", "a=b")));
}

TEST(CommandLineTest, TakesANameThatIsANounOrAVerbElsewhere) {
  for (const char* name : {"status", "flow", "list", "show", "counters"}) {
    EXPECT_THAT(Good(absl::StrCat("queue show ", name)).arguments,
                ElementsAre(name));
    EXPECT_THAT(Good(absl::StrCat("queue set ", name, " --netns=x")).arguments,
                ElementsAre(name));
  }
}

TEST(CommandLineTest, UnderstandsEveryVerbAndEveryExample) {
  for (const Verb& verb : Verbs()) {
    for (absl::string_view example : absl::StrSplit(verb.examples, '\n')) {
      EXPECT_EQ(Good(example).verb, &verb) << example;
    }
  }
}

TEST(CommandLineTest, UnderstandsEveryKey) {
  for (const Verb& verb : Verbs()) {
    std::string line = WordsOf(verb);
    for (size_t i = 0; i < verb.arguments.size(); ++i) {
      absl::StrAppend(&line, " x");
    }
    for (const Key& key : verb.keys) {
      absl::StrAppend(&line, " --", key.name, key.value.empty() ? "" : "=v");
    }
    EXPECT_EQ(Good(line).keys.size(), verb.keys.size()) << line;
  }
}

struct BadLine {
  const char* line;
  const char* what;     // in the message
  const char* allowed;  // in the message too
};

TEST(CommandLineTest, RefusesWhatItDoesNotUnderstandAndSaysWhatItWould) {
  for (const BadLine& bad : std::vector<BadLine>{
           {"", "a noun is missing", "status, service"},
           {"--json", "a noun is missing", "status, service"},
           {"serivce list", "unknown noun \"serivce\"", "service, queue"},
           {"list", "unknown noun \"list\"", "service, queue"},
           {"--jsn status", "unknown key \"--jsn\"", "--help"},
           {"-x status", "unknown key \"-x\"", "--help"},
           {"service", "a verb is missing", "list, show, set, remove"},
           {"service lst", "unknown verb \"lst\"", "list, show, set, remove"},
           {"service status", "unknown verb \"status\"", "list, show"},
           {"service --all list", "unknown key \"--all\"", "list, show"},
           {"service show", "NAME is missing", "godwitctl service show NAME"},
           {"service show a b", "\"b\" is too much", "service show NAME"},
           {"service list a", "\"a\" is too much", "godwitctl service list"},
           {"status a", "\"a\" is too much", "godwitctl status"},
           {"service set dns --prots=udp/53", "unknown key \"--prots=udp/53\"",
            "--addresses, --ports"},
           {"service list --limit=1", "unknown key", "--json, --socket"},
           {"service set dns --ports=a --ports=b", "--ports is given twice",
            "service set NAME"},
           {"service set dns --ports", "--ports", "--help"},
           {"status --socket", "--socket", "--help"},
           {"counters --drops=false", "--drops takes no value", "counters"},
           {"explain udp 192.0.2.1:1", "DST is missing",
            "explain tcp|udp|icmp SRC DST"},
           {"config check", "FILE is missing", "config check FILE"},
           {"flow count --limit=3", "unknown key", "--service, --client"}}) {
    const ParsedCommandLine parsed = Parse(bad.line);
    EXPECT_EQ(parsed.command.verb, nullptr) << bad.line;
    EXPECT_EQ(parsed.exit_code, ExitCode::kUsage) << bad.line;
    EXPECT_THAT(parsed.text, HasSubstr(bad.what)) << bad.line;
    EXPECT_THAT(parsed.text, HasSubstr(bad.allowed)) << bad.line;
    EXPECT_EQ(std::count(parsed.text.begin(), parsed.text.end(), '\n'), 1)
        << parsed.text;
    EXPECT_EQ(parsed.text.back(), '\n');
  }
}

TEST(CommandLineTest, HelpsAtEveryLevelWithExamples) {
  const auto help = [](const std::string& line) {
    const ParsedCommandLine parsed = Parse(line);
    EXPECT_EQ(parsed.command.verb, nullptr) << line;
    EXPECT_EQ(parsed.exit_code, ExitCode::kDone) << line;
    EXPECT_THAT(parsed.text, HasSubstr("\nExamples:\n  godwitctl ")) << line;
    return parsed.text;
  };
  EXPECT_EQ(help("--help"), HelpForAll());
  EXPECT_EQ(help("-h"), HelpForAll());
  for (const Noun& noun : Nouns()) {
    EXPECT_THAT(help(absl::StrCat(noun.name, " --help")),
                HasSubstr(absl::StrCat("Usage: godwitctl ", noun.name)));
  }
  for (const Verb& verb : Verbs()) {
    EXPECT_EQ(help(absl::StrCat(WordsOf(verb), " --help")), HelpForVerb(verb));
    EXPECT_EQ(help(absl::StrCat("--help ", WordsOf(verb))), HelpForVerb(verb));
  }
}

TEST(CommandLineTest, HelpOfAVerbIsLaidOutInColumns) {
  EXPECT_THAT(
      HelpForVerb(*Good("explain a b c").verb),
      HasSubstr("Usage: godwitctl explain tcp|udp|icmp SRC DST "
                "[--key=value ...]\n"
                "\n"
                "What a packet would meet, and why. Nothing is sent or "
                "changed.\n"
                "\n"
                "Arguments:\n"
                "  tcp|udp|icmp  the packet's protocol\n"
                "  SRC           ADDRESS:PORT, IPv6 in brackets; for icmp the "
                "port is the id\n"
                "  DST           ADDRESS:PORT\n"
                "\n"
                "Keys:\n"
                "  --from=uplink|QUEUE  where it comes from (uplink)\n"
                "\n"
                "Everywhere:\n"
                "  --json "));
}

// The table is read by eye, by the parser and by the completion: it must be
// whole.
TEST(VerbsTest, EachIsSaidOnceAndBelongsToANoun) {
  std::set<std::string> words;
  std::set<Action> actions;
  for (const Verb& verb : Verbs()) {
    EXPECT_TRUE(words.insert(WordsOf(verb)).second) << WordsOf(verb);
    EXPECT_TRUE(actions.insert(verb.action).second) << WordsOf(verb);
    EXPECT_TRUE(std::any_of(
        Nouns().begin(), Nouns().end(),
        [&verb](const Noun& noun) { return noun.name == verb.noun; }))
        << verb.noun;
    std::set<absl::string_view> keys;
    for (const Key& key : verb.keys) {
      EXPECT_TRUE(keys.insert(key.name).second) << key.name;
    }
  }
  EXPECT_EQ(actions.size(), static_cast<size_t>(Action::kVersion) + 1);
  EXPECT_THAT(Verbs(), ::testing::Not(IsEmpty()));
}

// Usage and keys of every verb stand in docs/cli.md.
TEST(VerbsTest, EachIsInTheReference) {
  std::ifstream file(CLI_REFERENCE);
  const std::string reference{std::istreambuf_iterator<char>(file), {}};
  ASSERT_NE(reference, "");
  for (const Verb& verb : Verbs()) {
    EXPECT_THAT(reference, HasSubstr(absl::StrCat("`", UsageOf(verb), "`")));
    for (const Key& key : verb.keys) {
      EXPECT_THAT(reference,
                  HasSubstr(absl::StrCat("`--", key.name,
                                         key.value.empty() ? "`" : "=")));
    }
  }
}

}  // namespace
}  // namespace godwit::cli
