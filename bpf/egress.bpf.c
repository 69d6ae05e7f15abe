/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* tc egress on an `xdp:` uplink: holds the kernel's own traffic to the source
 * rule (contract, "On the wire", 5). What a worker sends through its AF_XDP
 * socket does not come by here: the kernel hands that to the driver directly.
 *
 * A source may be seen out there if it is the node's unicast address or a
 * link-local one; ARP, neighbour discovery and multicast listener messages
 * never leave the link, where only service addresses are not answered for. From
 * a service address a program of the root namespace is sending, the queue
 * `kernel`: a worker decides whether it replies or originates. So it is with
 * what the unicast address sends to a service address of this node, which stays
 * inside. Everything else is dropped and counted. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
/* After linux/bpf.h, which they need. */
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/tables.bpf.h"
#include "bpf/wire.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct EgressCounters);
} egress_counters SEC(".maps");

enum Source { kForbidden, kAllowed, kKernelQueue };

static __always_inline enum Source SourceOfFlags(__u32 flags,
                                                 __u32 destination_flags) {
  if (flags & kSteerUnicast) {
    return destination_flags & kSteerService ? kKernelQueue : kAllowed;
  }
  return flags & kSteerService ? kKernelQueue : kForbidden;
}

static __always_inline enum Source SourceOfV4(struct __sk_buff *frame,
                                              __u32 offset,
                                              const struct Tables *tables) {
  struct iphdr ip;
  if (bpf_skb_load_bytes(frame, offset, &ip, sizeof(ip))) return kForbidden;
  /* 169.254/16: RFC 3927, not forwarded by anybody. */
  if ((ip.saddr & bpf_htonl(0xffff0000)) == bpf_htonl(0xa9fe0000)) {
    return kAllowed;
  }
  return SourceOfFlags(FlagsOfV4(tables, ip.saddr),
                       FlagsOfV4(tables, ip.daddr));
}

/* Nobody on the link may learn that a service address is here: the kernel has
 * it on its loopback, and would answer for it and announce it. What it asks for
 * itself goes on: a neighbour must be found. */
static __always_inline enum Source SourceOfArp(struct __sk_buff *frame,
                                               __u32 offset,
                                               const struct Tables *tables) {
  struct ArpIpv4 arp;
  if (bpf_skb_load_bytes(frame, offset, &arp, sizeof(arp))) return kAllowed;
  if (arp.operation == bpf_htons(kArpRequest) && arp.sender != arp.target) {
    return kAllowed;
  }
  __u32 flags = FlagsOfV4(tables, arp.sender);
  return flags & kSteerService ? kForbidden : kAllowed;
}

/* Messages that no router forwards, by their type and the hop limit that their
 * receivers insist on (RFC 4861 7.1) or their senders have to use (RFC 2710 3,
 * RFC 3810 5: hop limit 1 behind a router alert option). */
static __always_inline int StaysOnLink(struct __sk_buff *frame, __u32 offset,
                                       const struct ipv6hdr *ip) {
  __u8 header = ip->nexthdr;
  offset += sizeof(*ip);
  if (header == kProtoHopByHop) {
    struct Ipv6Ext ext;
    if (bpf_skb_load_bytes(frame, offset, &ext, sizeof(ext))) return 0;
    offset += ExtHeaderSize(header, ext.length);
    header = ext.next_header;
  }
  __u8 type;
  if (header != kProtoIcmpv6) return 0;
  if (bpf_skb_load_bytes(frame, offset, &type, sizeof(type))) return 0;
  if (type >= kIcmpv6RouterSolicit && type <= kIcmpv6Redirect) {
    return ip->hop_limit == 255;
  }
  int listener = (type >= kIcmpv6MldQuery && type <= kIcmpv6MldDone) ||
                 type == kIcmpv6Mldv2Report;
  return listener && ip->hop_limit == 1;
}

