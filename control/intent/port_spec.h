// SPDX-License-Identifier: BSD-3-Clause
// The text of a service's endpoint and of ranges of l4ports.
#ifndef GODWIT_CONTROL_INTENT_PORT_SPEC_H_
#define GODWIT_CONTROL_INTENT_PORT_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace godwit {

// [low, high], both included, as an operator writes it.
struct L4PortRange {
  uint16_t low = 0;
  uint16_t high = 0;
  friend bool operator==(const L4PortRange&, const L4PortRange&) = default;
};

// "53" or "1024-65535", nothing else; low is at most high.
std::optional<L4PortRange> ParseL4PortRange(absl::string_view text);

// What `ports:` of a service holds. `icmp` is echo to the service itself; its
// range is [0, 0].
struct PortSpec {
  enum class Proto : uint8_t { kTcp, kUdp, kIcmp };
  Proto proto = Proto::kTcp;
  L4PortRange l4ports;
  friend bool operator==(const PortSpec&, const PortSpec&) = default;
};

// "udp/53", "tcp/8000-8999", "icmp"; nothing else, and no l4port 0.
std::optional<PortSpec> ParsePortSpec(absl::string_view text);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_PORT_SPEC_H_
