// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

// 0, or the errno. Binds and does not listen: so that two that ask at once, or
// one that asks and one that starts, are not in each other's way.
int TryToBind(int fd, const AddressAndPort& where) {
  // As the HTTP library does: what a closed connection left is no hindrance.
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(where.l4port);
  address.sin_addr.s_addr = where.address.V4Wire();
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  return bind(fd, generic, sizeof(address)) != 0 ? errno : 0;
}

}  // namespace

std::string WhyNotListen(const AddressAndPort& where) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  const int error = TryToBind(fd, where);
  close(fd);
  switch (error) {
    case EADDRNOTAVAIL:
      return "on this machine: allowed is an address of one of its interfaces "
             "that is up, or 0.0.0.0 for all of them";
    case EADDRINUSE:
      return "free: another program listens there, allowed is any port that "
             "none does";
    default:
      return "";
  }
}

std::string WhyNoSocket(const std::string& path) {
  // The daemon makes it before any device.
  constexpr char kMadeByUs[] = "/run/godwit";
  const size_t slash = path.rfind('/');
  const std::string directory = path.substr(0, slash == 0 ? 1 : slash);
  struct stat info = {};
  if (lstat(path.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode)) {
    return "possible: it is there and is not a socket";
  }
  if (stat(directory.c_str(), &info) != 0) {
    const bool is_unknown = errno == EACCES || directory == kMadeByUs;
    return is_unknown ? ""
                      : absl::StrCat("possible: its directory ", directory,
                                     " is not there");
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::StrCat("possible: ", directory, " is not a directory");
  }
  // What this user may not, that of the daemon may.
  if (access(directory.c_str(), W_OK | X_OK) != 0 &&
      (errno != EACCES || geteuid() == 0)) {
    return absl::StrCat("possible: no socket can be made in ", directory, ": ",
                        std::strerror(errno));
  }
  return "";
}

}  // namespace godwit
