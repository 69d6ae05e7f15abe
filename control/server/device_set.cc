// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/device_set.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "control/intent/validate.h"
#include "control/ownership/interfaces.h"
#include "control/plumb/address.h"
#include "control/plumb/ethtool.h"
#include "control/plumb/link.h"
#include "control/plumb/netns.h"
#include "control/plumb/queue_netns.h"
#include "control/plumb/uplink.h"
#include "control/plumb/veth.h"
#include "dataplane/stage/counters.h"

namespace godwit {
namespace {

using Kind = DeviceSpec::Kind;

// Several receive queues where the device spreads over them by itself.
uint16_t QueuesWanted(Kind kind, unsigned workers) {
  const bool spreads = kind == Kind::kPci || kind == Kind::kDpdk ||
                       kind == Kind::kMemif || kind == Kind::kVhost;
  return spreads ? static_cast<uint16_t>(workers) : uint16_t{1};
}

// V6-14: an IPv6 link has 1280 bytes at least (RFC 8200 5).
absl::Status CheckIpv6Mtu(const api::Uplink& uplink, uint16_t mtu) {
  for (const std::string& address : uplink.addresses()) {
    if (mtu >= kMinIpv6Mtu || Prefix::Parse(address)->address.IsV4()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "its MTU is ", mtu, ", ", address, " needs ", kMinIpv6Mtu, " or more"));
  }
  return absl::OkStatus();
}

Lanes LanesOf(const EthPort& port) {
  Lanes lanes;
  if (!port.running()) return lanes;
  for (const EthQueue& rxq : port.rxqs()) {
    lanes.rxqs.push_back({rxq.eth_port, rxq.index});
  }
  for (const EthQueue& txq : port.txqs()) {
    lanes.txqs.push_back({txq.eth_port, txq.index});
  }
  return lanes;
}

void AddAddresses(const api::Uplink& uplink, KernelUplink& kernel) {
  for (const std::string& address : uplink.addresses()) {
    kernel.addresses.push_back(*Prefix::Parse(address));
  }
  for (const std::string& gateway : uplink.gateway()) {
    kernel.gateways.push_back(*IpAddress::Parse(gateway));
  }
}

absl::Status SetKernelMtu(std::optional<uint32_t> mtu, OpenDevice& device) {
  if (!mtu.has_value()) return absl::OkStatus();
  auto set =
      KernelMtu::Set(device.spec.target,
                     VlanInterfaceOn(device.spec.target, device.vlan), *mtu);
  if (set.ok()) device.kernel_mtu = *std::move(set);
  return set.status();
}

// Only if the name is free or a TAP of ours, and marked, so that Close and the
// next start know it.
absl::StatusOr<std::unique_ptr<EthPort>> OpenTapPort(
    const DeviceSpec& spec, const EthPortOptions& options, OpenDevice& device) {
  const auto origin = CheckTapIsIdle(spec.target, device.netns);
  if (!origin.ok()) return origin.status();
  device.taps[spec.target] = *origin;
  absl::StatusOr<std::unique_ptr<EthPort>> opened;
  KeepingNeighbours(spec.target, device.netns,
                    [&] { opened = EthPort::Open(spec, options); });
  if (!opened.ok()) return opened;
  const absl::Status marked = MarkTap(spec.target, device.netns, *origin);
  if (!marked.ok()) return marked;
  return opened;
}

}  // namespace

std::string OpeningOf(const OpenDevice& device) {
  std::string line =
      absl::StrCat(device.name, ": ", device.text, ", ", device.port->driver(),
                   ", ", MacToString(device.mac));
  if (device.steering == nullptr || !device.steering->predecessor())
    return line;
  return absl::StrCat(line, "; the XDP program of a dead daemon kept back ",
                      device.steering->predecessor()->dropped, " frames");
}

absl::Status PublishSteering(OpenDevice& uplink, SteeringTables tables) {
  const auto tap_ifindex = IfIndex(uplink.tap_name);
  if (!tap_ifindex.ok()) return tap_ifindex.status();
  tables.vlan = uplink.vlan;
  tables.kernel_queue_ifindex = static_cast<uint32_t>(*tap_ifindex);
  return uplink.steering->Publish(tables);
}

