// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/kernel_interface.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

namespace godwit {
namespace {

std::string ErrnoText() { return strerror(errno); }

// One ioctl on an interface by its name; false with errno set.
bool InterfaceIoctl(const std::string& name, unsigned long request,
                    ifreq& ifr) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  name.copy(ifr.ifr_name, IFNAMSIZ - 1);
  const int result = ioctl(fd, request, &ifr);
  const int error = errno;
  close(fd);
  errno = error;
  return result == 0;
}

// What is at the other end of connect(): 0, or errno.
int TryConnect(const std::string& path, int type) {
  const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int result =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = result == 0 ? 0 : errno;
  close(fd);
  return error;
}

// This process's open descriptors of which `is_wanted` says so.
template <class IsWanted>
std::vector<int> OwnDescriptors(IsWanted is_wanted) {
  std::vector<int> found;
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return found;
  while (const dirent* entry = readdir(folder)) {
    int fd = -1;
    if (absl::SimpleAtoi(entry->d_name, &fd) && is_wanted(fd)) {
      found.push_back(fd);
    }
  }
  closedir(folder);
  return found;
}

}  // namespace

uint32_t InterfaceIndex(const std::string& name) {
  return if_nametoindex(name.c_str());
}

bool InterfaceRuns(const std::string& name) {
  ifreq flags = {};
  if (!InterfaceIoctl(name, SIOCGIFFLAGS, flags)) return false;
  if ((flags.ifr_flags & IFF_UP) == 0) return false;
  // Not IFF_RUNNING alone: that follows the carrier up to a second later.
  ethtool_value carrier = {};
  carrier.cmd = ETHTOOL_GLINK;
  ifreq ifr = {};
  ifr.ifr_data = reinterpret_cast<char*>(&carrier);
  if (InterfaceIoctl(name, SIOCETHTOOL, ifr)) return carrier.data != 0;
  return (flags.ifr_flags & IFF_RUNNING) != 0;
}

uint16_t InterfaceMtu(const std::string& name) {
  ifreq ifr = {};
  if (!InterfaceIoctl(name, SIOCGIFMTU, ifr)) return 0;
  return static_cast<uint16_t>(std::clamp(ifr.ifr_mtu, 0, 0xffff));
}

absl::Status SetInterfaceMtu(const std::string& name, uint16_t mtu) {
  ifreq ifr = {};
  ifr.ifr_mtu = mtu;
  if (InterfaceIoctl(name, SIOCSIFMTU, ifr)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("interface ", name, ": MTU ", mtu, ": ", ErrnoText()));
}

MacAddress InterfaceMac(const std::string& name) {
  MacAddress mac = {};
  ifreq ifr = {};
  if (InterfaceIoctl(name, SIOCGIFHWADDR, ifr)) {
    memcpy(mac.data(), ifr.ifr_hwaddr.sa_data, mac.size());
  }
  return mac;
}

uint16_t InterfaceRxqs(const std::string& name) {
  ethtool_channels channels = {};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq ifr = {};
  ifr.ifr_data = reinterpret_cast<char*>(&channels);
  if (!InterfaceIoctl(name, SIOCETHTOOL, ifr)) return 1;
  const uint32_t count = channels.combined_count + channels.rx_count;
  return static_cast<uint16_t>(std::clamp<uint32_t>(count, 1, 256));
}

std::string InterfaceDriver(const std::string& name) {
  ethtool_drvinfo info = {};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq ifr = {};
  ifr.ifr_data = reinterpret_cast<char*>(&info);
  return InterfaceIoctl(name, SIOCETHTOOL, ifr) ? info.driver : "";
}

void DetachXdp(const std::string& name) {
  const uint32_t index = InterfaceIndex(name);
  if (index != 0) bpf_xdp_detach(static_cast<int>(index), 0, nullptr);
}

absl::Status MakePersistentTap(const std::string& name) {
  if (InterfaceIndex(name) != 0) return absl::OkStatus();
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  ifreq ifr = {};
  name.copy(ifr.ifr_name, IFNAMSIZ - 1);
  ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  const bool made = fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0 &&
                    ioctl(fd, TUNSETPERSIST, 1) == 0;
  const std::string error = ErrnoText();
  if (fd >= 0) close(fd);
  if (made) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("tap ", name, ": ", error));
}

