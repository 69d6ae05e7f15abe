// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/save.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "control/api/field_text.h"
#include "control/intent/defaults.h"
#include "control/intent/yaml.h"

namespace godwit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::MessageDifferencer;

// Texts that a reader of YAML takes for something else without quotes.
const char* const kTexts[] = {
    "",      "a",    "0660", "1.5",        "~",       "null", "true", "no",
    "a b",   "- a",  "a: b", "a #b",       "[a",      "{a}",  "a,b",  "'a'",
    "\"a\"", "a\\b", "&a",   "*a",         "!a",      "%a",   "|",    "> a",
    "@a",    "`a",   "é",    "2001:db8::", "a:",      "?",    " a ",  "---",
    "=",     "<<",   "0x1f", "1e3",        "udp/1-2", ":",    "-",    "..."};

// Fills fields at random, each of them about every second time.
class Filler {
 public:
  explicit Filler(uint64_t seed) : random_(seed) {}

  void Fill(Message& message) {
    const auto& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      if (Below(2) == 0) continue;
      const FieldDescriptor& field = *type.field(i);
      const uint64_t times = field.is_repeated() ? Below(4) : 1;
      for (uint64_t n = 0; n < times; ++n) FillOne(message, field);
    }
  }

 private:
  uint64_t Below(uint64_t end) { return random_() % end; }

  void FillOne(Message& message, const FieldDescriptor& field) {
    const Reflection& reflection = *message.GetReflection();
    if (!IsScalar(field)) {
      Fill(field.is_repeated() ? *reflection.AddMessage(&message, &field)
                               : *reflection.MutableMessage(&message, &field));
      return;
    }
    ASSERT_TRUE(SetFromText(message, field, TextFor(field)).ok());
  }

  std::string TextFor(const FieldDescriptor& field) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_UINT32:
        return std::to_string(static_cast<uint32_t>(random_()));
      case FieldDescriptor::CPPTYPE_BOOL:
        return Below(2) == 0 ? "true" : "false";
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto& type = *field.enum_type();
        const auto count = static_cast<uint64_t>(type.value_count());
        return EnumWord(*type.value(static_cast<int>(Below(count))));
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return std::to_string(Below(100'000)) + "ms";
      default:
        return kTexts[Below(std::size(kTexts))];
    }
  }

  std::mt19937_64 random_;
};

TEST(SaveTest, IsReadAsWhatWasSaved) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    api::Config config;
    Filler(seed).Fill(config);
    const std::string text = ToYaml(config);
    const ParsedYaml parsed = ParseYaml(text, "saved.yaml");
    ASSERT_TRUE(parsed.errors.empty()) << parsed.errors[0].message << text;
    ASSERT_TRUE(MessageDifferencer::Equals(config, parsed.config)) << text;
  }
}

TEST(SaveTest, IsReadAsWhatWasSavedWithDefaultsFilledIn) {
  const api::Config config = WithDefaults(api::Config());
  const ParsedYaml parsed = ParseYaml(ToYaml(config), "saved.yaml");
  EXPECT_TRUE(MessageDifferencer::Equals(config, parsed.config));
}

TEST(SaveTest, LooksLikeWhatPeopleWrite) {
  api::Config config;
  config.set_version(1);
  config.mutable_node()->add_unicast("198.51.100.7");
  config.mutable_node()->add_unicast("2001:db8:7::7");
  api::Service& service = *config.add_services();
  service.set_name("dns");
  service.add_ports("udp/53");
  service.add_queues()->set_queue("dns0");
  service.add_queues()->set_queue("dns1");
  service.set_originate(api::Service::DENY);
  api::Service& weighted = *config.add_services();
  weighted.set_name("web");
  weighted.add_queues()->set_queue("web0");
  weighted.mutable_queues(0)->set_weight(10);
  config.mutable_egress()->mutable_timeouts()->mutable_udp()->set_seconds(300);
  config.mutable_control()->set_mode("0660");
  EXPECT_EQ(ToYaml(config), R"(version: 1
node:
  unicast: [198.51.100.7, "2001:db8:7::7"]
services:
  - name: dns
    ports: [udp/53]
    queues: [dns0, dns1]
    originate: deny
  - name: web
    queues:
      - queue: web0
        weight: 10
egress:
  timeouts:
    udp: 300s
control:
  mode: "0660"
)");
}

class SaveToTest : public ::testing::Test {
 protected:
  SaveToTest() {
    std::string name = testing::TempDir() + "save_test.XXXXXX";
    directory_ = mkdtemp(name.data());
    config_.mutable_node()->set_name("ams1");
  }
  ~SaveToTest() override { std::filesystem::remove_all(directory_); }

  std::string Content(const std::string& name) const {
    std::ifstream file(directory_ / name);
    return std::string{std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  std::filesystem::path directory_;
  api::Config config_;
};

TEST_F(SaveToTest, KeepsTheModeAndLeavesNothingBeside) {
  std::ofstream(directory_ / "a.yaml") << "version: 1\n";
  std::filesystem::permissions(directory_ / "a.yaml",
                               std::filesystem::perms{0640});
  ASSERT_TRUE(SaveTo(directory_ / "a.yaml", config_).ok());
  EXPECT_EQ(Content("a.yaml"), ToYaml(config_));
  EXPECT_EQ(std::filesystem::status(directory_ / "a.yaml").permissions(),
            std::filesystem::perms{0640});
  EXPECT_THAT(Names(), testing::ElementsAre("a.yaml"));
}

TEST_F(SaveToTest, MakesAFileThatIsNotThere) {
  ASSERT_TRUE(SaveTo(directory_ / "new.yaml", config_).ok());
  EXPECT_EQ(Content("new.yaml"), ToYaml(config_));
  EXPECT_EQ(std::filesystem::status(directory_ / "new.yaml").permissions(),
            std::filesystem::perms{0644});
}

TEST_F(SaveToTest, WritesTheFileBehindALink) {
  std::ofstream(directory_ / "a.yaml") << "version: 1\n";
  std::filesystem::create_symlink("a.yaml", directory_ / "link.yaml");
  ASSERT_TRUE(SaveTo(directory_ / "link.yaml", config_).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(directory_ / "link.yaml"));
  EXPECT_EQ(Content("a.yaml"), ToYaml(config_));
}

TEST_F(SaveToTest, SaysWhyItCouldNot) {
  const absl::Status status = SaveTo(directory_ / "none" / "a.yaml", config_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), testing::HasSubstr("No such file"));
  std::filesystem::create_directory(directory_ / "d");
  EXPECT_FALSE(SaveTo(directory_ / "d", config_).ok());
  EXPECT_THAT(Names(), testing::ElementsAre("d"));
}

}  // namespace
}  // namespace godwit
