// SPDX-License-Identifier: BSD-3-Clause
#include "control/compile/egress_ports.h"

#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/watch/kernel_facts.h"

namespace godwit {
namespace {

constexpr uint16_t kLowest = 1024;  // RFC 6056 3.2

// "LOW-HIGH"; false for `auto`.
bool ReadRange(const std::string& text, uint16_t& low, uint16_t& high) {
  const std::vector<std::string> ends = absl::StrSplit(text, '-');
  uint32_t first = 0;
  uint32_t last = 0;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &first) ||
      !absl::SimpleAtoi(ends[1], &last)) {
    return false;
  }
  low = static_cast<uint16_t>(first);
  high = static_cast<uint16_t>(last);
  return true;
}

}  // namespace

EgressPorts ChooseEgressPorts(const api::Config& config) {
  EgressPorts out;
  std::set<uint16_t> left_out(config.egress().reserved().begin(),
                              config.egress().reserved().end());
  uint16_t low = kLowest;
  uint16_t high = 65535;
  const bool given = ReadRange(config.egress().ports(), low, high);
  uint16_t first_id = 0;
  uint16_t last_id = 65535;  // identifiers have no privileged range
  if (given) {
    first_id = low;
    last_id = high;
  } else {
    const auto ephemeral = ReadEphemeralRange();
    if (ephemeral.ok()) {
      for (uint32_t p = ephemeral->low; p <= ephemeral->high; ++p) {
        left_out.insert(static_cast<uint16_t>(p));
      }
    }
    std::vector<IpAddress> unicast;
    for (const std::string& text : config.node().unicast()) {
      unicast.push_back(*IpAddress::Parse(text));
    }
    const auto listening = ReadListeningL4Ports(unicast);
    if (listening.ok()) {
      for (const ListeningL4Port& socket : *listening) {
        left_out.insert(socket.l4port);
      }
    }
  }
  for (uint32_t p = low; p <= high; ++p) {
    const auto l4port = static_cast<uint16_t>(p);
    if (!left_out.contains(l4port)) out.l4ports.push_back(l4port);
  }
  for (uint32_t id = first_id; id <= last_id; ++id) {
    out.icmp_ids.push_back(static_cast<uint16_t>(id));
  }
  return out;
}

std::string L4PortRanges(const std::vector<uint16_t>& l4ports) {
  std::string text;
  for (size_t i = 0; i < l4ports.size();) {
    size_t end = i;
    while (end + 1 < l4ports.size() && l4ports[end + 1] == l4ports[end] + 1) {
      ++end;
    }
    absl::StrAppend(&text, text.empty() ? "" : ", ", l4ports[i]);
    if (end != i) absl::StrAppend(&text, "-", l4ports[end]);
    i = end + 1;
  }
  return text;
}

}  // namespace godwit
