// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/intent/validate.h"
#include "control/intent/yaml.h"
#include "tests/unit/intent/bad_input.h"

namespace godwit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string With(absl::string_view added) {
  return absl::StrCat(kGoodFile, added);
}

LoadedConfig Load(const std::string& text) {
  const auto loaded = LoadConfig(text, "godwit.yaml");
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.value_or(LoadedConfig());
}

TEST(LoadTest, KeepsAbsentFromDefault) {
  EXPECT_FALSE(Load(kGoodFile).config.has_egress());
  const api::Config empty = Load(With("egress:\n")).config;
  EXPECT_TRUE(empty.has_egress());
  EXPECT_FALSE(empty.egress().has_mapping());
  const api::Config config =
      Load(With("egress: {mapping: per-destination}\n")).config;
  EXPECT_TRUE(config.egress().has_mapping());
}

TEST(LoadTest, TakesAQueueByNameOrWithItsWeight) {
  const api::Config config = Load(With("  - name: both\n"
                                       "    queues:\n"
                                       "      - dns0\n"
                                       "      - queue: web0\n"
                                       "        weight: 7\n"))
                                 .config;
  ASSERT_EQ(config.services(2).queues_size(), 2);
  EXPECT_EQ(config.services(2).queues(0).queue(), "dns0");
  EXPECT_EQ(config.services(2).queues(1).queue(), "web0");
  EXPECT_EQ(config.services(2).queues(1).weight(), 7u);
}

TEST(LoadTest, TakesTheQueueKernelWithoutAskingForOne) {
  Load(With("  - {name: ssh, queues: [kernel]}\n"));
}

TEST(LoadTest, LetsServicesShareAnAddressOnOtherPortsAndProtocols) {
  Load(
      With("  - {name: a, addresses: [192.0.2.53], ports: [tcp/53, udp/54, "
           "icmp], queues: [web0]}\n"));
}

TEST(LoadTest, LetsAnOriginatorHaveAddressesWithoutPorts) {
  Load(With("  - {name: a, addresses: [192.0.2.53], queues: [dns0]}\n"));
}

TEST(LoadTest, LetsOneInterfaceNameBeInTwoNamespaces) {
  Load(R"(version: 1
node: {unicast: [198.51.100.7]}
uplinks: [{name: wan0, device: "veth:wan0"}]
queues:
  - {name: a, device: "veth:eth0", netns: a}
  - {name: b, device: "veth:eth0", netns: b}
services: [{name: s, queues: [a, b]}]
)");
}

TEST(LoadTest, LetsASmallMtuBeWithoutIpv6) {
  Load(R"(version: 1
node: {unicast: [198.51.100.7]}
uplinks: [{name: wan0, device: "veth:wan0", mtu: 1000}]
)");
}

TEST(LoadTest, LetsALinkLocalRouterBeTheGateway) {
  Load(R"(version: 1
node: {unicast: ["2001:db8:7::7"]}
uplinks: [{name: wan0, device: "veth:wan0", addresses: ["2001:db8:7::7/64"], gateway: ["fe80::1"]}]
)");
}

TEST(LoadTest, TellsOfAllErrorsInTheFilesOrder) {
  const auto loaded = LoadConfig(
      "version: 2\n"
      "node: {unicast: [x]}\n"
      "uplinks: [{name: wan0, device: \"veth:wan0\", vlan: 5000}]\n"
      "egress: {maping: per-destination}\n",
      "godwit.yaml");
  EXPECT_THAT(absl::StrSplit(loaded.status().message(), '\n'),
              ElementsAre(HasSubstr("godwit.yaml:1: version"),
                          HasSubstr("godwit.yaml:2: node.unicast[0]"),
                          HasSubstr("godwit.yaml:3: uplinks[0].vlan"),
                          HasSubstr("godwit.yaml:4: egress.maping")));
}

