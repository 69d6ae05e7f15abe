// SPDX-License-Identifier: BSD-3-Clause
// Seeded traffic: many remote ends (RFC 2544's and RFC 5180's addresses),
// minimal UDP datagrams with right checksums, made fast enough for millions.
#ifndef GODWIT_BENCH_WORKLOAD_H_
#define GODWIT_BENCH_WORKLOAD_H_

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/net/address.h"

namespace godwit {

enum class Family : uint8_t { kV4, kV6 };

struct Endpoints {
  IpAddress source;
  IpAddress destination;
  uint16_t source_l4port = 0;
  uint16_t destination_l4port = 0;
};

// An Ethernet frame without its FCS: 60 bytes (IPv4), 62 (IPv6).
struct Frame {
  std::array<uint8_t, 62> bytes;
  uint16_t size;
};
static_assert(sizeof(Frame) == 64);

// How many remote ends are told apart.
inline constexpr uint32_t kRemoteEnds = 1 << 24;

// Remote end `number`, in [0, kRemoteEnds): 65,536 hosts with 256 l4ports.
AddressAndPort RemoteEnd(Family family, uint32_t number);

// Payload zeros up to the least size of a frame.
Frame UdpFrame(const Endpoints& ends);
Endpoints EndpointsOf(std::span<const uint8_t> frame);
// The IPv4 header's and the UDP checksum; full sums, nothing incremental.
bool ChecksumsHold(std::span<const uint8_t> frame);

}  // namespace godwit

#endif  // GODWIT_BENCH_WORKLOAD_H_
