// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/render.h"

#include <cstdint>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "control/cli/json.h"
#include "control/cli/table.h"

namespace godwit::cli {
namespace {

std::string Join(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  return absl::StrJoin(texts, ",");
}

// "dns0,dns1:10", as it is typed.
std::string Join(
    const google::protobuf::RepeatedPtrField<api::QueueRef>& refs) {
  return absl::StrJoin(refs, ",", [](std::string* out, const auto& ref) {
    absl::StrAppend(out, ref.queue());
    if (ref.has_weight() && ref.weight() != 1) {
      absl::StrAppend(out, ":", ref.weight());
    }
  });
}

// "down (no carrier)".
std::string StateText(const std::string& state, const std::string& reason) {
  return reason.empty() ? state : absl::StrCat(state, " (", reason, ")");
}

std::string Share(double share) {
  return absl::StrFormat("%.1f%%", share * 100);
}

std::string Idle(double seconds) { return absl::StrFormat("%.1fs", seconds); }

template <typename Services>
std::string ServiceTable(const Services& services) {
  Table table({"SERVICE", "STATE", "ADDRESSES", "ANNOUNCED", "PORTS", "QUEUES",
               "ORIGINATE", "INBOUND", "ORIGINATED"});
  for (const api::ServiceStatus& service : services) {
    std::string originate = api::Service::Originate_Name(service.originate());
    table.Add({service.name(), StateText(service.state(), service.reason()),
               Join(service.addresses()), service.announced() ? "yes" : "no",
               Join(service.ports()), Join(service.queues()),
               absl::AsciiStrToLower(originate),
               absl::StrCat(service.inbound_flows()),
               absl::StrCat(service.originated_flows())});
  }
  return table.empty() ? "no services\n" : table.Text();
}

template <typename Queues>
std::string QueueTable(const Queues& queues) {
  Table table({"QUEUE", "STATE", "DEVICE", "NETNS", "SERVICES", "RX", "TX",
               "INBOUND", "ORIGINATED"});
  for (const api::QueueStatus& queue : queues) {
    table.Add({queue.name(), StateText(queue.state(), queue.reason()),
               queue.device(), queue.netns(), Join(queue.services()),
               absl::StrCat(queue.rx_packets()),
               absl::StrCat(queue.tx_packets()),
               absl::StrCat(queue.inbound_flows()),
               absl::StrCat(queue.originated_flows())});
  }
  return table.empty() ? "no queues\n" : table.Text();
}

template <typename Uplinks>
std::string UplinkTable(const Uplinks& uplinks) {
  Table table({"UPLINK", "STATE", "DEVICE", "KERNEL", "MAC", "MTU", "MODE",
               "HANDOFF", "RX", "TX"});
  for (const api::UplinkStatus& uplink : uplinks) {
    table.Add({uplink.name(), StateText(uplink.state(), uplink.reason()),
               uplink.device(), uplink.kernel(), uplink.mac(),
               absl::StrCat(uplink.mtu()), uplink.mode(),
               Share(uplink.handoff_share()), absl::StrCat(uplink.rx_packets()),
               absl::StrCat(uplink.tx_packets())});
  }
  return table.empty() ? "no uplinks\n" : table.Text();
}

// What last changed the config, and whether it is to stay.
std::string ConfigLine(const api::StatusReply& reply) {
  const api::ConfigStatus& config = reply.config();
  if (config.last_change().empty()) return "";
  std::string line = absl::StrCat("config: ", config.last_change());
  if (config.unconfirmed() != 0) {
    absl::StrAppend(
        &line, "; NOT CONFIRMED: back to generation ", config.back_to(), " in ",
        absl::FormatDuration(absl::Ceil(absl::Seconds(config.confirm_left_s()),
                                        absl::Seconds(1))));
  }
  if (!config.revert_failed().empty()) {
    absl::StrAppend(&line, "; could not: ", config.revert_failed());
  }
  return line + "\n";
}

// A map's keys in order, under `heading`; nothing if it is empty.
std::string CountTable(
    const std::string& heading,
    const google::protobuf::Map<std::string, uint64_t>& map) {
  const std::map<std::string, uint64_t> sorted(map.begin(), map.end());
  Table table({heading, "PACKETS"});
  for (const auto& [name, count] : sorted) {
    table.Add({name, absl::StrCat(count)});
  }
  return table.empty() ? "" : absl::StrCat("\n", table.Text());
}

}  // namespace

std::string Render(const api::StatusReply& reply) {
  std::string text = absl::StrCat(
      "node ", reply.node(), ": ",
      reply.ready() ? "ready" : StateText("not ready", reply.reason()),
      ", generation ", reply.generation(), ", up ",
      absl::FormatDuration(absl::Seconds(reply.uptime_s())), ", ",
      reply.flows(), " of ", reply.max_flows(), " flows\n");
  absl::StrAppend(&text, "unicast ", absl::StrJoin(reply.unicast(), ", "), "\n",
                  ConfigLine(reply));
  absl::StrAppend(&text, "\n", UplinkTable(reply.uplinks()), "\n",
                  QueueTable(reply.queues()), "\n",
                  ServiceTable(reply.services()));
  Table workers({"WORKER", "CPU", "BUSY", "FLOWS", "OF"});
  for (const api::WorkerStatus& worker : reply.workers()) {
    workers.Add({absl::StrCat(worker.id()), absl::StrCat(worker.cpu()),
                 Share(worker.busy()), absl::StrCat(worker.flows()),
                 absl::StrCat(worker.max_flows())});
  }
  if (!workers.empty()) absl::StrAppend(&text, "\n", workers.Text());
  return text;
}

std::string Render(const api::ServiceListReply& reply) {
  return ServiceTable(reply.services());
}
std::string Render(const api::QueueListReply& reply) {
  return QueueTable(reply.queues());
}
std::string Render(const api::UplinkListReply& reply) {
  return UplinkTable(reply.uplinks());
}

std::string Render(const api::ServiceStatus& service) {
  return FieldLines(service);
}
std::string Render(const api::QueueStatus& queue) { return FieldLines(queue); }
std::string Render(const api::UplinkStatus& uplink) {
  return FieldLines(uplink);
}

std::string Render(const api::EgressShowReply& reply) {
  Table table({"UNICAST", "PORTS", "COUNT", "MAPPINGS", "EXHAUSTED"});
  for (const api::EgressAddress& address : reply.addresses()) {
    table.Add(
        {address.address(), address.ports(), absl::StrCat(address.l4ports()),
         absl::StrCat(address.mappings()), absl::StrCat(address.exhausted())});
  }
  return absl::StrCat(FieldLines(reply.egress()), table.empty() ? "" : "\n",
                      table.empty() ? "" : table.Text());
}

std::string Render(const api::FlowListReply& reply) {
  Table table({"KIND", "PROTO", "SERVICE", "QUEUE", "LOCAL", "REMOTE",
               "TRANSLATED", "STATE", "IDLE"});
  for (const api::Flow& flow : reply.flows()) {
    table.Add({flow.kind(), flow.proto(), flow.service(), flow.queue(),
               flow.local(), flow.remote(), flow.translated(), flow.state(),
               Idle(flow.idle_s())});
  }
  std::string text = table.empty() ? "no flows\n" : table.Text();
  const uint64_t shown = static_cast<uint64_t>(reply.flows_size());
  if (reply.total() > shown) {
    absl::StrAppend(&text, shown, " of ", reply.total(),
                    " flows; --limit=N shows more\n");
  }
  return text;
}

std::string Render(const api::FlowCountReply& reply) {
  return absl::StrCat(reply.count(), " flows: ", reply.inbound(), " inbound, ",
                      reply.originated(), " originated\n");
}

std::string Render(const api::FlowFlushReply& reply) {
  return absl::StrCat("ok, ", reply.flushed(), " flows ended, generation ",
                      reply.generation(), "\n");
}

std::string Render(const api::NeighborListReply& reply) {
  Table table({"ADDRESS", "MAC", "DEVICE", "INTERFACE", "STATE"});
  for (const api::Neighbor& neighbor : reply.neighbors()) {
    table.Add({neighbor.address(), neighbor.mac(), neighbor.device(),
               neighbor.interface(), neighbor.state()});
  }
  return table.empty() ? "no neighbors\n" : table.Text();
}

std::string Render(const api::RouteListReply& reply) {
  Table table({"PREFIX", "KIND", "VIA", "DEVICE", "INTERFACE", "METRIC",
               "WEIGHT", "SOURCE"});
  for (const api::Route& route : reply.routes()) {
    table.Add({route.prefix(), route.kind(), route.via(), route.device(),
               route.interface(), absl::StrCat(route.metric()),
               absl::StrCat(route.weight()), route.source()});
  }
  return table.empty() ? "no routes\n" : table.Text();
}

std::string Render(const api::CountersReply& reply) {
  uint64_t dropped = 0;
  for (const auto& [reason, count] : reply.dropped()) dropped += count;
  Table table({"COUNTER", "PACKETS"});
  table.Add({"received", absl::StrCat(reply.received())});
  table.Add({"generated", absl::StrCat(reply.generated())});
  table.Add({"delivered", absl::StrCat(reply.delivered())});
  table.Add({"sent", absl::StrCat(reply.sent())});
  table.Add({"punted", absl::StrCat(reply.punted())});
  table.Add({"consumed", absl::StrCat(reply.consumed())});
  table.Add({"dropped", absl::StrCat(dropped)});
  table.Add({"held", absl::StrCat(reply.held())});
  return absl::StrCat(table.Text(), CountTable("DROPPED", reply.dropped()),
                      CountTable("DRIVER", reply.driver()),
                      CountTable("EVENT", reply.events()));
}

std::string RenderDrops(const api::CountersReply& reply) {
  const std::string table = CountTable("DROPPED", reply.dropped());
  return table.empty() ? "no drops\n" : table.substr(1);
}

std::string DropsJson(const api::CountersReply& reply) {
  const std::map<std::string, uint64_t> sorted(reply.dropped().begin(),
                                               reply.dropped().end());
  std::vector<std::string> lines;
  for (const auto& [reason, count] : sorted) {
    lines.push_back(absl::StrCat("\n    ", JsonString(reason), ": ", count));
  }
  return absl::StrCat("{\n  \"dropped\": {", absl::StrJoin(lines, ","),
                      lines.empty() ? "" : "\n  ", "}\n}\n");
}

void DropZeros(api::CountersReply& reply) {
  for (auto* map : {reply.mutable_dropped(), reply.mutable_driver(),
                    reply.mutable_events()}) {
    std::vector<std::string> zeros;
    for (const auto& [name, count] : *map) {
      if (count == 0) zeros.push_back(name);
    }
    for (const std::string& name : zeros) map->erase(name);
  }
}

std::string Render(const api::ExplainReply& reply) { return FieldLines(reply); }

std::string Render(const api::ConfigShowReply& reply) {
  const bool ends = !reply.text().empty() && reply.text().back() == '\n';
  return ends ? reply.text() : absl::StrCat(reply.text(), "\n");
}

std::string Render(const api::ConfigCheckReply& reply) {
  return absl::StrCat(reply.message().empty() ? "ok" : reply.message(), "\n");
}

std::string Render(const api::ConfigDiffReply& reply) {
  if (reply.changes().empty()) return "nothing would change\n";
  return absl::StrCat(absl::StrJoin(reply.changes(), "\n"), "\n");
}

std::string Render(const api::ConfigHistoryReply& reply) {
  Table table({"GENERATION", "WHEN", "HOW", "FROM THERE TO NOW"});
  for (const api::ConfigEntry& entry : reply.entries()) {
    const int lines = entry.changes_size();
    std::string changes = "in effect";
    if (!entry.in_effect()) {
      changes = lines == 0   ? "nothing differs"
                : lines == 1 ? entry.changes(0)
                             : absl::StrCat(lines, " changes");
    }
    table.Add(
        {absl::StrCat(entry.generation()), entry.when(), entry.how(), changes});
  }
  return table.Text();
}

std::string Render(const api::ConfigSaveReply& reply) {
  if (!reply.message().empty()) return absl::StrCat(reply.message(), "\n");
  return absl::StrCat("ok, generation ", reply.generation(), " saved to ",
                      reply.filename(), "\n");
}

std::string Render(const api::ChangeReply& reply) {
  if (!reply.message().empty()) return absl::StrCat(reply.message(), "\n");
  return absl::StrCat("ok, generation ", reply.generation(), "\n");
}

std::string Render(const api::VersionReply& reply) { return FieldLines(reply); }

}  // namespace godwit::cli
