// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/name_hold.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/scratch_directory.h"

namespace godwit {
namespace {

using ::testing::HasSubstr;

class NameHoldTest : public testing::Test {
 protected:
  size_t files() const {
    using Entries = std::filesystem::directory_iterator;
    return static_cast<size_t>(std::distance(Entries(folder_), Entries()));
  }

  const ScratchDirectory scratch_;
  const std::string folder_ = scratch_ / "held";
  const std::string socket_ = scratch_ / "a.sock";
};

TEST_F(NameHoldTest, OneSocketHasOneHolder) {
  NameHolds first(folder_);
  NameHolds second(folder_);
  auto hold = first.HoldSocket(socket_);
  ASSERT_TRUE(hold.ok()) << hold.status();
  EXPECT_TRUE(first.HoldSocket(socket_).ok()) << "its own";
  EXPECT_TRUE(first.CheckSocket(socket_).ok());
  const std::string said = absl::StrCat("another godwitd, process ", getpid(),
                                        ", has socket ", socket_, ": stop it");
  EXPECT_THAT(second.CheckSocket(socket_).message(), HasSubstr(said));
  EXPECT_THAT(second.HoldSocket(socket_).status().message(), HasSubstr(said));
  EXPECT_TRUE(absl::IsAlreadyExists(second.HoldSocket(socket_).status()));
  // Another path to the same place, and a neighbour.
  EXPECT_FALSE(
      second
          .HoldSocket(scratch_ / "../" + scratch_.path().substr(5) + "/a.sock")
          .ok());
  EXPECT_TRUE(second.HoldSocket(scratch_ / "b.sock").ok());
  hold = absl::UnknownError("let go");
  EXPECT_TRUE(second.CheckSocket(socket_).ok());
  EXPECT_TRUE(second.HoldSocket(socket_).ok());
  EXPECT_EQ(files(), 0u) << "left behind";
}

TEST_F(NameHoldTest, LookingTakesNothing) {
  const NameHolds one(folder_);
  const NameHolds other(folder_);
  EXPECT_TRUE(one.CheckSocket(socket_).ok());
  EXPECT_TRUE(other.CheckSocket(socket_).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_));
  EXPECT_TRUE(one.CheckSocket(scratch_ / "none/a.sock").ok());
}

TEST_F(NameHoldTest, AProcessThatIsKilledLetsGo) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    NameHolds names(folder_);
    const auto hold = names.HoldSocket(socket_);
    const char ok = hold.ok() ? 'y' : 'n';
    if (write(ready[1], &ok, 1) == 1) pause();
    _exit(0);
  }
  char ok = 0;
  ASSERT_EQ(read(ready[0], &ok, 1), 1);
  ASSERT_EQ(ok, 'y');
  NameHolds names(folder_);
  EXPECT_THAT(names.CheckSocket(socket_).message(),
              HasSubstr(absl::StrCat(" process ", child, ",")));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(files(), 1u);
  EXPECT_TRUE(names.CheckSocket(socket_).ok());
  EXPECT_TRUE(names.HoldSocket(socket_).ok());
  EXPECT_EQ(files(), 0u);
  close(ready[0]);
  close(ready[1]);
}

// Who lets go removes the file, perhaps from under one who has just opened it.
TEST_F(NameHoldTest, NeverTwoAtOnce) {
  constexpr int kProcesses = 4;
  constexpr int kTimes = 400;
  const std::string inside = scratch_ / "inside";
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    for (int done = 0; done < kTimes;) {
      auto file = HoldFile::Take(folder_, "x");
      if (absl::IsAlreadyExists(file.status())) continue;
      if (!file.ok()) _exit(2);
      const int alone = open(inside.c_str(), O_CREAT | O_EXCL, 0600);
      if (alone < 0) _exit(1);
      close(alone);
      unlink(inside.c_str());
      ++done;
    }
    _exit(0);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(NameHoldTest, SaysWhatItCantWrite) {
  std::ofstream(folder_) << "not a folder";
  NameHolds names(folder_);
  EXPECT_THAT(names.HoldSocket(socket_).status().message(), HasSubstr(folder_));
}

}  // namespace
}  // namespace godwit
