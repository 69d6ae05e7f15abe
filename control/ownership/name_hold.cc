// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/name_hold.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/plumb/link.h"

namespace godwit {

// What a name is told apart by. `socket`, `file`: empty if it takes none.
struct NameHolds::Key {
  std::string socket;
  std::string file;
  std::string what;  // "interface dns0"

  const std::string& text() const { return socket.empty() ? file : socket; }
};

namespace {

// Callers that nobody accepts: each is a second daemon that has read who the
// first is. Those beyond it are refused all the same, without a number.
constexpr int kBacklog = 64;

struct AbstractAddress {
  sockaddr_un address = {};
  socklen_t size = 0;
};

// No terminator: the size is the end, and the first byte is 0. An interface's
// name and a number fit.
AbstractAddress AddressOf(const std::string& key) {
  AbstractAddress result;
  result.address.sun_family = AF_UNIX;
  std::memcpy(result.address.sun_path + 1, key.data(), key.size());
  result.size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + key.size());
  return result;
}

OwnedFd NewSocket() {
  return OwnedFd(
      socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// The process id of who listens at `key`, empty where that can't be found out;
// nullopt if nobody does.
std::optional<std::string> ListenerAt(const std::string& key) {
  const AbstractAddress place = AddressOf(key);
  const OwnedFd fd = NewSocket();
  const auto* const address = reinterpret_cast<const sockaddr*>(&place.address);
  if (fd.get() < 0 || connect(fd.get(), address, place.size) != 0) {
    // EAGAIN: it has more callers than it takes.
    return errno == EAGAIN ? std::optional<std::string>("") : std::nullopt;
  }
  ucred holder = {};
  socklen_t size = sizeof(holder);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &holder, &size) != 0) {
    return "";
  }
  return absl::StrCat(holder.pid);
}

absl::Status HeldBy(const std::string& pid, const std::string& what) {
  return absl::AlreadyExistsError(
      absl::StrCat("another godwitd", pid.empty() ? "" : ", process ", pid,
                   pid.empty() ? "" : ",", " has ", what,
                   ": stop it, or give this one other devices"));
}

absl::Status Listen(const std::string& key, OwnedFd& fd) {
  fd = NewSocket();
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, "a Unix socket");
  const AbstractAddress place = AddressOf(key);
  const auto* const address = reinterpret_cast<const sockaddr*>(&place.address);
  if (bind(fd.get(), address, place.size) == 0 &&
      listen(fd.get(), kBacklog) == 0) {
    return absl::OkStatus();
  }
  if (errno == EADDRINUSE) return absl::AlreadyExistsError(key);
  return absl::ErrnoToStatus(errno, absl::StrCat("holding ", key));
}

}  // namespace

absl::StatusOr<NameHolds::Key> NameHolds::KeyOf(const std::string& name,
                                                const std::string& netns) {
  const absl::Status valid = CheckLinkName(name);
  if (!valid.ok()) return valid;
  Key key;
  key.what = absl::StrCat("interface ", name);
  key.socket = absl::StrCat("godwit/", name);
  if (netns.empty()) return key;
  const auto there = OpenNetns(netns);
  if (!there.ok()) return there.status();
  struct stat info = {};
  if (fstat(there->get(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("netns \"", netns, "\""));
  }
  key.file = absl::StrCat(name, "@", info.st_ino);
  absl::StrAppend(&key.socket, "@", info.st_ino);
  return key;
}

absl::StatusOr<NameHolds::Key> NameHolds::KeyOfSocket(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = path.substr(0, slash == 0 ? 1 : slash);
  struct stat info = {};
  if (slash == path.npos || stat(directory.c_str(), &info) != 0) {
    return absl::NotFoundError(
        absl::StrCat(path, ": its directory is not there"));
  }
  Key key;
  key.what = absl::StrCat("socket ", path);
  key.file =
      absl::StrCat(path.substr(slash + 1), "@", info.st_dev, "-", info.st_ino);
  return key;
}

bool NameHolds::IsOurs(const Key& key) const {
  const auto known = held_.find(key.text());
  return known != held_.end() && !known->second.expired();
}

absl::Status NameHolds::Check(const Key& key) const {
  if (IsOurs(key)) return absl::OkStatus();
  std::optional<std::string> holder;
  if (!key.socket.empty()) holder = ListenerAt(key.socket);
  if (!holder && !key.file.empty()) {
    holder = HoldFile::HolderOf(folder_, key.file);
  }
  return holder ? HeldBy(*holder, key.what) : absl::OkStatus();
}

absl::StatusOr<NameHold> NameHolds::Hold(const Key& key) {
  std::weak_ptr<const HeldName>& known = held_[key.text()];
  if (NameHold ours = known.lock()) return ours;
  auto held = std::make_shared<HeldName>();
  if (!key.socket.empty()) {
    const absl::Status status = Listen(key.socket, held->socket);
    if (absl::IsAlreadyExists(status)) {
      return HeldBy(ListenerAt(key.socket).value_or(""), key.what);
    }
    if (!status.ok()) return status;
  }
  if (!key.file.empty()) {
    auto file = HoldFile::Take(folder_, key.file);
    if (absl::IsAlreadyExists(file.status())) {
      return HeldBy(HoldFile::HolderOf(folder_, key.file).value_or(""),
                    key.what);
    }
    if (!file.ok()) return file.status();
    held->file = *std::move(file);
  }
  known = held;
  return held;
}

absl::StatusOr<NameHold> NameHolds::Hold(const std::string& name,
                                         const std::string& netns) {
  const auto key = KeyOf(name, netns);
  if (!key.ok()) return key.status();
  return Hold(*key);
}

absl::StatusOr<NameHold> NameHolds::HoldSocket(const std::string& path) {
  const auto key = KeyOfSocket(path);
  if (!key.ok()) return key.status();
  return Hold(*key);
}

absl::Status NameHolds::Check(const std::string& name,
                              const std::string& netns) const {
  const auto key = KeyOf(name, netns);
  return key.ok() ? Check(*key) : absl::OkStatus();
}

absl::Status NameHolds::CheckSocket(const std::string& path) const {
  const auto key = KeyOfSocket(path);
  return key.ok() ? Check(*key) : absl::OkStatus();
}

}  // namespace godwit
