// SPDX-License-Identifier: BSD-3-Clause
// What is: status, lists, counters.
#include <rte_lcore.h>
#include <rte_version.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/ownership/interfaces.h"
#include "control/server/control_thread.h"
#include "control/server/version.h"

namespace godwit {
namespace {

uint64_t Of(const Counts& counts, Verdict verdict) {
  return counts.verdicts[static_cast<size_t>(verdict)];
}

// Of a queue or an uplink.
template <class Report>
void FillCounts(const DeviceCounts& seen, Report& out) {
  out.set_rx_packets(seen.received);
  out.set_rx_bytes(seen.received_bytes);
  out.set_tx_packets(seen.sent);
  out.set_tx_bytes(seen.sent_bytes);
  out.set_tx_drops(seen.dropped);
}

void AddDriver(const std::string& device, const DriverCounters& counters,
               google::protobuf::Map<std::string, uint64_t>& out) {
  out[device + ".rx_missed"] = counters.rx_missed;
  out[device + ".rx_errors"] = counters.rx_errors;
  out[device + ".rx_no_mbuf"] = counters.rx_no_mbuf;
  out[device + ".tx_errors"] = counters.tx_errors;
}

// Interfaces that others have made have their far end, or lack it. A pair, a
// TAP or a socket of ours gets one when somebody attaches to it.
bool AwaitsItsFarEnd(const OpenDevice& device) {
  const DeviceSpec::Kind kind = device.spec.kind;
  return !device.had_link && kind != DeviceSpec::Kind::kPci &&
         kind != DeviceSpec::Kind::kXdp && kind != DeviceSpec::Kind::kAfPacket;
}

}  // namespace

absl::StatusOr<api::StatusReply> ControlThread::Status(
    const api::StatusRequest&) {
  return Do([this]() -> absl::StatusOr<api::StatusReply> {
    api::StatusReply reply;
    const std::unique_ptr<Counts> counts = options_.workers->ReadCounters();
    reply.set_reason(WhyNotReady());
    reply.set_ready(reply.reason().empty());
    reply.set_generation(generation_);
    reply.set_node(full_.node().name());
    reply.set_version(kVersion);
    reply.set_uptime_s(
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                  Clock::now() - started_)
                                  .count()));
    Fill(*reply.mutable_config());
    for (const api::Uplink& uplink : full_.uplinks()) {
      Fill(uplink, *counts, *reply.add_uplinks());
    }
    for (const api::Queue& queue : full_.queues()) {
      Fill(queue, *counts, *reply.add_queues());
    }
    if (!KernelQueuePath(full_).empty())
      FillKernelQueue(*counts, *reply.add_queues());
    for (const api::Service& service : full_.services()) {
      Fill(service, *reply.add_services());
    }
    for (const std::string& address : full_.node().unicast()) {
      *reply.add_unicast() = address;
    }
    uint64_t flows = 0;
    for (unsigned i = 0; i < options_.workers->workers(); ++i) {
      api::WorkerStatus& worker = *reply.add_workers();
      worker.set_id(i);
      worker.set_cpu(
          static_cast<uint32_t>(rte_lcore_to_cpu_id(static_cast<int>(i + 1))));
      worker.set_flows(options_.workers->FlowsInUse(i));
      worker.set_max_flows(options_.workers->max_flows() /
                           options_.workers->workers());
      worker.set_turns(options_.workers->TurnsOf(i));
      worker.set_busy(options_.workers->BusyShareOf(i));
      flows += worker.flows();
    }
    reply.set_flows(flows);
    reply.set_max_flows(options_.workers->max_flows());
    return reply;
  });
}

std::string ControlThread::WhyNotReady() const {
  if (!ready_) return "it starts or stops";
  std::vector<std::string> down;
  for (const auto& [name, device] : uplinks_) {
    if (device->link_up || AwaitsItsFarEnd(*device)) return "";
    down.push_back(name);
  }
  if (down.empty()) return "";
  return absl::StrCat("no uplink has a link: ", absl::StrJoin(down, ", "));
}

absl::StatusOr<api::VersionReply> ControlThread::Version(
    const api::VersionRequest&) {
  api::VersionReply reply;
  reply.set_version(kVersion);
  reply.set_dpdk(rte_version());
  reply.set_compiler(__VERSION__);
  reply.set_config_version(1);
  reply.set_pid(static_cast<uint32_t>(getpid()));
  return reply;
}

