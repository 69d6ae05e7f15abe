// SPDX-License-Identifier: BSD-3-Clause
// flow list, count, flush; the tables that flows are made by: mappings,
// neighbours, routes; what the log says of flows by itself.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "control/server/control_thread.h"
#include "control/server/log.h"
#include "dataplane/net/headers.h"
#include "dataplane/table/token_bucket.h"

namespace godwit {
namespace {

constexpr auto kTick =
    std::chrono::milliseconds(1000 / TokenBucket::kTicksPerSecond);
constexpr auto kRoomPeriod = std::chrono::seconds(1);
constexpr auto kBetweenFew = std::chrono::minutes(1);
constexpr uint64_t kListLimit = 100'000;

std::string ProtoName(uint8_t protocol) {
  switch (protocol) {
    case kProtoTcp:
      return "tcp";
    case kProtoUdp:
      return "udp";
    case kProtoIcmp:
    case kProtoIcmpv6:
      return "icmp";
    default:
      return absl::StrCat(protocol);
  }
}

absl::StatusOr<uint8_t> ProtoOf(const std::string& name) {
  if (name == "tcp") return kProtoTcp;
  if (name == "udp") return kProtoUdp;
  if (name == "icmp") return kProtoIcmp;
  return absl::InvalidArgumentError(
      absl::StrCat("proto \"", name, "\": tcp, udp or icmp"));
}

std::string StateName(const Flow& flow) {
  if (flow.protocol == kProtoTcp) {
    return std::string(TcpStateName(flow.tcp_state));
  }
  return flow.answered ? "answered" : "unanswered";
}

}  // namespace

std::string ControlThread::QueueName(QueueId id) const {
  const ServiceQueue* queue = snapshot_->Queue(id);
  return queue == nullptr ? "" : queue->name;
}

std::string ControlThread::ServiceName(ServiceId id) const {
  const godwit::Service* service = snapshot_->ServiceOf(id);
  return service == nullptr ? "" : service->name;
}

absl::StatusOr<FlowFilter> ControlThread::FilterOf(
    const api::FlowFilter& asked) const {
  FlowFilter filter;
  if (!asked.service().empty()) {
    filter.service = compiler_.ServiceNumber(asked.service());
    const godwit::Service* service = snapshot_->ServiceOf(filter.service);
    if (service == nullptr) {
      return absl::NotFoundError(absl::StrCat(
          "service \"", asked.service(), "\": this node has no such service"));
    }
    filter.queues = service->queues;
    std::sort(filter.queues.begin(), filter.queues.end());
  }
  if (!asked.client().empty()) {
    const auto prefix = Prefix::Parse(asked.client());
    if (!prefix.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("client \"", asked.client(),
                       "\": an address or a prefix, as 192.0.2.0/24"));
    }
    filter.by_client = true;
    filter.client = *prefix;
  }
  if (!asked.proto().empty()) {
    const auto protocol = ProtoOf(asked.proto());
    if (!protocol.ok()) return protocol.status();
    filter.protocol = *protocol;
  }
  return filter;
}

void ControlThread::Fill(const FlowRecord& record, unsigned worker,
                         api::Flow& out) const {
  const Flow& flow = record.flow;
  const bool inbound = flow.kind == FlowKind::kInbound;
  out.set_kind(inbound ? "inbound" : "originated");
  out.set_proto(ProtoName(flow.protocol));
  out.set_queue(QueueName(flow.queue));
  if (inbound) {
    out.set_service(ServiceName(flow.service));
  } else {
    // The first service of the queue: what originates has no other name.
    for (size_t id = 1; id < snapshot_->services.size(); ++id) {
      const godwit::Service& service = snapshot_->services[id];
      if (service.in_use &&
          std::find(service.queues.begin(), service.queues.end(), flow.queue) !=
              service.queues.end()) {
        out.set_service(service.name);
        break;
      }
    }
  }
  out.set_local(AddressAndPort{flow.local, flow.local_l4port}.ToString());
  out.set_remote(AddressAndPort{flow.remote, flow.remote_l4port}.ToString());
  if (!inbound && flow.source_rule == SourceRule::kTranslated) {
    out.set_translated(
        AddressAndPort{record.external, flow.external_l4port}.ToString());
  }
  out.set_state(StateName(flow));
  out.set_idle_s(record.idle / 10.0);
  const auto left =
      static_cast<int32_t>(flow.deadline - options_.workers->clock().Now());
  out.set_expires_s(left > 0 ? left / 10.0 : 0);
  out.set_worker(worker);
}

