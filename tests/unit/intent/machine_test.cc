// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/machine.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "control/intent/listen.h"
#include "control/intent/load.h"

namespace godwit {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

Machine TestMachine() {
  Machine machine;
  machine.hostname = "ams1";
  machine.cpus = {0, 1, 2, 3};
  machine.interfaces = {"lo", "eth0"};
  machine.namespaces = {"dns"};
  machine.pci_devices = {"0000:3b:00.0"};
  machine.has_group = [](const std::string& name) { return name == "adm"; };
  return machine;
}

LoadedConfig Load(absl::string_view below) {
  const auto loaded = LoadConfig(
      absl::StrCat("version: 1\nnode: {unicast: [198.51.100.7]}\n", below),
      "godwit.yaml");
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.value_or(LoadedConfig());
}

std::vector<std::string> Errors(const LoadedConfig& loaded) {
  return Lines(CheckMachine(loaded.config, TestMachine()).errors,
               loaded.source);
}

std::vector<std::string> Warnings(const LoadedConfig& loaded) {
  return Lines(CheckMachine(loaded.config, TestMachine()).warnings,
               loaded.source);
}

TEST(MachineTest, HasWhatIsAskedFor) {
  const LoadedConfig loaded = Load(R"(
dataplane: {cpus: [3]}
uplinks:
  - {name: a, device: "0000:3b:00.0"}
  - {name: b, device: "xdp:eth0"}
  - {name: c, device: "veth:new"}
queues: [{name: dns0, device: "veth:dns0", netns: dns}]
services: [{name: dns, queues: [dns0]}]
egress: {ports: 1024-32767}
control: {group: adm}
)");
  EXPECT_THAT(Errors(loaded), IsEmpty());
  EXPECT_THAT(Warnings(loaded), IsEmpty());
}

TEST(MachineTest, RefusesWhatIsNotThereWithItsLine) {
  EXPECT_THAT(
      Errors(Load(R"(
dataplane: {cpus: [4]}
uplinks:
  - {name: a, device: "0000:3b:00.1"}
  - {name: b, device: "xdp:eth9"}
  - {name: c, device: "afpacket:eth8"}
queues: [{name: dns0, device: "veth:dns0", netns: web}]
control: {group: wheel}
)")),
      ElementsAre(
          "godwit.yaml:4: dataplane.cpus[0]: \"4\" is not a CPU that this "
          "process may use: here these are 0, 1, 2, 3",
          "godwit.yaml:6: uplinks[0].device: \"0000:3b:00.1\" is not a device "
          "of this machine: `lspci -D` lists them",
          "godwit.yaml:7: uplinks[1].device: \"xdp:eth9\" is not a device of "
          "this machine: it has no interface eth9 but eth0, lo",
          "godwit.yaml:8: uplinks[2].device: \"afpacket:eth8\" is not a device "
          "of this machine: it has no interface eth8 but eth0, lo",
          "godwit.yaml:9: queues[0].netns: \"web\" is not a network namespace "
          "of this machine: it has dns",
          "godwit.yaml:10: control.group: \"wheel\" is not a group of this "
          "machine"));
}

TEST(MachineTest, RefusesMetricsWhereNobodyCanListen) {
  Machine machine = TestMachine();
  machine.why_not_listen = [](const AddressAndPort& where) {
    return where.ToString() == "198.51.100.9:80" ? "free" : "";
  };
  const char* const uplink = "uplinks: [{name: a, device: \"veth:a\"}]\n";
  const LoadedConfig bad =
      Load(absl::StrCat(uplink, "metrics: {listen: \"198.51.100.9:80\"}\n"));
  EXPECT_THAT(
      Lines(CheckMachine(bad.config, machine).errors, bad.source),
      ElementsAre("godwit.yaml:4: metrics.listen: \"198.51.100.9:80\" is not "
                  "free"));
  // The daemon that asks itself is the one that listens.
  EXPECT_THAT(Errors(bad), IsEmpty());
  // The default is asked about too.
  machine.why_not_listen = [](const AddressAndPort& where) {
    return where.ToString() == "127.0.0.1:9467" ? "free" : "";
  };
  const LoadedConfig unsaid = Load(uplink);
  EXPECT_THAT(CheckMachine(unsaid.config, machine).errors.size(), 1u);
}

TEST(MachineTest, KnowsWhereAProgramCanListen) {
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(taken, generic, size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, generic, &size), 0);
  const AddressAndPort where = *AddressAndPort::Parse(
      absl::StrCat("127.0.0.1:", ntohs(address.sin_port)));
  EXPECT_THAT(WhyNotListen(where), StartsWith("free: another program"));
  close(taken);
  EXPECT_EQ(WhyNotListen(where), "");
  // Of RFC 5737: no machine's.
  EXPECT_THAT(WhyNotListen(*AddressAndPort::Parse("203.0.113.254:9467")),
              StartsWith("on this machine: "));
}

TEST(MachineTest, RefusesSocketsWhereNoneCanBe) {
  Machine machine = TestMachine();
  machine.why_no_socket = [](const std::string& path) {
    return path == "/nowhere/a" ? "possible" : "";
  };
  const LoadedConfig loaded = Load(
      "uplinks:\n- {name: a, device: \"vhost:/nowhere/a\"}\n"
      "- {name: b, device: \"vhost:/run/b\"}\n"
      "queues: [{name: q, device: \"memif:/nowhere/a,role=client,id=7\"}]\n");
  EXPECT_THAT(Lines(CheckMachine(loaded.config, machine).errors, loaded.source),
              ElementsAre("godwit.yaml:4: uplinks[0].device: "
                          "\"vhost:/nowhere/a\" is not possible",
                          "godwit.yaml:6: queues[0].device: "
                          "\"memif:/nowhere/a,role=client,id=7\" is not "
                          "possible"));
  EXPECT_THAT(Errors(loaded), IsEmpty());
}

TEST(MachineTest, KnowsWhereASocketCanBe) {
  EXPECT_EQ(WhyNoSocket("/tmp/godwit-a.sock"), "");
  EXPECT_EQ(WhyNoSocket("/godwit-a.sock"), "");
  EXPECT_EQ(WhyNoSocket("/run/godwit/a.sock"), "");  // made by the start
  EXPECT_EQ(WhyNoSocket("/nowhere/at/a.sock"),
            "possible: its directory /nowhere/at is not there");
  EXPECT_EQ(WhyNoSocket("/etc/passwd/a.sock"),
            "possible: /etc/passwd is not a directory");
  EXPECT_EQ(WhyNoSocket("/etc/passwd"),
            "possible: it is there and is not a socket");
  // Nobody can write there, root neither.
  if (geteuid() == 0) {
    EXPECT_THAT(WhyNoSocket("/proc/sys/a.sock"),
                StartsWith("possible: no socket can be made in /proc/sys: "));
  }
}

TEST(MachineTest, RefusesHugepagesThatAreRequiredWhereThereAreNone) {
  Machine machine = TestMachine();
  machine.has_hugepages = false;
  const char* const uplink = "uplinks: [{name: a, device: \"veth:a\"}]\n";
  const LoadedConfig required =
      Load(absl::StrCat(uplink, "dataplane: {hugepages: required}\n"));
  EXPECT_THAT(
      Lines(CheckMachine(required.config, machine).errors, required.source),
      ElementsAre(
          StartsWith("godwit.yaml:4: dataplane.hugepages: \"required\" is not "
                     "possible: this machine has set no huge pages aside")));
  EXPECT_THAT(CheckMachine(Load(uplink).config, machine).errors, IsEmpty());
}

TEST(HereTest, SaysWhatIsMissingAndWhatIsNotSupportedYet) {
  const LoadedConfig loaded = Load(
      "uplinks: [{name: a, device: \"xdp:eth9\"}]\n"
      "queues: [{name: q, device: \"veth:q\", netns: dns, health: {http: "
      "\"https://dns.example/\"}}]\n");
  const std::string not_yet =
      "godwit.yaml:4: queues[0].health.http: \"https://dns.example/\" is not "
      "supported by this version yet: http:// is";
  EXPECT_EQ(CheckHere(loaded, TestMachine(), {}).status().message(),
            absl::StrCat("godwit.yaml:3: uplinks[0].device: \"xdp:eth9\" is "
                         "not a device of this machine: it has no interface "
                         "eth9 but eth0, lo\n",
                         not_yet));
  EXPECT_EQ(CheckAnywhere(loaded).status().message(), not_yet);
}

TEST(MachineTest, WarnsOfPortsThatTheKernelGivesOutToo) {
  const char* const uplink = "uplinks: [{name: a, device: \"veth:a\"}]\n";
  EXPECT_THAT(
      Warnings(Load(absl::StrCat(uplink, "egress: {ports: 60000-65535}\n"))),
      ElementsAre("godwit.yaml:4: egress.ports: \"60000-65535\" overlaps the "
                  "kernel's ephemeral range 32768-60999: the node's own "
                  "connections from there get no answers"));
  EXPECT_THAT(
      Warnings(Load(absl::StrCat(uplink, "egress: {ports: 61000-65535}\n"))),
      IsEmpty());
}

TEST(MachineTest, TakesTheDefaultGroupWrittenOutForADefault) {
  const LoadedConfig loaded = Load(
      "uplinks: [{name: a, device: \"veth:a\"}]\ncontrol: {group: godwit}\n");
  EXPECT_THAT(Errors(loaded), IsEmpty());
  EXPECT_EQ(Warnings(loaded).size(), 1u);
  const api::Config filled = WithMachineDefaults(loaded.config, TestMachine());
  EXPECT_FALSE(filled.control().has_group());
}

TEST(MachineTest, GivesEveryCpuButTheFirstAWorker) {
  const api::Config filled = WithMachineDefaults(api::Config(), TestMachine());
  EXPECT_THAT(filled.dataplane().cpus(), ElementsAre(1, 2, 3));
  EXPECT_EQ(filled.dataplane().workers(), 3u);
  EXPECT_EQ(filled.node().name(), "ams1");
}

TEST(MachineTest, GivesTheOnlyCpuAWorker) {
  Machine machine = TestMachine();
  machine.cpus = {5};
  const api::Config filled = WithMachineDefaults(api::Config(), machine);
  EXPECT_THAT(filled.dataplane().cpus(), ElementsAre(5));
  EXPECT_EQ(filled.dataplane().workers(), 1u);
}

TEST(MachineTest, CountsWorkersByTheCpusThatAreWritten) {
  api::Config config;
  config.mutable_dataplane()->add_cpus(0);
  config.mutable_dataplane()->add_cpus(1);
  config.mutable_node()->set_name("own");
  const api::Config filled = WithMachineDefaults(config, TestMachine());
  EXPECT_EQ(filled.dataplane().workers(), 2u);
  EXPECT_EQ(filled.node().name(), "own");
}

TEST(MachineTest, IsReadHere) {
  const Machine machine = ReadMachine();
  EXPECT_FALSE(machine.cpus.empty());
  EXPECT_THAT(machine.interfaces, Contains("lo"));
  EXPECT_LT(machine.ephemeral.low, machine.ephemeral.high);
  EXPECT_TRUE(machine.has_group("root"));
  EXPECT_FALSE(machine.has_group("no such group"));
}

TEST(MachineTest, ReadsListsOfCpus) {
  EXPECT_EQ(ParseCpuList("0-2,8"), (std::set<uint32_t>{0, 1, 2, 8}));
  EXPECT_EQ(ParseCpuList("0"), (std::set<uint32_t>{0}));
  EXPECT_EQ(ParseCpuList(""), std::nullopt);
  EXPECT_EQ(ParseCpuList("2-1"), std::nullopt);
  EXPECT_EQ(ParseCpuList("a"), std::nullopt);
}

// What a running node changes from and to: `queues` below a bypass uplink.
LoadedConfig Node(absl::string_view queues) {
  return Load(absl::StrCat(R"(
dataplane: {cpus: [7]}
uplinks: [{name: a, device: "xdp:eth9"}]
control: {group: wheel}
queues: )",
                           queues));
}

