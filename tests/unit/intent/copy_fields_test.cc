// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/copy_fields.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

namespace godwit {
namespace {

// What `queue` is after a `set` that gives `fields` the values of `from`.
std::string After(const std::string& queue, const std::string& from,
                  const std::vector<std::string>& fields) {
  api::Queue into;
  api::Queue wanted;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(queue, &into));
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(from, &wanted));
  const absl::Status status = CopyFields(wanted, fields, into);
  return status.ok() ? into.ShortDebugString() : std::string(status.message());
}

TEST(CopyFieldsTest, ChangesWhatIsNamedAndNothingElse) {
  EXPECT_EQ(After("name: \"q\" limits { flows: 5 rate: 7 }",
                  "name: \"x\" limits { flows: 6 }", {"limits.flows"}),
            "name: \"q\" limits { flows: 6 rate: 7 }");
  EXPECT_EQ(After("name: \"q\"", "", {"colour"}),
            "\"colour\" is not a key of Queue");
}

TEST(CopyFieldsTest, ClearsAMessageWithItsLastField) {
  EXPECT_EQ(After("limits { flows: 5 rate: 7 }", "", {"limits.flows"}),
            "limits { rate: 7 }");
  EXPECT_EQ(After("limits { flows: 5 }", "", {"limits.flows"}), "");
  EXPECT_EQ(After("", "", {"limits.flows"}), "");
}

TEST(CopyFieldsTest, WithWhatIsCheckedGoesHowOften) {
  const std::string checked =
      "name: \"q\" health { exec: \"/bin/true\" rise: 3 }";
  EXPECT_EQ(After(checked, "", {"health.exec"}), "name: \"q\"");
  EXPECT_EQ(After(checked, "health { tcp: 80 }", {"health.exec", "health.tcp"}),
            "name: \"q\" health { tcp: 80 rise: 3 }");
  EXPECT_EQ(After(checked, "", {"health.rise"}),
            "name: \"q\" health { exec: \"/bin/true\" }");
  // Without a check it is no setting but a mistake, and for the rules to say.
  EXPECT_EQ(After("name: \"q\"", "health { rise: 3 }", {"health.rise"}),
            "name: \"q\" health { rise: 3 }");
}

}  // namespace
}  // namespace godwit
