// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "control/api/godwit.pb.h"
#include "control/cli/verbs.h"

namespace godwit::cli {
namespace {

using ::testing::HasSubstr;

template <typename Message>
std::string Set(absl::string_view path, absl::string_view text) {
  Message message;
  const absl::Status status = SetField(path, text, message);
  return status.ok() ? message.ShortDebugString()
                     : "refused: " + std::string(status.message());
}

TEST(FieldsTest, SetsEveryKindOfField) {
  EXPECT_EQ(Set<api::Service>("addresses", "192.0.2.53,2001:db8:53::53"),
            "addresses: \"192.0.2.53\" addresses: \"2001:db8:53::53\"");
  EXPECT_EQ(Set<api::Service>("affinity", "client"), "affinity: CLIENT");
  EXPECT_EQ(Set<api::Egress>("mapping", "endpoint-independent"),
            "mapping: ENDPOINT_INDEPENDENT");
  EXPECT_EQ(Set<api::Egress>("reserved", "3784, 3785"),
            "reserved: 3784 reserved: 3785");
  EXPECT_EQ(Set<api::Egress>("timeouts.udp", "300s"),
            "timeouts { udp { seconds: 300 } }");
  EXPECT_EQ(Set<api::Queue>("limits.flows", "100000"),
            "limits { flows: 100000 }");
  EXPECT_EQ(Set<api::Queue>("health.timeout", "500ms"),
            "health { timeout { nanos: 500000000 } }");
  EXPECT_EQ(Set<api::Queue>("health.exec", "/bin/true,-x"),
            "health { exec: \"/bin/true\" exec: \"-x\" }");
  EXPECT_EQ(Set<api::Queue>("device", "vhost:/run/godwit/a.sock"),
            "device: \"vhost:/run/godwit/a.sock\"");
}

TEST(FieldsTest, ReadsQueuesWithAndWithoutAWeight) {
  EXPECT_EQ(Set<api::Service>("queues", "dns0,dns1:10"),
            "queues { queue: \"dns0\" } queues { queue: \"dns1\" weight: 10 }");
}

TEST(FieldsTest, AnEmptyValueClears) {
  api::Service service;
  service.add_ports("udp/53");
  service.set_affinity(api::Service::CLIENT);
  EXPECT_TRUE(SetField("ports", "", service).ok());
  EXPECT_TRUE(SetField("affinity", "", service).ok());
  EXPECT_EQ(service.ShortDebugString(), "");
}

TEST(FieldsTest, AListReplacesWhatWasThere) {
  api::Service service;
  service.add_ports("udp/53");
  EXPECT_TRUE(SetField("ports", "tcp/80", service).ok());
  EXPECT_EQ(service.ShortDebugString(), "ports: \"tcp/80\"");
}

TEST(FieldsTest, RefusesWithPathValueAndWhatIsAllowed) {
  EXPECT_THAT(Set<api::Service>("affinity", "sticky"),
              AllOf(HasSubstr("affinity: \"sticky\""), HasSubstr("flow"),
                    HasSubstr("client")));
  EXPECT_THAT(Set<api::Queue>("limits.flows", "many"),
              HasSubstr("limits.flows: \"many\""));
  EXPECT_THAT(Set<api::Queue>("limits.flows", "-1"),
              HasSubstr("limits.flows: \"-1\""));
  EXPECT_THAT(Set<api::Egress>("timeouts.udp", "5"),
              HasSubstr("timeouts.udp: \"5\""));
  EXPECT_THAT(Set<api::Service>("ports", "udp/53,,tcp/53"),
              HasSubstr("ports: \"udp/53,,tcp/53\""));
  EXPECT_THAT(Set<api::Service>("queues", "dns0:"), HasSubstr("queues: \"\""));
  EXPECT_THAT(Set<api::Service>("queues", "dns0:x"),
              HasSubstr("queues: \"x\""));
  EXPECT_THAT(Set<api::Service>("queues", ":1"), HasSubstr("queues: \":1\""));
}

// A key that the schema does not have would only be found by its first user.
TEST(FieldsTest, TheSchemaHasEveryKeyOfEverySetVerb) {
  for (const Verb& verb : Verbs()) {
    for (const Key& key : verb.keys) {
      absl::Status status;
      api::Service service;
      api::Queue queue;
      api::Egress egress;
      if (verb.action == Action::kServiceSet) {
        status = SetField(key.name, "", service);
      } else if (verb.action == Action::kQueueSet) {
        status = SetField(key.name, "", queue);
      } else if (verb.action == Action::kEgressSet) {
        status = SetField(key.name, "", egress);
      }
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  api::Service service;
  EXPECT_TRUE(absl::IsInternal(SetField("prots", "", service)));
}

}  // namespace
}  // namespace godwit::cli