absl::StatusOr<api::FlowListReply> ControlThread::FlowList(
    const api::FlowListRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::FlowListReply> {
    const auto filter = FilterOf(request.filter());
    if (!filter.ok()) return filter.status();
    const uint64_t asked = request.filter().limit();
    const uint64_t limit =
        asked == 0 ? kListLimit : std::min(asked, kListLimit);
    const auto commands =
        options_.workers->Ask(Command::Kind::kList, *filter, limit);
    api::FlowListReply reply;
    uint64_t total = 0;
    for (unsigned worker = 0; worker < commands.size(); ++worker) {
      total += commands[worker]->matched;
      for (const FlowRecord& record : commands[worker]->records) {
        if (static_cast<uint64_t>(reply.flows_size()) == limit) break;
        Fill(record, worker, *reply.add_flows());
      }
    }
    reply.set_total(total);
    return reply;
  });
}

absl::StatusOr<api::FlowCountReply> ControlThread::FlowCount(
    const api::FlowCountRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::FlowCountReply> {
    const auto filter = FilterOf(request.filter());
    if (!filter.ok()) return filter.status();
    api::FlowCountReply reply;
    for (const auto& command :
         options_.workers->Ask(Command::Kind::kList, *filter, 0)) {
      reply.set_inbound(reply.inbound() + command->inbound);
      reply.set_originated(reply.originated() + command->matched -
                           command->inbound);
      reply.set_count(reply.count() + command->matched);
    }
    return reply;
  });
}

absl::StatusOr<api::FlowFlushReply> ControlThread::FlowFlush(
    const api::FlowFlushRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::FlowFlushReply> {
    const auto filter = FilterOf(request.filter());
    if (!filter.ok()) return filter.status();
    uint64_t flushed = 0;
    for (const auto& command :
         options_.workers->Ask(Command::Kind::kFlush, *filter, 0)) {
      flushed += command->matched;
    }
    api::FlowFlushReply reply;
    reply.set_generation(generation_);
    reply.set_flushed(flushed);
    reply.set_message(absl::StrCat("ok, ", flushed, " flows ended"));
    return reply;
  });
}

absl::StatusOr<api::ExplainReply> ControlThread::Explain(
    const api::ExplainRequest& request) {
  return Do([this, request]() { return ExplainHere(request); });
}

absl::StatusOr<api::EgressShowReply> ControlThread::EgressShow(
    const api::EgressShowRequest&) {
  return Do([this]() -> absl::StatusOr<api::EgressShowReply> {
    api::EgressShowReply reply;
    *reply.mutable_egress() = full_.egress();
    const std::unique_ptr<Counts> counts = options_.workers->ReadCounters();
    const std::vector<IpAddress>& known = snapshot_->nat->unicast;
    const std::vector<uint64_t> mappings = options_.workers->MappingsAt(known);
    for (const std::string& text : full_.node().unicast()) {
      const IpAddress own = *IpAddress::Parse(text);
      api::EgressAddress& address = *reply.add_addresses();
      address.set_address(text);
      address.set_ports(L4PortRanges(egress_.l4ports));
      address.set_l4ports(egress_.l4ports.size());
      const auto id = static_cast<size_t>(
          std::find(known.begin(), known.end(), own) - known.begin());
      if (id < known.size()) {
        address.set_mappings(mappings[id]);
        address.set_exhausted(counts->no_l4port[id]);
      }
      *address.mutable_reserved() = full_.egress().reserved();
    }
    return reply;
  });
}

