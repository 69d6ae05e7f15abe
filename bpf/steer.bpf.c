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

/* Whose a frame is. The difference between the last two is what happens to it
 * on a receive queue without a socket (the daemon is gone): the kernel would
 * reset a flow of ours, but may well be waiting for what might be its own, and
 * does no harm to what is not. */
enum Owner { kKernels, kOurs, kPerhapsOurs };

static __always_inline int HasBit(const __u64 *words, __be16 wire) {
  __u16 number = bpf_ntohs(wire);
  return (words[number / 64] >> (number % 64)) & 1;
}

static __always_inline enum Owner OwnerOfL4Port(
    const struct SteerConfig *config, __u8 protocol, __be16 l4port) {
  const __u64 *words = protocol == kProtoTcp ? config->tcp : config->udp;
  return HasBit(words, l4port) ? kOurs : kKernels;
}

/* The packet that an ICMP error to a unicast address quotes: by its source
 * l4port, since it is one that we or the kernel sent. */
static __always_inline enum Owner OwnerOfQuoted(
    struct Cursor *cursor, const struct SteerConfig *config, __u8 protocol) {
  if (protocol == kProtoTcp || protocol == kProtoUdp) {
    const struct L4Ports *ports = Take(cursor, sizeof(*ports));
    if (!ports) return kPerhapsOurs;
    return OwnerOfL4Port(config, protocol, ports->source);
  }
  if (protocol == kProtoIcmp || protocol == kProtoIcmpv6) {
    const struct Icmp *icmp = Take(cursor, sizeof(*icmp));
    if (!icmp) return kPerhapsOurs;
    if (icmp->type != kIcmpEcho && icmp->type != kIcmpv6Echo) return kKernels;
    return HasBit(config->icmp, icmp->id) ? kPerhapsOurs : kKernels;
  }
  return kKernels;
}

static __always_inline enum Owner OwnerOfQuoteV4(
    struct Cursor *cursor, const struct SteerConfig *config) {
  const struct iphdr *ip = Take(cursor, sizeof(*ip));
  if (!ip || ip->ihl < 5) return kPerhapsOurs;
  if (ip->frag_off & bpf_htons(kFragmentOffsetV4)) return kPerhapsOurs;
  __u8 protocol = ip->protocol;
  Skip(cursor, (ip->ihl - 5) * 4);
  return OwnerOfQuoted(cursor, config, protocol);
}

/* A quote with extension headers is for the worker, save for the fragment
 * header, which packets too big for the path have. */
static __always_inline enum Owner OwnerOfQuoteV6(
    struct Cursor *cursor, const struct SteerConfig *config) {
  const struct ipv6hdr *ip = Take(cursor, sizeof(*ip));
  if (!ip) return kPerhapsOurs;
  __u8 protocol = ip->nexthdr;
  if (protocol == kProtoFragment) {
    const struct Ipv6Ext *ext = Take(cursor, sizeof(*ext));
    if (!ext || ext->offset_flags & bpf_htons(kFragmentOffsetV6)) {
      return kPerhapsOurs;
    }
    protocol = ext->next_header;
  }
  if (IsExtHeader(protocol)) return kPerhapsOurs;
  return OwnerOfQuoted(cursor, config, protocol);
}

static __always_inline enum Owner OwnerOfIcmpV4(
    struct Cursor *cursor, const struct SteerConfig *config) {
  const struct Icmp *icmp = Take(cursor, sizeof(*icmp));
  if (!icmp) return kPerhapsOurs;
  if (icmp->type == kIcmpEchoReply) {
    return HasBit(config->icmp, icmp->id) ? kPerhapsOurs : kKernels;
  }
  if (icmp->type == kIcmpUnreachable || icmp->type == kIcmpTimeExceeded ||
      icmp->type == kIcmpParameterProblem) {
    return OwnerOfQuoteV4(cursor, config);
  }
  return kKernels;
}