TEST(MachineTest, AChangeIsNotJudgedByWhatItDoesNotTouch) {
  const LoadedConfig before = Node(
      "[{name: q, device: \"veth:q\", netns: gone}, {name: r, device: "
      "\"veth:r\"}]");
  const auto errors = [&before](const LoadedConfig& next) {
    const Machine machine =
        WithUntouched(TestMachine(), before.config, next.config);
    return Lines(CheckMachine(next.config, machine).errors, next.source);
  };
  EXPECT_EQ(Errors(before).size(), 4U) << "nothing of it is on this machine";
  EXPECT_THAT(errors(before), IsEmpty());
  // By its name, wherever it is in the list and however it is drained.
  EXPECT_THAT(errors(Node("[{name: q, device: \"veth:q\", netns: gone, "
                          "drained: true}]")),
              IsEmpty());
  for (const char* const other :
       {"[{name: s, device: \"veth:q\", netns: gone}]",
        "[{name: q, device: \"veth:s\", netns: gone}]",
        "[{name: q, device: \"veth:q\", netns: lost}]",
        "[{name: r, device: \"veth:r\", netns: gone}]"}) {
    EXPECT_THAT(errors(Node(other)), ElementsAre(HasSubstr("queues[0].netns")))
        << other;
  }
}

TEST(MachineTest, AFindingBelongsToWhatIsTouchedOrNot) {
  const LoadedConfig before = Node("[{name: q, device: \"veth:q\"}]");
  const LoadedConfig next =
      Node("[{name: r, device: \"veth:r\"}, {name: q, device: \"veth:q\"}]");
  const auto untouched = [&](const char* path) {
    return IsUntouched(before.config, next.config, path);
  };
  EXPECT_TRUE(untouched("uplinks[0].kernel"));
  EXPECT_FALSE(untouched("queues[0].device"));
  EXPECT_TRUE(untouched("queues[1].device"));
  EXPECT_FALSE(untouched("metrics.listen"));
}

}  // namespace
}  // namespace godwit
