// SPDX-License-Identifier: BSD-3-Clause
// Real processes, real sockets; this program is its own runner.
#include "control/health/runner.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/plumb/scratch_netns.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;
using Outcome = HealthVerdict::Outcome;

// A check that fails by itself does so at once; this is for busy machines.
constexpr auto kLong = seconds(20);

Check Exec(std::vector<std::string> argv, milliseconds timeout = kLong) {
  Check check;
  check.kind = Check::Kind::kExec;
  check.words = std::move(argv);
  check.timeout = timeout;
  return check;
}

class RunnerTest : public testing::Test {
 protected:
  CheckResult Run(const Check& check) {
    const uint64_t id = ++last_id_;
    runner_.Start(id, check, Clock::now());
    return Await(id);
  }
  CheckResult Await(uint64_t id) {
    const auto deadline = Clock::now() + seconds(60);
    while (Clock::now() < deadline) {
      for (const CheckResult& result : runner_.Take(Clock::now())) {
        if (result.id == id) return result;
      }
      std::this_thread::sleep_for(milliseconds(2));
    }
    ADD_FAILURE() << "no result";
    return {};
  }

  uint64_t last_id_ = 0;
  RunnerProcess runner_{{"/proc/self/exe", "--run-checks"}};
};

TEST_F(RunnerTest, AProgramThatExitsWithZeroHasPassed) {
  const CheckResult result = Run(Exec({"/bin/sh", "-c", "exit 0"}));
  EXPECT_EQ(result.outcome, Outcome::kPassed);
  EXPECT_EQ(result.reason, "");
}

TEST_F(RunnerTest, TellsWhatAPluginSaysInItsFirstLine) {
  const CheckResult result = Run(Exec(
      {"/bin/sh", "-c", "echo 'DNS CRITICAL - no answer'; echo more; exit 2"}));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.reason, "/bin/sh: exit 2: DNS CRITICAL - no answer");
}

TEST_F(RunnerTest, WarningAndUnknownHaveNotPassed) {
  for (const char* code : {"1", "3"}) {
    EXPECT_EQ(Run(Exec({"/bin/sh", "-c", std::string("exit ") + code})).outcome,
              Outcome::kFailed);
  }
}

TEST_F(RunnerTest, SaysWhyAProgramDoesNotRun) {
  const CheckResult result = Run(Exec({"/nowhere/check"}));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_THAT(result.reason, HasSubstr("No such file"));
}

TEST_F(RunnerTest, WhatASignalEndsHasFailed) {
  const CheckResult result = Run(Exec({"/bin/sh", "-c", "kill -9 $$"}));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.reason, "/bin/sh: ended by signal 9");
}

