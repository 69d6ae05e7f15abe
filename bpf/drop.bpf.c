/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* tc ingress on an `afpacket:` uplink: packet sockets see a frame before this,
 * the kernel's protocols would after. Without it both would answer. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
/* After linux/bpf.h, which it needs. */
#include <bpf/bpf_helpers.h>

SEC("tc")
int godwit_drop(struct __sk_buff *frame) { return TC_ACT_SHOT; }

char _license[] SEC("license") = "Dual BSD/GPL";
