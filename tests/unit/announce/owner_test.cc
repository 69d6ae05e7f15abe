// SPDX-License-Identifier: BSD-3-Clause
// Real processes and the kernel's own tables; this program is its own owner.
#include "control/announce/owner.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <thread>

#include "control/announce/table_claim.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/plumb/scratch_netns.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kTable = 7480;

IpAddress Address(const char* text) { return *IpAddress::Parse(text); }

Announcement Say(std::set<IpAddress> addresses, milliseconds hold) {
  return {kTable, 50, hold, std::move(addresses), {}, {}};
}

const std::set<IpAddress> kBoth = {Address("192.0.2.53"),
                                   Address("2001:db8:53::53")};

// What this program does as an owner whose routes nobody has taken.
void RemoveDevices(const std::set<std::string>& names) {
  for (const std::string& name : names) {
    if (std::system(("ip link del " + name).c_str()) != 0) _exit(7);
  }
}

TEST(AnnouncementTest, TravelsInPieces) {
  Announcement wanted{0xfffffffe, 7, milliseconds(1500), {}, {}, {"wan0"}};
  for (uint32_t i = 0; i < 1300; ++i) {
    (i % 3 == 0 ? wanted.kept : wanted.addresses)
        .insert(*IpAddress::Parse("2001:db8::" + std::to_string(i)));
  }
  Announcement got;  // what came before is forgotten
  for (const Announcement& one : {wanted, Say({}, seconds(1))}) {
    const auto pieces = Encode(one);
    for (size_t i = 0; i < pieces.size(); ++i) {
      EXPECT_EQ(DecodeInto(pieces[i], got), i + 1 == pieces.size());
    }
    EXPECT_EQ(got, one);
  }
  Announcement into;
  for (const char* text :
       {"", "0 1", "0 1 x 1 1", "1 1 7 1 1", "0 1 7 1 1\nx192.0.2.1",
        "0 1 7 1 1\n+x", "0 1 7 1 1\n", "0 1 7 1 1 1"}) {
    EXPECT_FALSE(DecodeInto(text, into)) << text;
  }
}

// All in one namespace, which this thread has entered.
class OwnerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
    home_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    const auto inside = OpenNetns(netns_.name());
    ASSERT_TRUE(inside.ok());
    ASSERT_EQ(setns(inside->get(), CLONE_NEWNET), 0);
  }
  void TearDown() override {
    if (home_ < 0) return;
    setns(home_, CLONE_NEWNET);
    close(home_);
  }
  std::string Table() const {
    return netns_.Ip("route show table 7480 2>/dev/null || true") +
           netns_.Ip("-6 route show table 7480 2>/dev/null || true");
  }
  template <class Condition>
  bool Until(RouteOwner& owner, Condition is_so) {
    const auto deadline = Clock::now() + seconds(30);
    while (Clock::now() < deadline) {
      for (const std::string& line : owner.Turn(Clock::now())) {
        lines_ += line + "\n";
      }
      if (is_so()) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }
  bool Has(RouteOwner& owner, const char* v4, const char* v6) {
    return Until(owner, [&] {
      const std::string table = Table();
      return table.find(v4) != table.npos && table.find(v6) != table.npos;
    });
  }

  ScratchNetns netns_;
  int home_ = -1;
  std::string lines_;
  const std::vector<std::string> command_ = {"/proc/self/exe", "--own-routes"};
};

// As a TAP's carrier is there while any of its descriptors is open.
TEST_F(OwnerTest, KeepsDescriptorsUntilASuccessorHasTheRoutes) {
  int ends[2] = {};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  pollfd reader = {ends[0], 0, 0};
  {
    RouteOwner owner(command_);
    owner.Announce(Say(kBoth, seconds(60)));
    owner.KeepOpen({ends[1]});
    ASSERT_TRUE(Has(owner, "192.0.2.53", "2001:db8:53::53")) << lines_;
    close(ends[1]);
  }
  EXPECT_EQ(poll(&reader, 1, 200), 0) << "nobody has it any more";
  RouteOwner successor(command_);
  successor.Announce(Say(kBoth, seconds(1)));
  ASSERT_TRUE(Until(successor, [&] { return successor.problem().empty(); }));
  EXPECT_EQ(poll(&reader, 1, 20000), 1);
  close(ends[0]);
  EXPECT_TRUE(successor.Withdraw(seconds(20)).ok());
}

