// SPDX-License-Identifier: BSD-3-Clause
//
// The whole of godwitctl against a real control socket.
#include "control/cli/run.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/server/service.h"
#include "tests/unit/server/scratch_directory.h"
#include "tests/unit/server/small_node.h"

namespace godwit::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Of the loopback; nobody listens there now.
int FreeL4Port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(fd, generic, size), 0);
  EXPECT_EQ(getsockname(fd, generic, &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    api::Control config;
    config.set_socket(socket());
    absl::StatusOr<std::unique_ptr<ControlServer>> server =
        ControlServer::Start(config, node_);
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) server_ = *std::move(server);
    std::ofstream(file()) << "version: 1\n";
  }

  std::string socket() const { return scratch_ / "s"; }
  std::string file() const { return scratch_ / "f.yaml"; }

  Outcome Do(const std::string& line) {
    std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    words.push_back("--socket=" + socket());
    return cli::Run(words);
  }

  // What the node was asked when `line` was said.
  std::string Asked(const std::string& line) {
    const Outcome outcome = Do(line);
    EXPECT_EQ(outcome.exit_code, ExitCode::kDone) << line << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_NE(outcome.out, "") << line;
    return node_.last();
  }

  ScratchDirectory scratch_;
  SmallNode node_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(RunTest, EveryVerbIsTheCallItShouldBe) {
  node_.services.add_services()->set_name("dns");
  node_.queues.add_queues()->set_name("dns0");
  node_.uplinks.add_uplinks()->set_name("wan0");
  node_.egress.mutable_egress()->set_ports("auto");
  const std::string file_text =
      absl::StrCat("text: \"version: 1\\n\" filename: \"", file(), "\"");
  const std::vector<std::pair<std::string, std::string>> calls = {
      {"status", "Status "},
      {"service list", "ServiceList "},
      {"service show dns", "ServiceList name: \"dns\""},
      {"service set dns --queues=dns0,dns1:10 --affinity= --ports=udp/53",
       "ServiceSet service { name: \"dns\" ports: \"udp/53\" queues { queue: "
       "\"dns0\" } queues { queue: \"dns1\" weight: 10 } } fields: "
       "\"affinity\" fields: \"ports\" fields: \"queues\""},
      {"service remove dns", "ServiceRemove name: \"dns\""},
      {"queue list", "QueueList "},
      {"queue show dns0", "QueueList name: \"dns0\""},
      {"queue set dns0 --device=veth:dns0 --limits.flows=5",
       "QueueSet queue { name: \"dns0\" device: \"veth:dns0\" limits { flows: "
       "5 } } fields: \"device\" fields: \"limits.flows\""},
      {"queue drain dns0", "QueueDrain name: \"dns0\""},
      {"queue drain dns0 --deadline=90s",
       "QueueDrain name: \"dns0\" deadline_ms: 90000"},
      {"queue undrain dns0", "QueueDrain name: \"dns0\" undrain: true"},
      {"queue remove dns0", "QueueRemove name: \"dns0\""},
      {"uplink list", "UplinkList "},
      {"uplink show wan0", "UplinkList name: \"wan0\""},
      {"egress show", "EgressShow "},
      {"egress set --timeouts.udp=300s",
       "EgressSet egress { timeouts { udp { seconds: 300 } } } fields: "
       "\"timeouts.udp\""},
      {"flow list --service=dns --client=198.51.100.0/24 --proto=udp --limit=9",
       "FlowList filter { service: \"dns\" client: \"198.51.100.0/24\" proto: "
       "\"udp\" limit: 9 }"},
      {"flow count --service=dns", "FlowCount filter { service: \"dns\" }"},
      {"flow flush", "FlowFlush filter { }"},
      {"neighbor list", "NeighborList "},
      {"route list", "RouteList "},
      {"counters", "Counters "},
      {"explain udp 198.51.100.7:4000 192.0.2.53:53 --from=dns0 --json",
       "Explain proto: \"udp\" src: \"198.51.100.7:4000\" dst: "
       "\"192.0.2.53:53\" from: \"dns0\""},
      {"config show", "ConfigShow "},
      {"config show --defaults", "ConfigShow defaults: true"},
      {"config show --generation=17", "ConfigShow generation: 17"},
      {"config check " + file(), "ConfigCheck " + file_text},
      {"config diff " + file(), "ConfigDiff " + file_text},
      {"config apply " + file(), "ConfigApply " + file_text},
      {"config apply --confirm-within=90s " + file(),
       "ConfigApply " + file_text + " confirm_within_ms: 90000"},
      {"config confirm", "ConfigConfirm "},
      {"config rollback", "ConfigRollback "},
      {"config rollback 17", "ConfigRollback generation: 17"},
      {"config history", "ConfigHistory "},
      {"config save", "ConfigSave "},
      {"upgrade", "Status "},  // of the one that has taken over
      {"version", "Version "}};
  std::vector<std::string> said;
  for (const auto& [line, call] : calls) EXPECT_EQ(Asked(line), call) << line;
  for (const Verb& verb : Verbs()) {
    const std::string words =
        absl::StrCat(verb.noun, verb.verb.empty() ? "" : " ", verb.verb);
    EXPECT_TRUE(std::any_of(calls.begin(), calls.end(),
                            [&words](const auto& call) {
                              return absl::StartsWith(call.first, words);
                            }))
        << words << " is not tested here";
  }
}

