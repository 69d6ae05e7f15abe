// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/check.h"

#include <google/protobuf/text_format.h>

#include "control/intent/defaults.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;

// Two services behind one queue; `health` is its check.
api::Config Node(const std::string& health) {
  api::Config config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "queues { name: \"q0\" netns: \"inside\" health {" + health +
          "} }"
          R"(services { name: "dns" addresses: "192.0.2.53"
                    addresses: "2001:db8:53::53" ports: "udp/53"
                    queues { queue: "q0" } }
         services { name: "web" addresses: "192.0.2.80" ports: "tcp/80-90"
                    queues { queue: "q0" } }
         services { name: "other" addresses: "192.0.2.99" ports: "tcp/80"
                    queues { queue: "q1" } })",
      &config));
  return WithDefaults(config);
}

Check CheckIn(const api::Config& config) {
  const auto check = CheckOf(config, config.queues(0));
  EXPECT_TRUE(check);
  return check.value_or(Check());
}

TEST(CheckTest, AsksWhereTheQueueServesThatL4Port) {
  const Check check = CheckIn(Node("tcp: 81 timeout { nanos: 200000000 }"));
  EXPECT_EQ(check.kind, Check::Kind::kTcp);
  EXPECT_EQ(check.netns, "inside");
  EXPECT_EQ(check.l4port, 81);
  EXPECT_EQ(check.timeout, std::chrono::milliseconds(200));
  EXPECT_THAT(check.addresses, ElementsAre("192.0.2.80"));
}

TEST(CheckTest, AsksTheFirstAddressForAnL4PortOfNoService) {
  EXPECT_THAT(CheckIn(Node("tcp: 9999")).addresses, ElementsAre("192.0.2.53"));
  EXPECT_THAT(CheckIn(Node("tcp: 53")).addresses, ElementsAre("192.0.2.53"));
}

TEST(CheckTest, AsksLoopbackWithoutAnAddress) {
  api::Config config = Node("tcp: 80");
  config.clear_services();
  EXPECT_THAT(CheckIn(config).addresses, ElementsAre("127.0.0.1"));
}

TEST(CheckTest, DnsAsksEveryAddressThatServesIt) {
  const Check check = CheckIn(Node("dns: \"health.example\""));
  EXPECT_EQ(check.kind, Check::Kind::kDns);
  EXPECT_EQ(check.l4port, 53);
  EXPECT_THAT(check.addresses, ElementsAre("192.0.2.53", "2001:db8:53::53"));
  EXPECT_THAT(check.words, ElementsAre("health.example"));
}

TEST(CheckTest, HttpAsksTheServiceByNameOrTheAddressThatIsWritten) {
  const Check named = CheckIn(Node("http: \"http://www.example:85/up\""));
  EXPECT_THAT(named.addresses, ElementsAre("192.0.2.80"));
  EXPECT_EQ(named.l4port, 85);
  EXPECT_THAT(named.words, ElementsAre("www.example:85", "/up"));
  const Check written = CheckIn(Node("http: \"http://[::1]/up\""));
  EXPECT_THAT(written.addresses, ElementsAre("::1"));
  EXPECT_EQ(written.l4port, 80);
}

TEST(CheckTest, TravelsAsItIs) {
  for (const char* health :
       {"tcp: 81", "http: \"http://www.example/\"", "dns: \"a.example\"",
        "exec: \"/bin/true\" exec: \"\" exec: \"a b\""}) {
    const Check check = CheckIn(Node(health));
    EXPECT_EQ(DecodeCheck(Encode(check)), check) << health;
  }
  EXPECT_FALSE(DecodeCheck("0"));
  EXPECT_FALSE(DecodeCheck(std::string("0\0in\0005\00080\0009", 12)));
}

TEST(CheckTest, ResultsTravelAsTheyAre) {
  const auto result = DecodeResult(
      Encode(CheckResult{7, HealthVerdict::Outcome::kFailed, "a: b: c"}));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->id, 7u);
  EXPECT_EQ(result->outcome, HealthVerdict::Outcome::kFailed);
  EXPECT_EQ(result->reason, "a: b: c");
  EXPECT_FALSE(DecodeResult("7"));
}

}  // namespace
}  // namespace godwit
