// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/intent/defaults.h"
#include "control/intent/yaml.h"
#include "tests/unit/intent/bad_input.h"

namespace godwit {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(DifferenceTest, IsNothingWhereOnlyDefaultsAreWrittenOut) {
  const api::Config config = ParseYaml(kGoodFile, "f").config;
  EXPECT_THAT(Difference(config, config), IsEmpty());
  EXPECT_THAT(Difference(config, WithDefaults(config)), IsEmpty());
}

TEST(DifferenceTest, IsNothingWhereOnlyTheOrderDiffers) {
  const api::Config config = ParseYaml(kGoodFile, "f").config;
  api::Config other = config;
  other.mutable_queues()->SwapElements(0, 1);
  other.mutable_services()->SwapElements(0, 1);
  EXPECT_THAT(Difference(config, other), IsEmpty());
}

TEST(DifferenceTest, NamesWhatChanges) {
  const api::Config config = ParseYaml(kGoodFile, "f").config;
  api::Config other = config;
  other.mutable_services(0)->add_queues()->set_queue("web0");
  other.mutable_services(1)->mutable_queues(0)->set_weight(10);
  other.mutable_services(1)->set_originate(api::Service::VIP);
  other.mutable_queues(0)->mutable_limits()->set_flows(5);
  other.mutable_egress()->mutable_timeouts()->mutable_udp()->set_seconds(120);
  other.mutable_node()->mutable_unicast()->RemoveLast();
  EXPECT_THAT(
      Difference(config, other),
      ElementsAre("node: unicast [198.51.100.7, 2001:db8:7::7] -> "
                  "[198.51.100.7]",
                  "queue dns0: limits (none) -> {flows: 5}",
                  "service dns: queues [dns0] -> [dns0, web0]",
                  "service web: queues [web0] -> [{queue: web0, weight: 10}]",
                  "service web: originate unicast -> vip",
                  "egress: timeouts.udp 300s -> 120s"));
}

TEST(DifferenceTest, FindsWhatOnlyARestartChanges) {
  const api::Config config = WithDefaults(ParseYaml(kGoodFile, "f").config);
  EXPECT_TRUE(FixedAtStart(config, config).empty());
  api::Config other = config;
  other.mutable_dataplane()->set_max_flows(4096);
  other.mutable_metrics()->set_listen("127.0.0.1:9468");
  other.mutable_queues()->Clear();
  EXPECT_THAT(Difference(config, other),
              ElementsAre("dataplane: max_flows 1048576 -> 4096 (takes a "
                          "restart)",
                          "queue dns0: removed", "queue web0: removed",
                          "metrics: listen 127.0.0.1:9467 -> 127.0.0.1:9468 "
                          "(takes a restart)"));
  Source source;
  source.filename = "f";
  source.lines = {{"dataplane", 2}, {"metrics.listen", 9}};
  EXPECT_THAT(
      Lines(FixedAtStart(config, other), source),
      ElementsAre("f:2: dataplane.max_flows: \"4096\" can't change while the "
                  "daemon runs, which began with \"1048576\": restart it",
                  "f:9: metrics.listen: \"127.0.0.1:9468\" can't change while "
                  "the daemon runs, which began with \"127.0.0.1:9467\": "
                  "restart it"));
}

TEST(DifferenceTest, NamesWhatComesAndGoes) {
  const api::Config config = ParseYaml(kGoodFile, "f").config;
  api::Config other = config;
  other.mutable_queues()->DeleteSubrange(0, 1);
  other.mutable_services()->DeleteSubrange(0, 1);
  other.mutable_announce()->set_table(7);
  EXPECT_THAT(Difference(config, other),
              ElementsAre("queue dns0: removed", "service dns: removed",
                          "announce: added", "announce: table (none) -> 7",
                          "announce: hold (none) -> 1s",
                          "announce: linger (none) -> 5s",
                          "announce: metric (none) -> 100",
                          "announce: damping (none) -> 60s"));
  EXPECT_THAT(
      Difference(other, config),
      ElementsAre(
          "queue dns0: added {name: dns0, device: veth:dns0, hop: "
          "host, drained: false}",
          "service dns: added {name: dns, addresses: [192.0.2.53], "
          "ports: [udp/53], queues: [dns0], affinity: flow, replies: "
          "tuple, originate: unicast, unmatched: reject}",
          "announce: removed", "announce: table 7 -> (none)",
          "announce: hold 1s -> (none)", "announce: linger 5s -> (none)",
          "announce: metric 100 -> (none)", "announce: damping 60s -> (none)"));
}

}  // namespace
}  // namespace godwit
