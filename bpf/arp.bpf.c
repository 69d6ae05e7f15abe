/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* tc ingress on the kernel's side of an uplink: who says that he has an IPv4
 * address there.
 *
 * The kernel believes every ARP frame that names a sender it knows already,
 * asked or not; so anybody on the link could take the gateway's place. Here a
 * frame must agree with what the kernel has learned: another link address for
 * a neighbour that it can still reach is refused and counted, and the control
 * thread has the kernel ask (RFC 826 as conformance L2-05 wants it). A
 * neighbour that has really moved does not answer at its old address, is
 * forgotten in half a second, asked for, and then known by its answer.
 *
 * One that claims an address of this node is counted and passed: the kernel
 * keeps its own (RFC 5227 2.4; L2-06). */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
/* After linux/bpf.h, which they need. */
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/map_layout.h"
#include "bpf/wire.bpf.h"

/* Written by the control thread alone. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, kArpMaxKnown);
  __type(key, __u32);
  __type(value, struct ArpHolder);
} arp_known SEC(".maps");

/* Of addresses in arp_known alone; taken out by the control thread. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, kArpMaxRefused);
  __type(key, __u32);
  __type(value, struct ArpClaim);
} arp_claims SEC(".maps");

/* Until when arp_known holds, in ns since boot. Without a control thread that
 * follows the kernel's list nobody would be believed who has moved. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} arp_until SEC(".maps");

static __always_inline int IsSameMac(const __u8 *a, const __u8 *b) {
  return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] &&
         a[4] == b[4] && a[5] == b[5];
}

static __always_inline void Count(__u32 address, const struct ArpIpv4 *arp) {
  struct ArpClaim first = {.frames = 1};
  struct ArpClaim *claim = bpf_map_lookup_elem(&arp_claims, &address);
  if (!claim) {
    __builtin_memcpy(first.mac, arp->sender_mac, sizeof(first.mac));
    bpf_map_update_elem(&arp_claims, &address, &first, BPF_ANY);
    return;
  }
  __sync_fetch_and_add(&claim->frames, 1);
  __builtin_memcpy(claim->mac, arp->sender_mac, sizeof(claim->mac));
}

SEC("tc")
int godwit_arp(struct __sk_buff *frame) {
  struct ArpIpv4 arp;
  if (frame->protocol != bpf_htons(kEtherArp) ||
      bpf_skb_load_bytes(frame, sizeof(struct ethhdr), &arp, sizeof(arp))) {
    return TC_ACT_UNSPEC;
  }
  __u32 zero = 0;
  __u64 *until = bpf_map_lookup_elem(&arp_until, &zero);
  if (!until || bpf_ktime_get_ns() > *until) return TC_ACT_UNSPEC;
  __u32 address = arp.sender;
  const struct ArpHolder *holder = bpf_map_lookup_elem(&arp_known, &address);
  if (!holder || IsSameMac(holder->mac, arp.sender_mac)) return TC_ACT_UNSPEC;
  Count(address, &arp);
  return holder->whose == kArpNeighbour ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
