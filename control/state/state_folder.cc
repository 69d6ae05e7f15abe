// SPDX-License-Identifier: BSD-3-Clause
#include "control/state/state_folder.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "dataplane/flow/flow_region.h"

namespace godwit {
namespace {

constexpr char kSharedMemory[] = "/dev/shm";
constexpr size_t kChunk = size_t{2} << 20;
// A process that was killed is a moment longer about its memory.
constexpr int kLooks = 200;
constexpr useconds_t kLookUs = 10'000;

bool IsMemory(const std::string& folder) {
  struct statfs info = {};
  if (statfs(folder.c_str(), &info) != 0) return false;
  return info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC;
}

// Ours alone: /dev/shm is everybody's.
absl::Status MakePrivate(const std::string& folder) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, folder);
  }
  struct stat info = {};
  if (lstat(folder.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, folder);
  }
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
      (info.st_mode & 0077) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder, ": must be a folder that this user alone can use"));
  }
  return absl::OkStatus();
}

// Gives back the chunks of `fd` without an entry in use; whether others are
// left.
bool CompactFile(int fd) {
  bool in_use = false;
  std::vector<std::byte> chunk(kChunk);
  off_t at = lseek(fd, 0, SEEK_DATA);
  while (at >= 0) {
    at = at / static_cast<off_t>(kChunk) * static_cast<off_t>(kChunk);
    const ssize_t size = pread(fd, chunk.data(), chunk.size(), at);
    if (size <= 0) return true;
    std::span<const std::byte> entries(chunk.data(), static_cast<size_t>(size));
    if (at == 0) {
      entries = entries.subspan(std::min(entries.size(), kFlowRegionStart));
    }
    if (AnyInUse(entries)) {
      in_use = true;
    } else {
      // The header stays.
      const off_t from = at == 0 ? static_cast<off_t>(kFlowRegionStart) : at;
      const off_t end = at + static_cast<off_t>(kChunk);
      fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from,
                end - from);
    }
    at = lseek(fd, at + static_cast<off_t>(kChunk), SEEK_DATA);
  }
  return in_use;
}

}  // namespace

absl::StatusOr<std::string> StateRoot(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string root = absl::StrCat(folder, "/state");
  if (IsMemory(folder)) {
    absl::Status made = MakePrivate(root);
    if (!made.ok()) return made;
    return root;
  }
  if (!IsMemory(kSharedMemory)) {
    return absl::FailedPreconditionError(
        absl::StrCat("neither ", folder, " nor ", kSharedMemory,
                     " is a file system in memory"));
  }
  const std::string target = absl::StrCat(kSharedMemory, "/godwit");
  absl::Status made = MakePrivate(target);
  if (!made.ok()) return made;
  if (symlink(target.c_str(), root.c_str()) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, root);
  }
  // What is there already may be another thing.
  const auto leads_to = std::filesystem::canonical(root, error);
  if (error || leads_to != target) {
    return absl::FailedPreconditionError(
        absl::StrCat(root, ": is not the link to ", target, " that it was"));
  }
  return root;
}

std::string StateFolder::NameOf(const std::string& control_socket) {
  std::error_code error;
  const std::string path = std::filesystem::absolute(control_socket, error)
                               .lexically_normal()
                               .string()
                               .substr(1);
  return absl::StrReplaceAll(path, {{"%", "%25"}, {"+", "%2B"}, {"/", "+"}});
}

absl::StatusOr<StateFolder> HoldFolder(const std::string& path) {
  OwnedFd lock(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (lock.get() < 0) return absl::ErrnoToStatus(errno, path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": another godwitd has it"));
  }
  struct stat info = {};
  if (fstat(lock.get(), &info) != 0 || info.st_nlink == 0) {
    return absl::NotFoundError(absl::StrCat(path, ": was removed"));
  }
  return StateFolder(path, std::move(lock));
}

absl::StatusOr<StateFolder> StateFolder::Hold(
    const std::string& root, const std::string& control_socket) {
  const std::string path = absl::StrCat(root, "/", NameOf(control_socket));
  absl::StatusOr<StateFolder> held = absl::UnknownError("");
  for (int look = 0; look < kLooks && !held.ok(); ++look) {
    if (look != 0) usleep(kLookUs);
    const absl::Status made = MakePrivate(path);
    if (!made.ok()) return made;
    held = HoldFolder(path);
  }
  return held;
}

std::vector<std::string> StateFolder::Files() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

bool StateFolder::Compact() const {
  bool in_use = false;
  for (const std::string& name : Files()) {
    if (!IsFlowFile(name)) continue;
    const OwnedFd fd(
        open(PathOf(name).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() < 0 || CompactFile(fd.get())) in_use = true;
  }
  return in_use;
}

void StateFolder::Remove() const {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::vector<StateFolder> HoldOrphans(const std::string& root,
                                     const std::string& mine) {
  std::vector<StateFolder> orphans;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    const std::string path =
        absl::StrCat(root, "/", entry.path().filename().string());
    if (path == mine) continue;
    auto held = HoldFolder(path);
    if (held.ok()) orphans.push_back(*std::move(held));
  }
  return orphans;
}

std::string FlowFilePrefix(uint64_t run) {
  return absl::StrCat("flows-", absl::Hex(run, absl::kZeroPad16), "-");
}

std::string FlowFileName(uint64_t run, unsigned worker) {
  return absl::StrCat(FlowFilePrefix(run), worker);
}

bool IsFlowFile(const std::string& name) {
  return absl::StartsWith(name, "flows-");
}

}  // namespace godwit