TEST_F(RunTest, PrintsATableOrJson) {
  api::ServiceStatus& service = *node_.services.add_services();
  service.set_name("dns");
  service.set_state("up");
  EXPECT_THAT(Do("service list").out, StartsWith("SERVICE  STATE"));
  EXPECT_THAT(
      Do("service list --json").out,
      StartsWith("{\n  \"services\": [\n    {\n      \"name\": \"dns\""));
  EXPECT_THAT(Do("service show dns").out, StartsWith("name "));
  EXPECT_THAT(Do("service show dns --json").out,
              StartsWith("{\n  \"name\": \"dns\",\n  \"state\": \"up\""));
}

TEST_F(RunTest, CountersCanBeNarrowed) {
  node_.counters.set_received(5);
  (*node_.counters.mutable_dropped())["ip_ttl"] = 0;
  (*node_.counters.mutable_dropped())["nat_filtered"] = 5;
  EXPECT_EQ(Do("counters --drops --nonzero --json").out,
            "{\n  \"dropped\": {\n    \"nat_filtered\": 5\n  }\n}\n");
  EXPECT_THAT(Do("counters --drops --json").out, HasSubstr("\"ip_ttl\": 0"));
  EXPECT_THAT(Do("counters --nonzero --json").out,
              AllOf(HasSubstr("\"received\": 5"), HasSubstr("\"sent\": 0"),
                    Not(HasSubstr("ip_ttl"))));
  EXPECT_THAT(Do("counters --nonzero").out, StartsWith("COUNTER"));
}

TEST_F(RunTest, ARefusalIsExitOneAndOneLine) {
  node_.refusal = absl::InvalidArgumentError(
      "queue \"dns9\": this node has dns0, dns1\nand more");
  for (const char* format : {"", " --json"}) {
    const Outcome outcome =
        Do(absl::StrCat("service set dns --queues=dns9", format));
    EXPECT_EQ(outcome.exit_code, ExitCode::kRefused);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err,
              "refused: queue \"dns9\": this node has dns0, dns1; and more\n");
  }
}

TEST_F(RunTest, ErrorsOfAFileHaveALineEach) {
  std::string lines;
  for (int i = 1; i <= 200; ++i) {
    absl::StrAppend(&lines, i == 1 ? "" : "\n", file(), ":", i,
                    ": services[0].addresses[0]: \"192.0.2.300\" is not ...");
  }
  node_.refusal = absl::InvalidArgumentError(lines);
  const Outcome outcome = Do("config check " + file());
  EXPECT_EQ(outcome.exit_code, ExitCode::kRefused);
  EXPECT_EQ(outcome.err, lines + "\n");
}

TEST_F(RunTest, WhatIsNoTextIsRefusedWithItsLineAndNotSent) {
  std::ofstream(file()) << "version: 1\n# \xff\n";
  for (const char* verb : {"check", "diff", "apply"}) {
    const Outcome outcome = Do(absl::StrCat("config ", verb, " ", file()));
    EXPECT_EQ(outcome.exit_code, ExitCode::kRefused) << verb;
    EXPECT_EQ(outcome.err,
              absl::StrCat(file(), ":2: byte 0xff is not text in UTF-8\n"));
    EXPECT_EQ(node_.last(), "");
  }
  const Outcome outcome = Do("service set d\xffs --queues=dns0");
  EXPECT_EQ(outcome.exit_code, ExitCode::kUsage);
  EXPECT_EQ(outcome.err, "\"d\\xffs\" is not text in UTF-8\n");
  EXPECT_EQ(node_.last(), "");
}

