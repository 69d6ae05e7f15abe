// SPDX-License-Identifier: BSD-3-Clause
//
// The exact text that people and programs see.
#include "control/cli/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "control/cli/json.h"
#include "google/protobuf/text_format.h"

namespace godwit::cli {
namespace {

using ::testing::HasSubstr;

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

api::StatusReply SomeStatus() {
  return FromText<api::StatusReply>(R"(
    ready: true generation: 18 node: "ams1" version: "0.1.0" uptime_s: 3723
    flows: 5 max_flows: 1048576 unicast: "198.51.100.7"
    unicast: "2001:db8:7::7"
    uplinks { name: "wan0" state: "up" device: "veth:u0" mac: "02:00:00:00:00:01"
              mtu: 1500 mode: "software" handoff_share: 0.5 rx_packets: 1234
              tx_packets: 99 kernel: "gw0" }
    queues { name: "dns0" state: "up" device: "veth:dns0" netns: "dns"
             services: "dns" rx_packets: 7 tx_packets: 12345 inbound_flows: 4
             originated_flows: 1 }
    queues { name: "cdn0" state: "down" reason: "no peer"
             device: "vhost:/run/godwit/cdn0.sock" }
    services { name: "dns" announced: true state: "up" addresses: "192.0.2.53"
               addresses: "2001:db8:53::53" ports: "udp/53" ports: "tcp/53"
               queues { queue: "dns0" } queues { queue: "dns1" weight: 10 }
               inbound_flows: 4 originated_flows: 1 }
    workers { id: 0 cpu: 2 flows: 5 max_flows: 1048576 busy: 0.123 })");
}

TEST(RenderTest, Status) {
  EXPECT_EQ(
      Render(SomeStatus()),
      "node ams1: ready, generation 18, up 1h2m3s, 5 of 1048576 flows\n"
      "unicast 198.51.100.7, 2001:db8:7::7\n"
      "\n"
      "UPLINK  STATE  DEVICE   KERNEL  MAC                 MTU  MODE      "
      "HANDOFF    RX  TX\n"
      "wan0    up     veth:u0  gw0     02:00:00:00:00:01  1500  software  "
      "50.0%    1234  99\n"
      "\n"
      "QUEUE  STATE           DEVICE                       NETNS  SERVICES  "
      "RX     TX  INBOUND  ORIGINATED\n"
      "dns0   up              veth:dns0                    dns    dns        "
      "7  12345        4           1\n"
      "cdn0   down (no peer)  vhost:/run/godwit/cdn0.sock  -      -          "
      "0      0        0           0\n"
      "\n"
      "SERVICE  STATE  ADDRESSES                   ANNOUNCED  PORTS          "
      "QUEUES        ORIGINATE  INBOUND  ORIGINATED\n"
      "dns      up     192.0.2.53,2001:db8:53::53  yes        udp/53,tcp/53  "
      "dns0,dns1:10  unicast          4           1\n"
      "\n"
      "WORKER  CPU  BUSY   FLOWS       OF\n"
      "     0    2  12.3%      5  1048576\n");
}

TEST(RenderTest, StatusSaysWhatIsOnTrial) {
  api::StatusReply status = SomeStatus();
  api::ConfigStatus& config = *status.mutable_config();
  config.set_last_change("config apply new.yaml");
  EXPECT_THAT(Render(status),
              HasSubstr("2001:db8:7::7\nconfig: config apply new.yaml\n\n"));
  config.set_unconfirmed(18);
  config.set_back_to(17);
  config.set_confirm_left_s(40.2);
  EXPECT_THAT(
      Render(status),
      HasSubstr("\nconfig: config apply new.yaml; NOT CONFIRMED: back to "
                "generation 17 in 41s\n"));
  config.set_confirm_left_s(0);
  config.set_revert_failed("the device is busy");
  EXPECT_THAT(Render(status), HasSubstr("back to generation 17 in 0; could "
                                        "not: the device is busy\n"));
}

TEST(RenderTest, ConfigHistory) {
  EXPECT_EQ(Render(FromText<api::ConfigHistoryReply>(R"(
    entries { generation: 18 when: "2026-01-02T03:04:05Z" how: "service set dns"
              in_effect: true }
    entries { generation: 17 when: "2026-01-02T03:04:04Z" how: "start"
              changes: "service dns: queues [dns0] -> [dns1]" }
    entries { generation: 16 when: "2026-01-02T03:04:03Z" how: "start"
              changes: "a" changes: "b" }
    entries { generation: 9 when: "2026-01-02T03:04:02Z" how: "start" })")),
            "GENERATION  WHEN                  HOW              "
            "FROM THERE TO NOW\n"
            "        18  2026-01-02T03:04:05Z  service set dns  in effect\n"
            "        17  2026-01-02T03:04:04Z  start            "
            "service dns: queues [dns0] -> [dns1]\n"
            "        16  2026-01-02T03:04:03Z  start            2 changes\n"
            "         9  2026-01-02T03:04:02Z  start            "
            "nothing differs\n");
}

TEST(RenderTest, EmptyListsSaySo) {
  EXPECT_EQ(Render(api::ServiceListReply()), "no services\n");
  EXPECT_EQ(Render(api::QueueListReply()), "no queues\n");
  EXPECT_EQ(Render(api::UplinkListReply()), "no uplinks\n");
  EXPECT_EQ(Render(api::FlowListReply()), "no flows\n");
  EXPECT_EQ(Render(api::NeighborListReply()), "no neighbors\n");
  EXPECT_EQ(Render(api::RouteListReply()), "no routes\n");
  EXPECT_EQ(Render(api::ConfigDiffReply()), "nothing would change\n");
  EXPECT_EQ(RenderDrops(api::CountersReply()), "no drops\n");
}

TEST(RenderTest, OneThingInFull) {
  EXPECT_EQ(Render(FromText<api::ServiceStatus>(R"(
              name: "dns" state: "draining" reason: "dns0 is drained"
              addresses: "192.0.2.53" queues { queue: "dns0" weight: 10 })")),
            "name              dns\n"
            "state             draining\n"
            "reason            dns0 is drained\n"
            "addresses         192.0.2.53\n"
            "queues            dns0:10\n"
            "affinity          flow\n"
            "replies           tuple\n"
            "originate         unicast\n"
            "unmatched         reject\n"
            "inbound_flows     0\n"
            "originated_flows  0\n"
            "announced         false\n");
}

TEST(RenderTest, EgressShowsDefaultsAndRoom) {
  EXPECT_EQ(Render(FromText<api::EgressShowReply>(R"(
              egress { ports: "auto" reserved: 3784 reserved: 3785
                       mapping: ENDPOINT_INDEPENDENT
                       timeouts { udp { seconds: 300 }
                                  icmp { nanos: 500000000 } } }
              addresses { address: "198.51.100.7" ports: "1024-32767"
                          l4ports: 31744 mappings: 5 exhausted: 2 })")),
            "ports          auto\n"
            "reserved       3784, 3785\n"
            "mapping        endpoint-independent\n"
            "timeouts.udp   300s\n"
            "timeouts.icmp  500ms\n"
            "\n"
            "UNICAST       PORTS       COUNT  MAPPINGS  EXHAUSTED\n"
            "198.51.100.7  1024-32767  31744         5          2\n");
}

TEST(RenderTest, FlowsAndThatThereAreMore) {
  api::FlowListReply reply = FromText<api::FlowListReply>(R"(
    flows { kind: "originated" proto: "tcp" service: "crawler" queue: "crawl0"
            local: "192.0.2.53:4000" remote: "203.0.113.9:443"
            translated: "198.51.100.7:20001" state: "established"
            idle_s: 0.25 }
    flows { kind: "inbound" proto: "udp" service: "dns" queue: "dns0"
            local: "192.0.2.53:53" remote: "198.51.100.9:4000"
            state: "active" idle_s: 12 }
    total: 2)");
  const std::string table =
      "KIND        PROTO  SERVICE  QUEUE   LOCAL            REMOTE             "
      "TRANSLATED          STATE        IDLE\n"
      "originated  tcp    crawler  crawl0  192.0.2.53:4000  203.0.113.9:443    "
      "198.51.100.7:20001  established  0.2s\n"
      "inbound     udp    dns      dns0    192.0.2.53:53    198.51.100.9:4000  "
      "-                   active       12.0s\n";
  EXPECT_EQ(Render(reply), table);
  reply.set_total(500);
  EXPECT_EQ(Render(reply), table + "2 of 500 flows; --limit=N shows more\n");
}

api::CountersReply SomeCounters() {
  return FromText<api::CountersReply>(R"(
    received: 100 generated: 7 delivered: 60 sent: 30 punted: 5 consumed: 4
    held: 1 dropped { key: "nat_filtered" value: 4 }
    dropped { key: "leak_prevented" value: 3 } dropped { key: "ip_ttl" }
    driver { key: "wan0.imissed" value: 9 } events { key: "evicted" })");
}

TEST(RenderTest, Counters) {
  const std::string totals =
      "COUNTER    PACKETS\n"
      "received       100\n"
      "generated        7\n"
      "delivered       60\n"
      "sent            30\n"
      "punted           5\n"
      "consumed         4\n"
      "dropped          7\n"
      "held             1\n";
  api::CountersReply reply = SomeCounters();
  EXPECT_EQ(Render(reply), totals +
                               "\n"
                               "DROPPED         PACKETS\n"
                               "ip_ttl                0\n"
                               "leak_prevented        3\n"
                               "nat_filtered          4\n"
                               "\n"
                               "DRIVER        PACKETS\n"
                               "wan0.imissed        9\n"
                               "\n"
                               "EVENT    PACKETS\n"
                               "evicted        0\n");
  DropZeros(reply);
  const std::string drops =
      "DROPPED         PACKETS\n"
      "leak_prevented        3\n"
      "nat_filtered          4\n";
  EXPECT_EQ(RenderDrops(reply), drops);
  EXPECT_EQ(Render(reply), totals + "\n" + drops +
                               "\n"
                               "DRIVER        PACKETS\n"
                               "wan0.imissed        9\n");
}

TEST(RenderTest, RoutesAndNeighbors) {
  EXPECT_EQ(Render(FromText<api::RouteListReply>(R"(
              routes { prefix: "0.0.0.0/0" kind: "next-hop" via: "198.51.100.1"
                       device: "wan0" interface: "gw0" metric: 100 weight: 1
                       source: "kernel" })")),
            "PREFIX     KIND      VIA           DEVICE  INTERFACE  METRIC  "
            "WEIGHT  SOURCE\n"
            "0.0.0.0/0  next-hop  198.51.100.1  wan0    gw0           100     "
            "  1  kernel\n");
  EXPECT_EQ(Render(FromText<api::NeighborListReply>(R"(
              neighbors { address: "198.51.100.1" device: "wan0"
                          interface: "gw0" state: "incomplete" })")),
            "ADDRESS       MAC  DEVICE  INTERFACE  STATE\n"
            "198.51.100.1  -    wan0    gw0        incomplete\n");
}

TEST(RenderTest, RepliesOfChanges) {
  EXPECT_EQ(Render(FromText<api::ChangeReply>("generation: 18")),
            "ok, generation 18\n");
  EXPECT_EQ(Render(FromText<api::ChangeReply>("message: \"ok, as it was\"")),
            "ok, as it was\n");
  EXPECT_EQ(Render(FromText<api::FlowFlushReply>("generation: 3 flushed: 7")),
            "ok, 7 flows ended, generation 3\n");
  EXPECT_EQ(Render(FromText<api::FlowCountReply>(
                "count: 7 inbound: 4 originated: 3")),
            "7 flows: 4 inbound, 3 originated\n");
  EXPECT_EQ(Render(FromText<api::ConfigSaveReply>(
                "generation: 3 filename: \"/etc/godwit/godwit.yaml\"")),
            "ok, generation 3 saved to /etc/godwit/godwit.yaml\n");
  EXPECT_EQ(Render(FromText<api::ConfigShowReply>("text: \"version: 1\"")),
            "version: 1\n");
  EXPECT_EQ(Render(FromText<api::ConfigShowReply>("text: \"version: 1\\n\"")),
            "version: 1\n");
}

TEST(JsonTest, PrintsZerosEmptyListsAndBigNumbers) {
  EXPECT_EQ(Json(api::FlowListReply()),
            "{\n  \"flows\": [],\n  \"total\": 0\n}\n");
  EXPECT_EQ(Json(api::FlowFilter()),
            "{\n"
            "  \"service\": \"\",\n"
            "  \"client\": \"\",\n"
            "  \"proto\": \"\",\n"
            "  \"limit\": 0\n"
            "}\n");
  EXPECT_EQ(Json(FromText<api::FlowFlushReply>(
                "generation: 18446744073709551615 flushed: 9007199254740993")),
            "{\n"
            "  \"generation\": 18446744073709551615,\n"
            "  \"message\": \"\",\n"
            "  \"flushed\": 9007199254740993\n"
            "}\n");
}

TEST(JsonTest, PrintsNestedThingsEnumsAndWeights) {
  EXPECT_EQ(Json(FromText<api::ServiceListReply>(R"(
              services { name: "dns" state: "up" queues { queue: "dns0" }
                         queues { queue: "dns1" weight: 10 }
                         affinity: CLIENT })")),
            R"({
  "services": [
    {
      "name": "dns",
      "state": "up",
      "reason": "",
      "addresses": [],
      "ports": [],
      "queues": [
        {
          "queue": "dns0"
        },
        {
          "queue": "dns1",
          "weight": 10
        }
      ],
      "affinity": "client",
      "replies": "tuple",
      "originate": "unicast",
      "unmatched": "reject",
      "inbound_flows": 0,
      "originated_flows": 0,
      "announced": false,
      "announced_reason": ""
    }
  ]
}
)");
}

TEST(JsonTest, LeavesOutWhatTheConfigLeavesOut) {
  EXPECT_EQ(Json(FromText<api::Egress>(R"(
              mapping: PER_DESTINATION timeouts { udp { seconds: 300 } })")),
            R"({
  "reserved": [],
  "direct": [],
  "mapping": "per-destination",
  "timeouts": {
    "udp": "300s"
  }
}
)");
}

TEST(JsonTest, PrintsCounters) {
  EXPECT_EQ(Json(SomeCounters()), R"({
  "received": 100,
  "generated": 7,
  "delivered": 60,
  "sent": 30,
  "punted": 5,
  "consumed": 4,
  "held": 1,
  "dropped": {
    "ip_ttl": 0,
    "leak_prevented": 3,
    "nat_filtered": 4
  },
  "driver": {
    "wan0.imissed": 9
  },
  "events": {
    "evicted": 0
  }
}
)");
  EXPECT_EQ(DropsJson(SomeCounters()), R"({
  "dropped": {
    "ip_ttl": 0,
    "leak_prevented": 3,
    "nat_filtered": 4
  }
}
)");
  EXPECT_EQ(DropsJson(api::CountersReply()), "{\n  \"dropped\": {}\n}\n");
}

TEST(JsonTest, PrintsFractionsShortAndWhole) {
  api::Flow flow;
  const auto idle = [&flow](double seconds) {
    flow.set_idle_s(seconds);
    const std::string text = Json(flow);
    const size_t begin = text.find("\"idle_s\": ") + 10;
    return text.substr(begin, text.find(',', begin) - begin);
  };
  EXPECT_EQ(idle(0), "0");
  EXPECT_EQ(idle(0.1), "0.1");
  EXPECT_EQ(idle(1234567.25), "1234567.25");
  EXPECT_EQ(idle(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(idle(std::numeric_limits<double>::quiet_NaN()), "null");
}

TEST(JsonTest, QuotesStrings) {
  EXPECT_EQ(JsonString(""), "\"\"");
  EXPECT_EQ(JsonString("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(JsonString("a\nb\tc\x01\x7f"), "\"a\\nb\\u0009c\\u0001\\u007f\"");
  EXPECT_EQ(JsonString(std::string("a\0b", 3)), "\"a\\u0000b\"");
  EXPECT_EQ(JsonString("zürich €"), "\"zürich €\"");
  EXPECT_EQ(JsonString("\xf0\x9f\x90\xa6"), "\"\xf0\x9f\x90\xa6\"");
}

TEST(JsonTest, ReplacesBytesThatAreNoUtf8) {
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xff", "\xe0\x80\x80"}) {
    const std::string quoted = JsonString(bad);
    EXPECT_EQ(quoted.substr(0, 7), "\"\\ufffd");
    for (const char c : quoted) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
  }
}

}  // namespace
}  // namespace godwit::cli
