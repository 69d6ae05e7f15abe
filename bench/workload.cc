// SPDX-License-Identifier: BSD-3-Clause
#include "bench/workload.h"

#include <cstddef>
#include <cstring>

#include "dataplane/net/check.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "tests/support/packet_builder.h"

namespace godwit {
namespace {

constexpr size_t kL3 = sizeof(EthHeader);
constexpr size_t kFrameSizeV4 = 60;
constexpr size_t kFrameSizeV6 = kL3 + sizeof(Ipv6Header) + sizeof(UdpHeader);

bool IsV4(std::span<const uint8_t> frame) {
  return reinterpret_cast<const EthHeader*>(frame.data())->ether_type.host() ==
         kEtherTypeIpv4;
}

size_t L4Of(std::span<const uint8_t> frame) {
  return kL3 + (IsV4(frame) ? sizeof(Ipv4Header) : sizeof(Ipv6Header));
}

uint64_t PseudoSum(const Endpoints& ends, size_t l4_size) {
  return PseudoHeaderSum(ends.source, ends.destination, kProtoUdp,
                         static_cast<uint32_t>(l4_size));
}

}  // namespace

AddressAndPort RemoteEnd(Family family, uint32_t number) {
  GODWIT_CHECK(number < kRemoteEnds);
  AddressAndPort end;
  const auto host = static_cast<uint16_t>(number);
  // 198.18.0.0/15 and 2001:2::/48: meant for this.
  uint8_t wire[16] = {0x20, 0x01, 0, 2};
  uint8_t* v4 = &wire[12];
  v4[2] = static_cast<uint8_t>(host >> 8);
  v4[3] = static_cast<uint8_t>(host);
  if (family == Family::kV4) {
    v4[0] = 198;
    v4[1] = 18;
    end.address = IpAddress::FromV4(v4);
  } else {
    end.address = IpAddress::FromV6(wire);
  }
  end.l4port = static_cast<uint16_t>(1024 + 251 * (number >> 16));
  return end;
}

Frame UdpFrame(const Endpoints& ends) {
  Frame frame{};
  const bool v4 = ends.source.IsV4();
  frame.size = v4 ? kFrameSizeV4 : kFrameSizeV6;
  auto* eth = reinterpret_cast<EthHeader*>(frame.bytes.data());
  eth->destination = kTestDestinationMac;
  eth->source = kTestSourceMac;
  eth->ether_type = Be16(v4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
  uint8_t* l3 = &frame.bytes[kL3];
  const size_t l4 = kL3 + (v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header));
  const size_t l4_size = frame.size - l4;
  if (v4) {
    auto* ip = reinterpret_cast<Ipv4Header*>(l3);
    ip->version_ihl = 0x45;
    ip->total_length = Be16(static_cast<uint16_t>(frame.size - kL3));
    ip->ttl = 64;
    ip->protocol = kProtoUdp;
    std::memcpy(ip->source, ends.source.V4Bytes(), 4);
    std::memcpy(ip->destination, ends.destination.V4Bytes(), 4);
    ip->checksum = Checksum(ip, sizeof(*ip));
  } else {
    l3[0] = 0x60;
    auto* ip = reinterpret_cast<Ipv6Header*>(l3);
    ip->payload_length = Be16(static_cast<uint16_t>(l4_size));
    ip->next_header = kProtoUdp;
    ip->hop_limit = 64;
    std::memcpy(ip->source, ends.source.bytes.data(), 16);
    std::memcpy(ip->destination, ends.destination.bytes.data(), 16);
  }
  auto* udp = reinterpret_cast<UdpHeader*>(&frame.bytes[l4]);
  udp->source = Be16(ends.source_l4port);
  udp->destination = Be16(ends.destination_l4port);
  udp->length = Be16(static_cast<uint16_t>(l4_size));
  const uint16_t sum = Checksum(udp, l4_size, PseudoSum(ends, l4_size));
  udp->checksum = sum == 0 ? 0xffff : sum;
  return frame;
}

Endpoints EndpointsOf(std::span<const uint8_t> frame) {
  Endpoints ends;
  const uint8_t* l3 = &frame[kL3];
  if (IsV4(frame)) {
    const auto* ip = reinterpret_cast<const Ipv4Header*>(l3);
    ends.source = IpAddress::FromV4(ip->source);
    ends.destination = IpAddress::FromV4(ip->destination);
  } else {
    const auto* ip = reinterpret_cast<const Ipv6Header*>(l3);
    ends.source = IpAddress::FromV6(ip->source);
    ends.destination = IpAddress::FromV6(ip->destination);
  }
  const auto* udp = reinterpret_cast<const UdpHeader*>(&frame[L4Of(frame)]);
  ends.source_l4port = udp->source.host();
  ends.destination_l4port = udp->destination.host();
  return ends;
}

bool ChecksumsHold(std::span<const uint8_t> frame) {
  const size_t l4 = L4Of(frame);
  if (IsV4(frame) && Checksum(&frame[kL3], sizeof(Ipv4Header)) != 0) {
    return false;
  }
  const auto* udp = reinterpret_cast<const UdpHeader*>(&frame[l4]);
  return udp->checksum != 0 &&
         Checksum(udp, frame.size() - l4,
                  PseudoSum(EndpointsOf(frame), frame.size() - l4)) == 0;
}

}  // namespace godwit