TEST_F(RunTest, WhatIsRefusedBesideTheFileIsOneLine) {
  node_.refusal = absl::FailedPreconditionError(
      "dataplane: can't change\nmetrics: can't change");
  const Outcome outcome = Do("config apply " + file());
  EXPECT_EQ(outcome.exit_code, ExitCode::kRefused);
  EXPECT_EQ(outcome.err,
            "refused: dataplane: can't change; metrics: can't change\n");
}

TEST_F(RunTest, AValueThatCantBeIsRefusedAndNotAsked) {
  for (const auto& [line, message] :
       std::vector<std::pair<std::string, std::string>>{
           {"service set dns --affinity=sticky", "affinity: \"sticky\""},
           {"queue set dns0 --limits.flows=x", "limits.flows: \"x\""},
           {"egress set --timeouts.udp=soon", "timeouts.udp: \"soon\""},
           {"flow list --limit=0", "limit: \"0\""},
           {"flow list --limit=many", "limit: \"many\""},
           {"config apply --confirm-within=60 " + file(),
            "confirm-within: \"60\""},
           {"config apply --confirm-within=0s " + file(),
            "confirm-within: \"0s\" is not from 1s to 24h"},
           {"queue drain dns0 --deadline=0s",
            "deadline: \"0s\" is not from 1s to 24h"},
           {"config rollback before", "generation: \"before\""},
           {"config rollback 0", "generation: \"0\""},
           {"config show --generation=-1", "generation: \"-1\""},
           {"config apply /nonexistent.yaml",
            "/nonexistent.yaml: cannot be read: No such file"},
           {"config check " + scratch_.path(), "cannot be read"}}) {
    const Outcome outcome = Do(line);
    EXPECT_EQ(outcome.exit_code, ExitCode::kRefused) << line;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(node_.last(), "") << line;
  }
}

TEST_F(RunTest, ShowOfWhatIsNotThereIsRefused) {
  const Outcome outcome = Do("queue show dns9");
  EXPECT_EQ(outcome.exit_code, ExitCode::kRefused);
  EXPECT_EQ(outcome.err, "refused: no queue is named \"dns9\"\n");
}

TEST_F(RunTest, WarningsGoToStderrOrIntoTheJson) {
  node_.change.set_generation(3);
  node_.change.add_warnings("egress.ports overlaps the ephemeral range");
  Outcome outcome = Do("egress set --ports=1024-65535");
  EXPECT_EQ(outcome.exit_code, ExitCode::kDone);
  EXPECT_EQ(outcome.out, "ok, generation 3\n");
  EXPECT_EQ(outcome.err,
            "warning: egress.ports overlaps the ephemeral range\n");
  outcome = Do("egress set --ports=1024-65535 --json");
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, HasSubstr("\"warnings\": [\n    \"egress.ports"));
}

TEST_F(RunTest, CarriesALongList) {
  for (int i = 0; i < 100'000; ++i) {
    api::Flow& flow = *node_.flows.add_flows();
    flow.set_local("[2001:db8:53::53]:53");
    flow.set_remote("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
  }
  const Outcome outcome = Do("flow list --json");
  EXPECT_EQ(outcome.exit_code, ExitCode::kDone) << outcome.err;
  EXPECT_GT(outcome.out.size(), 10'000'000U);
}

TEST_F(RunTest, UsageIsExitTwo) {
  const Outcome outcome = Do("service lst");
  EXPECT_EQ(outcome.exit_code, ExitCode::kUsage);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, StartsWith("usage: "));
}

