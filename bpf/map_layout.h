/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys and values of our maps, for the programs (C) and the loader
 * (C++). Both sides are built from one tree, so there is no version in here;
 * the sizes are asserted on both.
 *
 * One generation is one SteerConfig, in an inner array of one element, and one
 * hash of addresses. The configuration names the slot its addresses are in;
 * exchanging the inner array is therefore the one step that makes a generation
 * visible, and a frame never sees two. */
#ifndef GODWIT_BPF_MAP_LAYOUT_H_
#define GODWIT_BPF_MAP_LAYOUT_H_

#include <linux/types.h>

#ifdef __cplusplus
namespace godwit {
#define GODWIT_LAYOUT_ASSERT static_assert
#else
#define GODWIT_LAYOUT_ASSERT _Static_assert
#endif

enum SteerLimits {
  kSteerAddressSlots = 2,      /* the generation in use, the one being filled */
  kSteerMaxAddresses = 131072, /* service and unicast addresses together */
  kSteerMaxRxqs = 1024,        /* receive queues of one interface */
  kSteerPortWords = 1024,      /* 65536 l4ports, one bit each */
};

enum ArpLimits {
  kArpMaxKnown = 65536,  /* neighbours of one interface, and own addresses */
  kArpMaxRefused = 1024, /* of them that another has claimed, unread */
};

/* 16 bytes in wire order, an IPv4 address mapped (::ffff:a.b.c.d). */
struct SteerAddress {
  __u32 word[4];
};
GODWIT_LAYOUT_ASSERT(sizeof(struct SteerAddress) == 16, "as IpAddress");

enum SteerAddressFlag {
  kSteerService = 1,  /* a service address: every frame to it is ours */
  kSteerUnicast = 2,  /* a unicast address: ours on the egress l4ports */
  kSteerToKernel = 4, /* a service address served by the queue `kernel` alone:
                         passed; its replies still meet the source rule */
};

enum SteerConfigFlag {
  kSteerDropWithoutSocket = 1, /* what is ours never meets the kernel */
};

struct SteerConfig {
  __u64 generation;
  __u32 address_slot; /* below kSteerAddressSlots */
  __u32 flags;        /* SteerConfigFlag */
  __u32 kernel_queue; /* ifindex of the TAP where frames of root-namespace
                         programs from service addresses go, and from unicast
                         addresses to service addresses; 0: dropped */
  __u32 mark;         /* skb mark of those frames */
  __u16 vlan;         /* the one tag we live on, host order; 0: untagged */
  __u16 reserved[3];
  __u64 tcp[kSteerPortWords]; /* bit l4port % 64 of word l4port / 64 */
  __u64 udp[kSteerPortWords];
  __u64 icmp[kSteerPortWords]; /* echo identifiers */
};
GODWIT_LAYOUT_ASSERT(sizeof(struct SteerConfig) == 32 + 3 * 8192, "no padding");

/* One per CPU; a frame adds one to one of them. */
struct SteerCounters {
  __u64 redirected; /* to an AF_XDP socket */
  __u64 passed;     /* to the kernel */
  __u64 dropped;    /* ours, and no socket on its receive queue */
};
GODWIT_LAYOUT_ASSERT(sizeof(struct SteerCounters) == 24, "three counters");

struct EgressCounters {
  __u64 passed;
  __u64 redirected;     /* to the kernel queue's TAP */
  __u64 leak_prevented; /* dropped: a source that may not be seen out there */
};
GODWIT_LAYOUT_ASSERT(sizeof(struct EgressCounters) == 24, "three counters");

enum ArpWhose {
  kArpNeighbour = 0,
  kArpUnicast = 1, /* of this node, on this link */
  kArpService = 2, /* a service address: of many nodes, on no link */
};

/* Who has an IPv4 address, by arp_known's key in wire order. */
struct ArpHolder {
  __u8 mac[6];
  __u8 whose; /* ArpWhose */
  __u8 reserved;
};
GODWIT_LAYOUT_ASSERT(sizeof(struct ArpHolder) == 8, "no padding");

/* Who else has said that it is his. */
struct ArpClaim {
  __u64 frames;
  __u8 mac[6]; /* the last one's */
  __u8 reserved[2];
};
GODWIT_LAYOUT_ASSERT(sizeof(struct ArpClaim) == 16, "no padding");

#undef GODWIT_LAYOUT_ASSERT
#ifdef __cplusplus
}  // namespace godwit
#endif

#endif  // GODWIT_BPF_MAP_LAYOUT_H_
