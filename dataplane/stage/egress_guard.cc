// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/egress_guard.h"

#include "dataplane/net/headers.h"

namespace godwit {
namespace {

inline bool IsAllowed(const Snapshot& snapshot, const IpAddress& source,
                      MayHave sources) {
  if (snapshot.nat->IsUnicast(source)) return true;
  if (sources == MayHave::kUnicastOrService) {
    return snapshot.service_table.FindAddress(source) != nullptr;
  }
  // A duplicate check has no source (RFC 4862 5.4.2), an MLD report may not.
  return sources == MayHave::kKernel &&
         (source.IsLinkLocal() || (source.IsZero() && !source.IsV4()));
}

// On the link the kernel has addresses that need not be unicast ones: whoever
// asks for them is answered, from them. Nobody forwards it (RFC 4861 7.1). A
// service address is never claimed on the link (ANY-25).
bool IsNeighbourDiscovery(const Snapshot& snapshot, const Ipv6Header& ip,
                          uint8_t icmp_type) {
  return ip.next_header == kProtoIcmpv6 && ip.hop_limit == 255 &&
         icmp_type >= kIcmpv6RouterSolicit && icmp_type <= kIcmpv6Redirect &&
         snapshot.service_table.FindAddress(IpAddress::FromV6(ip.source)) ==
             nullptr;
}

// Inline: GuardEgress asks it of every frame for an uplink.
inline bool FrameMayLeave(const Snapshot& snapshot, const uint8_t* frame,
                          size_t readable, MayHave sources) {
  size_t at = sizeof(EthHeader);
  if (readable < at) return false;
  uint16_t type = reinterpret_cast<const EthHeader*>(frame)->ether_type.host();
  if (type == kEtherTypeVlan && readable >= at + sizeof(VlanTag)) {
    type = reinterpret_cast<const VlanTag*>(frame + at)->ether_type.host();
    at += sizeof(VlanTag);
  }
  if (type == kEtherTypeIpv4 && readable >= at + sizeof(Ipv4Header)) {
    const auto* ip = reinterpret_cast<const Ipv4Header*>(frame + at);
    return IsAllowed(snapshot, IpAddress::FromV4(ip->source), sources);
  }
  if (type == kEtherTypeIpv6 && readable >= at + sizeof(Ipv6Header)) {
    const auto* ip = reinterpret_cast<const Ipv6Header*>(frame + at);
    if (IsAllowed(snapshot, IpAddress::FromV6(ip->source), sources)) {
      return true;
    }
    const size_t l4 = at + sizeof(Ipv6Header);
    return sources == MayHave::kKernel && readable > l4 &&
           IsNeighbourDiscovery(snapshot, *ip, frame[l4]);
  }
  if (type == kEtherTypeArp && readable >= at + sizeof(ArpPacket)) {
    // ANY-25: a service address is never claimed on the link.
    const auto* arp = reinterpret_cast<const ArpPacket*>(frame + at);
    const IpAddress sender = IpAddress::FromV4(arp->sender_ip);
    return sources == MayHave::kKernel &&
           snapshot.service_table.FindAddress(sender) == nullptr;
  }
  return false;
}

}  // namespace

bool SourceMayLeave(const Snapshot& snapshot, const IpAddress& source,
                    MayHave sources) {
  return IsAllowed(snapshot, source, sources);
}

bool MayLeave(const Snapshot& snapshot, const uint8_t* frame, size_t readable,
              MayHave sources) {
  return FrameMayLeave(snapshot, frame, readable, sources);
}

void GuardEgress(const Snapshot& snapshot, Burst& burst) {
  for (uint16_t i = 0; i < burst.count; ++i) {
    Meta& meta = burst.meta[i];
    if (meta.verdict != Verdict::kSent) continue;
    rte_mbuf* mbuf = burst.mbuf[i];
    if (!FrameMayLeave(snapshot, FrameOf(mbuf), rte_pktmbuf_data_len(mbuf),
                       SourcesOf(meta))) [[unlikely]] {
      meta.verdict = Verdict::kLeakPrevented;
    }
  }
}

}  // namespace godwit
