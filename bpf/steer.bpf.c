/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* XDP on an uplink: what is ours goes to the AF_XDP socket of its receive
 * queue, all else to the kernel, untouched.
 *
 * Ours is every frame to a service address, and of the unicast addresses'
 * frames those on the egress l4ports and the ICMP errors that quote such. What
 * only a worker can tell (a later fragment, an echo reply, headers that don't
 * end where they should) is shown to it; it punts what it does not want.
 *
 * The name of the program, of xsks_map and the metadata at the end are how
 * libxdp knows a program it need not replace with its own. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
/* After linux/bpf.h, which they need. */
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/cursor.bpf.h"
#include "bpf/tables.bpf.h"
#include "bpf/unicast.bpf.h"
#include "bpf/wire.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, kSteerMaxRxqs);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct SteerCounters);
} steer_counters SEC(".maps");

static __always_inline enum Owner OwnerOfV4(struct Cursor *cursor,
                                            const struct Tables *tables) {
  const struct iphdr *ip = Take(cursor, sizeof(*ip));
  if (!ip) return kKernels;
  __u32 flags = FlagsOfV4(tables, ip->daddr);
  if (flags == 0 || flags & kSteerToKernel) return kKernels;
  if (flags & kSteerService) return kOurs;
  return OwnerAtUnicastV4(cursor, tables->config, ip);
}

/* Neighbour discovery is the kernel's, whatever address it is sent to. */
static __always_inline int IsNeighbourDiscovery(const struct Cursor *cursor,
                                                const struct ipv6hdr *ip) {
  struct Cursor ahead = *cursor;
  if (ip->nexthdr != kProtoIcmpv6 || ip->hop_limit != 255) return 0;
  const __u8 *type = Take(&ahead, 1);
  return type && *type >= kIcmpv6RouterSolicit && *type <= kIcmpv6Redirect;
}

static __always_inline enum Owner OwnerOfV6(struct Cursor *cursor,
                                            const struct Tables *tables) {
  const struct ipv6hdr *ip = Take(cursor, sizeof(*ip));
  if (!ip) return kKernels;
  __u32 flags = FlagsOfV6(tables, ip->daddr.in6_u.u6_addr32);
  if (flags == 0 || flags & kSteerToKernel) return kKernels;
  if (IsNeighbourDiscovery(cursor, ip)) return kKernels;
  if (flags & kSteerService) return kOurs;
  return OwnerAtUnicastV6(cursor, tables->config, ip->nexthdr);
}

static __always_inline enum Owner OwnerOfFrame(struct Cursor *cursor,
                                               const struct Tables *tables) {
  const struct ethhdr *eth = Take(cursor, sizeof(*eth));
  if (!eth) return kKernels;
  __be16 type = eth->h_proto;
  __u16 vlan = tables->config->vlan;
  if (vlan != 0) {
    if (type != bpf_htons(kEtherVlan)) return kKernels;
    const struct VlanTag *tag = Take(cursor, sizeof(*tag));
    if (!tag || (bpf_ntohs(tag->tci) & kVlanIdMask) != vlan) return kKernels;
    type = tag->ether_type;
  }
  if (type == bpf_htons(kEtherIpv4)) return OwnerOfV4(cursor, tables);
  if (type == bpf_htons(kEtherIpv6)) return OwnerOfV6(cursor, tables);
  return kKernels;
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *context) {
  struct Cursor cursor = {(void *)(long)context->data,
                          (void *)(long)context->data_end};
  __u32 zero = 0;
  struct Tables tables;
  struct SteerCounters *counters = bpf_map_lookup_elem(&steer_counters, &zero);
  if (!counters || !ReadTables(&tables)) return XDP_PASS;
  enum Owner owner = OwnerOfFrame(&cursor, &tables);
  if (owner == kKernels) {
    counters->passed += 1;
    return XDP_PASS;
  }
  int drop = owner == kOurs && tables.config->flags & kSteerDropWithoutSocket;
  int action = (int)bpf_redirect_map(&xsks_map, context->rx_queue_index,
                                     drop ? XDP_DROP : XDP_PASS);
  if (action == XDP_REDIRECT) {
    counters->redirected += 1;
  } else if (action == XDP_DROP) {
    counters->dropped += 1;
  } else {
    counters->passed += 1;
  }
  return action;
}

/* The version of libxdp's own program that this one stands in for: 1 has
 * xsks_map and no reference count it would have to keep. */
__uint(xsk_prog_version, 1) SEC("xdp_metadata");

char _license[] SEC("license") = "Dual BSD/GPL";
