// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/hold_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

struct flock WholeFile(short kind) {
  struct flock lock = {};
  lock.l_type = kind;
  lock.l_whence = SEEK_SET;
  return lock;
}

std::string PathOf(const std::string& folder, const std::string& key) {
  return absl::StrCat(folder, "/", key);
}

}  // namespace

HoldFile::HoldFile(OwnedFd fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)) {}

// Before the lock goes: who opens it later makes a file of his own.
HoldFile::~HoldFile() { unlink(path_.c_str()); }

absl::StatusOr<std::unique_ptr<HoldFile>> HoldFile::Take(
    const std::string& folder, const std::string& key) {
  std::error_code error;  // what open() says of it is enough
  std::filesystem::create_directories(folder, error);
  const std::string path = PathOf(folder, key);
  while (true) {
    OwnedFd fd(
        open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (fd.get() < 0) return absl::ErrnoToStatus(errno, path);
    // Of this opening, not of the process: a second one here is refused too.
    struct flock lock = WholeFile(F_WRLCK);
    if (fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
      if (errno != EAGAIN && errno != EACCES) {
        return absl::ErrnoToStatus(errno, path);
      }
      return absl::AlreadyExistsError(absl::StrCat(path, ": taken"));
    }
    struct stat info = {};
    if (fstat(fd.get(), &info) != 0) return absl::ErrnoToStatus(errno, path);
    // Whoever had it has removed it between our two steps.
    if (info.st_nlink == 0) continue;
    const std::string pid = absl::StrCat(getpid(), "\n");
    if (ftruncate(fd.get(), 0) != 0 ||
        pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
      return absl::ErrnoToStatus(errno, path);
    }
    return std::unique_ptr<HoldFile>(new HoldFile(std::move(fd), path));
  }
}

std::optional<std::string> HoldFile::HolderOf(const std::string& folder,
                                              const std::string& key) {
  const OwnedFd fd(
      open(PathOf(folder, key).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (fd.get() < 0) return std::nullopt;
  struct flock lock = WholeFile(F_RDLCK);
  if (fcntl(fd.get(), F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
    return std::nullopt;
  }
  char text[16] = "";
  const ssize_t size = pread(fd.get(), text, sizeof(text) - 1, 0);
  const std::string pid(text, size > 0 ? static_cast<size_t>(size) : 0);
  return pid.substr(0, pid.find('\n'));
}

}  // namespace godwit