void ControlThread::Fill(const api::Service& service,
                         api::ServiceStatus& out) const {
  out.set_name(service.name());
  *out.mutable_addresses() = service.addresses();
  *out.mutable_ports() = service.ports();
  *out.mutable_queues() = service.queues();
  out.set_affinity(service.affinity());
  out.set_replies(service.replies());
  out.set_originate(service.originate());
  out.set_unmatched(service.unmatched());
  const ServiceLife life = LifeOf(service, liveness_);
  out.set_state(life.alive > 0 ? "up" : life.drained > 0 ? "draining" : "down");
  if (life.alive == 0) out.set_reason(life.reason);
  const std::string why_not = announcing_.WhyNot(full_, service, Clock::now());
  out.set_announced(why_not.empty());
  out.set_announced_reason(why_not);
  FlowFilter filter;
  filter.service = compiler_.ServiceNumber(service.name());
  if (const godwit::Service* known = snapshot_->ServiceOf(filter.service)) {
    filter.queues = known->queues;
    std::sort(filter.queues.begin(), filter.queues.end());
  }
  uint64_t inbound = 0;
  uint64_t matched = 0;
  for (const auto& command :
       options_.workers->Ask(Command::Kind::kList, filter, 0)) {
    inbound += command->inbound;
    matched += command->matched;
  }
  out.set_inbound_flows(inbound);
  out.set_originated_flows(matched - inbound);
}

void ControlThread::Fill(const api::Queue& queue, const Counts& counts,
                         api::QueueStatus& out) const {
  out.set_name(queue.name());
  out.set_device(queue.device());
  out.set_netns(queue.netns());
  out.set_drained(queue.drained());
  out.set_hop(queue.hop());
  *out.mutable_limits() = queue.limits();
  if (queue.has_health()) *out.mutable_health() = queue.health();
  for (const api::Service& service : full_.services()) {
    for (const api::QueueRef& ref : service.queues()) {
      if (ref.queue() != queue.name()) continue;
      *out.add_services() = service.name();
      out.set_originate(service.originate());
    }
  }
  const auto liveness = liveness_.find(queue.name());
  const bool alive = liveness != liveness_.end() && liveness->second.alive;
  out.set_state(alive ? "up" : queue.drained() ? "drained" : "down");
  if (!alive && liveness != liveness_.end()) {
    out.set_reason(liveness->second.reason);
  }
  if (out.reason().empty())
    out.set_reason(drains_.TextOf(queue.name(), Clock::now()));
  const auto open = queues_.find(queue.name());
  if (open == queues_.end()) return;
  const OpenDevice& device = *open->second;
  out.set_driver(device.port->driver());
  out.set_mac(MacToString(device.mac));
  out.set_mtu(device.mtu);
  out.set_rxqs(static_cast<uint32_t>(device.port->rxqs().size()));
  out.set_txqs(static_cast<uint32_t>(device.port->txqs().size()));
  FillCounts(counts.devices[device.id], out);
  const QueueId number = compiler_.QueueNumber(queue.name());
  out.set_inbound_flows(options_.workers->InboundOf(number));
  out.set_originated_flows(options_.workers->MappingsOf(number));
}

void ControlThread::FillKernelQueue(const Counts& counts,
                                    api::QueueStatus& out) const {
  out.set_name(kKernelQueueName);
  for (const api::Service& service : full_.services()) {
    for (const api::QueueRef& ref : service.queues()) {
      if (ref.queue() != kKernelQueueName) continue;
      *out.add_services() = service.name();
      out.set_originate(service.originate());
    }
  }
  std::vector<std::string> taps;
  for (const auto& [name, device] : uplinks_) {
    taps.push_back(device->tap_name);
    const DeviceCounts& seen = counts.devices[device->tap_id];
    out.set_rx_packets(out.rx_packets() + seen.received);
    out.set_rx_bytes(out.rx_bytes() + seen.received_bytes);
    out.set_tx_packets(out.tx_packets() + seen.sent);
    out.set_tx_bytes(out.tx_bytes() + seen.sent_bytes);
    out.set_tx_drops(out.tx_drops() + seen.dropped);
  }
  out.set_device(absl::StrJoin(taps, ","));
  out.set_state(taps.empty() ? "down" : "up");
  if (taps.empty()) out.set_reason("no uplink is open");
  out.set_inbound_flows(options_.workers->InboundOf(kKernelQueue));
  out.set_originated_flows(options_.workers->MappingsOf(kKernelQueue));
}

void ControlThread::Fill(const api::Uplink& uplink, const Counts& counts,
                         api::UplinkStatus& out) const {
  out.set_name(uplink.name());
  out.set_device(uplink.device());
  out.set_vlan(uplink.vlan());
  *out.mutable_addresses() = uplink.addresses();
  *out.mutable_gateway() = uplink.gateway();
  out.set_martians(uplink.martians());
  out.set_hop(uplink.hop());
  const auto open = uplinks_.find(uplink.name());
  if (open == uplinks_.end()) {
    out.set_state("down");
    out.set_reason("its device is not open");
    return;
  }
  const OpenDevice& device = *open->second;
  out.set_state(device.link_up ? "up" : "down");
  if (!device.link_up) out.set_reason("no link");
  out.set_driver(device.port->driver());
  out.set_mac(MacToString(device.mac));
  out.set_mtu(device.mtu);
  out.set_speed_mbps(device.port->speed_mbps());
  out.set_numa_node(device.port->numa());
  out.set_kernel(device.kernel_interface);
  out.set_rxqs(static_cast<uint32_t>(device.port->rxqs().size()));
  out.set_txqs(static_cast<uint32_t>(device.port->txqs().size()));
  out.set_mode(absl::StrCat("software (", device.port->rss(), ")"));
  if (device.port->rx_checksum()) *out.add_offloads() = "rx-checksum";
  if (device.steering != nullptr) {
    out.set_xdp_mode(device.steering->mode() == XdpMode::kNative ? "native"
                                                                 : "generic");
  }
  const DeviceCounts& seen = counts.devices[device.id];
  FillCounts(seen, out);
  if (seen.received != 0) {
    out.set_handoff_share(static_cast<double>(seen.handed_over) /
                          static_cast<double>(seen.received));
  }
}

