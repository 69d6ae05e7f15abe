// SPDX-License-Identifier: BSD-3-Clause
// setsockopt() as the packet driver finds it: it puts each of its sockets into
// a fanout group with PACKET_FANOUT_FLAG_DEFRAG, which has the kernel put
// fragments of IPv4 together before the socket sees them. What comes in would
// be one packet that nobody sent, larger than the link's MTU, and gone if a
// fragment is late. That flag is taken out; all else passes through.
#include <linux/if_packet.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// The option's value: a group's id in the lower half, kind and flags above.
constexpr uint32_t kDefragment = uint32_t{PACKET_FANOUT_FLAG_DEFRAG} << 16;

int SetOption(int fd, int level, int name, const void* value, socklen_t size) {
  return static_cast<int>(
      syscall(SYS_setsockopt, fd, level, name, value, size));
}

}  // namespace

extern "C" [[gnu::visibility("default")]] int setsockopt(
    int fd, int level, int name, const void* value, socklen_t size) noexcept {
  uint32_t fanout = 0;
  if (level != SOL_PACKET || name != PACKET_FANOUT || size != sizeof(fanout) ||
      value == nullptr) {
    return SetOption(fd, level, name, value, size);
  }
  memcpy(&fanout, value, sizeof(fanout));
  fanout &= ~kDefragment;
  return SetOption(fd, level, name, &fanout, sizeof(fanout));
}