TEST(LoadTest, StopsAfterTwentyErrors) {
  std::string reserved = "egress: {reserved: [0";
  for (int i = 0; i < 49; ++i) reserved += ", 0";
  const auto loaded = LoadConfig(With(reserved + "]}\n"), "godwit.yaml");
  const std::vector<std::string> lines =
      absl::StrSplit(loaded.status().message(), '\n');
  ASSERT_EQ(lines.size(), 21u);
  EXPECT_EQ(lines.back(), "and 30 more");
}

TEST(LoadTest, DoesNotBlameWhatFollowsFromAMistypedKey) {
  const auto loaded = LoadConfig(
      "version: 1\nnode: {unicats: [198.51.100.7]}\n"
      "uplinks: [{name: wan0, device: \"veth:wan0\"}]\n",
      "godwit.yaml");
  EXPECT_EQ(loaded.status().message(),
            "godwit.yaml:2: node.unicats: \"unicats\" is not a known key, the "
            "nearest is \"unicast\"; known here: name, unicast");
}

TEST(LoadTest, BlamesAnEmptyListBesideAMistypedKey) {
  const auto loaded = LoadConfig(
      "version: 1\nnode:\n  nmae: ams1\n  unicast: []\n"
      "uplinks: [{name: wan0, device: \"veth:wan0\"}]\n",
      "godwit.yaml");
  EXPECT_EQ(loaded.status().message(),
            "godwit.yaml:3: node.nmae: \"nmae\" is not a known key, the "
            "nearest is \"name\"; known here: name, unicast\n"
            "godwit.yaml:4: node.unicast: [] is empty: at least one address "
            "of this node, the source of what it originates");
}

TEST(LoadTest, TellsTheLineOfWhatIsMissing) {
  const auto loaded = LoadConfig(
      "version: 1\nnode: {unicast: [198.51.100.7]}\nuplinks:\n"
      "  - name: wan0\n    device: \"veth:wan0\"\n\n  - vlan: 7\n",
      "godwit.yaml");
  EXPECT_EQ(loaded.status().message(),
            "godwit.yaml:7: uplinks[1]: \"name\" is missing\n"
            "godwit.yaml:7: uplinks[1]: \"device\" is missing");
}

TEST(LoadTest, WarnsOfTcpTimeoutsUnderTheRfcsMinimum) {
  EXPECT_THAT(
      Load(With("egress:\n  timeouts:\n    tcp_transitory: 30s\n")).warnings,
      ElementsAre("godwit.yaml:10: egress.timeouts.tcp_transitory: \"30s\" is "
                  "under the minimum of RFC 5382, 240s: idle connections "
                  "break"));
  EXPECT_THAT(Load(With("egress: {timeouts: {tcp_established: 7440s, "
                        "tcp_transitory: 240s}}\n"))
                  .warnings,
              IsEmpty());
}

TEST(LoadTest, WarnsOfAQueueWithoutService) {
  EXPECT_THAT(
      Load("version: 1\nnode: {unicast: [198.51.100.7]}\n"
           "uplinks: [{name: wan0, device: \"veth:wan0\"}]\n"
           "queues: [{name: q, device: \"veth:q\"}]\n")
          .warnings,
      ElementsAre("godwit.yaml:4: queues[0].name: \"q\" is in no service"));
}

TEST(LoadTest, WarnsWhereServicesDifferOnUnmatched) {
  EXPECT_THAT(Load(With("  - {name: a, addresses: [192.0.2.53], unmatched: "
                        "silent, queues: [web0]}\n"))
                  .warnings,
              ElementsAre(HasSubstr("differs from service dns")));
}

TEST(LoadTest, WarnsOfVipWithoutAddress) {
  EXPECT_THAT(Load("version: 1\nnode: {unicast: [198.51.100.7]}\n"
                   "uplinks: [{name: wan0, device: \"veth:wan0\"}]\n"
                   "queues: [{name: q, device: \"veth:q\"}]\n"
                   "services: [{name: s, queues: [q], originate: vip}]\n")
                  .warnings,
              ElementsAre(HasSubstr("\"vip\" lets nothing out")));
}

