// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/tc_attachment.h"

#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/classifier.h>
#include <netlink/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

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

}  // namespace

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
  return attachment;
}

TcAttachment::~TcAttachment() {
  if (leave_) return;
  const bpf_tc_hook hook = HookOf(ifindex_, PointOf(side_));
  const bpf_tc_opts options = OurFilter();
  bpf_tc_detach(&hook, &options);
  if (!IsClsactEmpty(ifindex_)) return;
  bpf_tc_hook both =
      HookOf(ifindex_,
             static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  bpf_tc_hook_destroy(&both);
}

}  // namespace godwit
