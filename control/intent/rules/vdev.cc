// SPDX-License-Identifier: BSD-3-Clause
// DPDK's virtual devices by what is known of them without DPDK: that it has
// such a driver, and how arguments are written. What a driver says of its own
// arguments only a start tells.
#include <algorithm>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "control/intent/rules/rules.h"
#include "dataplane/device/device_spec.h"

namespace godwit::rules {
namespace {

// Of DPDK 22.11, with their older names: those that make an ethernet port.
constexpr absl::string_view kDrivers[] = {
    "net_af_packet", "net_af_xdp",      "net_bonding",  "net_enetfec",
    "net_failsafe",  "net_kni",         "net_memif",    "net_mvneta",
    "net_mvpp2",     "net_null",        "net_octeontx", "net_pcap",
    "net_pfe",       "net_ring",        "net_softnic",  "net_tap",
    "net_tun",       "net_vdev_netvsc", "net_vhost",    "net_virtio_user",
    "eth_af_packet", "eth_af_xdp",      "eth_bond",     "eth_kni",
    "eth_memif",     "eth_mvneta",      "eth_mvpp2",    "eth_null",
    "eth_octeontx",  "eth_pcap",        "eth_pfe",      "eth_ring",
    "eth_tap",       "eth_vhost",       "virtio_user",
};

// DPDK looks at as many bytes as the driver's name has.
bool HasDriver(absl::string_view name) {
  return std::any_of(std::begin(kDrivers), std::end(kDrivers),
                     [name](absl::string_view driver) {
                       return absl::StartsWith(name, driver);
                     });
}

// A value without its key. Commas in brackets are a value's own.
bool IsMalformed(absl::string_view arguments) {
  int depth = 0;
  bool begins = true;
  for (const char c : arguments) {
    if (begins && depth == 0 && c == '=') return true;
    if (c == '(' || c == '[') ++depth;
    if ((c == ')' || c == ']') && depth > 0) --depth;
    begins = c == ',';
  }
  return false;
}

}  // namespace

std::string WhyNoVdev(absl::string_view devargs, Plugins plugins) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(devargs, absl::MaxSplits(',', 1));
  if (plugins == Plugins::kNone && !HasDriver(parts.first)) {
    return absl::StrCat("a virtual device of DPDK 22.11: its name begins with ",
                        "its driver's, one of ", absl::StrJoin(kDrivers, " "));
  }
  if (IsMalformed(parts.second)) {
    return "well-formed: behind its name come KEY=VALUE, separated by commas";
  }
  return "";
}

Plugins PluginsOf(const api::Dataplane& dataplane) {
  for (const std::string& arg : dataplane.eal_args()) {
    if (absl::StartsWith(arg, "-d")) return Plugins::kSome;
  }
  return Plugins::kNone;
}

void CheckVdevs(const api::Config& config, Findings& findings) {
  const Plugins plugins = PluginsOf(config.dataplane());
  const auto check = [&](const std::string& path, const std::string& device) {
    const auto spec = ParseDeviceSpec(device).spec;
    if (!spec || spec->kind != DeviceSpec::Kind::kDpdk) return;
    const std::string why_not = WhyNoVdev(spec->target, plugins);
    if (!why_not.empty()) NotA(findings, path + ".device", device, why_not);
  };
  for (int i = 0; i < config.uplinks_size(); ++i) {
    check(At("uplinks", i), config.uplinks(i).device());
  }
  for (int i = 0; i < config.queues_size(); ++i) {
    check(At("queues", i), config.queues(i).device());
  }
}

}  // namespace godwit::rules
