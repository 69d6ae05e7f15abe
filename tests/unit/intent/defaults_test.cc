// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/defaults.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "control/intent/yaml.h"

namespace godwit {
namespace {

using google::protobuf::util::MessageDifferencer;

api::Config Read(absl::string_view text) {
  const ParsedYaml parsed = ParseYaml(text, "godwit.yaml");
  EXPECT_TRUE(parsed.errors.empty());
  return parsed.config;
}

constexpr char kWritten[] = R"(
version: 1
uplinks: [{name: wan0, device: "0000:3b:00.0"}, {name: wan1, device: "xdp:eth1"}]
queues: [{name: dns0, device: "veth:dns0", health: {tcp: 53}}]
services: [{name: dns, queues: [dns0]}]
announce: {}
)";

// The page docs/configuration.md in one file.
constexpr char kFilled[] = R"(
version: 1
dataplane: {idle: poll, hugepages: auto, max_flows: 1048576}
uplinks:
  - {name: wan0, device: "0000:3b:00.0", kernel: gw0, martians: basic, hop: host}
  - {name: wan1, device: "xdp:eth1", martians: basic, hop: host}
queues:
  - name: dns0
    device: "veth:dns0"
    health: {tcp: 53, interval: 1s, timeout: 500ms, rise: 2, fall: 3}
    hop: host
    drained: false
services:
  - name: dns
    queues: [{queue: dns0, weight: 1}]
    affinity: flow
    replies: tuple
    originate: unicast
    unmatched: reject
egress:
  ports: auto
  mapping: per-destination
  timeouts: {tcp_established: 7440s, tcp_transitory: 240s, udp: 300s, icmp: 60s}
  rest: 0s
  log: {mappings: false, rate: 1000}
announce: {table: 7480, hold: 1s, linger: 5s, metric: 100, damping: 60s}
metrics: {listen: "127.0.0.1:9467"}
control: {socket: /run/godwit/control.sock, mode: "0660"}
)";

TEST(DefaultsTest, FillInWhatIsNotWritten) {
  const api::Config filled = WithDefaults(Read(kWritten));
  EXPECT_TRUE(MessageDifferencer::Equals(filled, Read(kFilled)))
      << filled.DebugString();
}

TEST(DefaultsTest, LeaveWhatIsWritten) {
  const api::Config config = Read(R"(
version: 1
dataplane: {idle: adaptive, hugepages: off, max_flows: 4096}
uplinks: [{name: wan0, device: "veth:a", kernel: tap7, martians: off, hop: router}]
queues:
  - name: q
    device: "veth:q"
    health: {dns: example, interval: 2s, timeout: 1s, rise: 1, fall: 1}
    hop: router
    drained: true
services:
  - name: s
    queues: [{queue: q, weight: 9}]
    affinity: client
    replies: tracked
    originate: vip
    unmatched: silent
egress:
  ports: 2000-3000
  mapping: endpoint-independent
  timeouts: {tcp_established: 8000s, tcp_transitory: 250s, udp: 120s, icmp: 70s}
  rest: 60s
  log: {mappings: true, rate: 7}
announce: {table: 1, hold: 2s, linger: 3s, metric: 9, damping: 0s}
metrics: {listen: "[::1]:1"}
control: {socket: /a, group: g, mode: "0600"}
)");
  EXPECT_TRUE(MessageDifferencer::Equals(WithDefaults(config), config))
      << WithDefaults(config).DebugString();
}

TEST(DefaultsTest, GiveTapsNamesThatAreFree) {
  const api::Config filled = WithDefaults(Read(R"(
uplinks:
  - {name: a, device: "veth:a"}
  - {name: b, device: "veth:b", kernel: gw1}
  - {name: c, device: "veth:c"}
)"));
  EXPECT_EQ(filled.uplinks(0).kernel(), "gw0");
  EXPECT_EQ(filled.uplinks(1).kernel(), "gw1");
  EXPECT_EQ(filled.uplinks(2).kernel(), "gw2");
}

}  // namespace
}  // namespace godwit
