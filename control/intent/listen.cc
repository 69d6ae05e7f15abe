// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

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

}  // namespace godwit