std::map<std::string, OpenUplink> UplinksOf(const DeviceMap& devices) {
  std::map<std::string, OpenUplink> uplinks;
  for (const auto& [name, device] : devices) {
    uplinks[name] = {.id = device->id,
                     .name = device->name,
                     .mac = device->mac,
                     .mtu = device->mtu,
                     .lanes = LanesOf(*device->port),
                     .keeps_interface = device->steering != nullptr,
                     .kernel_ifindex = device->kernel_ifindex,
                     .link_up = device->link_up,
                     .tap_id = device->tap_id,
                     .tap_name = device->tap_name,
                     .tap_mac = device->tap_mac,
                     .tap_mtu = device->tap->mtu(),
                     .tap_lanes = LanesOf(*device->tap)};
  }
  return uplinks;
}

std::map<std::string, OpenQueue> QueuesOf(const DeviceMap& devices) {
  std::map<std::string, OpenQueue> queues;
  for (const auto& [name, device] : devices) {
    OpenQueue& queue = queues[name];
    queue.id = device->id;
    queue.name = device->name;
    queue.mac = device->mac;
    queue.mtu = device->mtu;
    queue.lanes = LanesOf(*device->port);
    if (device->far_end_known) queue.far_end = device->far_end;
  }
  return queues;
}

DeviceSet::DeviceSet(const Options& options)
    : options_(options), ids_(1, kMaxDevices - 1, kMaxDevices, "devices") {}

std::string DeviceSet::Signature(const api::Uplink& uplink) {
  api::Uplink opened = uplink;
  opened.clear_martians();
  opened.clear_hop();
  return opened.SerializeAsString();
}

std::string DeviceSet::Signature(const api::Queue& queue) {
  api::Queue opened = queue;
  opened.clear_health();
  opened.clear_limits();
  opened.clear_hop();
  opened.clear_drained();
  return opened.SerializeAsString();
}

absl::Status DeviceSet::OpenPort(OpenDevice& device,
                                 std::optional<uint32_t> mtu, uint16_t rxqs,
                                 uint16_t txqs) {
  EthPortOptions options;
  options.rxqs = rxqs;
  options.txqs = txqs;
  options.pool = options_.pool;
  options.near_end = device.near_end;
  // The kernel fills this ring whether the worker has the CPU or not; on a
  // machine that is shared with programs it may be without for 100 ms.
  if (device.spec.kind == Kind::kAfPacket) options.rx_ring = 4096;
  if (mtu.has_value()) options.mtu = static_cast<uint16_t>(*mtu);
  if (device.spec.kind == Kind::kTap) {
    if (!device.netns.empty()) {
      options.netns = absl::StrCat("/run/netns/", device.netns);
    }
    options.mac = MacOfTap(device.spec.target, device.netns);
  }
  auto opened = device.spec.kind == Kind::kTap
                    ? OpenTapPort(device.spec, options, device)
                    : EthPort::Open(device.spec, options);
  if (!opened.ok()) return opened.status();
  device.port = *std::move(opened);
  const absl::Status started = device.port->Start();
  if (!started.ok() && !absl::IsUnavailable(started)) return started;
  device.mac = device.port->mac();
  device.mtu = device.port->mtu();
  device.link_up = device.port->LinkUp();
  return absl::OkStatus();
}

absl::Status DeviceSet::MakePair(OpenDevice& device, const std::string& netns,
                                 std::optional<uint32_t> mtu) {
  VethSpec pair;
  pair.far_name = device.spec.target;
  pair.netns = netns;
  if (mtu.has_value()) pair.mtu = *mtu;
  const auto made = CreateVethPair(pair);
  if (!made.ok()) return made.status();
  device.near_end = made->near_name;
  device.far_end = made->far_mac;
  device.far_end_known = !netns.empty();
  return absl::OkStatus();
}

