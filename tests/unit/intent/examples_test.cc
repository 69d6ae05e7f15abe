// SPDX-License-Identifier: BSD-3-Clause
// The files of examples/ are right, and say what a reader takes them to say.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "control/api/field_text.h"
#include "control/intent/load.h"
#include "control/intent/save.h"

namespace godwit {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::IsEmpty;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::filesystem::path Directory() { return std::getenv("GODWIT_EXAMPLES"); }

LoadedConfig LoadExample(const std::string& name) {
  const auto loaded = LoadConfig(ReadFile(Directory() / name), name);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.value_or(LoadedConfig());
}

TEST(ExamplesTest, AllLoadWithoutWarningAndSurviveASave) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(Directory())) {
    if (entry.path().extension() != ".yaml") continue;
    names.push_back(entry.path().filename());
    SCOPED_TRACE(names.back());
    const LoadedConfig loaded = LoadExample(names.back());
    EXPECT_THAT(loaded.warnings, IsEmpty());
    const auto again = LoadConfig(ToYaml(loaded.config), "saved.yaml");
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_TRUE(MessageDifferencer::Equals(loaded.config, again->config));
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"full.yaml", "minimal.yaml",
                                            "veth.yaml", "xdp.yaml"}));
}

// Collects the keys of `type` and of what is within it.
void CollectKeys(const google::protobuf::Descriptor& type,
                 std::set<std::string>& keys) {
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    keys.insert(field.name());
    if (!IsScalar(field)) CollectKeys(*field.message_type(), keys);
  }
}

TEST(ReferenceTest, HasEveryKey) {
  const std::string page = ReadFile(std::getenv("GODWIT_REFERENCE"));
  std::set<std::string> keys;
  CollectKeys(*api::Config::descriptor(), keys);
  EXPECT_GT(keys.size(), 60u);
  for (const std::string& key : keys) {
    // In a table, in a heading, or inside a map that is written out.
    const std::regex mention("`([a-z]+\\.)?" + key + "[`.]|## [a-z ]*\\b" +
                             key + "\\b|[{ ]" + key + ": [A-Z]");
    EXPECT_TRUE(std::regex_search(page, mention)) << key;
  }
}

TEST(ExamplesTest, FullSaysWhatIsWrittenThere) {
  const api::Config config = LoadExample("full.yaml").config;
  EXPECT_EQ(config.version(), 1u);
  EXPECT_EQ(config.node().name(), "ams1");
  EXPECT_THAT(config.node().unicast(),
              ElementsAre("198.51.100.7", "2001:db8:7::7"));
  EXPECT_THAT(config.dataplane().cpus(), ElementsAre(2, 3));
  EXPECT_EQ(config.dataplane().max_flows(), 1048576u);
  EXPECT_THAT(config.dataplane().eal_args(), IsEmpty());
  ASSERT_EQ(config.uplinks_size(), 2);
  EXPECT_EQ(config.uplinks(0).device(), "0000:3b:00.0");
  EXPECT_EQ(config.uplinks(0).vlan(), 100u);
  EXPECT_EQ(config.uplinks(1).device(), "xdp:eth1");
  EXPECT_FALSE(config.uplinks(1).has_kernel());
}

TEST(ExamplesTest, FullSaysWhatTheQueuesAre) {
  const api::Config config = LoadExample("full.yaml").config;
  ASSERT_EQ(config.queues_size(), 3);
  EXPECT_EQ(config.queues(0).netns(), "dns");
  const api::Health& health = config.queues(0).health();
  EXPECT_EQ(health.dns(), "health.example");
  EXPECT_EQ(health.interval().seconds(), 1);
  EXPECT_EQ(health.timeout().nanos(), 500'000'000);
  EXPECT_EQ(health.rise(), 2u);
  EXPECT_EQ(health.fall(), 3u);
  EXPECT_EQ(config.queues(1).health().exec(4), "443");
  EXPECT_EQ(config.queues(1).limits().flows(), 100000u);
  EXPECT_EQ(config.queues(1).limits().rate(), 20000u);
}

TEST(ExamplesTest, FullSaysWhatTheServicesAre) {
  const api::Config config = LoadExample("full.yaml").config;
  ASSERT_EQ(config.services_size(), 3);
  const api::Service& dns = config.services(0);
  EXPECT_THAT(dns.ports(), ElementsAre("udp/53", "tcp/53"));
  ASSERT_EQ(dns.queues_size(), 1);
  EXPECT_EQ(dns.queues(0).queue(), "dns0");
  EXPECT_FALSE(dns.queues(0).has_weight());
  EXPECT_TRUE(dns.has_affinity());
  EXPECT_EQ(dns.affinity(), api::Service::FLOW);
  EXPECT_EQ(config.services(1).queues(0).weight(), 10u);
  EXPECT_EQ(config.services(2).ports_size(), 0);
}

TEST(ExamplesTest, FullSaysHowTheNodeOriginates) {
  const api::Config config = LoadExample("full.yaml").config;
  EXPECT_EQ(config.egress().ports(), "auto");
  EXPECT_THAT(config.egress().reserved(), ElementsAre(3784, 3785));
  EXPECT_THAT(config.egress().direct(), ElementsAre("203.0.113.0/24"));
  EXPECT_EQ(config.egress().timeouts().tcp_established().seconds(), 7440);
  EXPECT_EQ(config.announce().table(), 7480u);
  EXPECT_EQ(config.metrics().listen(), "127.0.0.1:9467");
  EXPECT_EQ(config.control().mode(), "0660");
}

}  // namespace
}  // namespace godwit
