// SPDX-License-Identifier: BSD-3-Clause
// The l4ports that egress may use (contract: `egress.ports`).
#ifndef GODWIT_CONTROL_COMPILE_EGRESS_PORTS_H_
#define GODWIT_CONTROL_COMPILE_EGRESS_PORTS_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "control/api/godwit.pb.h"

namespace godwit {

struct EgressPorts {
  std::vector<uint16_t> l4ports;  // of TCP and UDP, ascending
  std::vector<uint16_t> icmp_ids;
};

// Whether they are what the kernel leaves: `auto`. `config` has its defaults.
bool FollowsKernel(const api::Config& config);

// What the kernel has used stays its own for a while: a server that is started
// anew finds its l4port, and a socket that a look has missed (the list of them
// changes while it is read) does no harm.
class EgressPortChoice {
 public:
  using Clock = std::chrono::steady_clock;

  // Reads what the kernel itself uses, for `auto`; what can't be read is taken
  // to be as it was. `config` has its defaults.
  EgressPorts Choose(const api::Config& config, Clock::time_point now);

 private:
  void LookAtKernel(const api::Config& config, Clock::time_point now);

  // Both ends belong to it; none as long as it could not be read.
  uint32_t ephemeral_low_ = 1;
  uint32_t ephemeral_high_ = 0;
  std::map<uint16_t, Clock::time_point> listened_;  // when last seen
};

// "1024-3783, 3786": `l4ports` ascending.
std::string L4PortRanges(const std::vector<uint16_t>& l4ports);

}  // namespace godwit

#endif  // GODWIT_CONTROL_COMPILE_EGRESS_PORTS_H_
