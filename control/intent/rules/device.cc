// SPDX-License-Identifier: BSD-3-Clause
// Rules of uplinks and queues: their names, devices, addresses and limits.
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "control/api/field_text.h"
#include "control/intent/rules/rules.h"
#include "control/intent/validate.h"
#include "dataplane/device/device_spec.h"

namespace godwit::rules {
namespace {

using Kind = DeviceSpec::Kind;

void CheckUplinkCount(const api::Config& config, Findings& findings) {
  const auto count = static_cast<uint64_t>(config.uplinks_size());
  if (count == 0) {
    findings.ErrorOfEmpty("uplinks", "is missing", "uplinks",
                          "at least one uplink");
  } else if (count > kMaxUplinks) {
    NotIn(findings, "uplinks", count, "a number of uplinks", 1, kMaxUplinks);
  }
}

void CheckQueueCount(const api::Config& config, Findings& findings) {
  const auto count = static_cast<uint64_t>(config.queues_size());
  if (count > kMaxQueues) {
    NotIn(findings, "queues", count, "a number of queues", 0, kMaxQueues);
  }
}

// `explain --from=NAME` takes an uplink or a queue: one space of names.
void CheckNamesAreUnique(const api::Config& config, Findings& findings) {
  Once<std::string> once;
  for (int i = 0; i < config.uplinks_size(); ++i) {
    const std::string& name = config.uplinks(i).name();
    if (name.empty()) continue;
    once.Check(findings, name, name, At("uplinks", i) + ".name");
  }
  for (int i = 0; i < config.queues_size(); ++i) {
    const std::string& name = config.queues(i).name();
    if (name.empty()) continue;
    once.Check(findings, name, name, At("queues", i) + ".name");
  }
}

std::optional<DeviceSpec> SpecOf(const std::string& device) {
  return ParseDeviceSpec(device).spec;
}

void CheckDevice(const std::string& path, bool has_device,
                 const std::string& device, Findings& findings) {
  if (!has_device) {
    findings.Error(path, "\"device\" is missing");
    return;
  }
  const DeviceSpecResult result = ParseDeviceSpec(device);
  if (!result.spec) findings.Error(path + ".device", result.error);
}

// What can be there once on a machine. An interface is one in its namespace; a
// memif's socket carries several by their ids; DPDK knows a device by its name.
std::string Identity(const DeviceSpec& spec, const std::string& netns) {
  if (spec.IsInterface()) {
    return absl::StrCat("interface ", netns, "/", spec.target);
  }
  switch (spec.kind) {
    case Kind::kMemif:
      return absl::StrCat("socket ", spec.target, " ", spec.memif_id);
    case Kind::kVhost:
      return absl::StrCat("socket ", spec.target);
    case Kind::kDpdk:
      return absl::StrCat("dpdk ",
                          spec.target.substr(0, spec.target.find(',')));
    default:
      return absl::StrCat("pci ", spec.target);
  }
}

void CheckDevicesAreUnique(const api::Config& config, Findings& findings) {
  Once<std::string> once;
  for (int i = 0; i < config.uplinks_size(); ++i) {
    const api::Uplink& uplink = config.uplinks(i);
    const std::string path = At("uplinks", i);
    if (const auto spec = SpecOf(uplink.device())) {
      once.Check(findings, Identity(*spec, ""), uplink.device(),
                 path + ".device");
    }
    if (uplink.has_kernel()) {
      once.Check(findings, absl::StrCat("interface /", uplink.kernel()),
                 uplink.kernel(), path + ".kernel");
    }
  }
  for (int i = 0; i < config.queues_size(); ++i) {
    const api::Queue& queue = config.queues(i);
    if (const auto spec = SpecOf(queue.device())) {
      once.Check(findings, Identity(*spec, queue.netns()), queue.device(),
                 At("queues", i) + ".device");
    }
  }
}

void CheckKernelName(const api::Uplink& uplink, const std::string& path,
                     Findings& findings) {
  if (!uplink.has_kernel()) return;
  const auto spec = SpecOf(uplink.device());
  if (spec && spec->kind == Kind::kXdp) {
    NotA(findings, path + ".kernel", uplink.kernel(),
         absl::StrCat("needed: the kernel keeps ", spec->target,
                      " itself, so an xdp: uplink has no TAP"));
    return;
  }
  const std::string error = CheckInterfaceName(uplink.kernel());
  if (!error.empty()) findings.Error(path + ".kernel", error);
}

std::optional<Prefix> InterfaceAddress(const std::string& text) {
  if (!absl::StrContains(text, '/')) return std::nullopt;
  const std::optional<Prefix> prefix = Prefix::Parse(text);
  if (!prefix || prefix->length == 0) return std::nullopt;
  return prefix;
}

void CheckUplinkAddresses(const api::Config& config, Findings& findings) {
  Once<IpAddress> once;
  for (int i = 0; i < config.uplinks_size(); ++i) {
    const api::Uplink& uplink = config.uplinks(i);
    for (int j = 0; j < uplink.addresses_size(); ++j) {
      const std::string path = At(At("uplinks", i) + ".addresses", j);
      const std::string& text = uplink.addresses(j);
      const std::optional<Prefix> prefix = InterfaceAddress(text);
      if (!prefix || prefix->address.IsMulticast() ||
          prefix->address.IsLoopback() || prefix->address.IsUnspecified()) {
        NotA(findings, path, text,
             "an interface address, ADDRESS/LENGTH as in 198.51.100.7/24");
        continue;
      }
      once.Check(findings, prefix->address, text, path);
    }
  }
}

// True if `uplink` says nothing of its addresses in the gateway's family, so
// that the system's own configuration decides, or if one is on its link.
bool IsReachable(const api::Uplink& uplink, const IpAddress& gateway) {
  bool says_nothing = true;
  for (const std::string& text : uplink.addresses()) {
    const std::optional<Prefix> prefix = InterfaceAddress(text);
    if (!prefix || prefix->address.IsV4() != gateway.IsV4()) continue;
    says_nothing = false;
    if (prefix->Contains(gateway) && prefix->address != gateway) return true;
  }
  return says_nothing;
}

bool IsEdge(const Prefix& prefix, const IpAddress& address) {
  const auto edges = prefix.Edges();
  return edges && (address == edges->first || address == edges->second);
}

// The prefix of `uplink` that `gateway` is no host of; empty without one.
std::string EdgeOf(const api::Uplink& uplink, const IpAddress& gateway) {
  for (const std::string& text : uplink.addresses()) {
    const std::optional<Prefix> prefix = InterfaceAddress(text);
    if (prefix && IsEdge(*prefix, gateway)) return prefix->Masked().ToString();
  }
  return "";
}

void CheckGateways(const api::Uplink& uplink, const std::string& path,
                   Findings& findings) {
  Once<IpAddress> once;
  for (int i = 0; i < uplink.gateway_size(); ++i) {
    const std::string at = At(path + ".gateway", i);
    const std::string& text = uplink.gateway(i);
    const std::optional<IpAddress> gateway = IpAddress::Parse(text);
    // Routers are known by link-local addresses in IPv6 (RFC 4861, 4.2).
    const bool is_link_local =
        gateway && !gateway->IsV4() && gateway->IsLinkLocal();
    if (!is_link_local && !HostAddress(findings, at, text)) continue;
    if (!is_link_local && !IsReachable(uplink, *gateway)) {
      NotA(findings, at, text,
           absl::StrCat("another host in a prefix of ", path, ".addresses"));
      continue;
    }
    const std::string edge = EdgeOf(uplink, *gateway);
    if (!edge.empty()) {
      NotA(findings, at, text,
           absl::StrCat("a host of ", edge,
                        ": its first and last address mean all of it"));
      continue;
    }
    once.Check(findings, *gateway, text, at);
  }
}

void CheckVlan(const api::Uplink& uplink, const std::string& path,
               Findings& findings) {
  if (!uplink.has_vlan()) return;
  if (uplink.vlan() < 1 || uplink.vlan() > 4094) {
    NotIn(findings, path + ".vlan", uplink.vlan(), "a VLAN", 1, 4094);
  }
}

bool IsIpv6(const std::string& text) { return absl::StrContains(text, ':'); }

bool UsesIpv6(const api::Config& config) {
  const auto any = [](const auto& texts) {
    for (const std::string& text : texts) {
      if (IsIpv6(text)) return true;
    }
    return false;
  };
  bool used = any(config.node().unicast());
  for (const api::Uplink& uplink : config.uplinks()) {
    used = used || any(uplink.addresses()) || any(uplink.gateway());
  }
  for (const api::Service& service : config.services()) {
    used = used || any(service.addresses());
  }
  return used;
}

void CheckMtu(const api::Config& config, const std::string& path,
              const std::string& device, uint32_t mtu, Findings& findings) {
  const auto spec = SpecOf(device);
  uint32_t max = kMaxMtu;
  if (spec && (spec->kind == Kind::kVeth || spec->kind == Kind::kXdp)) {
    max = kMaxXskMtu;
  } else if (spec && spec->kind == Kind::kAfPacket) {
    max = kMaxAfPacketMtu;
  }
  if (mtu < kMinMtu || mtu > max) {
    NotIn(findings, path, mtu, "an MTU for this device: a number", kMinMtu,
          max);
  } else if (mtu < kMinIpv6Mtu && UsesIpv6(config)) {
    NotA(findings, path, absl::StrCat(mtu),
         absl::StrCat("an MTU for IPv6, which this node has addresses of: "
                      "at least ",
                      kMinIpv6Mtu, " (RFC 8200)"));
  }
}

void CheckMtus(const api::Config& config, Findings& findings) {
  for (int i = 0; i < config.uplinks_size(); ++i) {
    const api::Uplink& uplink = config.uplinks(i);
    if (!uplink.has_mtu()) continue;
    CheckMtu(config, At("uplinks", i) + ".mtu", uplink.device(), uplink.mtu(),
             findings);
  }
  for (int i = 0; i < config.queues_size(); ++i) {
    const api::Queue& queue = config.queues(i);
    if (!queue.has_mtu()) continue;
    CheckMtu(config, At("queues", i) + ".mtu", queue.device(), queue.mtu(),
             findings);
  }
}

void CheckNetns(const api::Queue& queue, const std::string& path,
                Findings& findings) {
  if (!queue.has_netns()) return;
  const std::string& netns = queue.netns();
  constexpr size_t kMaxFileName = 255;
  if (netns.empty() || netns.size() > kMaxFileName || netns == "." ||
      netns == ".." || netns.find('/') != netns.npos ||
      netns.find('\0') != netns.npos) {
    NotA(findings, path + ".netns", netns,
         "the name of a network namespace, as `ip netns list` shows it");
    return;
  }
  const auto spec = SpecOf(queue.device());
  if (spec && spec->kind != Kind::kVeth && spec->kind != Kind::kTap) {
    NotA(findings, path + ".netns", netns,
         "allowed here: only a veth: or tap: device can be moved into a "
         "namespace");
  }
}

void CheckLimits(const api::Queue& queue, const std::string& path,
                 Findings& findings) {
  const api::Limits& limits = queue.limits();
  if (limits.has_flows() && limits.flows() == 0) {
    NotIn(findings, path + ".limits.flows", 0, "a number of flows", 1,
          UINT32_MAX);
  }
  if (limits.has_rate() && limits.rate() == 0) {
    NotIn(findings, path + ".limits.rate", 0, "a number of flows a second", 1,
          UINT32_MAX);
  }
}

}  // namespace

void CheckUplinks(const api::Config& config, Findings& findings) {
  CheckUplinkCount(config, findings);
  CheckUplinkAddresses(config, findings);
  for (int i = 0; i < config.uplinks_size(); ++i) {
    const api::Uplink& uplink = config.uplinks(i);
    const std::string path = At("uplinks", i);
    CheckName(findings, path, uplink.has_name(), uplink.name());
    CheckDevice(path, uplink.has_device(), uplink.device(), findings);
    CheckKernelName(uplink, path, findings);
    CheckGateways(uplink, path, findings);
    CheckVlan(uplink, path, findings);
  }
}

void CheckQueues(const api::Config& config, Findings& findings) {
  CheckQueueCount(config, findings);
  for (int i = 0; i < config.queues_size(); ++i) {
    const api::Queue& queue = config.queues(i);
    const std::string path = At("queues", i);
    CheckName(findings, path, queue.has_name(), queue.name());
    CheckDevice(path, queue.has_device(), queue.device(), findings);
    CheckNetns(queue, path, findings);
    CheckLimits(queue, path, findings);
    if (queue.has_health())
      CheckHealth(queue.health(), path + ".health", findings);
  }
}

void CheckDevices(const api::Config& config, Findings& findings) {
  CheckNamesAreUnique(config, findings);
  CheckDevicesAreUnique(config, findings);
  CheckMtus(config, findings);
  CheckVdevs(config, findings);
}

}  // namespace godwit::rules
