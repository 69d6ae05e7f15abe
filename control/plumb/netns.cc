// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace godwit {

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) close(fd_);
}

bool NetnsExists(absl::string_view name) { return OpenNetns(name).ok(); }

absl::StatusOr<OwnedFd> OpenNetns(absl::string_view name) {
  if (name.empty() || name == "." || name == ".." ||
      absl::StrContains(name, "/")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "netns \"", name, "\": the name of a file in /run/netns is allowed"));
  }
  const std::string path = absl::StrCat("/run/netns/", name);
  OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct statfs file_system;
  // A file that `ip netns add` made but that nothing is mounted on, as after
  // an unclean end, is no namespace.
  if (fd.get() < 0 || fstatfs(fd.get(), &file_system) != 0 ||
      file_system.f_type != NSFS_MAGIC) {
    return absl::NotFoundError(
        absl::StrCat("netns \"", name, "\": there is no namespace ", path,
                     " (`ip netns add ", name, "` makes it)"));
  }
  return fd;
}

std::string NetnsId(absl::string_view name) {
  const auto netns = OpenNetns(name);
  struct stat info = {};
  if (!netns.ok() || fstat(netns->get(), &info) != 0) return "";
  // The number of one that is gone is soon another's.
  return absl::StrCat(info.st_ino, "-", info.st_ctim.tv_sec, ".",
                      info.st_ctim.tv_nsec);
}

absl::Status RunInNetns(absl::string_view name,
                        absl::FunctionRef<absl::Status()> work) {
  if (name.empty()) return work();
  const auto netns = OpenNetns(name);
  if (!netns.ok()) return netns.status();
  absl::Status status;
  std::thread inside([&] {
    if (setns(netns->get(), CLONE_NEWNET) != 0) {
      status = absl::ErrnoToStatus(
          errno, absl::StrCat("netns \"", name, "\": cannot enter it"));
      return;
    }
    status = work();
  });
  inside.join();
  return status;
}

}  // namespace godwit
