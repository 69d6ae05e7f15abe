/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* Numbers and headers of the wire that both programs read. The kernel's UAPI
 * headers have the rest. */
#ifndef GODWIT_BPF_WIRE_BPF_H_
#define GODWIT_BPF_WIRE_BPF_H_

#include <linux/types.h>

enum {
  kEtherArp = 0x0806,
  kEtherIpv4 = 0x0800,
  kEtherIpv6 = 0x86dd,
  kEtherVlan = 0x8100, /* IEEE 802.1Q */
  kEtherQinq = 0x88a8, /* IEEE 802.1ad */

  kArpRequest = 1,

  kProtoHopByHop = 0,
  kProtoIcmp = 1,
  kProtoTcp = 6,
  kProtoUdp = 17,
  kProtoRouting = 43,
  kProtoFragment = 44,
  kProtoAuth = 51,
  kProtoIcmpv6 = 58,
  kProtoDestOptions = 60,

  kIcmpEchoReply = 0,
  kIcmpUnreachable = 3,
  kIcmpEcho = 8,
  kIcmpTimeExceeded = 11,
  kIcmpParameterProblem = 12,

  kIcmpv6ParameterProblem = 4, /* 1-4: the errors */
  kIcmpv6Echo = 128,
  kIcmpv6EchoReply = 129,
  kIcmpv6MldQuery = 130, /* RFC 2710: 130-132 */
  kIcmpv6MldDone = 132,
  kIcmpv6RouterSolicit = 133, /* RFC 4861: 133-137 */
  kIcmpv6Redirect = 137,
  kIcmpv6Mldv2Report = 143, /* RFC 3810 */

  kVlanIdMask = 0x0fff,
  kFragmentOffsetV4 = 0x1fff,
  kMoreFragmentsV4 = 0x2000,
  kFragmentOffsetV6 = 0xfff8,
  kMoreFragmentsV6 = 0x0001,

  /* What the stages walk, too: packet_view.cc, conformance V6-01. */
  kMaxExtHeaders = 8,
  kMaxExtBytes = 512,
};

struct VlanTag {
  __be16 tci;
  __be16 ether_type;
};

/* RFC 826, of Ethernet and IPv4. */
struct ArpIpv4 {
  __be16 hardware;
  __be16 protocol;
  __u8 hardware_size;
  __u8 protocol_size;
  __be16 operation;
  __u8 sender_mac[6];
  __be32 sender;
  __u8 target_mac[6];
  __be32 target;
} __attribute__((packed));

struct Ipv6Ext {
  __u8 next_header;
  __u8 length; /* 8-byte units beyond the first; AH: 4-byte units less 2 */
  __be16 offset_flags; /* fragment header only */
  __u32 rest;
};

struct L4Ports {
  __be16 source;
  __be16 destination;
};

struct Icmp {
  __u8 type;
  __u8 code;
  __u16 checksum;
  __be16 id; /* echo */
  __be16 sequence;
};

/* One comparison rather than five: each is a fork to the verifier. */
static inline int IsExtHeader(__u8 next_header) {
  const __u64 headers = 1ULL << kProtoHopByHop | 1ULL << kProtoRouting |
                        1ULL << kProtoFragment | 1ULL << kProtoAuth |
                        1ULL << kProtoDestOptions;
  return next_header < 64 && headers >> next_header & 1;
}

/* In bytes; 8-2048. */
static inline __u32 ExtHeaderSize(__u8 header, __u8 length) {
  if (header == kProtoFragment) return 8;
  if (header == kProtoAuth) return ((__u32)length + 2) * 4;
  return ((__u32)length + 1) * 8;
}

#endif /* GODWIT_BPF_WIRE_BPF_H_ */
