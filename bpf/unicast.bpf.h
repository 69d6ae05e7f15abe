/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* Whose a packet to a unicast address is: ours on the egress l4ports, and of
 * the ICMP errors those that quote such. Asked of what comes from the wire
 * (steer.bpf.c) and of what the kernel sends to itself (loopback.bpf.c). */
#ifndef GODWIT_BPF_UNICAST_BPF_H_
#define GODWIT_BPF_UNICAST_BPF_H_

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
/* After linux/bpf.h, which they need. */
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/cursor.bpf.h"
#include "bpf/map_layout.h"
#include "bpf/wire.bpf.h"

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

/* Behind the IP header `ip` of a packet to a unicast address. */
static __always_inline enum Owner OwnerAtUnicastV4(
    struct Cursor *cursor, const struct SteerConfig *config,
    const struct iphdr *ip) {
  if (ip->ihl < 5) return kPerhapsOurs;
  if (ip->frag_off & bpf_htons(kFragmentOffsetV4)) return kPerhapsOurs;
  __u8 protocol = ip->protocol;
  int first = (ip->frag_off & bpf_htons(kMoreFragmentsV4)) != 0;
  Skip(cursor, (ip->ihl - 5) * 4);
  return OwnerOfL4(cursor, config, protocol, first);
}

/* Past the extension headers of a packet to a unicast address. Each is reached
 * from the first by one bounded sum, not from the one before it: the verifier
 * then finds every round like the last, and does not walk all the ways there
 * are through eight of them. */
static __always_inline enum Owner OwnerAtUnicastV6(
    const struct Cursor *first, const struct SteerConfig *config,
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

#endif /* GODWIT_BPF_UNICAST_BPF_H_ */