absl::Status DeleteTap(const std::string& name) {
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return absl::InternalError(absl::StrCat("/dev/net/tun: ", ErrnoText()));
  }
  // A TAP takes a new queue only in the mode that it was made in.
  bool done = false;
  for (const int mode : {IFF_MULTI_QUEUE, 0}) {
    ifreq ifr = {};
    name.copy(ifr.ifr_name, IFNAMSIZ - 1);
    ifr.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | mode);
    if (ioctl(fd, TUNSETIFF, &ifr) != 0) continue;
    done = ioctl(fd, TUNSETPERSIST, 0) == 0;
    break;
  }
  const std::string error = ErrnoText();
  close(fd);
  if (done) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("tap ", name, ": ", error));
}

std::vector<int> OwnTaps(const std::string& name) {
  const dev_t tun = makedev(10, 200);  // /dev/net/tun
  return OwnDescriptors([&name, tun](int fd) {
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISCHR(info.st_mode) ||
        info.st_rdev != tun) {
      return false;
    }
    ifreq ifr = {};
    return ioctl(fd, TUNGETIFF, &ifr) == 0 &&
           (name.empty() || name == ifr.ifr_name);
  });
}

bool IsIdleTapQueue(int fd) {
  ifreq ifr = {};
  return ioctl(fd, TUNGETIFF, &ifr) == 0 &&
         (ifr.ifr_flags & IFF_DETACH_QUEUE) != 0;
}

TapState StateOfTap(int fd) {
  // Writable while it is up; an error once it is deleted.
  pollfd tap = {fd, POLLOUT, 0};
  if (poll(&tap, 1, 0) < 0) return TapState::kUp;
  if ((tap.revents & (POLLERR | POLLNVAL)) != 0) return TapState::kGone;
  return (tap.revents & POLLOUT) != 0 ? TapState::kUp : TapState::kDown;
}

std::vector<int> OwnSockets(int family) {
  return OwnDescriptors([family](int fd) {
    int domain = 0;
    socklen_t size = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
           domain == family;
  });
}

uint64_t SocketInode(int fd) {
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode)) return 0;
  return info.st_ino;
}

absl::StatusOr<std::vector<int>> IgnoreOutgoing(const std::string& name) {
  // A filter, because PACKET_IGNORE_OUTGOING does nothing for a socket in a
  // fanout group, and the driver puts each into one.
  sock_filter drop_outgoing[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS,
               static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  const sock_fprog program = {std::size(drop_outgoing), drop_outgoing};
  const int index = static_cast<int>(InterfaceIndex(name));
  std::vector<int> told;
  for (const int fd : OwnSockets(AF_PACKET)) {
    sockaddr_ll address = {};
    socklen_t size = sizeof(address);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        address.sll_ifindex != index) {
      continue;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
                   sizeof(program)) != 0) {
      return absl::InternalError(absl::StrCat(
          "interface ", name, ": SO_ATTACH_FILTER: ", ErrnoText()));
    }
    told.push_back(fd);
  }
  if (!told.empty()) return told;
  return absl::InternalError(
      absl::StrCat("interface ", name, ": no packet socket of ours on it"));
}

uint64_t TakePacketDrops(int packet_socket) {
  tpacket_stats seen = {};  // the kernel begins anew at each reading
  socklen_t size = sizeof(seen);
  if (getsockopt(packet_socket, SOL_PACKET, PACKET_STATISTICS, &seen, &size) !=
      0) {
    return 0;
  }
  return seen.tp_drops;
}

absl::Status RemoveStaleSocket(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is there and not a socket"));
  }
  // memif listens with SEQPACKET, vhost with STREAM.
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    // 0 or a full backlog: alive. EPROTOTYPE: alive or not, of the other type.
    const int error = TryConnect(path, type);
    if (error == 0 || error == EAGAIN) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": another process listens there"));
    }
  }
  if (unlink(path.c_str()) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", ErrnoText()));
  }
  return absl::OkStatus();
}

absl::StatusOr<NetnsScope> NetnsScope::Enter(const std::string& path) {
  if (path.empty()) return NetnsScope(-1);
  const int there = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (there < 0) {
    return absl::NotFoundError(
        absl::StrCat("network namespace ", path, ": ", ErrnoText()));
  }
  const int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  const bool entered = home >= 0 && setns(there, CLONE_NEWNET) == 0;
  const std::string error = ErrnoText();
  close(there);
  if (entered) return NetnsScope(home);
  if (home >= 0) close(home);
  return absl::FailedPreconditionError(
      absl::StrCat("network namespace ", path, ": ", error));
}

NetnsScope::~NetnsScope() {
  if (home_fd_ < 0) return;
  // Cannot fail with a namespace that we came from and hold open.
  setns(home_fd_, CLONE_NEWNET);
  close(home_fd_);
}

}  // namespace godwit