TEST(LoadTest, ChecksWhatVerbsHaveBuiltByTheSameRules) {
  api::Config config = Load(kGoodFile).config;
  EXPECT_TRUE(CheckConfig(config).ok());
  config.mutable_services(0)->add_queues()->set_queue("dns9");
  EXPECT_EQ(CheckConfig(config).status().message(),
            "services[0].queues[1]: \"dns9\" is not a queue of this node: it "
            "has dns0, web0, kernel");
}

TEST(LoadTest, KnowsWhichChecksAreNotSupportedYet) {
  LoadedConfig loaded = Load(kGoodFile);
  EXPECT_THAT(RefuseNotSupportedYet(loaded.config).errors, IsEmpty());
  api::Queue& queue = *loaded.config.mutable_queues(0);
  queue.mutable_health()->set_tcp(53);
  queue.clear_netns();
  const std::string kWithoutNetns =
      "queues[0].health: is not supported by this version yet on a queue "
      "without netns, but for exec, which runs anywhere";
  EXPECT_THAT(Lines(RefuseNotSupportedYet(loaded.config).errors, Source()),
              ElementsAre(kWithoutNetns));
  queue.set_netns("dns");
  EXPECT_THAT(RefuseNotSupportedYet(loaded.config).errors, IsEmpty());
  queue.mutable_health()->clear_tcp();
  queue.mutable_health()->set_http("https://192.0.2.53/");
  EXPECT_THAT(Lines(RefuseNotSupportedYet(loaded.config).errors, Source()),
              ElementsAre("queues[0].health.http: \"https://192.0.2.53/\" is "
                          "not supported by this version yet: http:// is"));
  queue.mutable_health()->clear_http();
  queue.mutable_health()->add_exec("/bin/true");
  queue.clear_netns();
  EXPECT_THAT(RefuseNotSupportedYet(loaded.config).errors, IsEmpty());
}

TEST(NearestTest, FindsTheWordWithTheFewestChanges) {
  EXPECT_EQ(Nearest("qeueus", {"uplinks", "queues", "services"}), "queues");
  EXPECT_EQ(Nearest("", {"uplinks", "vlan"}), "vlan");
  EXPECT_EQ(Nearest(std::string(1'000'000, 'x'), {"a", "b"}), "a");
}

TEST(BoundsTest, RefusesMoreThanAMebibyte) {
  const std::string text(1'048'577, '#');
  EXPECT_EQ(LoadConfig(text, "f").status().message(),
            "f:1: the file has 1048577 bytes; at most 1048576 are read");
}

// Each of these has made some reader of YAML take forever or overflow a stack.
TEST(BoundsTest, ReadsHostileTextInLittleTime) {
  const auto repeated = [](absl::string_view piece, size_t bytes) {
    std::string text;
    while (text.size() + piece.size() <= bytes) absl::StrAppend(&text, piece);
    return text;
  };
  for (const char* const piece :
       {"[",     "{",    "- ",  "? ",   "a: ",   "&a ", "*a ",
        "!",     "'",    "\"",  "a:\n", "- a\n", "|\n", ">\n ",
        "---\n", "%A\n", "[],", "{},",  "a,",    ": "}) {
    SCOPED_TRACE(piece);
    LoadConfig(repeated(piece, 1 << 20), "f").IgnoreError();
    LoadConfig("uplinks: [" + repeated(piece, 1 << 19), "f").IgnoreError();
  }
}

TEST(BoundsTest, BoundsTheEndpointsOfAllServices) {
  std::string ports = "udp/1";
  std::string addresses = "10.0.0.1";
  for (int i = 2; i <= 300; ++i) {
    absl::StrAppend(&ports, ", udp/", i);
    absl::StrAppend(&addresses, ", 10.0.", i / 250, ".", i % 250 + 1);
  }
  const auto loaded = LoadConfig(
      With(absl::StrCat("  - {name: a, addresses: [", addresses, "], ports: [",
                        ports, "], queues: [dns0]}\n")),
      "godwit.yaml");
  EXPECT_EQ(loaded.status().message(),
            "godwit.yaml:5: services: \"90002\" is not a number of addresses "
            "times ports, over all services, of 0-65536");
}

}  // namespace
}  // namespace godwit