absl::StatusOr<api::NeighborListReply> ControlThread::NeighborList(
    const api::NeighborListRequest&) {
  return Do([this]() -> absl::StatusOr<api::NeighborListReply> {
    api::NeighborListReply reply;
    for (const NeighbourEntry& seen : observation_->neighbours) {
      for (const auto& [name, device] : uplinks_) {
        if (device->kernel_ifindex != seen.ifindex) continue;
        api::Neighbor& out = *reply.add_neighbors();
        out.set_address(seen.address.ToString());
        if (seen.usable()) out.set_mac(MacToString(seen.mac));
        out.set_device(name);
        out.set_interface(device->kernel_interface);
        out.set_state(seen.silent ? "silent" : NeighbourStateName(seen.state));
      }
    }
    for (const Compiler::LearnedNeighbour& heard : compiler_.learned()) {
      for (const auto& [name, device] : queues_) {
        if (device->id != heard.device) continue;
        api::Neighbor& out = *reply.add_neighbors();
        out.set_address(heard.address.ToString());
        out.set_mac(MacToString(heard.mac));
        out.set_device(name);
        out.set_state("reachable");
      }
    }
    return reply;
  });
}

absl::StatusOr<api::RouteListReply> ControlThread::RouteList(
    const api::RouteListRequest&) {
  return Do([this]() -> absl::StatusOr<api::RouteListReply> {
    api::RouteListReply reply;
    for (const RouteEntry& route : observation_->routes) {
      if (route.table != 254) continue;
      for (const NextHop& hop : route.next_hops) {
        for (const auto& [name, device] : uplinks_) {
          if (device->kernel_ifindex != hop.ifindex) continue;
          api::Route& out = *reply.add_routes();
          out.set_prefix(route.prefix.ToString());
          out.set_kind(hop.gateway.has_value() ? "next-hop" : "connected");
          if (hop.gateway.has_value()) out.set_via(hop.gateway->ToString());
          out.set_device(name);
          out.set_interface(device->kernel_interface);
          out.set_metric(route.metric);
          out.set_weight(hop.weight);
          out.set_source("kernel");
        }
      }
    }
    for (const api::Service& service : full_.services()) {
      for (const std::string& address : service.addresses()) {
        api::Route& out = *reply.add_routes();
        out.set_prefix(Prefix::Parse(address)->ToString());
        out.set_kind("service");
        out.set_device(service.name());
        out.set_source("godwit");
      }
    }
    return reply;
  });
}

// EXH-03: before it is refused to anybody.
void ControlThread::WatchRoom() {
  const Clock::time_point now = Clock::now();
  if (now < next_room_) return;
  next_room_ = now + kRoomPeriod;
  uint64_t used = 0;
  for (unsigned i = 0; i < options_.workers->workers(); ++i) {
    used += options_.workers->FlowsInUse(i);
  }
  const uint64_t most = options_.workers->max_flows();
  if (flow_room_.Rises(used, most)) {
    Log("flows: ", used, " of ", most, " entries are in use, four fifths");
  }
}

void ControlThread::TellMappings() {
  const Clock::time_point now = Clock::now();
  const auto wall = std::chrono::system_clock::now();
  const uint32_t tick = options_.workers->clock().Now();
  const uint32_t rate = full_.egress().log().rate();
  options_.workers->TakeMappings([&](const MappingRecord& record) {
    if (!mapping_lines_.Take(rate, now)) return;
    const auto& unicast = snapshot_->nat->unicast;
    // Of an address that was removed, the name has gone with it.
    const IpAddress given =
        record.unicast < unicast.size() ? unicast[record.unicast] : IpAddress{};
    const auto when = wall - kTick * static_cast<int32_t>(tick - record.tick);
    Log("mapping ", MappingText(record, when, QueueName(record.queue), given));
  });
  const uint64_t left_out = mapping_lines_.TakeLeftOut(now);
  if (left_out != 0) {
    Log("mappings: ", left_out, " lines left out: egress.log.rate is ", rate,
        " a second");
  }
}

void ControlThread::SayFewL4Ports(const IpAddress& remote) {
  const Clock::time_point now = Clock::now();
  if (now < next_few_) return;
  next_few_ = now + kBetweenFew;
  Log("egress: four fifths of a worker's l4ports towards ", remote.ToString(),
      " are in use");
}

}  // namespace godwit
