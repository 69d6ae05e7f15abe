// SPDX-License-Identifier: BSD-3-Clause
#include "control/compile/egress_ports.h"

#include <bitset>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/watch/kernel_facts.h"

namespace godwit {
namespace {

constexpr uint16_t kLowest = 1024;  // RFC 6056 3.2
constexpr std::chrono::seconds kRest(10);

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

bool FollowsKernel(const api::Config& config) {
  uint16_t low = 0;
  uint16_t high = 0;
  return !ReadRange(config.egress().ports(), low, high);
}

void EgressPortChoice::LookAtKernel(const api::Config& config,
                                    Clock::time_point now) {
  const auto ephemeral = ReadEphemeralRange();
  if (ephemeral.ok()) {
    ephemeral_low_ = ephemeral->low;
    ephemeral_high_ = ephemeral->high;
  }
  std::vector<IpAddress> unicast;
  for (const std::string& text : config.node().unicast()) {
    unicast.push_back(*IpAddress::Parse(text));
  }
  const auto listening = ReadListeningL4Ports(unicast);
  if (!listening.ok()) return;
  for (const ListeningL4Port& socket : *listening) {
    listened_[socket.l4port] = now;
  }
  std::erase_if(listened_,
                [now](const auto& item) { return now - item.second >= kRest; });
}

EgressPorts EgressPortChoice::Choose(const api::Config& config,
                                     Clock::time_point now) {
  std::bitset<65536> left_out;
  for (const uint32_t l4port : config.egress().reserved()) {
    left_out.set(static_cast<uint16_t>(l4port));
  }
  uint16_t low = kLowest;
  uint16_t high = 65535;
  uint16_t first_id = 0;
  uint16_t last_id = 65535;  // identifiers have no privileged range
  if (ReadRange(config.egress().ports(), low, high)) {
    first_id = low;
    last_id = high;
  } else {
    LookAtKernel(config, now);
    for (uint32_t p = ephemeral_low_; p <= ephemeral_high_; ++p) {
      left_out.set(p);
    }
    for (const auto& [l4port, seen] : listened_) left_out.set(l4port);
  }
  EgressPorts out;
  for (uint32_t p = low; p <= high; ++p) {
    if (!left_out.test(p)) out.l4ports.push_back(static_cast<uint16_t>(p));
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
