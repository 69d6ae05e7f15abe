// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/port_spec.h"

#include <charconv>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace godwit {
namespace {

std::optional<uint16_t> ParseL4Port(absl::string_view text) {
  uint16_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (text.empty() || code != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<L4PortRange> ParseL4PortRange(absl::string_view text) {
  const size_t dash = text.find('-');
  const auto low = ParseL4Port(text.substr(0, dash));
  const auto high =
      dash == text.npos ? low : ParseL4Port(text.substr(dash + 1));
  if (!low || !high || *low > *high) return std::nullopt;
  return L4PortRange{*low, *high};
}

std::optional<PortSpec> ParsePortSpec(absl::string_view text) {
  if (text == "icmp") return PortSpec{PortSpec::Proto::kIcmp, {}};
  PortSpec spec;
  if (absl::ConsumePrefix(&text, "tcp/")) {
    spec.proto = PortSpec::Proto::kTcp;
  } else if (absl::ConsumePrefix(&text, "udp/")) {
    spec.proto = PortSpec::Proto::kUdp;
  } else {
    return std::nullopt;
  }
  const std::optional<L4PortRange> range = ParseL4PortRange(text);
  if (!range || range->low == 0) return std::nullopt;
  spec.l4ports = *range;
  return spec;
}

}  // namespace godwit