TEST_F(RunnerTest, KillsWhatTakesTooLongWithAllThatItStarted) {
  const auto begun = Clock::now();
  const CheckResult result = Run(Exec({"/bin/sh", "-c",
                                       "trap '' TERM INT; sleep 97531 & echo "
                                       "$!; wait; sleep 97531"},
                                      milliseconds(300)));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_THAT(result.reason, StartsWith("/bin/sh: not done within 300ms: "));
  EXPECT_LT(Clock::now() - begun, seconds(20));
  const int grandchild =
      std::stoi(result.reason.substr(result.reason.rfind(' ')));
  const auto deadline = Clock::now() + seconds(10);
  while (kill(grandchild, 0) == 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(kill(grandchild, 0), -1) << "left behind";
}

TEST_F(RunnerTest, OneThatHangsHoldsUpNoOther) {
  runner_.Start(1000, Exec({"/bin/sleep", "97531"}), Clock::now());
  EXPECT_EQ(Run(Exec({"/bin/true"})).outcome, Outcome::kPassed);
}

TEST_F(RunnerTest, MuchTextDoesNotStopAProgram) {
  const CheckResult result = Run(
      Exec({"/bin/sh", "-c",
            "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"}));
  EXPECT_EQ(result.outcome, Outcome::kPassed);
}

TEST_F(RunnerTest, ProgramsInheritNothingOfTheDaemon) {
  const int extra = socket(AF_INET, SOCK_DGRAM, 0);  // without CLOEXEC
  const CheckResult result =
      Run(Exec({"/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; exit 1"}));
  close(extra);
  // ls has its directory open beside the three.
  EXPECT_EQ(result.reason, "/bin/sh: exit 1: 0 1 2 3 ");
}

TEST_F(RunnerTest, IsBegunAgainWhenItIsKilled) {
  EXPECT_EQ(Run(Exec({"/bin/true"})).outcome, Outcome::kPassed);
  const pid_t first = runner_.pid();
  runner_.Start(1000, Exec({"/bin/sleep", "97531"}), Clock::now());
  kill(first, SIGKILL);
  EXPECT_EQ(Await(1000).outcome, Outcome::kNotRun);
  const auto deadline = Clock::now() + seconds(30);
  CheckResult result;
  while (result.outcome != Outcome::kPassed && Clock::now() < deadline) {
    result = Run(Exec({"/bin/true"}));
  }
  EXPECT_EQ(result.outcome, Outcome::kPassed);
  EXPECT_NE(runner_.pid(), first);
}

TEST_F(RunnerTest, GivesUpOneThatHangs) {
  EXPECT_EQ(Run(Exec({"/bin/true"})).outcome, Outcome::kPassed);
  kill(runner_.pid(), SIGSTOP);
  runner_.Start(1000, Exec({"/bin/true"}, milliseconds(10)), Clock::now());
  EXPECT_EQ(Await(1000).outcome, Outcome::kNotRun);
}

TEST(RunnerWithoutProgramTest, SaysSo) {
  RunnerProcess runner({"/nowhere/godwitd"});
  runner.Start(1, Exec({"/bin/true"}), Clock::now());
  const auto results = runner.Take(Clock::now());
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].outcome, Outcome::kNotRun);
  EXPECT_THAT(results[0].reason, HasSubstr("No such file"));
}

// In a namespace with the service address on its loopback.
class ServerTest : public RunnerTest {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
    inside_.Ip("link set lo up");
    inside_.Ip("addr add 192.0.2.53/32 dev lo");
    inside_.Ip("addr add 2001:db8:53::53/128 dev lo nodad");
  }
  void TearDown() override {
    stop_ = true;
    for (std::thread& server : servers_) server.join();
    for (const int fd : sockets_) close(fd);
  }
  Check At(Check::Kind kind, uint16_t l4port,
           std::vector<std::string> words = {}) {
    Check check;
    check.kind = kind;
    check.netns = inside_.name();
    check.l4port = l4port;
    check.addresses = {"192.0.2.53"};
    check.words = std::move(words);
    check.timeout = kLong;
    return check;
  }
  // Returns its l4port.
  uint16_t Open(int type, int* opened) {
    uint16_t l4port = 0;
    inside_.Enter([&] {
      const int fd = socket(AF_INET, type, 0);
      sockaddr_in at{};
      at.sin_family = AF_INET;
      inet_pton(AF_INET, "192.0.2.53", &at.sin_addr);
      socklen_t size = sizeof(at);
      ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), size), 0);
      getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
      l4port = ntohs(at.sin_port);
      timeval patience{0, 50'000};
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
      *opened = fd;
    });
    sockets_.push_back(*opened);
    return l4port;
  }
  // Answers whatever it is asked with what `answer` makes of it.
  uint16_t Serve(int type,
                 std::function<std::string(const std::string&)> answer) {
    int fd = -1;
    const uint16_t l4port = Open(type, &fd);
    if (type == SOCK_STREAM) listen(fd, 16);
    servers_.emplace_back([this, fd, type, answer] {
      while (!stop_) {
        sockaddr_in peer{};
        socklen_t size = sizeof(peer);
        auto* to = reinterpret_cast<sockaddr*>(&peer);
        char text[4096];
        if (type == SOCK_DGRAM) {
          const ssize_t got = recvfrom(fd, text, sizeof(text), 0, to, &size);
          if (got < 0) continue;
          const std::string reply = answer({text, static_cast<size_t>(got)});
          sendto(fd, reply.data(), reply.size(), 0, to, size);
          continue;
        }
        const int connection = accept(fd, to, &size);
        if (connection < 0) continue;
        const ssize_t got = recv(connection, text, sizeof(text), 0);
        const std::string reply =
            answer({text, static_cast<size_t>(std::max<ssize_t>(got, 0))});
        send(connection, reply.data(), reply.size(), MSG_NOSIGNAL);
        close(connection);
      }
    });
    return l4port;
  }

  ScratchNetns inside_;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> servers_;
  std::vector<int> sockets_;
};

