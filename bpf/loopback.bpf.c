/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* tc egress on the loopback interface: the queue `kernel` answers a queue of
 * this node (contract, "On the wire", 6).
 *
 * Who asks from a queue has the unicast address here. That is an address of
 * the kernel's own, too, so the kernel sends its answer to itself. What goes
 * from a service address to an l4port of the unicast address that is ours is
 * such an answer: it is sent to the TAP instead, where a worker takes it for
 * what it is. All else stays on the loopback interface. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
/* After linux/bpf.h, which they need. */
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/cursor.bpf.h"
#include "bpf/tables.bpf.h"
#include "bpf/unicast.bpf.h"
#include "bpf/wire.bpf.h"

static __always_inline int IsAnswer(__u32 source_flags,
                                    __u32 destination_flags) {
  return source_flags & kSteerService && destination_flags & kSteerUnicast;
}

static __always_inline enum Owner OwnerOfV4(struct Cursor *cursor,
                                            const struct Tables *tables) {
  const struct iphdr *ip = Take(cursor, sizeof(*ip));
  if (!ip || !IsAnswer(FlagsOfV4(tables, ip->saddr),
                       FlagsOfV4(tables, ip->daddr))) {
    return kKernels;
  }
  return OwnerAtUnicastV4(cursor, tables->config, ip);
}

static __always_inline enum Owner OwnerOfV6(struct Cursor *cursor,
                                            const struct Tables *tables) {
  const struct ipv6hdr *ip = Take(cursor, sizeof(*ip));
  if (!ip || !IsAnswer(FlagsOfV6(tables, ip->saddr.in6_u.u6_addr32),
                       FlagsOfV6(tables, ip->daddr.in6_u.u6_addr32))) {
    return kKernels;
  }
  return OwnerAtUnicastV6(cursor, tables->config, ip->nexthdr);
}

SEC("tc")
int godwit_loopback(struct __sk_buff *frame) {
  struct Cursor cursor = {(void *)(long)frame->data,
                          (void *)(long)frame->data_end};
  struct Tables tables;
  const struct ethhdr *eth = Take(&cursor, sizeof(*eth));
  if (!eth || !ReadTables(&tables)) return TC_ACT_UNSPEC;
  enum Owner owner = kKernels;
  if (eth->h_proto == bpf_htons(kEtherIpv4)) {
    owner = OwnerOfV4(&cursor, &tables);
  } else if (eth->h_proto == bpf_htons(kEtherIpv6)) {
    owner = OwnerOfV6(&cursor, &tables);
  }
  __u32 tap = tables.config->kernel_queue;
  /* To the operator's filters, if there are any. */
  if (owner == kKernels || tap == 0) return TC_ACT_UNSPEC;
  return bpf_redirect(tap, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
