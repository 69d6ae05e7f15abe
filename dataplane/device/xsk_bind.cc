// SPDX-License-Identifier: BSD-3-Clause
// bind() as libxdp finds it: an AF_XDP queue whose last socket was closed just
// now stays busy until the kernel has cleaned up behind it. The driver can't
// be asked twice (its rings are out of step after a failure), so the waiting is
// done here, where the kernel says EBUSY. All other sockets pass through.
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr int kTries = 100;
constexpr useconds_t kPause_us = 10'000;

int BindOnce(int fd, const sockaddr* address, socklen_t size) {
  return static_cast<int>(syscall(SYS_bind, fd, address, size));
}

}  // namespace

extern "C" [[gnu::visibility("default")]] int bind(int fd,
                                                   const sockaddr* address,
                                                   socklen_t size) noexcept {
  int result = BindOnce(fd, address, size);
  if (address == nullptr || size < sizeof(address->sa_family) ||
      address->sa_family != AF_XDP) {
    return result;
  }
  for (int i = 0; i < kTries && result != 0 && errno == EBUSY; ++i) {
    usleep(kPause_us);
    result = BindOnce(fd, address, size);
  }
  return result;
}
