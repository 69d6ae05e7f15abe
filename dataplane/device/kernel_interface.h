// SPDX-License-Identifier: BSD-3-Clause
// What a device needs of the kernel's interfaces and sockets around it: plain
// ioctls and /proc of this process; no EAL.
#ifndef GODWIT_DATAPLANE_DEVICE_KERNEL_INTERFACE_H_
#define GODWIT_DATAPLANE_DEVICE_KERNEL_INTERFACE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/net/address.h"

namespace godwit {

// 0: there is no such interface in the thread's network namespace.
uint32_t InterfaceIndex(const std::string& name);
// Up and with carrier.
bool InterfaceRuns(const std::string& name);
// 0: no such interface.
uint16_t InterfaceMtu(const std::string& name);
absl::Status SetInterfaceMtu(const std::string& name, uint16_t mtu);
MacAddress InterfaceMac(const std::string& name);
// Receive queues in use: ethtool's combined and rx channels; at least 1.
uint16_t InterfaceRxqs(const std::string& name);

// The kernel driver's name, "veth"; empty if there is none.
std::string InterfaceDriver(const std::string& name);

// Takes an XDP program off the interface that a crashed run left there. One
// that a bpf_link holds stays: it has a living owner.
void DetachXdp(const std::string& name);

// Makes a TAP of one queue that outlives its driver, for one that attaches to
// what is there (virtio-user; net_tap can do it itself). One that is there
// already is left alone.
absl::Status MakePersistentTap(const std::string& name);
// Deletes a TAP that outlived its driver, in the thread's namespace.
absl::Status DeleteTap(const std::string& name);

// Descriptors by which this process has a TAP of that name open, in whichever
// namespace; any TAP, if the name is empty.
std::vector<int> OwnTaps(const std::string& name);
// A descriptor that no packet comes by: the TAP's queue of it is switched off.
// As any other it keeps the TAP's carrier for as long as it is open somewhere.
bool IsIdleTapQueue(int fd);
// Of a TAP by its descriptor, wherever it was moved. kDown: by an
// administrator; nothing can be sent to it.
enum class TapState { kGone, kDown, kUp };
TapState StateOfTap(int fd);

// This process's sockets of a family (AF_XDP, AF_PACKET), by descriptor.
std::vector<int> OwnSockets(int family);
// What tells an open socket apart from a later one with its descriptor; 0: fd
// is not a socket.
uint64_t SocketInode(int fd);
// Keeps what the kernel sends on this interface from our packet sockets there.
// Gives those sockets. INTERNAL if there is none.
absl::StatusOr<std::vector<int>> IgnoreOutgoing(const std::string& name);
// Frames that a packet socket's ring had no room for, since the last call.
uint64_t TakePacketDrops(int packet_socket);

// Removes the socket file of a server that is gone. FAILED_PRECONDITION if
// something listens there, or if it is not a socket.
absl::Status RemoveStaleSocket(const std::string& path);

// While it lives, the calling thread is in another network namespace.
class NetnsScope {
 public:
  // `path`, as /run/netns/dns; empty: stays where it is.
  static absl::StatusOr<NetnsScope> Enter(const std::string& path);
  NetnsScope(NetnsScope&& other) noexcept : home_fd_(other.home_fd_) {
    other.home_fd_ = -1;
  }
  NetnsScope& operator=(NetnsScope&&) = delete;
  ~NetnsScope();

 private:
  explicit NetnsScope(int home_fd) : home_fd_(home_fd) {}
  int home_fd_;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_KERNEL_INTERFACE_H_
