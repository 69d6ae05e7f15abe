// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/defaults.h"

#include <google/protobuf/duration.pb.h>

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

google::protobuf::Duration Seconds(int64_t seconds) {
  google::protobuf::Duration duration;
  duration.set_seconds(seconds);
  return duration;
}

void FillDataplane(api::Dataplane& dataplane) {
  if (!dataplane.has_idle()) dataplane.set_idle(api::Dataplane::POLL);
  if (!dataplane.has_hugepages()) {
    dataplane.set_hugepages(api::Dataplane::AUTO);
  }
  if (!dataplane.has_max_flows()) dataplane.set_max_flows(1'048'576);
}

void FillKernelNames(api::Config& config) {
  std::set<std::string> taken;
  for (const api::Uplink& uplink : config.uplinks()) {
    taken.insert(uplink.kernel());
  }
  int next = 0;
  for (api::Uplink& uplink : *config.mutable_uplinks()) {
    if (uplink.has_kernel() || absl::StartsWith(uplink.device(), "xdp:")) {
      continue;
    }
    while (taken.contains(absl::StrCat("gw", next))) ++next;
    uplink.set_kernel(absl::StrCat("gw", next++));
  }
}

void FillUplink(api::Uplink& uplink) {
  if (!uplink.has_martians()) uplink.set_martians(api::Uplink::BASIC);
  if (!uplink.has_hop()) uplink.set_hop(api::HOST);
}

void FillHealth(api::Health& health) {
  if (!health.has_interval()) *health.mutable_interval() = Seconds(1);
  if (!health.has_timeout()) {
    health.mutable_timeout()->set_nanos(500'000'000);
  }
  if (!health.has_rise()) health.set_rise(2);
  if (!health.has_fall()) health.set_fall(3);
}

void FillQueue(api::Queue& queue) {
  if (!queue.has_hop()) queue.set_hop(api::HOST);
  if (!queue.has_drained()) queue.set_drained(false);
  if (queue.has_health()) FillHealth(*queue.mutable_health());
}

void FillService(api::Service& service) {
  for (api::QueueRef& ref : *service.mutable_queues()) {
    if (!ref.has_weight()) ref.set_weight(1);
  }
  if (!service.has_affinity()) service.set_affinity(api::Service::FLOW);
  if (!service.has_replies()) service.set_replies(api::Service::TUPLE);
  if (!service.has_originate()) service.set_originate(api::Service::UNICAST);
  if (!service.has_unmatched()) service.set_unmatched(api::Service::REJECT);
}

void FillTimeouts(api::Timeouts& timeouts) {
  if (!timeouts.has_tcp_established()) {
    *timeouts.mutable_tcp_established() = Seconds(7440);
  }
  if (!timeouts.has_tcp_transitory()) {
    *timeouts.mutable_tcp_transitory() = Seconds(240);
  }
  if (!timeouts.has_udp()) *timeouts.mutable_udp() = Seconds(300);
  if (!timeouts.has_icmp()) *timeouts.mutable_icmp() = Seconds(60);
}

void FillEgress(api::Egress& egress) {
  if (!egress.has_ports()) egress.set_ports("auto");
  if (!egress.has_mapping()) egress.set_mapping(api::Egress::PER_DESTINATION);
  FillTimeouts(*egress.mutable_timeouts());
  if (!egress.has_rest()) *egress.mutable_rest() = Seconds(0);
  api::EgressLog& log = *egress.mutable_log();
  if (!log.has_mappings()) log.set_mappings(false);
  if (!log.has_rate()) log.set_rate(1000);
}

void FillAnnounce(api::Announce& announce) {
  if (!announce.has_table()) announce.set_table(7480);
  if (!announce.has_hold()) *announce.mutable_hold() = Seconds(1);
  if (!announce.has_linger()) *announce.mutable_linger() = Seconds(5);
  if (!announce.has_metric()) announce.set_metric(100);
  if (!announce.has_damping()) *announce.mutable_damping() = Seconds(60);
}

void FillControl(api::Control& control) {
  if (!control.has_socket()) control.set_socket("/run/godwit/control.sock");
  if (!control.has_mode()) control.set_mode("0660");
}

}  // namespace

api::Config WithDefaults(api::Config config) {
  if (!config.has_version()) config.set_version(1);
  FillDataplane(*config.mutable_dataplane());
  FillKernelNames(config);
  for (api::Uplink& uplink : *config.mutable_uplinks()) FillUplink(uplink);
  for (api::Queue& queue : *config.mutable_queues()) FillQueue(queue);
  for (api::Service& service : *config.mutable_services()) FillService(service);
  FillEgress(*config.mutable_egress());
  if (config.has_announce()) FillAnnounce(*config.mutable_announce());
  if (!config.metrics().has_listen()) {
    config.mutable_metrics()->set_listen("127.0.0.1:9467");
  }
  FillControl(*config.mutable_control());
  return config;
}

}  // namespace godwit
