// SPDX-License-Identifier: BSD-3-Clause
#include "control/compile/compiler.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "control/intent/port_spec.h"
#include "dataplane/net/headers.h"

namespace godwit {
namespace {

// Numbers that rest before they are given to others, so that what a log or an
// operator has of an old one does not soon mean another.
constexpr size_t kResting = 1024;

Hop HopOf(api::Hop hop) {
  return hop == api::ROUTER ? Hop::kRouter : Hop::kHost;
}

Martians MartiansOf(api::Uplink::Martians martians) {
  switch (martians) {
    case api::Uplink::STRICT:
      return Martians::kStrict;
    case api::Uplink::OFF:
      return Martians::kOff;
    default:
      return Martians::kBasic;
  }
}

Originate OriginateOf(api::Service::Originate originate) {
  switch (originate) {
    case api::Service::VIP:
      return Originate::kVip;
    case api::Service::DENY:
      return Originate::kDeny;
    default:
      return Originate::kUnicast;
  }
}

// Which worker polls which rxq, and whose txq each worker's frames take. The
// device's number shifts the start, so that one-queue devices spread.
void ShareLanes(const Lanes& lanes, DeviceId id, unsigned workers,
                Device& device) {
  device.rx.assign(workers, {});
  if (lanes.txqs.empty()) return;  // nothing can be sent: `tx` is empty
  device.tx.assign(workers, {});
  device.tx_owner.assign(workers, 0);
  for (size_t i = 0; i < lanes.rxqs.size(); ++i) {
    device.rx[(id + i) % workers].push_back(lanes.rxqs[i]);
  }
  const size_t own = std::min<size_t>(lanes.txqs.size(), workers);
  for (unsigned worker = 0; worker < workers; ++worker) {
    const size_t txq = (worker + workers - id % workers) % workers % own;
    const size_t owner = (id + txq) % workers;
    device.tx_owner[worker] = static_cast<uint8_t>(owner);
    device.tx[worker] = lanes.txqs[txq];
  }
}

void AddEndpoints(const api::Service& service, const IpAddress& address,
                  ServiceId id, std::vector<ServiceEndpoint>& endpoints) {
  for (const std::string& text : service.ports()) {
    const PortSpec spec = *ParsePortSpec(text);
    ServiceEndpoint endpoint;
    endpoint.address = address;
    endpoint.service = id;
    switch (spec.proto) {
      case PortSpec::Proto::kIcmp:
        endpoint.protocol = address.IsV4() ? kProtoIcmp : kProtoIcmpv6;
        break;
      case PortSpec::Proto::kTcp:
        endpoint.protocol = kProtoTcp;
        break;
      case PortSpec::Proto::kUdp:
        endpoint.protocol = kProtoUdp;
        break;
    }
    if (spec.proto != PortSpec::Proto::kIcmp) {
      endpoint.low = spec.l4ports.low;
      endpoint.high = spec.l4ports.high;
    }
    endpoints.push_back(endpoint);
  }
}

uint32_t Ticks(const google::protobuf::Duration& duration) {
  return static_cast<uint32_t>(duration.seconds() * 10 +
                               duration.nanos() / 100'000'000);
}

}  // namespace

Compiler::Compiler()
    : services_(1, 65535, kResting, "services"),
      queues_(2, 65534, kResting, "queues") {
  queues_.Reserve("kernel", kKernelQueue);
}

void Compiler::Restore(const Numbers& numbers, const RulesUsed& rules) {
  services_.Restore(numbers.services);
  queues_.Restore(numbers.queues);
  unicast_ = numbers.unicast;
  if (unicast_.size() > kMaxUnicast) unicast_.resize(kMaxUnicast);
  rules_used_ = rules;
}

void Compiler::AddUplink(const OpenUplink& open, const api::Uplink& uplink,
                         unsigned workers, Snapshot& snapshot) {
  Device& device = At(snapshot.devices, open.id);
  device.side = Side::kUplink;
  device.name = open.name;
  device.hop = HopOf(uplink.hop());
  device.martians = MartiansOf(uplink.martians());
  device.keeps_interface = open.keeps_interface;
  device.vlan = static_cast<uint16_t>(uplink.vlan());
  device.mtu = open.mtu;
  device.mac = open.mac;
  device.peer = open.tap_id;
  ShareLanes(open.lanes, open.id, workers, device);
  Device& tap = At(snapshot.devices, open.tap_id);
  tap.side = Side::kKernel;
  tap.name = open.tap_name;
  tap.mtu = open.tap_mtu;
  tap.mac = open.mac;
  tap.peer = open.id;
  tap.peer_mac = open.tap_mac;
  ShareLanes(open.tap_lanes, open.tap_id, workers, tap);
}

absl::Status Compiler::AddDevices(const CompileInput& input,
                                  Snapshot& snapshot) {
  for (const api::Uplink& uplink : input.config->uplinks()) {
    const auto open = input.uplinks->find(uplink.name());
    if (open == input.uplinks->end()) continue;
    AddUplink(open->second, uplink, input.workers, snapshot);
  }
  for (const api::Queue& queue : input.config->queues()) {
    const auto open = input.queues->find(queue.name());
    if (open == input.queues->end()) continue;
    const auto number = queues_.NumberOf(queue.name(), input.judged);
    if (!number.ok()) return number.status();
    const OpenQueue& opened = open->second;
    Device& device = At(snapshot.devices, opened.id);
    device.side = Side::kQueue;
    device.name = opened.name;
    device.hop = HopOf(queue.hop());
    device.queue = static_cast<QueueId>(*number);
    device.mtu = opened.mtu;
    device.mac = opened.mac;
    ShareLanes(opened.lanes, opened.id, input.workers, device);
  }
  return absl::OkStatus();
}

absl::Status Compiler::AddQueues(const CompileInput& input,
                                 Snapshot& snapshot) {
  ServiceQueue& kernel = At(snapshot.queues, kKernelQueue);
  kernel.in_use = true;
  kernel.alive = true;
  kernel.reachable = true;
  kernel.name = "kernel";
  for (const api::Uplink& uplink : input.config->uplinks()) {
    const auto open = input.uplinks->find(uplink.name());
    if (open == input.uplinks->end()) continue;
    kernel.device = open->second.id;
    break;
  }
  for (const api::Queue& queue : input.config->queues()) {
    const auto number = queues_.NumberOf(queue.name(), input.judged);
    if (!number.ok()) return number.status();
    // While its device is being opened anew a queue keeps its flows.
    ServiceQueue& out = At(snapshot.queues, *number);
    out.in_use = true;
    out.name = queue.name();
    out.flow_limit = queue.limits().flows();
    out.rate_limit = queue.limits().rate();
    const auto open = input.queues->find(queue.name());
    if (open == input.queues->end()) {
      out.reachable = true;
      continue;
    }
    const OpenQueue& device = open->second;
    out.device = device.id;
    if (device.far_end.has_value()) {
      out.far_end = AdjacencyOf({device.id, IpAddress{}}, snapshot);
      Resolve(out.far_end, *device.far_end, snapshot);
    }
    const auto liveness = input.liveness->find(queue.name());
    const bool known = liveness != input.liveness->end();
    out.alive = known && liveness->second.alive;
    out.reachable = known && liveness->second.reachable;
  }
  return absl::OkStatus();
}

std::shared_ptr<const QueueGroup> Compiler::GroupOf(
    const std::vector<QueueGroup::Member>& members) {
  std::weak_ptr<const QueueGroup>& cached = groups_[members];
  std::shared_ptr<const QueueGroup> group = cached.lock();
  if (group == nullptr) {
    group = std::make_shared<const QueueGroup>(members);
    cached = group;
  }
  return group;
}

void Compiler::JoinQueues(const api::Service& service, Service& out,
                          Snapshot& snapshot) {
  std::vector<QueueGroup::Member> members;
  for (const api::QueueRef& ref : service.queues()) {
    const QueueId queue = QueueNumber(ref.queue());
    const ServiceQueue* known = snapshot.Queue(queue);
    if (known == nullptr) continue;
    out.queues.push_back(queue);
    snapshot.queues[queue].originate = OriginateOf(service.originate());
    if (known->alive) {
      members.push_back({queue, ref.has_weight() ? ref.weight() : 1});
    }
  }
  std::sort(members.begin(), members.end());
  out.group = GroupOf(members);
}

absl::Status Compiler::AddServices(const CompileInput& input,
                                   Snapshot& snapshot) {
  std::map<IpAddress, ServiceAddress> addresses;
  std::vector<ServiceEndpoint> endpoints;
  for (const api::Service& service : input.config->services()) {
    const auto number = services_.NumberOf(service.name(), input.judged);
    if (!number.ok()) return number.status();
    const auto id = static_cast<ServiceId>(*number);
    Service& out = At(snapshot.services, id);
    out.in_use = true;
    out.name = service.name();
    out.affinity = service.affinity() == api::Service::CLIENT
                       ? Affinity::kClient
                       : Affinity::kFlow;
    out.replies = service.replies() == api::Service::TRACKED ? Replies::kTracked
                                                             : Replies::kTuple;
    JoinQueues(service, out, snapshot);
    for (const std::string& text : service.addresses()) {
      const IpAddress address = *IpAddress::Parse(text);
      ServiceAddress& at = addresses[address];
      at.address = address;
      at.any_service = id;
      at.services.push_back(id);
      at.silent = at.silent || service.unmatched() == api::Service::SILENT;
      AddEndpoints(service, address, id, endpoints);
    }
  }
  std::vector<ServiceAddress> list;
  for (auto& [address, at] : addresses) list.push_back(std::move(at));
  snapshot.service_table = ServiceTable(std::move(list), std::move(endpoints));
  // Groups that no snapshot holds any more.
  for (auto it = groups_.begin(); it != groups_.end();) {
    it = it->second.expired() ? groups_.erase(it) : std::next(it);
  }
  return absl::OkStatus();
}

absl::Status Compiler::NumberUnicast(const std::set<IpAddress>& wanted) {
  std::vector<IpAddress> known = unicast_;
  if (nat_ == nullptr) {
    // No worker has a flow yet, so what an earlier process had can go.
    for (IpAddress& address : known) {
      if (!wanted.contains(address)) address = IpAddress{};
    }
  }
  for (const IpAddress& address : wanted) {
    if (std::find(known.begin(), known.end(), address) != known.end()) continue;
    const auto free = nat_ == nullptr
                          ? std::find(known.begin(), known.end(), IpAddress{})
                          : known.end();
    if (free != known.end()) {
      *free = address;
    } else {
      known.push_back(address);
    }
  }
  if (known.size() > kMaxUnicast) {
    return absl::ResourceExhaustedError(
        absl::StrCat("node.unicast: more than ", kMaxUnicast,
                     " different addresses since the start"));
  }
  unicast_ = std::move(known);
  return absl::OkStatus();
}

absl::Status Compiler::AddNat(const CompileInput& input, Snapshot& snapshot) {
  const api::Egress& egress = input.config->egress();
  auto nat = std::make_shared<NatConfig>();
  nat->mapping = egress.mapping() == api::Egress::ENDPOINT_INDEPENDENT
                     ? Mapping::kEndpointIndependent
                     : Mapping::kPerDestination;
  nat->timeouts.tcp_established = Ticks(egress.timeouts().tcp_established());
  nat->timeouts.tcp_transitory = Ticks(egress.timeouts().tcp_transitory());
  nat->timeouts.udp = Ticks(egress.timeouts().udp());
  nat->timeouts.icmp = Ticks(egress.timeouts().icmp());
  nat->rest = Ticks(egress.rest());
  nat->mappings_told = egress.log().mappings();
  for (const std::string& prefix : egress.direct()) {
    nat->direct.push_back(Prefix::Parse(prefix)->Masked());
  }
  std::set<IpAddress> wanted;
  for (const std::string& text : input.config->node().unicast()) {
    wanted.insert(*IpAddress::Parse(text));
  }
  const absl::Status numbered = NumberUnicast(wanted);
  if (!numbered.ok()) return numbered;
  for (const IpAddress& address : unicast_) {
    nat->unicast.push_back(wanted.contains(address) ? address : IpAddress{});
  }
  if (nat_ != nullptr && plan_l4ports_ == input.egress->l4ports &&
      plan_icmp_ids_ == input.egress->icmp_ids) {
    nat->l4ports = nat_->l4ports;
    nat->icmp_ids = nat_->icmp_ids;
  } else {
    const NatConfig none;
    const NatConfig& before = nat_ == nullptr ? none : *nat_;
    nat->l4ports =
        L4PortPlan(input.egress->l4ports, input.workers, before.l4ports);
    nat->icmp_ids =
        L4PortPlan(input.egress->icmp_ids, input.workers, before.icmp_ids);
    plan_l4ports_ = input.egress->l4ports;
    plan_icmp_ids_ = input.egress->icmp_ids;
    ++plan_version_;
  }
  if (nat_ == nullptr || nat_->unicast != nat->unicast) ++plan_version_;
  nat->plan_version = plan_version_;
  nat->Remember(nat_.get());
  if (nat_ == nullptr) {
    nat->direct_used |= rules_used_.direct;
    nat->per_destination_used |= rules_used_.per_destination;
    nat->endpoint_independent_used |= rules_used_.endpoint_independent;
  }
  nat_ = nat;
  snapshot.nat = nat;
  return absl::OkStatus();
}

// Their flows end under this generation: the epoch moves with a configuration.
void Compiler::ForgetRemoved(const api::Config& config) {
  std::set<std::string> names;
  for (const api::Service& service : config.services()) {
    names.insert(service.name());
  }
  services_.ForgetAllBut(names, generation_ + 1);
  names.clear();
  for (const api::Queue& queue : config.queues()) names.insert(queue.name());
  queues_.ForgetAllBut(names, generation_ + 1);
}

absl::StatusOr<std::unique_ptr<Snapshot>> Compiler::Compile(
    const CompileInput& input) {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->workers = input.workers;
  snapshot->devices.resize(1);
  snapshot->adjacencies.resize(1);
  snapshot->queues.resize(kKernelQueue + 1);
  snapshot->services.resize(1);
  absl::Status status = AddDevices(input, *snapshot);
  if (status.ok()) status = AddQueues(input, *snapshot);
  if (status.ok()) status = AddServices(input, *snapshot);
  if (status.ok()) status = AddNat(input, *snapshot);
  if (!status.ok()) return status;
  if (input.config_changed) ForgetRemoved(*input.config);
  AddNeighbours(input, *snapshot);
  const bool rerouted = AddRoutes(input, *snapshot);
  // Adjacencies that nobody names any more; their numbers may come again
  // because the epoch moves with the set.
  std::set<NeighbourKey> named;
  for (auto it = adjacencies_.begin(); it != adjacencies_.end();) {
    const bool in_use = it->second < snapshot->adjacencies.size() &&
                        snapshot->adjacencies[it->second].device != kNoDevice;
    if (in_use) named.insert(it->first);
    it = in_use ? std::next(it) : adjacencies_.erase(it);
  }
  // What a dead queue was given is steered again.
  std::vector<bool> reachable;
  for (const ServiceQueue& queue : snapshot->queues) {
    reachable.push_back(queue.reachable);
  }
  if (input.config_changed || named != last_neighbours_ || rerouted ||
      reachable != reachable_) {
    ++epoch_;
  }
  reachable_ = std::move(reachable);
  last_neighbours_ = std::move(named);
  snapshot->epoch = epoch_;
  snapshot->generation = ++generation_;
  return snapshot;
}

}  // namespace godwit
