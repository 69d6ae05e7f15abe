// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/xdp_attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bpf/skeleton.h"

namespace godwit {
namespace {

// Ours, and libxdp's own, which a crashed AF_XDP program leaves behind.
constexpr std::string_view kProgramName = "xsk_def_prog";
// Only ours has tables.
constexpr std::string_view kTables = "steer_config";
constexpr std::string_view kCounters = "steer_counters";
// The kernel frees a bpf_link, which earlier versions had, some time after its
// owner's death.
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

uint32_t FlagsOf(XdpMode mode) {
  return mode == XdpMode::kNative ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

bool IsSteering(const Descriptor& program) {
  return ProgramName(program) == kProgramName &&
         MapOf(program, kTables).fd() >= 0;
}

// 0 or -errno, as all of these: where there is none.
int AttachFirst(int ifindex, int program_fd, XdpMode mode) {
  return bpf_xdp_attach(ifindex, program_fd,
                        FlagsOf(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr);
}

// `program_fd` in the place of `old`, -1 to remove it; refused by the kernel
// if `old` is not there any more.
int Exchange(int ifindex, int program_fd, XdpMode mode, const Descriptor& old) {
  bpf_xdp_attach_opts options = {};
  options.sz = sizeof(options);
  options.old_prog_fd = old.fd();
  return bpf_xdp_attach(ifindex, program_fd, FlagsOf(mode) | XDP_FLAGS_REPLACE,
                        &options);
}

absl::Status NotOurs(const std::string& interface_name,
                     const std::string& program, uint32_t id) {
  return absl::FailedPreconditionError(absl::StrCat(
      interface_name, ": has the XDP program \"", program, "\" (id ", id,
      "), which is not ours; remove it with `ip link set dev ", interface_name,
      " xdp off`"));
}

// Somebody else was quicker, or a link has not gone yet.
bool IsBusy(int error) { return error == -EBUSY || error == -EEXIST; }

absl::Status Failed(const std::string& interface_name, int native,
                    int generic) {
  if (IsBusy(native)) {
    return absl::UnavailableError(absl::StrCat(
        interface_name, ": another process holds its XDP program; is a godwitd",
        " running on it?"));
  }
  return absl::ErrnoToStatus(
      -generic, absl::StrCat(interface_name, ": attaching XDP, native: ",
                             std::strerror(-native), "; generic"));
}

// Programs that this process has attached. Written by: the control thread.
std::set<uint32_t>& Live() {
  static std::set<uint32_t> programs;
  return programs;
}

uint32_t IdOf(const Descriptor& program) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(program.fd(), &info, &size) == 0 ? info.id : 0;
}

// One try. `error` is what native said, and `generic` what generic said then.
struct Try {
  int error = 0;
  int generic = 0;
  XdpMode mode = XdpMode::kNative;
  std::optional<SteerCounters> predecessor;
};

Try AttachWhereNoneIs(int ifindex, int program_fd) {
  Try result;
  result.error = AttachFirst(ifindex, program_fd, XdpMode::kNative);
  if (result.error == 0 || IsBusy(result.error)) return result;
  result.mode = XdpMode::kGeneric;
  result.generic = AttachFirst(ifindex, program_fd, XdpMode::kGeneric);
  if (result.generic == 0 || IsBusy(result.generic)) {
    result.error = result.generic;
  }
  return result;
}

Try AttachInPlaceOf(const Descriptor& old, XdpMode mode, int ifindex,
                    int program_fd) {
  Try result;
  result.mode = mode;
  if (!IsSteering(old)) {
    // It keeps nothing from the kernel, and native may be possible now.
    const int removed = Exchange(ifindex, -1, mode, old);
    result.error = removed == 0 ? -EEXIST : removed;
    return result;
  }
  result.error = result.generic = Exchange(ifindex, program_fd, mode, old);
  const auto counted = SumOverCpus<SteerCounters>(MapOf(old, kCounters).fd());
  if (counted.ok()) result.predecessor = *counted;
  return result;
}

}  // namespace

XdpAttachment::XdpAttachment(int ifindex, XdpMode mode, Descriptor program)
    : ifindex_(ifindex), mode_(mode), program_(std::move(program)) {
  Live().insert(IdOf(program_));
}

absl::StatusOr<std::unique_ptr<XdpAttachment>> XdpAttachment::Attach(
    const std::string& interface_name, int program_fd) {
  const auto ifindex = static_cast<int>(if_nametoindex(interface_name.c_str()));
  if (ifindex == 0) {
    return absl::NotFoundError(
        absl::StrCat("no interface \"", interface_name, "\" here"));
  }
  Descriptor program(fcntl(program_fd, F_DUPFD_CLOEXEC, 0));
  if (program.fd() < 0) return absl::ErrnoToStatus(errno, interface_name);
  const auto deadline = std::chrono::steady_clock::now() + kBusyFor;
  for (;;) {
    const AttachedProgram there = QueryXdp(ifindex);
    const Descriptor old(there.id == 0 ? -1 : bpf_prog_get_fd_by_id(there.id));
    const std::string name = ProgramName(old);
    if (!name.empty() && name != kProgramName) {
      return NotOurs(interface_name, name, there.id);
    }
    const Try tried =
        old.fd() < 0 ? AttachWhereNoneIs(ifindex, program.fd())
                     : AttachInPlaceOf(old, there.mode, ifindex, program.fd());
    if (tried.error == 0) {
      std::unique_ptr<XdpAttachment> attachment(
          new XdpAttachment(ifindex, tried.mode, std::move(program)));
      attachment->predecessor_ = tried.predecessor;
      return attachment;
    }
    if (!IsBusy(tried.error) || std::chrono::steady_clock::now() > deadline) {
      return Failed(interface_name, tried.error, tried.generic);
    }
    std::this_thread::sleep_for(kBusyStep);
  }
}

std::unique_ptr<XdpAttachment> XdpAttachment::FindLeftover(int ifindex) {
  SilenceLibbpf();
  const AttachedProgram there = QueryXdp(ifindex);
  if (there.id == 0 || Live().contains(there.id)) return nullptr;
  Descriptor program(bpf_prog_get_fd_by_id(there.id));
  if (program.fd() < 0 || !IsSteering(program)) return nullptr;
  return std::unique_ptr<XdpAttachment>(
      new XdpAttachment(ifindex, there.mode, std::move(program)));
}

XdpAttachment::~XdpAttachment() {
  Live().erase(IdOf(program_));
  if (!leave_) Exchange(ifindex_, -1, mode_, program_);
}

}  // namespace godwit
