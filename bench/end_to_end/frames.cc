// SPDX-License-Identifier: BSD-3-Clause
#include "bench/end_to_end/frames.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "dataplane/net/check.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"

namespace godwit {
namespace {

constexpr size_t kL3 = sizeof(EthHeader);
constexpr size_t kLine = 64;
constexpr uint16_t kLeastFrame = 60;
constexpr uint16_t kWindow = 0xffff;

size_t IpSize(Family family) {
  return family == Family::kV4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
}
size_t L4Size(uint8_t protocol) {
  return protocol == kProtoTcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
}

void SetIp(uint8_t* l3, const Endpoints& ends, uint8_t protocol,
           size_t l4_size) {
  if (ends.source.IsV4()) {
    auto* ip = reinterpret_cast<Ipv4Header*>(l3);
    ip->version_ihl = 0x45;
    ip->total_length = Be16(static_cast<uint16_t>(sizeof(*ip) + l4_size));
    ip->ttl = 64;
    ip->protocol = protocol;
    std::memcpy(ip->source, ends.source.V4Bytes(), 4);
    std::memcpy(ip->destination, ends.destination.V4Bytes(), 4);
    ip->checksum = Checksum(ip, sizeof(*ip));
    return;
  }
  auto* ip = reinterpret_cast<Ipv6Header*>(l3);
  ip->version_class_label = Be32(0x60000000);
  ip->payload_length = Be16(static_cast<uint16_t>(l4_size));
  ip->next_header = protocol;
  ip->hop_limit = 64;
  std::memcpy(ip->source, ends.source.bytes.data(), 16);
  std::memcpy(ip->destination, ends.destination.bytes.data(), 16);
}

}  // namespace

size_t HeaderSize(const FrameKind& kind) {
  return kL3 + IpSize(kind.family) + L4Size(kind.protocol);
}

uint16_t LeastSize(const FrameKind& kind) {
  return std::max(kLeastFrame, static_cast<uint16_t>(HeaderSize(kind)));
}

void FrameTable::Free::operator()(uint8_t* bytes) const { std::free(bytes); }

FrameTable::FrameTable(const FrameKind& kind, uint32_t count)
    : FrameTable((HeaderSize(kind) + kStampSize + kLine - 1) / kLine * kLine,
                 count) {}

FrameTable::FrameTable(size_t stride, uint32_t count)
    : stride_(stride),
      bytes_(static_cast<uint8_t*>(std::aligned_alloc(kLine, count * stride_))),
      sizes_(count) {
  GODWIT_CHECK(bytes_ != nullptr);
  std::memset(bytes_.get(), 0, count * stride_);
}

void FrameTable::Set(uint32_t at, const LinkEnds& link, const Endpoints& ends,
                     uint16_t size, const FrameKind& kind) {
  uint8_t* frame = bytes_.get() + at * stride_;
  std::memset(frame, 0, stride_);
  sizes_[at] = std::max(size, LeastSize(kind));
  auto* eth = reinterpret_cast<EthHeader*>(frame);
  const bool v4 = kind.family == Family::kV4;
  eth->destination = link.destination;
  eth->source = link.source;
  eth->ether_type = Be16(v4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
  const size_t l4_offset = kL3 + IpSize(kind.family);
  const size_t l4_size = sizes_[at] - l4_offset;
  SetIp(frame + kL3, ends, kind.protocol, l4_size);
  uint8_t* l4 = frame + l4_offset;
  // The payload is zeros and adds nothing to the sum.
  const uint64_t pseudo =
      PseudoHeaderSum(ends.source, ends.destination, kind.protocol,
                      static_cast<uint32_t>(l4_size));
  if (kind.protocol == kProtoTcp) {
    auto* tcp = reinterpret_cast<TcpHeader*>(l4);
    tcp->source = Be16(ends.source_l4port);
    tcp->destination = Be16(ends.destination_l4port);
    tcp->sequence = Be32(kind.tcp_sequence);
    tcp->acknowledgment = Be32(kind.tcp_acknowledgment);
    tcp->data_offset = (sizeof(TcpHeader) / 4) << 4;
    tcp->flags = kind.tcp_flags;
    tcp->window = Be16(kWindow);
    tcp->checksum = Checksum(tcp, sizeof(*tcp), pseudo);
    return;
  }
  auto* udp = reinterpret_cast<UdpHeader*>(l4);
  udp->source = Be16(ends.source_l4port);
  udp->destination = Be16(ends.destination_l4port);
  udp->length = Be16(static_cast<uint16_t>(l4_size));
  const uint16_t sum = Checksum(udp, sizeof(*udp), pseudo);
  udp->checksum = sum == 0 ? 0xffff : sum;
}

void FrameTable::Set(uint32_t at, std::span<const uint8_t> frame) {
  GODWIT_CHECK(frame.size() <= stride_);
  std::memcpy(bytes_.get() + at * stride_, frame.data(), frame.size());
  sizes_[at] = static_cast<uint16_t>(frame.size());
}

uint32_t NumberOf(const AddressAndPort& remote) {
  const uint8_t* tail = &remote.address.bytes[14];
  const uint32_t round = (uint32_t{remote.l4port} - 1024) / 251;
  return (round << 16) | (uint32_t{tail[0]} << 8) | tail[1];
}

bool FrameChecksumsHold(std::span<const uint8_t> frame) {
  const auto* eth = reinterpret_cast<const EthHeader*>(frame.data());
  const uint8_t* l3 = &frame[kL3];
  const bool v4 = eth->ether_type.host() == kEtherTypeIpv4;
  if (v4 && Checksum(l3, sizeof(Ipv4Header)) != 0) return false;
  const uint8_t protocol =
      v4 ? reinterpret_cast<const Ipv4Header*>(l3)->protocol
         : reinterpret_cast<const Ipv6Header*>(l3)->next_header;
  const auto l4 =
      frame.subspan(kL3 + (v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header)));
  if (protocol == kProtoUdp &&
      reinterpret_cast<const UdpHeader*>(l4.data())->checksum == 0) {
    return false;
  }
  // A short IPv4 frame's padding is part of its payload here: LeastSize().
  const Endpoints ends = EndpointsOf(frame);
  return Checksum(l4.data(), l4.size(),
                  PseudoHeaderSum(ends.source, ends.destination, protocol,
                                  static_cast<uint32_t>(l4.size()))) == 0;
}

void WriteStamp(uint8_t* payload, uint64_t time) {
  std::memcpy(payload, &time, sizeof(time));
  const uint16_t rest =
      static_cast<uint16_t>(~FoldSum(AddBytes(0, &time, sizeof(time))));
  std::memcpy(payload + sizeof(time), &rest, sizeof(rest));
}

uint64_t ReadStamp(const uint8_t* payload) {
  uint64_t time;
  std::memcpy(&time, payload, sizeof(time));
  return time;
}

}  // namespace godwit
