// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/name_hold.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/plumb/link.h"

namespace godwit {
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

// ", process 4711,", or nothing where that can't be found out.
std::string HolderOf(const AbstractAddress& place) {
  const OwnedFd fd = NewSocket();
  ucred holder = {};
  socklen_t size = sizeof(holder);
  const auto* const address = reinterpret_cast<const sockaddr*>(&place.address);
  if (fd.get() < 0 || connect(fd.get(), address, place.size) != 0 ||
      getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &holder, &size) != 0) {
    return "";
  }
  return absl::StrCat(", process ", holder.pid, ",");
}

absl::StatusOr<std::string> KeyOf(const std::string& name,
                                  const std::string& netns) {
  if (netns.empty()) return absl::StrCat("godwit/", name);
  const auto there = OpenNetns(netns);
  if (!there.ok()) return there.status();
  struct stat info = {};
  if (fstat(there->get(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("netns \"", netns, "\""));
  }
  return absl::StrCat("godwit/", name, "@", info.st_ino);
}

}  // namespace

absl::StatusOr<NameHold> NameHolds::Hold(const std::string& name,
                                         const std::string& netns) {
  const absl::Status valid = CheckLinkName(name);
  if (!valid.ok()) return valid;
  const auto key = KeyOf(name, netns);
  if (!key.ok()) return key.status();
  std::weak_ptr<const OwnedFd>& known = held_[*key];
  if (NameHold ours = known.lock()) return ours;
  OwnedFd fd = NewSocket();
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, "a Unix socket");
  const AbstractAddress place = AddressOf(*key);
  const auto* const address = reinterpret_cast<const sockaddr*>(&place.address);
  if (bind(fd.get(), address, place.size) != 0 ||
      listen(fd.get(), kBacklog) != 0) {
    if (errno != EADDRINUSE) {
      return absl::ErrnoToStatus(errno, absl::StrCat("holding ", *key));
    }
    return absl::AlreadyExistsError(
        absl::StrCat("another godwitd", HolderOf(place), " has interface ",
                     name, ": stop it, or give this one other devices"));
  }
  NameHold hold = std::make_shared<const OwnedFd>(std::move(fd));
  known = hold;
  return hold;
}

}  // namespace godwit