static __always_inline enum Source SourceOfV6(struct __sk_buff *frame,
                                              __u32 offset,
                                              const struct Tables *tables) {
  struct ipv6hdr ip;
  if (bpf_skb_load_bytes(frame, offset, &ip, sizeof(ip))) return kForbidden;
  const __u32 *source = ip.saddr.in6_u.u6_addr32;
  /* fe80::/10: RFC 4291 2.5.6, not forwarded by anybody. */
  if ((source[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000)) {
    return kAllowed;
  }
  __u32 destination_flags = FlagsOfV6(tables, ip.daddr.in6_u.u6_addr32);
  enum Source by_address =
      SourceOfFlags(FlagsOfV6(tables, source), destination_flags);
  if (by_address != kAllowed && StaysOnLink(frame, offset, &ip)) {
    return kAllowed;
  }
  return by_address;
}

/* 01:80:c2:00:00:0x, which no bridge forwards (IEEE 802.1Q table 8-1): LLDP,
 * LACP, EAPOL. */
static __always_inline int IsLinkControl(const struct ethhdr *eth) {
  return eth->h_dest[0] == 0x01 && eth->h_dest[1] == 0x80 &&
         eth->h_dest[2] == 0xc2 && eth->h_dest[3] == 0 && eth->h_dest[4] == 0 &&
         eth->h_dest[5] < 16;
}

/* A tag is in the frame, or beside it for the NIC to put in. Frames of another
 * VLAN of the same interface are not on this uplink. */
static __always_inline enum Source SourceOfFrame(struct __sk_buff *frame,
                                                 const struct Tables *tables) {
  struct ethhdr eth;
  if (bpf_skb_load_bytes(frame, 0, &eth, sizeof(eth))) return kForbidden;
  __u32 offset = sizeof(eth);
  __be16 type = eth.h_proto;
  __u16 vlan = 0;
  int qinq = type == bpf_htons(kEtherQinq);
  if (frame->vlan_present) {
    vlan = frame->vlan_tci & kVlanIdMask;
    qinq = frame->vlan_proto == bpf_htons(kEtherQinq);
  } else if (qinq || type == bpf_htons(kEtherVlan)) {
    struct VlanTag tag;
    if (bpf_skb_load_bytes(frame, offset, &tag, sizeof(tag))) return kForbidden;
    vlan = bpf_ntohs(tag.tci) & kVlanIdMask;
    type = tag.ether_type;
    offset += sizeof(tag);
  }
  if (qinq || vlan != tables->config->vlan) return kAllowed;
  if (type == bpf_htons(kEtherArp)) return SourceOfArp(frame, offset, tables);
  if (type == bpf_htons(kEtherIpv4)) return SourceOfV4(frame, offset, tables);
  if (type == bpf_htons(kEtherIpv6)) return SourceOfV6(frame, offset, tables);
  return IsLinkControl(&eth) ? kAllowed : kForbidden;
}

SEC("tc")
int godwit_egress(struct __sk_buff *frame) {
  __u32 zero = 0;
  struct Tables tables;
  struct EgressCounters *counters =
      bpf_map_lookup_elem(&egress_counters, &zero);
  /* Never reached: the loader publishes before it attaches. */
  if (!counters || !ReadTables(&tables)) return TC_ACT_SHOT;
  enum Source source = SourceOfFrame(frame, &tables);
  if (source == kAllowed) {
    counters->passed += 1;
    return TC_ACT_UNSPEC; /* on to the operator's filters, if there are any */
  }
  __u32 kernel_queue = tables.config->kernel_queue;
  if (source == kForbidden || kernel_queue == 0) {
    counters->leak_prevented += 1;
    return TC_ACT_SHOT;
  }
  /* A TAP carries no tags. */
  if (tables.config->vlan && bpf_skb_vlan_pop(frame)) {
    counters->leak_prevented += 1;
    return TC_ACT_SHOT;
  }
  counters->redirected += 1;
  frame->mark = tables.config->mark;
  return bpf_redirect(kernel_queue, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
