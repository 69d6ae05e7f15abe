// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/verdict.h"

namespace godwit {
namespace {

constexpr std::array<std::string_view, kVerdicts> kNames = {
    "undecided", "delivered", "sent", "punted", "consumed", "handed_over",
    "held",
    // ParseError; its kNone never ends a packet.
    "parse_none", "l2_short", "l2_vlan", "ip4_short", "ip4_version", "ip4_ihl",
    "ip4_len", "ip4_trunc", "ip4_csum", "ipopt_bad", "ipopt_7", "ipopt_11",
    "ipopt_12", "ipopt_30", "ipopt_68", "ipopt_82", "ipopt_94", "ipopt_131",
    "ipopt_136", "ipopt_137", "ipopt_158", "ipopt_222", "ip6_short",
    "ip6_version", "ip6_len", "v6_eh_trunc", "v6_eh_order", "v6_eh_limit",
    "v6_jumbo", "v6_routing", "nh_bad", "frag_align", "frag_len", "frag_tiny",
    "l4_short", "tcp_doff", "tcp_flags", "udp_len", "port_zero", "ip6_mapped",
    // The rest.
    "l2_not_mine", "l2_multicast", "l2_type", "martian_src", "martian_dst",
    "land", "spoof_own_src", "arp_bad", "nd_hl", "nd_bad", "svc_miss",
    "svc_no_queue", "icmp_type", "icmp_csum", "icmp_short",
    "icmp_inner_mismatch", "icmp_in_ipcsum", "icmp_in_frag", "icmp_unmatched",
    "icmp_err_err", "icmp_redirect", "icmp_frag", "ptb_small",
    "icmp_unsolicited", "udp6_zero", "echo_limited", "nat_filtered",
    "nat_no_port", "nat_tcp_nosyn", "nat_proto", "nat_no_unicast", "nat_denied",
    "nat_vip_source", "nat_direct_source", "v6_ah_nat", "nat_loop",
    "limit_flows", "limit_rate", "table_full", "route_none", "neighbor_wait",
    "neighbor_failed", "ttl_exceeded", "mtu_exceeded", "frag_budget",
    "frag_timeout", "frag_overlap", "frag_duplicate", "frag_orphan",
    "kernel_full", "queue_full", "uplink_full", "handoff_full", "device_gone",
    "mbuf_none", "mbuf_room", "leak_prevented"};
static_assert(!kNames.back().empty(), "a name for every verdict");

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  return kNames[static_cast<size_t>(verdict)];
}

}  // namespace godwit
