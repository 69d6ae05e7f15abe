// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/net/address.h"

namespace godwit {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// One family after another, samples added to the last one.
class Page {
 public:
  void Family(std::string name, MetricType type, std::string help) {
    MetricFamily family;
    family.name = std::move(name);
    family.type = type;
    family.help = std::move(help);
    families_.push_back(std::move(family));
  }
  void Gauge(std::string name, std::string help) {
    Family(std::move(name), MetricType::Gauge, std::move(help));
  }
  void Counter(std::string name, std::string help) {
    Family(std::move(name), MetricType::Counter, std::move(help));
  }

  void Add(double value, std::vector<ClientMetric::Label> labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (families_.back().type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    families_.back().metric.push_back(std::move(metric));
  }
  void Add(uint64_t value, std::vector<ClientMetric::Label> labels = {}) {
    Add(static_cast<double>(value), std::move(labels));
  }

  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<MetricFamily> families_;
};

using CountMap = google::protobuf::Map<std::string, uint64_t>;

void AddMap(Page& page, const std::string& label, const CountMap& counts) {
  for (const auto& [name, count] : counts) page.Add(count, {{label, name}});
}

void AddCounters(Page& page, const api::CountersReply& counters) {
  uint64_t dropped = 0;
  for (const auto& [reason, count] : counters.dropped()) dropped += count;
  page.Counter("godwit_received_packets_total",
               "Packets from uplinks and queues.");
  page.Add(counters.received());
  page.Counter("godwit_generated_packets_total",
               "Packets that godwit made itself: ICMP, ARP, ND, fragments.");
  page.Add(counters.generated());
  page.Counter("godwit_packets_total",
               "Packets by how they ended; with those held, all that were "
               "received or generated.");
  page.Add(counters.delivered(), {{"verdict", "delivered"}});
  page.Add(counters.sent(), {{"verdict", "sent"}});
  page.Add(counters.punted(), {{"verdict", "punted"}});
  page.Add(counters.consumed(), {{"verdict", "consumed"}});
  page.Add(dropped, {{"verdict", "dropped"}});
  page.Gauge("godwit_held_packets",
             "Packets between workers or waiting for a fragment.");
  page.Add(counters.held());
  page.Counter("godwit_dropped_packets_total", "Dropped packets by reason.");
  AddMap(page, "reason", counters.dropped());
  page.Counter("godwit_driver_total",
               "What drivers count beside the packets above.");
  AddMap(page, "counter", counters.driver());
  page.Counter("godwit_events_total",
               "What happened that is no packet's verdict.");
  AddMap(page, "event", counters.events());
}

void AddStatus(Page& page, const api::StatusReply& status) {
  page.Gauge("godwit_info", "The node and the version it runs; always 1.");
  page.Add(1.0, {{"node", status.node()}, {"version", status.version()}});
  page.Gauge("godwit_ready", "1 while packets flow.");
  page.Add(status.ready() ? 1.0 : 0.0);
  page.Gauge("godwit_generation", "Of the config in effect.");
  page.Add(status.generation());
  page.Gauge("godwit_uptime_seconds", "Since the process began.");
  page.Add(status.uptime_s());
  page.Gauge("godwit_flows", "Flow entries in use.");
  page.Add(status.flows());
  page.Gauge("godwit_max_flows", "Flow entries there are.");
  page.Add(status.max_flows());
  page.Gauge("godwit_worker_busy_ratio", "Share of turns that had packets.");
  for (const api::WorkerStatus& worker : status.workers()) {
    page.Add(worker.busy(), {{"worker", absl::StrCat(worker.id())}});
  }
  page.Gauge("godwit_worker_flows", "Flow entries in use by a worker.");
  for (const api::WorkerStatus& worker : status.workers()) {
    page.Add(worker.flows(), {{"worker", absl::StrCat(worker.id())}});
  }
}

void AddServices(Page& page, const api::StatusReply& status) {
  page.Gauge("godwit_service_up", "1 while the service has a live queue.");
  for (const api::ServiceStatus& service : status.services()) {
    page.Add(service.state() == "up" ? 1.0 : 0.0,
             {{"service", service.name()}});
  }
  page.Gauge("godwit_service_announced",
             "1 while all addresses of the service are routes.");
  for (const api::ServiceStatus& service : status.services()) {
    page.Add(service.announced() ? 1.0 : 0.0, {{"service", service.name()}});
  }
  page.Gauge("godwit_service_flows", "Flows of a service by kind.");
  for (const api::ServiceStatus& service : status.services()) {
    page.Add(service.inbound_flows(),
             {{"service", service.name()}, {"kind", "inbound"}});
    page.Add(service.originated_flows(),
             {{"service", service.name()}, {"kind", "originated"}});
  }
}

// What queues and uplinks both count. `what` is queue or uplink.
template <typename Devices>
void AddDevices(Page& page, const std::string& what, const Devices& devices) {
  const std::string prefix = absl::StrCat("godwit_", what, "_");
  page.Gauge(prefix + "up", "1 while packets can pass.");
  for (const auto& device : devices) {
    page.Add(device.state() == "up" ? 1.0 : 0.0, {{what, device.name()}});
  }
  const auto counter = [&](const std::string& name, const std::string& help,
                           auto value) {
    page.Counter(prefix + name, help);
    for (const auto& device : devices) {
      page.Add(uint64_t{(device.*value)()}, {{what, device.name()}});
    }
  };
  using Device = typename Devices::value_type;
  counter("rx_packets_total", "Packets taken from it.", &Device::rx_packets);
  counter("rx_bytes_total", "Bytes taken from it.", &Device::rx_bytes);
  counter("tx_packets_total", "Packets given to it.", &Device::tx_packets);
  counter("tx_bytes_total", "Bytes given to it.", &Device::tx_bytes);
  counter("tx_drops_total", "Packets that it would not take.",
          &Device::tx_drops);
}

void AddQueues(Page& page, const api::QueueListReply& list) {
  AddDevices(page, "queue", list.queues());
  page.Gauge("godwit_queue_drained", "1 while it takes no new flows.");
  for (const api::QueueStatus& queue : list.queues()) {
    page.Add(queue.drained() ? 1.0 : 0.0, {{"queue", queue.name()}});
  }
  page.Gauge("godwit_queue_flows", "Flows of a queue by kind.");
  for (const api::QueueStatus& queue : list.queues()) {
    page.Add(queue.inbound_flows(),
             {{"queue", queue.name()}, {"kind", "inbound"}});
    page.Add(queue.originated_flows(),
             {{"queue", queue.name()}, {"kind", "originated"}});
  }
}

void AddUplinks(Page& page, const api::UplinkListReply& list) {
  AddDevices(page, "uplink", list.uplinks());
  page.Gauge("godwit_uplink_handoff_ratio",
             "Share of its packets that another worker owns.");
  for (const api::UplinkStatus& uplink : list.uplinks()) {
    page.Add(uplink.handoff_share(), {{"uplink", uplink.name()}});
  }
}

void AddEgress(Page& page, const api::EgressShowReply& egress) {
  page.Gauge("godwit_egress_ports", "Ports to translate to.");
  for (const api::EgressAddress& address : egress.addresses()) {
    page.Add(address.l4ports(), {{"address", address.address()}});
  }
  page.Gauge("godwit_egress_mappings", "Live mappings.");
  for (const api::EgressAddress& address : egress.addresses()) {
    page.Add(address.mappings(), {{"address", address.address()}});
  }
  page.Counter("godwit_egress_exhausted_total",
               "Packets refused for want of a free port of this address.");
  for (const api::EgressAddress& address : egress.addresses()) {
    page.Add(address.exhausted(), {{"address", address.address()}});
  }
}

// Runs in the exposer's threads.
class NodeMetrics final : public prometheus::Collectable {
 public:
  explicit NodeMetrics(Node& node) : node_(node) {}