TEST_F(ServerTest, TcpPassesWhereItIsAcceptedAndNowhereElse) {
  int fd = -1;
  const uint16_t l4port = Open(SOCK_STREAM, &fd);
  CheckResult result = Run(At(Check::Kind::kTcp, l4port));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.reason,
            "192.0.2.53:" + std::to_string(l4port) + ": Connection refused");
  listen(fd, 1);
  EXPECT_EQ(Run(At(Check::Kind::kTcp, l4port)).outcome, Outcome::kPassed);
  Check both = At(Check::Kind::kTcp, l4port);
  both.addresses = {"192.0.2.53", "2001:db8:53::53"};
  result = Run(both);
  EXPECT_EQ(result.outcome, Outcome::kFailed) << "all must answer";
  EXPECT_THAT(result.reason, StartsWith("[2001:db8:53::53]:"));
}

TEST_F(ServerTest, WhatHangsFailsWhenItsTimeIsOver) {
  const uint16_t l4port = Serve(SOCK_DGRAM, [](const std::string&) {
    return std::string("not the answer");
  });
  Check check = At(Check::Kind::kDns, l4port, {"health.example"});
  check.timeout = milliseconds(300);
  const CheckResult result = Run(check);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.reason, "192.0.2.53:" + std::to_string(l4port) +
                               ": no answer within 300ms");
}

TEST_F(ServerTest, DnsPassesWhenTheNameIsAnswered) {
  std::atomic<char> rcode = '\0';
  const uint16_t l4port = Serve(SOCK_DGRAM, [&rcode](const std::string& query) {
    std::string answer = query;
    answer[2] = '\x84';
    answer[3] = rcode;
    return answer;
  });
  const Check check = At(Check::Kind::kDns, l4port, {"health.example"});
  EXPECT_EQ(Run(check).outcome, Outcome::kPassed);
  rcode = '\5';
  EXPECT_THAT(Run(check).reason, HasSubstr(": answers REFUSED"));
}

TEST_F(ServerTest, HttpPassesWithTwoAndThreeHundreds) {
  std::atomic<int> status = 200;
  std::string asked;
  const uint16_t l4port =
      Serve(SOCK_STREAM, [&status, &asked](const std::string& request) {
        asked = request;
        return "HTTP/1.1 " + std::to_string(status) + " It is so\r\n\r\n";
      });
  const Check check =
      At(Check::Kind::kHttp, l4port, {"www.example", "/health"});
  for (const int good : {200, 204, 302, 399}) {
    status = good;
    EXPECT_EQ(Run(check).outcome, Outcome::kPassed) << good;
  }
  EXPECT_THAT(asked, StartsWith("GET /health HTTP/1.1\r\n"));
  EXPECT_THAT(asked, HasSubstr("\r\nHost: www.example\r\n"));
  for (const int bad : {199, 400, 503}) {
    status = bad;
    EXPECT_THAT(Run(check).reason,
                HasSubstr(": answers " + std::to_string(bad)));
  }
}

TEST_F(ServerTest, ExecRunsInsideTheNamespace) {
  Check check =
      Exec({"/bin/sh", "-c", "ip -o addr show dev lo | grep -q 192.0.2.53/32"});
  EXPECT_EQ(Run(check).outcome, Outcome::kFailed);
  check.netns = inside_.name();
  EXPECT_EQ(Run(check).outcome, Outcome::kPassed);
}

TEST_F(ServerTest, ANamespaceThatIsGoneHasFailed) {
  Check check = At(Check::Kind::kTcp, 53);
  check.netns = "gw-no-such-namespace";
  const CheckResult result = Run(check);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_THAT(result.reason, HasSubstr("there is no namespace"));
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--run-checks") == 0) {
    return godwit::RunChecks(godwit::kRunnerFd);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