TEST_F(OwnerTest, SetsWhatIsWantedAndNothingElse) {
  netns_.Ip("route add blackhole 203.0.113.1 table 7480 proto static");
  RouteOwner owner(command_);
  owner.Announce(Say(kBoth, seconds(1)));
  ASSERT_TRUE(Has(owner, "192.0.2.53", "2001:db8:53::53")) << lines_;
  EXPECT_THAT(Table(), HasSubstr("blackhole 192.0.2.53 proto 74 metric 50"));
  owner.Announce(Say({Address("192.0.2.80")}, seconds(1)));
  ASSERT_TRUE(Until(
      owner, [&] { return Table().find("192.0.2.53") == std::string::npos; }));
  EXPECT_THAT(Table(), AllOf(HasSubstr("192.0.2.80"), HasSubstr("203.0.113.1"),
                             Not(HasSubstr("2001:db8"))));
  EXPECT_TRUE(owner.Withdraw(seconds(20)).ok());
  EXPECT_THAT(Table(),
              AllOf(Not(HasSubstr("192.0.2")), HasSubstr("203.0.113.1")));
  EXPECT_EQ(owner.pid(), 0);
}

TEST_F(OwnerTest, SettlesWhenTheKernelHasIt) {
  RouteOwner owner(command_);
  owner.Announce(Say(kBoth, seconds(1)));
  EXPECT_THAT(owner.problem(), Not(IsEmpty()));
  EXPECT_THAT(owner.Settle(seconds(20)), IsEmpty());
  EXPECT_EQ(owner.problem(), "");
  EXPECT_THAT(Table(), AllOf(HasSubstr("192.0.2.53"), HasSubstr("2001:db8")));
  // In another table, and nowhere else.
  Announcement other = Say(kBoth, seconds(1));
  other.table = 7481;
  other.metric = 51;
  owner.Announce(other);
  EXPECT_THAT(owner.Settle(seconds(20)), IsEmpty());
  EXPECT_THAT(Table(), IsEmpty());
  EXPECT_THAT(netns_.Ip("route show table 7481"),
              HasSubstr("blackhole 192.0.2.53 proto 74 metric 51"));
  EXPECT_TRUE(owner.Withdraw(seconds(20)).ok());
}

TEST_F(OwnerTest, PutsRightWhatSomebodyElseChanges) {
  RouteOwner owner(command_);
  owner.Announce(Say(kBoth, seconds(1)));
  ASSERT_TRUE(Has(owner, "192.0.2.53", "2001:db8:53::53")) << lines_;
  netns_.Ip("route flush table 7480");
  ASSERT_TRUE(Has(owner, "192.0.2.53", "2001:db8:53::53")) << lines_;
  ASSERT_TRUE(
      Until(owner, [&] { return lines_.find("put right") != lines_.npos; }));
  EXPECT_TRUE(owner.Withdraw(seconds(20)).ok());
}

TEST_F(OwnerTest, SaysWhatTheKernelRefusesAndTriesAgain) {
  netns_.Ip("route add blackhole 192.0.2.53 table 7480 proto static metric 50");
  RouteOwner owner(command_);
  owner.Announce(Say(kBoth, seconds(1)));
  const auto lines = owner.Settle(seconds(20));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr("192.0.2.53"));
  EXPECT_EQ(owner.problem(), lines[0]);
  EXPECT_THAT(Table(), HasSubstr("2001:db8")) << "the rest is there";
  netns_.Ip("route del blackhole 192.0.2.53 table 7480 proto static");
  ASSERT_TRUE(Until(owner, [&] { return owner.problem().empty(); }));
  EXPECT_THAT(Table(), HasSubstr("192.0.2.53 proto 74"));
  EXPECT_TRUE(owner.Withdraw(seconds(20)).ok());
}

TEST_F(OwnerTest, WithdrawsAfterHoldWhenTheDaemonIsGone) {
  netns_.Ip("link add steer0 type veth peer name steer1");
  pid_t left = 0;
  {
    RouteOwner owner(command_);
    Announcement wanted = Say(kBoth, milliseconds(1500));
    wanted.steered = {"steer0"};
    owner.Announce(wanted);
    ASSERT_TRUE(Has(owner, "192.0.2.53", "2001:db8:53::53")) << lines_;
    left = owner.pid();
  }
  const auto gone = Clock::now();
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_THAT(Table(), HasSubstr("192.0.2.53"));
  EXPECT_THAT(netns_.Ip("link"), HasSubstr("steer0"));
  int status = -1;
  ASSERT_EQ(waitpid(left, &status, 0), left);
  EXPECT_GE(Clock::now() - gone, milliseconds(1490));
  EXPECT_EQ(status, 0);
  EXPECT_THAT(Table(), IsEmpty());
  EXPECT_THAT(netns_.Ip("link"), Not(HasSubstr("steer0")));
}