absl::Status DeviceSet::OpenTap(const api::Uplink& uplink, OpenDevice& device) {
  device.tap_name = TapNameOf(uplink);
  EthPortOptions options;
  options.pool = options_.pool;
  // The TAP is the uplink as the kernel sees it, so it has the uplink's MAC;
  // beside an interface that the kernel has itself it has its own.
  const bool bypass = device.spec.kind != Kind::kXdp;
  options.mac = bypass ? device.mac : MacFor(device.tap_name);
  const absl::StatusOr<uint16_t> mtu =
      bypass ? device.mtu : MtuOfTapBeside(device.spec.target);
  if (!mtu.ok()) return mtu.status();
  options.mtu = *mtu;
  options.beyond_mtu = EthPortOptions::BeyondMtu::kTake;
  DeviceSpec spec;
  spec.kind = Kind::kTap;
  spec.target = device.tap_name;
  auto tap = OpenTapPort(spec, options, device);
  if (!tap.ok()) return tap.status();
  device.tap = *std::move(tap);
  // Before it is up: the kernel can't ask for an IPv6 neighbour before its own
  // link-local address is settled.
  absl::Status status = KeepServiceAddressesQuiet(device.tap_name);
  if (status.ok() && !bypass) status = KeepQuiet(device.tap_name);
  if (status.ok()) status = device.tap->Start();
  if (!status.ok()) return status;
  device.tap_mac = *options.mac;
  KernelUplink kernel;
  kernel.ifname = device.tap_name;
  kernel.mac = options.mac;
  if (bypass) {
    kernel.mtu = device.mtu;
    AddAddresses(uplink, kernel);
  }
  return PlumbUplink(kernel);
}

absl::Status DeviceSet::OpenUplinkPort(const api::Uplink& uplink,
                                       const SteeringTables& first,
                                       OpenDevice& device) {
  const Kind kind = device.spec.kind;
  std::optional<uint32_t> mtu;
  if (uplink.has_mtu()) mtu = uplink.mtu();
  if (kind == Kind::kVeth) {
    const absl::Status made = MakePair(device, "", mtu);
    if (!made.ok()) return made;
  }
  if (kind == Kind::kAfPacket) {
    const absl::Status up = SetUp(device.spec.target);
    if (!up.ok()) return up;
    auto drop = IngressDrop::Attach(device.spec.target);
    if (!drop.ok()) return drop.status();
    device.ingress_drop = *std::move(drop);
  }
  if (kind != Kind::kXdp) {
    const uint16_t wanted = QueuesWanted(kind, options_.workers);
    absl::Status status = OpenPort(device, mtu, wanted, wanted);
    if (status.ok()) status = CheckIpv6Mtu(uplink, device.mtu);
    if (status.ok()) status = OpenTap(uplink, device);
    device.kernel_interface = device.tap_name;
    return status;
  }
  absl::Status status = SetKernelMtu(mtu, device);
  if (status.ok()) status = SetUp(device.spec.target);
  if (status.ok()) status = OpenTap(uplink, device);
  if (!status.ok()) return status;
  auto steering = SteeringProgram::Load();
  if (!steering.ok()) return steering.status();
  device.steering = *std::move(steering);
  status = PublishSteering(device, first);
  if (status.ok()) status = device.steering->Attach(device.spec.target);
  if (!status.ok()) return status;
  const auto rxqs = RxQueueCount(device.spec.target);
  if (!rxqs.ok()) return rxqs.status();
  status = OpenPort(device, mtu, static_cast<uint16_t>(*rxqs),
                    static_cast<uint16_t>(*rxqs));
  if (status.ok()) status = CheckIpv6Mtu(uplink, device.mtu);
  if (!status.ok()) return status;
  const std::string tagged = VlanInterfaceOn(device.spec.target, device.vlan);
  device.kernel_interface = tagged.empty() ? device.spec.target : tagged;
  KernelUplink kernel;
  kernel.ifname = device.kernel_interface;
  kernel.reverse_path_filter = ReversePathFilter::kKeep;
  AddAddresses(uplink, kernel);
  return PlumbUplink(kernel);
}