TEST_F(RunTest, HelpIsExitZeroOnStdout) {
  const Outcome outcome = Do("service --help");
  EXPECT_EQ(outcome.exit_code, ExitCode::kDone);
  EXPECT_THAT(outcome.out, StartsWith("Usage: "));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(RunTest, NobodyThereIsExitThreeAndNamesTheSocket) {
  server_->Shutdown();
  for (const char* line :
       {"status", "status --json", "service set dns --ports=udp/53"}) {
    const Outcome outcome = Do(line);
    EXPECT_EQ(outcome.exit_code, ExitCode::kUnreachable) << line;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err,
              absl::StrCat("no godwitd answers on ", socket(),
                           ": No such file or directory (is it running? "
                           "--socket PATH names another socket)\n"));
  }
  const Outcome outcome =
      cli::Run({"status", "--socket", "/" + std::string(200, 'x')});
  EXPECT_EQ(outcome.exit_code, ExitCode::kUnreachable);
  EXPECT_THAT(outcome.err, HasSubstr("a path has 1 to 107 characters"));
}

TEST_F(RunTest, ADaemonThatStopsMeanwhileIsExitThree) {
  node_.refusal = absl::UnavailableError("stopping");
  const Outcome outcome = Do("status");
  EXPECT_EQ(outcome.exit_code, ExitCode::kUnreachable);
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
}

TEST_F(RunTest, ChecksAFileWithoutADaemon) {
  server_->Shutdown();
  const Outcome outcome = Do("config check " + file());
  EXPECT_EQ(outcome.exit_code, ExitCode::kRefused) << outcome.out;
  EXPECT_THAT(outcome.err, StartsWith(file() + ":1: "));
  std::ofstream(file()) << "version: 1\n"
                           "node: {name: ams1, unicast: [198.51.100.7]}\n"
                           "uplinks: [{name: wan0, device: \"veth:u0\"}]\n"
                           "metrics: {listen: \"127.0.0.1:"
                        << FreeL4Port() << "\"}\n";
  const Outcome good = Do("config check " + file());
  EXPECT_EQ(good.exit_code, ExitCode::kDone) << good.err;
  EXPECT_THAT(good.out, StartsWith("ok (no daemon was asked"));
  EXPECT_THAT(Do("config check --json " + file()).out,
              HasSubstr("\"message\": \"ok (no daemon"));
}

TEST_F(RunTest, LooksAtThisMachineUnlessTheFileIsForAnother) {
  std::ofstream(file()) << "version: 1\n"
                           "node: {name: ams1, unicast: [198.51.100.7]}\n"
                           "uplinks: [{name: wan0, device: \"xdp:nope0\"}]\n";
  const Outcome alone = Do("config check --file-only " + file());
  EXPECT_EQ(alone.exit_code, ExitCode::kDone) << alone.err;
  EXPECT_THAT(alone.out, StartsWith("ok (the file alone"));
  EXPECT_EQ(node_.last(), "") << "the daemon was asked";
  server_->Shutdown();
  const Outcome here = Do("config check " + file());
  EXPECT_EQ(here.exit_code, ExitCode::kRefused) << here.out;
  EXPECT_THAT(here.err,
              StartsWith(file() + ":3: uplinks[0].device: \"xdp:nope0\" is "
                                  "not a device of this machine"));
}

TEST_F(RunTest, RefusesWithoutADaemonWhatIsNotSupportedYet) {
  server_->Shutdown();
  std::ofstream(file()) << "version: 1\n"
                           "node: {name: ams1, unicast: [198.51.100.7]}\n"
                           "uplinks: [{name: wan0, device: \"veth:u0\"}]\n"
                           "queues: [{name: q, device: \"veth:q\", netns: q, "
                           "health: {http: \"https://dns.example/\"}}]\n";
  for (const char* how : {"", "--file-only "}) {
    const Outcome outcome = Do(absl::StrCat("config check ", how, file()));
    EXPECT_EQ(outcome.exit_code, ExitCode::kRefused) << outcome.out;
    EXPECT_THAT(outcome.err, HasSubstr(file() + ":4: queues[0].health.http: "))
        << how;
  }
}

TEST_F(RunTest, SaysItsOwnVersionWithoutADaemon) {
  server_->Shutdown();
  const Outcome outcome = Do("version");
  EXPECT_EQ(outcome.exit_code, ExitCode::kUnreachable);
  EXPECT_THAT(outcome.out, HasSubstr("client"));
  EXPECT_THAT(outcome.err, StartsWith("no godwitd answers"));
}

}  // namespace
}  // namespace godwit::cli
