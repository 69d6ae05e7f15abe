// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon/successor.h"

#include <linux/close_range.h>
#include <sched.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

namespace godwit {

namespace {

// The CPUs that this process was given; DPDK narrows each thread's down.
cpu_set_t cpus_at_start;

}  // namespace

std::string ProgramFile() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

absl::Status Become(const std::string& program, char** argv) {
  // Drivers and libraries have some that would stay open, with what they hold.
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "close_range");
  }
  if (sched_setaffinity(0, sizeof(cpus_at_start), &cpus_at_start) != 0) {
    return absl::ErrnoToStatus(errno, "sched_setaffinity");
  }
  execv(program.c_str(), argv);
  return absl::ErrnoToStatus(errno, program);
}

void BeginLife() {
  sched_getaffinity(0, sizeof(cpus_at_start), &cpus_at_start);
  std::ifstream children("/proc/thread-self/children");
  for (pid_t pid; children >> pid;) {
    std::thread([pid] { waitpid(pid, nullptr, 0); }).detach();
  }
}

}  // namespace godwit