absl::StatusOr<api::ServiceListReply> ControlThread::ServiceList(
    const api::ServiceListRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ServiceListReply> {
    api::ServiceListReply reply;
    for (const api::Service& service : full_.services()) {
      if (!request.name().empty() && request.name() != service.name()) continue;
      Fill(service, *reply.add_services());
    }
    if (!request.name().empty() && reply.services().empty()) {
      return absl::NotFoundError(absl::StrCat(
          "service \"", request.name(), "\": this node has no such service"));
    }
    return reply;
  });
}

absl::StatusOr<api::QueueListReply> ControlThread::QueueList(
    const api::QueueListRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::QueueListReply> {
    api::QueueListReply reply;
    const std::unique_ptr<Counts> counts = options_.workers->ReadCounters();
    for (const api::Queue& queue : full_.queues()) {
      if (!request.name().empty() && request.name() != queue.name()) continue;
      Fill(queue, *counts, *reply.add_queues());
    }
    if (request.name() == kKernelQueueName ||
        (request.name().empty() && !KernelQueuePath(full_).empty())) {
      FillKernelQueue(*counts, *reply.add_queues());
    }
    if (!request.name().empty() && reply.queues().empty()) {
      return absl::NotFoundError(absl::StrCat(
          "queue \"", request.name(), "\": this node has no such queue"));
    }
    return reply;
  });
}

absl::StatusOr<api::UplinkListReply> ControlThread::UplinkList(
    const api::UplinkListRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::UplinkListReply> {
    api::UplinkListReply reply;
    const std::unique_ptr<Counts> counts = options_.workers->ReadCounters();
    for (const api::Uplink& uplink : full_.uplinks()) {
      if (!request.name().empty() && request.name() != uplink.name()) continue;
      Fill(uplink, *counts, *reply.add_uplinks());
    }
    if (!request.name().empty() && reply.uplinks().empty()) {
      return absl::NotFoundError(absl::StrCat(
          "uplink \"", request.name(), "\": this node has no such uplink"));
    }
    return reply;
  });
}

absl::StatusOr<api::CountersReply> ControlThread::Counters(
    const api::CountersRequest&) {
  return Do([this]() -> absl::StatusOr<api::CountersReply> {
    const std::unique_ptr<Counts> counts = options_.workers->ReadCounters();
    api::CountersReply reply;
    reply.set_received(counts->received);
    reply.set_generated(counts->generated);
    reply.set_delivered(Of(*counts, Verdict::kDelivered));
    reply.set_sent(Of(*counts, Verdict::kSent));
    reply.set_punted(Of(*counts, Verdict::kPunted));
    reply.set_consumed(Of(*counts, Verdict::kConsumed));
    reply.set_held(counts->Held());
    for (size_t i = 0; i < kVerdicts; ++i) {
      const auto verdict = static_cast<Verdict>(i);
      if (!IsDrop(verdict) || verdict == Verdict::kDropParse) continue;
      const std::string_view name = VerdictName(verdict);
      (*reply.mutable_dropped())[std::string(name)] = counts->verdicts[i];
    }
    for (const DeviceMap* devices : {&uplinks_, &queues_}) {
      for (const auto& [name, device] : *devices) {
        AddDriver(name, device->port->counters(), *reply.mutable_driver());
        if (device->tap == nullptr) continue;
        AddDriver(device->tap_name, device->tap->counters(),
                  *reply.mutable_driver());
      }
    }
    auto& events = *reply.mutable_events();
    events["flows_evicted"] = options_.workers->Evicted();
    events["questions_lost"] = options_.workers->EventsLost();
    events["mapping_lines_lost"] =
        mapping_lines_.left_out() + options_.workers->MappingsLost();
    events["arp_conflict"] = defence_.conflicts();
    events["arp_refused"] = defence_.refused();
    if (announcing_.announcer()) {
      events["routes_announced"] = announcing_.announcer()->announcements();
      events["routes_withdrawn"] = announcing_.announcer()->withdrawals();
    }
    for (const auto& [name, device] : uplinks_) {
      if (device->steering == nullptr) continue;
      const auto egress = device->steering->egress_counters();
      if (egress.ok()) {
        events[name + ".kernel_leak_prevented"] = egress->leak_prevented;
      }
      const auto steer = device->steering->steer_counters();
      if (steer.ok()) {
        events[name + ".xdp_passed"] = steer->passed;
        events[name + ".xdp_redirected"] = steer->redirected;
        events[name + ".xdp_dropped"] = steer->dropped;
      }
    }
    return reply;
  });
}

}  // namespace godwit
