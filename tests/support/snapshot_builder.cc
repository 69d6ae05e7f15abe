// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/snapshot_builder.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "dataplane/net/check.h"
#include "dataplane/net/headers.h"
#include "tests/support/packet_builder.h"

namespace godwit {
namespace {

IpAddress AddressOf(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  GODWIT_CHECK(address.has_value());
  return *address;
}

uint16_t NumberOf(std::string_view text) {
  uint16_t number = 0;
  const auto end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  GODWIT_CHECK(result.ec == std::errc() && result.ptr == end);
  return number;
}

// "udp/53", "tcp/8000-8999" or "icmp" at `address`.
ServiceEndpoint EndpointOf(std::string_view text, const IpAddress& address,
                           ServiceId service) {
  ServiceEndpoint endpoint;
  endpoint.address = address;
  endpoint.service = service;
  if (text == "icmp") {
    endpoint.protocol = address.IsV4() ? kProtoIcmp : kProtoIcmpv6;
    return endpoint;
  }
  GODWIT_CHECK(text.starts_with("udp/") || text.starts_with("tcp/"));
  endpoint.protocol = text[0] == 'u' ? kProtoUdp : kProtoTcp;
  const std::string_view range = text.substr(4);
  const size_t dash = range.find('-');
  endpoint.low = NumberOf(range.substr(0, dash));
  endpoint.high = dash == std::string_view::npos
                      ? endpoint.low
                      : NumberOf(range.substr(dash + 1));
  return endpoint;
}

// A link header from our end to `mac`.
Adjacency LinkTo(DeviceId id, const Device& device, const MacAddress& mac) {
  Adjacency adjacency;
  adjacency.device = id;
  adjacency.resolved = true;
  std::memcpy(adjacency.header.data(), mac.data(), 6);
  std::memcpy(&adjacency.header[6], device.mac.data(), 6);
  if (device.vlan != 0) {
    adjacency.header_size = 18;
    adjacency.header[12] = 0x81;
    adjacency.header[14] = static_cast<uint8_t>(device.vlan >> 8);
    adjacency.header[15] = static_cast<uint8_t>(device.vlan);
  }
  return adjacency;
}

}  // namespace

MacAddress FarEndMac(DeviceId device) {
  return {2, 0, 0, 0, 1, static_cast<uint8_t>(device)};
}

SnapshotBuilder::SnapshotBuilder() {
  ServiceQueue& kernel = queues_[kKernelQueue];
  kernel.in_use = true;
  kernel.alive = true;
  kernel.reachable = true;
  kernel.name = "kernel";
  Uplink("wan0", "gw0");
  kernel.device = device_id("wan0");
  Unicast({"198.51.100.7", "2001:db8:7::7"});
  EgressL4Ports(50000, 50999);
}

DeviceId SnapshotBuilder::AddDevice(const std::string& name, Side side) {
  Device device;
  device.name = name;
  device.side = side;
  device.mac = kTestDestinationMac;
  devices_.push_back(device);
  return static_cast<DeviceId>(devices_.size() - 1);
}

SnapshotBuilder& SnapshotBuilder::Uplink(const std::string& name,
                                         const std::string& tap) {
  const DeviceId uplink = AddDevice(name, Side::kUplink);
  const DeviceId kernel = AddDevice(tap, Side::kKernel);
  devices_[uplink].peer = kernel;
  devices_[kernel].peer = uplink;
  devices_[kernel].peer_mac = FarEndMac(kernel);
  return *this;
}

SnapshotBuilder& SnapshotBuilder::Queue(const std::string& name) {
  const DeviceId id = AddDevice(name, Side::kQueue);
  ServiceQueue queue;
  queue.in_use = true;
  queue.alive = true;
  queue.reachable = true;
  queue.name = name;
  queue.device = id;
  queues_.push_back(queue);
  devices_[id].queue = static_cast<QueueId>(queues_.size() - 1);
  return *this;
}

SnapshotBuilder& SnapshotBuilder::Service(const std::string& name,
                                          const Names& addresses,
                                          const Names& endpoints,
                                          const Names& queues) {
  ServiceSpec spec;
  spec.service.in_use = true;
  spec.service.name = name;
  spec.addresses = addresses;
  spec.endpoints = endpoints;
  for (const std::string& queue : queues) {
    spec.service.queues.push_back(queue_id(queue));
  }
  services_.push_back(spec);
  return *this;
}

SnapshotBuilder& SnapshotBuilder::RemoveService(const std::string& name) {
  service(name).in_use = false;
  return *this;
}

Device& SnapshotBuilder::device(std::string_view name) {
  return devices_[device_id(name)];
}

ServiceQueue& SnapshotBuilder::queue(std::string_view name) {
  return queues_[queue_id(name)];
}

godwit::Service& SnapshotBuilder::service(std::string_view name) {
  for (ServiceSpec& spec : services_) {
    if (spec.service.in_use && spec.service.name == name) return spec.service;
  }
  GODWIT_CHECK(false && "a service of this name");
}

DeviceId SnapshotBuilder::device_id(std::string_view name) const {
  for (size_t id = 1; id < devices_.size(); ++id) {
    if (devices_[id].name == name) return static_cast<DeviceId>(id);
  }
  GODWIT_CHECK(false && "a device of this name");
}

QueueId SnapshotBuilder::queue_id(std::string_view name) const {
  for (size_t id = 1; id < queues_.size(); ++id) {
    if (queues_[id].name == name) return static_cast<QueueId>(id);
  }
  GODWIT_CHECK(false && "a queue of this name");
}

SnapshotBuilder& SnapshotBuilder::Unicast(const Names& addresses) {
  // Numbers are never given to another address.
  for (IpAddress& own : nat_.unicast) own = IpAddress{};
  for (const std::string& address : addresses) {
    nat_.unicast.push_back(AddressOf(address));
  }
  ++nat_.plan_version;
  return *this;
}

SnapshotBuilder& SnapshotBuilder::EgressL4Ports(uint16_t low, uint16_t high) {
  l4ports_.clear();
  for (unsigned l4port = low; l4port <= high; ++l4port) {
    l4ports_.push_back(static_cast<uint16_t>(l4port));
  }
  ++nat_.plan_version;
  return *this;
}

SnapshotBuilder& SnapshotBuilder::Direct(std::string_view prefix) {
  nat_.direct.push_back(Prefix::Parse(prefix).value());
  return *this;
}

SnapshotBuilder& SnapshotBuilder::Silent(const std::string& name) {
  for (ServiceSpec& spec : services_) {
    if (spec.service.name == name) spec.silent = true;
  }
  return *this;
}

SnapshotBuilder& SnapshotBuilder::Unresolved(std::string_view name) {
  unresolved_.insert(device_id(name));
  return *this;
}

SnapshotBuilder& SnapshotBuilder::Resolved(std::string_view name) {
  unresolved_.erase(device_id(name));
  return *this;
}

SnapshotBuilder& SnapshotBuilder::Dead(std::string_view uplink) {
  dead_.insert(device_id(uplink));
  return *this;
}

SnapshotBuilder& SnapshotBuilder::Alive(std::string_view uplink) {
  dead_.erase(device_id(uplink));
  return *this;
}

SnapshotBuilder& SnapshotBuilder::NoRoutes() {
  routes_ = false;
  return *this;
}

SnapshotBuilder& SnapshotBuilder::OnLink(std::string_view network) {
  on_link_.push_back(*Prefix::Parse(network));
  return *this;
}

void SnapshotBuilder::AddLinks(Snapshot& snapshot) const {
  RouteTable::Route v4;
  RouteTable::Route v6;
  v4.prefix = *Prefix::Parse("0.0.0.0/0");
  v6.prefix = *Prefix::Parse("::/0");
  snapshot.adjacencies.resize(devices_.size());
  for (DeviceId id = 1; id < devices_.size(); ++id) {
    const Device& device = devices_[id];
    if (device.side == Side::kNone || device.side == Side::kKernel) continue;
    // One for each device, of its number: the gateway, or the queue's program.
    Adjacency& link = snapshot.adjacencies[id];
    link = LinkTo(id, device, FarEndMac(id));
    link.resolved = !unresolved_.contains(id);
    if (device.side == Side::kUplink) {
      link.next_hop = AddressOf("198.51.100.1");
      v4.hops.push_back({id, id, 1, !dead_.contains(id)});
      v6.hops.push_back({id, id, 1, !dead_.contains(id)});
    } else if (link.resolved) {
      snapshot.queues[device.queue].far_end = id;
    }
  }
  std::vector<RouteTable::Route> routes;
  if (routes_) routes = {v4, v6};
  for (const Prefix& network : on_link_) {
    routes.push_back({network, {{device_id("wan0"), kNoAdjacency, 1}}});
    const auto edges = network.Edges();
    if (!edges) continue;
    routes.push_back({{edges->first, 32}, {}, /*broadcast=*/true});
    routes.push_back({{edges->second, 32}, {}, /*broadcast=*/true});
  }
  snapshot.routes = RouteTable(routes);
}

void SnapshotBuilder::AddServices(Snapshot& snapshot) const {
  std::map<IpAddress, ServiceAddress> addresses;
  std::vector<ServiceEndpoint> endpoints;
  for (ServiceId id = 1; id < services_.size(); ++id) {
    const ServiceSpec& spec = services_[id];
    snapshot.services.push_back(spec.service);
    if (!spec.service.in_use) continue;
    std::vector<QueueGroup::Member> members;
    for (const QueueId queue : spec.service.queues) {
      if (snapshot.queues[queue].alive) members.push_back({queue, 1});
    }
    snapshot.services.back().group =
        std::make_shared<const QueueGroup>(members);
    for (const std::string& text : spec.addresses) {
      const IpAddress address = AddressOf(text);
      ServiceAddress& at = addresses[address];
      at.address = address;
      at.any_service = id;
      at.services.push_back(id);
      at.silent = at.silent || spec.silent;
      for (const std::string& endpoint : spec.endpoints) {
        endpoints.push_back(EndpointOf(endpoint, address, id));
      }
    }
  }
  std::vector<ServiceAddress> list;
  for (auto& [address, at] : addresses) list.push_back(at);
  snapshot.service_table = ServiceTable(list, endpoints);
}

std::unique_ptr<Snapshot> SnapshotBuilder::Build(unsigned workers,
                                                 uint64_t generation) const {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->generation = generation;
  snapshot->epoch = epoch_;
  snapshot->workers = workers;
  snapshot->devices = devices_;
  snapshot->queues = queues_;
  snapshot->services.resize(1);
  AddLinks(*snapshot);
  AddServices(*snapshot);
  auto nat = std::make_shared<NatConfig>(nat_);
  const NatConfig none;
  const NatConfig& before = built_ == nullptr ? none : *built_;
  nat->l4ports = L4PortPlan(l4ports_, workers, before.l4ports);
  nat->icmp_ids = L4PortPlan(l4ports_, workers, before.icmp_ids);
  nat->Remember(built_.get());
  snapshot->nat = nat;
  built_ = nat;
  return snapshot;
}

}  // namespace godwit
