// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/xdp_attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bpf/link_pin.h"

namespace godwit {
namespace {

// Ours, and libxdp's own, which a crashed AF_XDP program leaves behind.
constexpr std::string_view kProgramName = "xsk_def_prog";
// The kernel frees the link of an owner that died some time after the owner.
constexpr auto kBusyFor = std::chrono::seconds(1);
constexpr auto kBusyStep = std::chrono::milliseconds(10);

struct AttachedProgram {
  uint32_t id = 0;  // 0: none
  XdpMode mode = XdpMode::kNative;
};

AttachedProgram QueryXdp(int ifindex) {
  bpf_xdp_query_opts options = {};
  options.sz = sizeof(options);
  if (bpf_xdp_query(ifindex, 0, &options) != 0) return {};
  if (options.skb_prog_id != 0) {
    return {options.skb_prog_id, XdpMode::kGeneric};
  }
  return {options.drv_prog_id != 0 ? options.drv_prog_id : options.prog_id,
          XdpMode::kNative};
}

std::string ProgramName(int program_fd) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &size) != 0) return "";
  return info.name;
}

uint32_t FlagsOf(XdpMode mode) {
  return mode == XdpMode::kNative ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

// What has no link is removed if it is ours; what has one goes with its owner.
absl::Status RemoveLeftover(const std::string& interface_name, int ifindex) {
  const AttachedProgram attached = QueryXdp(ifindex);
  if (attached.id == 0) return absl::OkStatus();
  const int program_fd = bpf_prog_get_fd_by_id(attached.id);
  if (program_fd < 0) return absl::OkStatus();  // just gone
  const std::string name = ProgramName(program_fd);
  absl::Status status;
  if (name != kProgramName) {
    status = absl::FailedPreconditionError(absl::StrCat(
        interface_name, ": has the XDP program \"", name, "\" (id ",
        attached.id, "), which is not ours; remove it with `ip link set dev ",
        interface_name, " xdp off`"));
  } else {
    bpf_xdp_attach_opts options = {};
    options.sz = sizeof(options);
    options.old_prog_fd = program_fd;
    bpf_xdp_detach(ifindex, FlagsOf(attached.mode) | XDP_FLAGS_REPLACE,
                   &options);
  }
  close(program_fd);
  return status;
}

// A link's descriptor, or -errno.
int CreateLink(int ifindex, int program_fd, XdpMode mode) {
  bpf_link_create_opts options = {};
  options.sz = sizeof(options);
  options.flags = FlagsOf(mode);
  const auto deadline = std::chrono::steady_clock::now() + kBusyFor;
  for (;;) {
    const int fd = bpf_link_create(program_fd, ifindex, BPF_XDP, &options);
    // Busy: a link in the same mode; exists: one in the other.
    if (fd >= 0 || (errno != EBUSY && errno != EEXIST)) {
      return fd >= 0 ? fd : -errno;
    }
    if (std::chrono::steady_clock::now() > deadline) return -EBUSY;
    std::this_thread::sleep_for(kBusyStep);
  }
}

struct Link {
  int fd;
  XdpMode mode;
};

absl::StatusOr<Link> CreateLinkInAnyMode(const std::string& interface_name,
                                         int ifindex, int program_fd) {
  const int native = CreateLink(ifindex, program_fd, XdpMode::kNative);
  if (native >= 0) return Link{native, XdpMode::kNative};
  if (native == -EBUSY) {
    return absl::UnavailableError(absl::StrCat(
        interface_name, ": another process holds its XDP program; is a godwitd",
        " running on it?"));
  }
  const int generic = CreateLink(ifindex, program_fd, XdpMode::kGeneric);
  if (generic >= 0) return Link{generic, XdpMode::kGeneric};
  return absl::ErrnoToStatus(
      -generic, absl::StrCat(interface_name, ": attaching XDP, native: ",
                             std::strerror(-native), "; generic"));
}

// The link that a predecessor has pinned, now with our program; fd -1: none
// that could be used.
Link TakeOver(const std::string& pin_path, int ifindex, int program_fd) {
  const int fd = OpenPinnedLink(pin_path);
  if (fd < 0) return {-1, XdpMode::kNative};
  bpf_link_info info = {};
  uint32_t size = sizeof(info);
  // An interface that is gone has taken its attachment along, not the link.
  if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
      info.type == BPF_LINK_TYPE_XDP &&
      info.xdp.ifindex == static_cast<uint32_t>(ifindex) &&
      bpf_link_update(fd, program_fd, nullptr) == 0) {
    return {fd, QueryXdp(ifindex).mode};
  }
  close(fd);
  RemovePin(pin_path);
  return {-1, XdpMode::kNative};
}

// Pins have no dots, interfaces no colons in their names. "": no pin.
std::string PinPath(const std::string& pin_folder, std::string name) {
  if (pin_folder.empty()) return "";
  std::replace(name.begin(), name.end(), '.', ':');
  return absl::StrCat(pin_folder, "/", name);
}

}  // namespace

absl::StatusOr<std::unique_ptr<XdpAttachment>> XdpAttachment::Attach(
    const std::string& interface_name, int program_fd,
    const std::string& pin_folder) {
  const auto ifindex = static_cast<int>(if_nametoindex(interface_name.c_str()));
  if (ifindex == 0) {
    return absl::NotFoundError(
        absl::StrCat("no interface \"", interface_name, "\" here"));
  }
  const std::string pin_path = PinPath(pin_folder, interface_name);
  if (!pin_path.empty()) {
    const Link taken = TakeOver(pin_path, ifindex, program_fd);
    if (taken.fd >= 0) {
      return std::unique_ptr<XdpAttachment>(
          new XdpAttachment(taken.fd, taken.mode, pin_path));
    }
  }
  absl::Status status = RemoveLeftover(interface_name, ifindex);
  if (!status.ok()) return status;
  const absl::StatusOr<Link> link =
      CreateLinkInAnyMode(interface_name, ifindex, program_fd);
  if (!link.ok()) return link.status();
  std::unique_ptr<XdpAttachment> attachment(
      new XdpAttachment(link->fd, link->mode, pin_path));
  if (!pin_path.empty()) {
    status = PinLink(link->fd, pin_path);
    if (!status.ok()) return status;
  }
  return attachment;
}

XdpAttachment::~XdpAttachment() {
  if (!pin_path_.empty() && !leave_) RemovePin(pin_path_);
  close(link_fd_);
}

}  // namespace godwit
