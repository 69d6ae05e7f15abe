// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/plumb/scratch_netns.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "control/plumb/netns.h"
#include "gtest/gtest.h"

namespace godwit {
namespace {

constexpr char kDirectory[] = "/run/netns";

void RemoveNetns(const char* name) {
  char path[300];
  std::snprintf(path, sizeof(path), "%s/%s", kDirectory, name);
  umount2(path, MNT_DETACH);
  unlink(path);
}

void RemoveAllWith(const char* prefix) {
  DIR* directory = opendir(kDirectory);
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    if (std::strncmp(entry->d_name, prefix, std::strlen(prefix)) == 0) {
      RemoveNetns(entry->d_name);
    }
  }
  closedir(directory);
}

// Starts, once, a process that outlives this one just long enough to remove
// what it left; it learns of the end by the closing of a pipe.
void StartGuardian(const std::string& prefix) {
  static bool started = false;
  if (started) return;
  started = true;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child > 0) {
    close(ends[0]);
    return;  // ends[1] closes with the process
  }
  setsid();
  // A test runner waits for the end of its output.
  for (int fd = 0; fd < 256; ++fd) {
    if (fd != ends[0]) close(fd);
  }
  char byte;
  while (read(ends[0], &byte, 1) > 0) {
  }
  RemoveAllWith(prefix.c_str());
  _exit(0);
}

}  // namespace

bool IsRoot() { return geteuid() == 0; }

std::string Shell(const std::string& command) {
  FILE* pipe = popen(absl::StrCat(command, " 2>&1").c_str(), "re");
  EXPECT_NE(pipe, nullptr);
  if (pipe == nullptr) return "";
  std::string output;
  char buffer[4096];
  size_t size;
  while ((size = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    output.append(buffer, size);
  }
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
  return output;
}

ScratchNetns::ScratchNetns() {
  static int count = 0;
  const std::string prefix = absl::StrCat("plumb-", getpid(), "-");
  StartGuardian(prefix);
  name_ = absl::StrCat(prefix, ++count);
  Shell(absl::StrCat("ip netns add ", name_));
}

ScratchNetns::~ScratchNetns() { RemoveNetns(name_.c_str()); }

std::string ScratchNetns::Ip(const std::string& arguments) const {
  return Shell(absl::StrCat("ip -n ", name_, " ", arguments));
}

void ScratchNetns::IpBatch(const std::string& lines) const {
  const std::string path = absl::StrCat("/tmp/", name_, ".batch");
  std::ofstream(path) << lines;
  Ip(absl::StrCat("-batch ", path));
  std::remove(path.c_str());
}

std::string ScratchNetns::Exec(const std::string& command) const {
  return Shell(absl::StrCat("ip netns exec ", name_, " ", command));
}

void ScratchNetns::Enter(absl::FunctionRef<void()> work) const {
  const absl::Status status = RunInNetns(name_, [work] {
    work();
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace godwit
