// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/tc_attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/classifier.h>
#include <netlink/socket.h>

#include <cerrno>
#include <set>

#include "absl/strings/str_cat.h"
#include "bpf/inspect.h"
#include "bpf/skeleton.h"

namespace godwit {
namespace {

// "gd": tells our filter from others of the same priority.
constexpr uint32_t kHandle = 0x6764;
constexpr uint32_t kPriority = 1;

bpf_tc_hook HookOf(int ifindex, bpf_tc_attach_point point) {
  bpf_tc_hook hook = {};
  hook.sz = sizeof(hook);
  hook.ifindex = ifindex;
  hook.attach_point = point;
  return hook;
}

bpf_tc_attach_point PointOf(TcSide side) {
  return side == TcSide::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

bpf_tc_opts OurFilter() {
  bpf_tc_opts options = {};
  options.sz = sizeof(options);
  options.handle = kHandle;
  options.priority = kPriority;
  return options;
}

// Filters on one side of the clsact qdisc; -1: can't be told.
int CountFilters(nl_sock* socket, int ifindex, uint32_t side) {
  nl_cache* filters = nullptr;
  if (rtnl_cls_alloc_cache(socket, ifindex, TC_H_MAKE(TC_H_CLSACT, side),
                           &filters) < 0) {
    return -1;
  }
  const int count = nl_cache_nitems(filters);
  nl_cache_free(filters);
  return count;
}

// A clsact qdisc without filters does nothing, whoever made it.
bool IsClsactEmpty(int ifindex) {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) return false;
  const bool empty = nl_connect(socket, NETLINK_ROUTE) == 0 &&
                     CountFilters(socket, ifindex, TC_H_MIN_INGRESS) == 0 &&
                     CountFilters(socket, ifindex, TC_H_MIN_EGRESS) == 0;
  nl_socket_free(socket);
  return empty;
}

void DestroyClsactIfEmpty(int ifindex) {
  if (!IsClsactEmpty(ifindex)) return;
  bpf_tc_hook both =
      HookOf(ifindex,
             static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  bpf_tc_hook_destroy(&both);
}

// The program in our place; 0: none.
uint32_t ProgramAt(const bpf_tc_hook& hook) {
  bpf_tc_opts options = OurFilter();
  return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

bool IsOurs(const std::string& program) {
  return program.starts_with("godwit_");
}

// Programs that this process has attached. Written by: the control thread.
std::set<uint32_t>& Live() {
  static std::set<uint32_t> programs;
  return programs;
}

}  // namespace

std::vector<std::string> TcAttachment::RemoveLeftovers(int ifindex) {
  SilenceLibbpf();
  std::vector<std::string> removed;
  for (const TcSide side : {TcSide::kIngress, TcSide::kEgress}) {
    const bpf_tc_hook hook = HookOf(ifindex, PointOf(side));
    const uint32_t program = ProgramAt(hook);
    const std::string name = ProgramName(program);
    if (!IsOurs(name) || Live().contains(program)) continue;
    const bpf_tc_opts options = OurFilter();
    if (bpf_tc_detach(&hook, &options) == 0) removed.push_back(name);
  }
  if (!removed.empty()) DestroyClsactIfEmpty(ifindex);
  return removed;
}

absl::StatusOr<std::unique_ptr<TcAttachment>> TcAttachment::Attach(
    const std::string& interface_name, TcSide side, int program_fd) {
  const auto ifindex = static_cast<int>(if_nametoindex(interface_name.c_str()));
  if (ifindex == 0) {
    return absl::NotFoundError(
        absl::StrCat("no interface \"", interface_name, "\" here"));
  }
  bpf_tc_hook hook = HookOf(ifindex, PointOf(side));
  int error = bpf_tc_hook_create(&hook);
  if (error != 0 && error != -EEXIST) {
    return absl::ErrnoToStatus(
        -error, absl::StrCat(interface_name, ": adding the clsact qdisc"));
  }
  // From here on destruction leaves nothing behind.
  std::unique_ptr<TcAttachment> attachment(new TcAttachment(ifindex, side));
  const std::string there = ProgramName(ProgramAt(hook));
  if (!there.empty() && !IsOurs(there)) {
    return absl::FailedPreconditionError(
        absl::StrCat(interface_name, ": its tc filter of priority ", kPriority,
                     " and handle ", absl::Hex(kHandle), " is \"", there,
                     "\", which is not ours; remove it with `tc filter del`"));
  }
  bpf_tc_opts options = OurFilter();
  options.prog_fd = program_fd;
  options.flags = BPF_TC_F_REPLACE;
  error = bpf_tc_attach(&hook, &options);
  if (error != 0) {
    return absl::ErrnoToStatus(
        -error, absl::StrCat(interface_name, ": attaching to tc ",
                             side == TcSide::kIngress ? "ingress" : "egress",
                             " at priority ", kPriority,
                             ", which must be free or hold BPF filters for",
                             " all protocols"));
  }
  attachment->program_id_ = options.prog_id;
  Live().insert(options.prog_id);
  return attachment;
}

TcAttachment::~TcAttachment() {
  Live().erase(program_id_);
  const bpf_tc_hook hook = HookOf(ifindex_, PointOf(side_));
  if (program_id_ != 0 && ProgramAt(hook) == program_id_) {
    const bpf_tc_opts options = OurFilter();
    bpf_tc_detach(&hook, &options);
  }
  DestroyClsactIfEmpty(ifindex_);
}

}  // namespace godwit