TEST_F(OwnerTest, ASuccessorTakesTheRoutesAsTheyAre) {
  netns_.Ip("link add steer0 type veth peer name steer1");
  pid_t left = 0;
  {
    RouteOwner owner(command_);
    Announcement wanted = Say(kBoth, seconds(25));
    wanted.steered = {"steer0"};
    owner.Announce(wanted);
    ASSERT_TRUE(Has(owner, "192.0.2.53", "2001:db8:53::53")) << lines_;
    left = owner.pid();
  }
  EXPECT_EQ(*WithdrawStale(kTable), 0u) << "there is who withdraws them";
  RouteOwner next(command_);
  // One that is not alive again yet stays; and what is new comes.
  Announcement wanted =
      Say({Address("192.0.2.53"), Address("192.0.2.80")}, seconds(1));
  wanted.kept = {Address("2001:db8:53::53"), Address("2001:db8:53::80")};
  next.Announce(wanted);
  int status = -1;
  ASSERT_TRUE(Until(next, [&] {
    EXPECT_THAT(Table(),
                AllOf(HasSubstr("192.0.2.53"), HasSubstr("2001:db8:53::53")))
        << "gone in between";
    return waitpid(left, &status, WNOHANG) == left;
  }));
  EXPECT_EQ(status, 0);
  EXPECT_THAT(netns_.Ip("link"), HasSubstr("steer0"));
  ASSERT_TRUE(Has(next, "192.0.2.80", "2001:db8:53::53"));
  EXPECT_THAT(Table(), Not(HasSubstr("2001:db8:53::80")));
  wanted.kept.clear();
  next.Announce(wanted);
  next.Settle(seconds(20));
  EXPECT_THAT(Table(), Not(HasSubstr("2001:db8")));
  EXPECT_TRUE(next.Withdraw(seconds(20)).ok());
  EXPECT_THAT(Table(), IsEmpty());
  EXPECT_THAT(netns_.Ip("link"), HasSubstr("steer0"));
}

TEST_F(OwnerTest, OneThatIsKilledComesBackAndTheRoutesStay) {
  RouteOwner owner(command_);
  owner.Announce(Say(kBoth, seconds(1)));
  ASSERT_TRUE(Has(owner, "192.0.2.53", "2001:db8:53::53")) << lines_;
  const pid_t first = owner.pid();
  kill(first, SIGKILL);
  ASSERT_TRUE(Until(owner, [&] {
    EXPECT_THAT(Table(), HasSubstr("192.0.2.53"));
    return owner.pid() != 0 && owner.pid() != first;
  }));
  owner.Announce(Say({Address("192.0.2.53")}, seconds(1)));
  ASSERT_TRUE(
      Until(owner, [&] { return Table().find("2001") == std::string::npos; }));
  // And when it is dead at the end, its routes go all the same.
  kill(owner.pid(), SIGKILL);
  EXPECT_TRUE(Until(owner, [&] { return owner.pid() == 0; }));
  EXPECT_TRUE(owner.Withdraw(seconds(20)).ok());
  EXPECT_THAT(Table(), IsEmpty());
}

TEST_F(OwnerTest, WhatIsLeftWithoutAnOwnerIsStale) {
  RouteOwner owner(command_);
  owner.Announce(Say(kBoth, seconds(1)));
  ASSERT_TRUE(Has(owner, "192.0.2.53", "2001:db8:53::53")) << lines_;
  EXPECT_EQ(*WithdrawStale(kTable), 0u);
  kill(owner.pid(), SIGKILL);
  ASSERT_TRUE(Until(owner, [&] { return owner.pid() == 0; }));
  netns_.Ip("route add blackhole 203.0.113.1 table 7480 proto static");
  EXPECT_EQ(*WithdrawStale(kTable), 2u);
  EXPECT_THAT(Table(), AllOf(Not(HasSubstr("proto 74")), HasSubstr("203.0")));
}

TEST_F(OwnerTest, OneDaemonThatLivesKeepsItsTable) {
  RouteOwner first(command_);
  first.Announce(Say(kBoth, seconds(1)));
  ASSERT_TRUE(Has(first, "192.0.2.53", "2001:db8:53::53"));
  const TableClaim claim = AskForTable(kTable, seconds(20));
  EXPECT_EQ(claim.state, TableClaim::State::kInUse);
  EXPECT_EQ(claim.owner, first.pid());
  RouteOwner second(command_);
  second.Announce(Say({Address("192.0.2.80")}, seconds(1)));
  second.Settle(seconds(20));
  EXPECT_THAT(second.problem(), HasSubstr("another godwitd"));
  EXPECT_THAT(Table(), AllOf(HasSubstr("192.0.2.53"), Not(HasSubstr(".80"))));
  // Nor does it take anything away, and comes when the first has gone.
  EXPECT_TRUE(first.Withdraw(seconds(20)).ok());
  ASSERT_TRUE(Until(second, [&] { return second.problem().empty(); }));
  EXPECT_THAT(Table(), HasSubstr("192.0.2.80"));
  EXPECT_TRUE(second.Withdraw(seconds(20)).ok());
  EXPECT_EQ(AskForTable(kTable, seconds(20)).state, TableClaim::State::kNobody);
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--own-routes") == 0) {
    return godwit::OwnRoutes(godwit::kOwnerFd, godwit::RemoveDevices);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
