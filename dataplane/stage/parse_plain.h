// SPDX-License-Identifier: BSD-3-Clause
// Parse for the packets that nearly all are: plain (plain_packet.h), in one
// buffer, for the device's own link address, between addresses that nothing is
// to be asked about. Whatever is not such a one takes the long way, which says
// what it is.
#ifndef GODWIT_DATAPLANE_STAGE_PARSE_PLAIN_H_
#define GODWIT_DATAPLANE_STAGE_PARSE_PLAIN_H_

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "dataplane/net/plain_packet.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"

namespace godwit {

// First bytes of the addresses that are not global unicast ones, and of few
// that are.
inline constexpr std::array<bool, 256> kMayBeSpecial = [] {
  std::array<bool, 256> special{};
  for (size_t first = 224; first < 256; ++first) special[first] = true;
  special[0] = special[127] = special[169] = true;
  return special;
}();

// False: a global unicast address, for sure.
inline bool MayBeSpecial(const IpAddress& address) {
  return kMayBeSpecial[address.bytes[address.IsV4() ? 12 : 0]];
}

// One buffer, that is ours alone, of a device's own memory. `word` is its
// rearm_data: offset, references, segments, eth_port, 16 bits each.
inline bool IsInOnePiece(const rte_mbuf* mbuf, uint64_t word) {
  static_assert(
      offsetof(rte_mbuf, refcnt) == offsetof(rte_mbuf, rearm_data) + 2 &&
      offsetof(rte_mbuf, nb_segs) == offsetof(rte_mbuf, rearm_data) + 4);
  return static_cast<uint32_t>(word >> 16) == 0x0001'0001 &&
         mbuf->ol_flags == 0;
}

template <bool kIsV4>
[[gnu::always_inline]] inline IpAddress AddressAt(const uint8_t* wire) {
  return kIsV4 ? IpAddress::FromV4(wire) : IpAddress::FromV6(wire);
}

// ParseOne for the packets that nearly all are. False: it is not such a one,
// and all that is set of `meta` ParseOne sets too. With the side and the family
// known nearly all of it is the loads, compares and stores that it must be.
template <Side kSide, bool kIsV4>
[[gnu::always_inline]] inline bool ParsePlainAs(const Device& device,
                                                const uint8_t* frame,
                                                rte_mbuf* mbuf, Meta& meta) {
  const uint16_t size = rte_pktmbuf_data_len(mbuf);
  PlainPacket packet;
  if (!ReadPlain<kIsV4>(frame, size, size, packet)) return false;
  constexpr size_t kSource = kPlainL3 + (kIsV4 ? offsetof(Ipv4Header, source)
                                               : offsetof(Ipv6Header, source));
  constexpr size_t kDestination = kSource + (kIsV4 ? 4 : 16);
  if (kMayBeSpecial[frame[kDestination]]) return false;
  FlowKey& key = meta.key;
  if constexpr (kSide == Side::kUplink) {
    key.local = AddressAt<kIsV4>(frame + kDestination);
    key.remote = AddressAt<kIsV4>(frame + kSource);
    key.local_l4port = packet.destination_l4port;
    key.remote_l4port = packet.source_l4port;
    key.side = kUplinkSide;
  } else {
    if (kMayBeSpecial[frame[kSource]]) return false;
    key.local = AddressAt<kIsV4>(frame + kSource);
    key.remote = AddressAt<kIsV4>(frame + kDestination);
    key.local_l4port = packet.source_l4port;
    key.remote_l4port = packet.destination_l4port;
    key.side = device.queue;
    meta.queue = device.queue;
  }
  key.protocol = packet.protocol;
  key.reserved = 0;
  FillView<kIsV4>(packet, meta.view);
  // What stands behind the IP packet is padding, and stays here (IPH-02).
  const size_t end = kPlainL3 + packet.l3_size;
  if (size != end) {
    mbuf->data_len = static_cast<uint16_t>(end);
    mbuf->pkt_len = static_cast<uint32_t>(end);
  }
  meta.side = kSide;
  meta.lookup = true;
  meta.plain = device.hop == Hop::kHost;
  return true;
}

template <Side kSide>
[[gnu::always_inline]] inline bool ParsePlain(const Device& device,
                                              rte_mbuf* mbuf, Meta& meta) {
  uint64_t word;
  std::memcpy(
      &word,
      reinterpret_cast<const uint8_t*>(mbuf) + offsetof(rte_mbuf, rearm_data),
      sizeof(word));
  if (!meta.IsNew() || !IsInOnePiece(mbuf, word) ||
      mbuf->data_len < sizeof(EthHeader)) {
    return false;
  }
  const uint8_t* frame =
      static_cast<const uint8_t*>(mbuf->buf_addr) + (word & 0xffff);
  const auto* eth = reinterpret_cast<const EthHeader*>(frame);
  if (!IsSame(eth->destination, device.mac)) return false;
  if (eth->ether_type == Be16(kEtherTypeIpv4)) {
    return ParsePlainAs<kSide, true>(device, frame, mbuf, meta);
  }
  return eth->ether_type == Be16(kEtherTypeIpv6) &&
         ParsePlainAs<kSide, false>(device, frame, mbuf, meta);
}

// Which side's plain packets a device has. A tag is one more thing; what the
// kernel sends has rules of its own.
inline Side PlainSideOf(const Device& device) {
  const bool plain = device.vlan == 0 && (device.side == Side::kUplink ||
                                          device.side == Side::kQueue);
  return plain ? device.side : Side::kNone;
}

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_PARSE_PLAIN_H_