  std::vector<MetricFamily> Collect() const override {
    Page page;
    const auto counters = node_.Counters({});
    const auto status = node_.Status({});
    const auto queues = node_.QueueList({});
    const auto uplinks = node_.UplinkList({});
    const auto egress = node_.EgressShow({});
    // A part that can't be had is left out, and the page says so: a zero in
    // its place would be a lie that graphs believe.
    page.Gauge("godwit_scrape_ok", "1 if every part of this page is there.");
    page.Add(counters.ok() && status.ok() && queues.ok() && uplinks.ok() &&
                     egress.ok()
                 ? 1.0
                 : 0.0);
    if (counters.ok()) AddCounters(page, *counters);
    if (status.ok()) {
      AddStatus(page, *status);
      AddServices(page, *status);
    }
    if (queues.ok()) AddQueues(page, *queues);
    if (uplinks.ok()) AddUplinks(page, *uplinks);
    if (egress.ok()) AddEgress(page, *egress);
    return page.Take();
  }

 private:
  Node& node_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const api::Metrics& config, Node& node) {
  const std::string& listen = config.listen();
  if (listen.empty()) return nullptr;
  const std::optional<AddressAndPort> address = AddressAndPort::Parse(listen);
  // Debian builds the HTTP library without IPv6.
  if (!address.has_value() || !address->address.IsV4()) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics.listen: \"", listen,
                     "\" is not ADDRESS:PORT of IPv4, such as 127.0.0.1:9467"));
  }
  auto source = std::make_shared<NodeMetrics>(node);
  // prometheus-cpp says what is wrong by throwing; that ends here.
  try {
    constexpr size_t kThreads = 2;
    auto exposer = std::make_unique<prometheus::Exposer>(listen, kThreads);
    exposer->RegisterCollectable(source);
    return std::unique_ptr<MetricsServer>(
        new MetricsServer(std::move(source), std::move(exposer)));
  } catch (const std::exception&) {
    // Its words are about its own insides, and name no reason.
    return absl::UnavailableError(absl::StrCat(
        "metrics.listen: \"", listen,
        "\" can't be listened on: is another program there, or is the address "
        "not this machine's?"));
  }
}

MetricsServer::MetricsServer(std::shared_ptr<prometheus::Collectable> source,
                             std::unique_ptr<prometheus::Exposer> exposer)
    : source_(std::move(source)), exposer_(std::move(exposer)) {}

MetricsServer::~MetricsServer() = default;

}  // namespace godwit
