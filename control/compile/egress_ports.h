// SPDX-License-Identifier: BSD-3-Clause
// The l4ports that egress may use (contract: `egress.ports`).
#ifndef GODWIT_CONTROL_COMPILE_EGRESS_PORTS_H_
#define GODWIT_CONTROL_COMPILE_EGRESS_PORTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "control/api/godwit.pb.h"

namespace godwit {

struct EgressPorts {
  std::vector<uint16_t> l4ports;  // of TCP and UDP, ascending
  std::vector<uint16_t> icmp_ids;
};

// Reads what the kernel itself uses, for `auto`. `config` has its defaults.
EgressPorts ChooseEgressPorts(const api::Config& config);

// "1024-3783, 3786": `l4ports` ascending.
std::string L4PortRanges(const std::vector<uint16_t>& l4ports);

}  // namespace godwit

#endif  // GODWIT_CONTROL_COMPILE_EGRESS_PORTS_H_
