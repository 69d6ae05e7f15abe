// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon/successor.h"

#include <fcntl.h>
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
#include <vector>

#include "dataplane/device/kernel_interface.h"

namespace godwit {

namespace {

// The CPUs that this process was given; DPDK narrows each thread's down.
cpu_set_t cpus_at_start;
std::vector<int> inherited;

}  // namespace

std::string ProgramFile() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

absl::Status Become(const std::string& program, char** argv,
                    const std::vector<int>& carriers) {
  // Drivers and libraries have some that would stay open, with what they hold.
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "close_range");
  }
  for (const int fd : carriers) {
    // Nobody would take the driver's signals.
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_ASYNC);
    fcntl(fd, F_SETFD, 0);
  }
  if (sched_setaffinity(0, sizeof(cpus_at_start), &cpus_at_start) != 0) {
    return absl::ErrnoToStatus(errno, "sched_setaffinity");
  }
  execv(program.c_str(), argv);
  return absl::ErrnoToStatus(errno, program);
}

void BeginLife() {
  sched_getaffinity(0, sizeof(cpus_at_start), &cpus_at_start);
  inherited = OwnTaps("");
  for (const int fd : inherited) fcntl(fd, F_SETFD, FD_CLOEXEC);
  std::ifstream children("/proc/thread-self/children");
  for (pid_t pid; children >> pid;) {
    std::thread([pid] { waitpid(pid, nullptr, 0); }).detach();
  }
}

void DropInherited() {
  for (const int fd : inherited) close(fd);
  inherited.clear();
}

}  // namespace godwit