absl::StatusOr<std::unique_ptr<OpenDevice>> DeviceSet::Open(
    const api::Uplink& uplink, const SteeringTables& first) {
  ++version_;
  auto device = std::make_unique<OpenDevice>();
  device->is_uplink = true;
  device->name = uplink.name();
  device->vlan = static_cast<uint16_t>(uplink.vlan());
  device->text = uplink.device();
  device->spec = *ParseDeviceSpec(uplink.device()).spec;
  absl::Status status = OpenUplinkPort(uplink, first, *device);
  if (status.ok()) {
    const auto ifindex = IfIndex(device->kernel_interface);
    status = ifindex.status();
    if (ifindex.ok()) device->kernel_ifindex = *ifindex;
  }
  const auto id = ids_.NumberOf("uplink " + device->name);
  const auto tap_id = ids_.NumberOf("tap " + device->name);
  if (status.ok() && !id.ok()) status = id.status();
  if (status.ok() && !tap_id.ok()) status = tap_id.status();
  if (!status.ok()) {
    Close(std::move(device));
    return status;
  }
  device->id = static_cast<DeviceId>(*id);
  device->tap_id = static_cast<DeviceId>(*tap_id);
  return device;
}

absl::Status DeviceSet::OpenQueue(const api::Queue& queue,
                                  const std::vector<IpAddress>& addresses,
                                  OpenDevice& device) {
  const Kind kind = device.spec.kind;
  std::optional<uint32_t> mtu;
  if (queue.has_mtu()) mtu = queue.mtu();
  device.netns = queue.netns();
  device.netns_id = NetnsId(device.netns);
  if (kind == Kind::kVeth) {
    const absl::Status made = MakePair(device, device.netns, mtu);
    if (!made.ok()) return made;
  }
  absl::Status status;
  if (kind == Kind::kXdp) status = SetKernelMtu(mtu, device);
  const uint16_t wanted = QueuesWanted(kind, options_.workers);
  if (status.ok()) status = OpenPort(device, mtu, wanted, wanted);
  if (!status.ok()) return status;
  if (kind == Kind::kTap) {
    // The port's MAC is the kernel's side; ours is another.
    device.far_end = device.mac;
    device.far_end_known = true;
    device.mac = MacFor(absl::StrCat(queue.name(), " ", device.spec.target));
    if (device.netns.empty()) return DisableOffloads(device.spec.target);
  }
  if (device.netns.empty()) return absl::OkStatus();
  QueueNetns inside;
  inside.netns = device.netns;
  inside.ifname = device.spec.target;
  inside.gateway_mac = device.mac;
  inside.service_addresses = addresses;
  device.is_plumbed = true;
  ++queues_in_[device.netns];
  return PlumbQueueNetns(inside);
}

absl::StatusOr<std::unique_ptr<OpenDevice>> DeviceSet::Open(
    const api::Queue& queue, const std::vector<IpAddress>& addresses) {
  ++version_;
  auto device = std::make_unique<OpenDevice>();
  device->name = queue.name();
  device->text = queue.device();
  device->spec = *ParseDeviceSpec(queue.device()).spec;
  absl::Status status = OpenQueue(queue, addresses, *device);
  const auto id = ids_.NumberOf("queue " + device->name);
  if (status.ok() && !id.ok()) status = id.status();
  if (!status.ok()) {
    Close(std::move(device));
    return status;
  }
  device->id = static_cast<DeviceId>(*id);
  return device;
}

void DeviceSet::Close(std::unique_ptr<OpenDevice> device) {
  ++version_;
  if (device->is_uplink && !device->kernel_interface.empty() &&
      device->steering != nullptr) {
    UnplumbUplink(device->kernel_interface).IgnoreError();
  }
  // Addresses are there for all queues of a namespace; a route goes with its
  // interface.
  if (device->is_plumbed && --queues_in_[device->netns] == 0) {
    queues_in_.erase(device->netns);
    UnplumbQueueNetns(device->netns).IgnoreError();
  }
  device->port.reset();
  device->tap.reset();
  device->steering.reset();
  device->ingress_drop.reset();
  device->kernel_mtu.reset();
  if (!device->near_end.empty() && LinkExists(device->near_end)) {
    DeleteLink(device->near_end).IgnoreError();
  }
  // What has the name of one that is gone is not ours.
  if (!device->gone.empty()) device->taps.erase(device->spec.target);
  for (const auto& [tap, origin] : device->taps) {
    LeaveTap(tap, device->netns, origin).IgnoreError();
  }
  ids_.Forget((device->is_uplink ? "uplink " : "queue ") + device->name);
  if (device->is_uplink) ids_.Forget("tap " + device->name);
}

}  // namespace godwit