static __always_inline enum Owner OwnerOfIcmpV6(
    struct Cursor *cursor, const struct SteerConfig *config) {
  const struct Icmp *icmp = Take(cursor, sizeof(*icmp));
  if (!icmp) return kPerhapsOurs;
  if (icmp->type == kIcmpv6EchoReply) {
    return HasBit(config->icmp, icmp->id) ? kPerhapsOurs : kKernels;
  }
  if (icmp->type >= 1 && icmp->type <= kIcmpv6ParameterProblem) {
    return OwnerOfQuoteV6(cursor, config);
  }
  return kKernels;
}

/* A packet to a unicast address, at its l4 header. Fragments of one datagram
 * must meet again, so all of them go to the worker, whosever they are. */
static __always_inline enum Owner OwnerOfL4(struct Cursor *cursor,
                                            const struct SteerConfig *config,
                                            __u8 protocol, int fragment) {
  enum Owner owner = kKernels;
  if (protocol == kProtoTcp || protocol == kProtoUdp) {
    const struct L4Ports *ports = Take(cursor, sizeof(*ports));
    owner = ports ? OwnerOfL4Port(config, protocol, ports->destination)
                  : kPerhapsOurs;
  } else if (protocol == kProtoIcmp) {
    owner = OwnerOfIcmpV4(cursor, config);
  } else if (protocol == kProtoIcmpv6) {
    owner = OwnerOfIcmpV6(cursor, config);
  }
  return fragment && owner == kKernels ? kPerhapsOurs : owner;
}

static __always_inline enum Owner OwnerOfV4(struct Cursor *cursor,
                                            const struct Tables *tables) {
  const struct iphdr *ip = Take(cursor, sizeof(*ip));
  if (!ip) return kKernels;
  __u32 flags = FlagsOfV4(tables, ip->daddr);
  if (flags == 0 || flags & kSteerToKernel) return kKernels;
  if (flags & kSteerService) return kOurs;
  if (ip->ihl < 5) return kPerhapsOurs;
  if (ip->frag_off & bpf_htons(kFragmentOffsetV4)) return kPerhapsOurs;
  __u8 protocol = ip->protocol;
  int first = (ip->frag_off & bpf_htons(kMoreFragmentsV4)) != 0;
  Skip(cursor, (ip->ihl - 5) * 4);
  return OwnerOfL4(cursor, tables->config, protocol, first);
}

/* Past the extension headers of a packet to a unicast address. Each is reached
 * from the first by one bounded sum, not from the one before it: the verifier
 * then finds every round like the last, and does not walk all the ways there
 * are through eight of them. */
static __always_inline enum Owner WalkV6(const struct Cursor *first,
                                         const struct SteerConfig *config,
                                         __u8 next_header) {
  struct Cursor cursor = *first;
  __u32 bytes = 0;
  __u16 more_fragments = 0;
  for (int i = 0; i < kMaxExtHeaders && IsExtHeader(next_header); ++i) {
    const struct Ipv6Ext *ext = Take(&cursor, sizeof(*ext));
    if (!ext) return kPerhapsOurs;
    __u16 offset_flags =
        next_header == kProtoFragment ? bpf_ntohs(ext->offset_flags) : 0;
    if (offset_flags & kFragmentOffsetV6) return kPerhapsOurs;
    /* None after an atomic fragment, which is a whole packet (RFC 6946). */
    more_fragments |= offset_flags & kMoreFragmentsV6;
    bytes += ExtHeaderSize(next_header, ext->length);
    if (bytes > kMaxExtBytes) return kPerhapsOurs;
    next_header = ext->next_header;
    cursor.at = first->at + bytes;
  }
  if (IsExtHeader(next_header)) return kPerhapsOurs;
  return OwnerOfL4(&cursor, config, next_header, more_fragments);
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
  return WalkV6(cursor, tables->config, ip->nexthdr);
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
