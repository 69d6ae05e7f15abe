// SPDX-License-Identifier: BSD-3-Clause
// The rules that a Config must keep, whatever machine it is for. One rule, one
// function, one message; they are in rules/ by subject.
#ifndef GODWIT_CONTROL_INTENT_VALIDATE_H_
#define GODWIT_CONTROL_INTENT_VALIDATE_H_

#include <cstdint>

#include "control/api/godwit.pb.h"
#include "control/intent/findings.h"

namespace godwit {

// Limits that messages name, both included.
inline constexpr uint32_t kMaxCpu = 1023;
inline constexpr uint32_t kMaxWorkers = 64;
inline constexpr uint32_t kMinFlows = 1024;
inline constexpr uint32_t kMaxFlows = (1 << 24) - 1;  // of one worker's table
inline constexpr uint32_t kMaxUnicastAddresses = 64;
inline constexpr uint32_t kMaxUplinks = 64;
inline constexpr uint32_t kMaxQueues = 512;
inline constexpr uint32_t kMaxServices = 4096;
inline constexpr uint32_t kMaxEndpoints = 65536;  // addresses x ports, in all
inline constexpr uint32_t kMaxWeight = 65535;
inline constexpr uint32_t kMinMtu = 68;        // RFC 791
inline constexpr uint32_t kMinIpv6Mtu = 1280;  // RFC 8200, 5
inline constexpr uint32_t kMaxMtu = 9600;
inline constexpr uint32_t kMaxXskMtu = 2030;       // AF_XDP: one buffer a frame
inline constexpr uint32_t kMaxAfPacketMtu = 1930;  // a slot of 2 KiB, the same
inline constexpr uint16_t kMinEgressPort = 1024;   // RFC 6056, 3.2

// Everything that is wrong with `config`, in no order.
Findings Validate(const api::Config& config);

// What this version reads and checks, but does not do yet: an error for each
// use of it.
Findings RefuseNotSupportedYet(const api::Config& config);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_VALIDATE_H_
