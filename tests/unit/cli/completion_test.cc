// SPDX-License-Identifier: BSD-3-Clause
//
// The completion is asked, by bash, for every word of the verb table, and for
// the names of a live node through the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "control/cli/verbs.h"
#include "control/server/service.h"
#include "tests/unit/server/scratch_directory.h"
#include "tests/unit/server/small_node.h"

namespace godwit::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

using Words = std::vector<std::string>;

// Breaks at "=" and ":" like bash's default COMP_WORDBREAKS.
Words AsBashBreaks(const Words& words) {
  Words broken;
  for (const std::string& word : words) {
    std::string part;
    bool any = false;
    for (const char c : word) {
      if (c != '=' && c != ':') {
        part.push_back(c);
        continue;
      }
      if (!part.empty()) broken.push_back(part);
      broken.push_back(std::string(1, c));
      part.clear();
      any = true;
    }
    if (!part.empty() || !any) broken.push_back(part);
  }
  return broken;
}

class CompletionTest : public ::testing::Test {
 protected:
  // What bash offers for the last of `words`, which come after the program.
  Words Complete(Words words) {
    words.insert(words.begin(), GODWITCTL);
    std::string line;
    const Words broken = AsBashBreaks(words);
    for (const std::string& word : broken) {
      absl::StrAppend(&line, " '", word, "'");
    }
    const std::string script = scratch_ / "complete.sh";
    std::ofstream(script) << "source '" << COMPLETION_FILE << "'\n"
                          << "COMP_WORDS=(" << line << ")\n"
                          << "COMP_CWORD=" << broken.size() - 1 << "\n"
                          << "_godwitctl\n"
                          << "((${#COMPREPLY[@]} == 0)) || "
                          << "printf '%s\\n' \"${COMPREPLY[@]}\"\n";
    FILE* bash = popen(absl::StrCat("bash --norc ", script).c_str(), "r");
    std::string out;
    char buffer[4096];
    while (std::fgets(buffer, sizeof(buffer), bash) != nullptr) out += buffer;
    EXPECT_EQ(pclose(bash), 0) << absl::StrJoin(words, " ") << ": " << out;
    return absl::StrSplit(out, '\n', absl::SkipEmpty());
  }

  static Words Start(const Verb& verb) {
    Words words = {std::string(verb.noun)};
    if (!verb.verb.empty()) words.emplace_back(verb.verb);
    return words;
  }

  static Words With(Words words, const std::string& word) {
    words.push_back(word);
    return words;
  }

  ScratchDirectory scratch_;
};

// flow|client -> {flow, client}; what is not a word to type is left out.
Words Choices(absl::string_view value) {
  Words choices;
  if (!absl::StrContains(value, '|')) return choices;
  for (absl::string_view choice : absl::StrSplit(value, '|')) {
    if (std::none_of(choice.begin(), choice.end(), absl::ascii_isupper)) {
      choices.emplace_back(choice);
    }
  }
  return choices;
}

TEST_F(CompletionTest, KnowsEveryNounAndNoOther) {
  Words nouns;
  for (const Noun& noun : Nouns()) nouns.emplace_back(noun.name);
  EXPECT_THAT(Complete({""}), UnorderedElementsAreArray(nouns));
  EXPECT_THAT(Complete({"se"}), ElementsAre("service"));
}

TEST_F(CompletionTest, KnowsEveryVerbAndNoOther) {
  for (const Noun& noun : Nouns()) {
    Words verbs;
    for (const Verb& verb : Verbs()) {
      if (verb.noun == noun.name && !verb.verb.empty()) {
        verbs.emplace_back(verb.verb);
      }
    }
    if (verbs.empty()) continue;
    EXPECT_THAT(Complete({std::string(noun.name), ""}),
                UnorderedElementsAreArray(verbs));
  }
}

TEST_F(CompletionTest, KnowsEveryKeyAndNoOther) {
  for (const Verb& verb : Verbs()) {
    Words keys;
    for (const auto& span : {verb.keys, CommonKeys()}) {
      for (const Key& key : span) {
        keys.push_back(
            absl::StrCat("--", key.name, key.value.empty() ? "" : "="));
      }
    }
    EXPECT_THAT(Complete(With(Start(verb), "--")),
                UnorderedElementsAreArray(keys))
        << verb.noun << " " << verb.verb;
  }
}

TEST_F(CompletionTest, KnowsEveryClosedChoice) {
  for (const Verb& verb : Verbs()) {
    for (const Key& key : verb.keys) {
      const Words choices = Choices(key.value);
      if (choices.empty()) continue;
      EXPECT_THAT(
          Complete(With(Start(verb), absl::StrCat("--", key.name, "="))),
          IsSupersetOf(choices))
          << verb.noun << " " << verb.verb << " --" << key.name;
    }
    if (verb.arguments.empty()) continue;
    EXPECT_THAT(Complete(With(Start(verb), "")),
                IsSupersetOf(Choices(verb.arguments[0].name)));
  }
  EXPECT_THAT(Complete({"service", "set", "dns", "--affinity=c"}),
              ElementsAre("client"));
}

TEST_F(CompletionTest, AsksTheDaemonForNames) {
  SmallNode node;
  node.services.add_services()->set_name("dns");
  node.services.add_services()->set_name("web");
  node.queues.add_queues()->set_name("dns0");
  node.queues.add_queues()->set_name("dns1");
  node.uplinks.add_uplinks()->set_name("wan0");
  node.history.add_entries()->set_generation(18);
  node.history.add_entries()->set_generation(7);
  api::Control config;
  config.set_socket(scratch_ / "s");
  const auto server = ControlServer::Start(config, node);
  ASSERT_TRUE(server.ok()) << server.status();
  for (const Words& socket : {Words{"--socket=" + config.socket()},
                              Words{"--socket", config.socket()}}) {
    const auto complete = [&](const Words& words) {
      Words all = socket;
      all.insert(all.end(), words.begin(), words.end());
      return Complete(all);
    };
    EXPECT_THAT(complete({"service", "show", ""}), ElementsAre("dns", "web"));
    EXPECT_THAT(complete({"service", "set", "w"}), ElementsAre("web"));
    EXPECT_THAT(complete({"service", "set", "dns", "--queues=dns0,"}),
                ElementsAre("dns0,dns0", "dns0,dns1"));
    EXPECT_THAT(complete({"explain", "udp", "a", "b", "--from="}),
                UnorderedElementsAre("uplink", "dns0", "dns1"));
    for (const Verb& verb : Verbs()) {
      if (verb.arguments.empty()) continue;
      const Words offered = complete(With(Start(verb), ""));
      if (verb.arguments[0].names == Names::kService) {
        EXPECT_THAT(offered, Contains("web")) << verb.verb;
      } else if (verb.arguments[0].names == Names::kQueue) {
        EXPECT_THAT(offered, Contains("dns1")) << verb.verb;
      } else if (verb.arguments[0].names == Names::kUplink) {
        EXPECT_THAT(offered, Contains("wan0")) << verb.verb;
      }
      EXPECT_THAT(complete(With(With(Start(verb), "dns0"), "")), IsEmpty())
          << "one name is enough";
    }
    EXPECT_THAT(complete({"config", "rollback", ""}), ElementsAre("18", "7"));
    EXPECT_THAT(complete({"config", "show", "--generation=1"}),
                ElementsAre("18"));
    for (const char* verb : {"list", "count", "flush"}) {
      EXPECT_THAT(complete({"flow", verb, "--service="}),
                  ElementsAre("dns", "web"));
    }
  }
}

TEST_F(CompletionTest, OffersFilesWhereAFileStands) {
  std::ofstream(scratch_ / "new.yaml") << "version: 1\n";
  for (const char* verb : {"check", "diff", "apply"}) {
    EXPECT_THAT(Complete({"config", verb, scratch_ / "new"}),
                ElementsAre(scratch_ / "new.yaml"));
  }
  EXPECT_THAT(Complete({"--socket", scratch_ / "new"}),
              ElementsAre(scratch_ / "new.yaml"));
}

TEST_F(CompletionTest, IsQuietWithoutADaemon) {
  EXPECT_THAT(Complete({"--socket=/nonexistent", "service", "show", ""}),
              IsEmpty());
}

}  // namespace
}  // namespace godwit::cli
