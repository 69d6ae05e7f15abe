// SPDX-License-Identifier: BSD-3-Clause
// Rules of node, dataplane, egress, and of what surrounds the daemon.
#include <set>

#include "absl/strings/str_cat.h"
#include "control/api/field_text.h"
#include "control/intent/port_spec.h"
#include "control/intent/rules/rules.h"
#include "control/intent/validate.h"

namespace godwit::rules {
namespace {

constexpr uint32_t kMaxLogRate = 1'000'000;
constexpr int64_t kSecondMs = 1000;
constexpr int64_t kDayMs = 86'400 * kSecondMs;

void CheckNodeName(const api::Node& node, Findings& findings) {
  if (node.has_name()) CheckName(findings, "node", true, node.name());
}

void CheckUnicastIsGiven(const api::Config& config, Findings& findings) {
  if (config.node().unicast_size() == 0) {
    findings.ErrorOfEmpty(
        "node", "\"unicast\" is missing", "node.unicast",
        "at least one address of this node, the source of what it originates");
  }
}

void CheckUnicastCount(const api::Node& node, Findings& findings) {
  if (node.unicast_size() > static_cast<int>(kMaxUnicastAddresses)) {
    NotIn(findings, "node.unicast", static_cast<uint64_t>(node.unicast_size()),
          "a number of addresses", 1, kMaxUnicastAddresses);
  }
}

void CheckUnicastAddresses(const api::Node& node, Findings& findings) {
  Once<IpAddress> once;
  for (int i = 0; i < node.unicast_size(); ++i) {
    const std::string path = At("node.unicast", i);
    const auto address = HostAddress(findings, path, node.unicast(i));
    if (address) once.Check(findings, *address, node.unicast(i), path);
  }
}

void CheckCpus(const api::Dataplane& dataplane, Findings& findings) {
  Once<uint32_t> once;
  for (int i = 0; i < dataplane.cpus_size(); ++i) {
    const std::string path = At("dataplane.cpus", i);
    const uint32_t cpu = dataplane.cpus(i);
    if (cpu > kMaxCpu) {
      NotIn(findings, path, cpu, "a CPU", 0, kMaxCpu);
    } else {
      once.Check(findings, cpu, absl::StrCat(cpu), path);
    }
  }
}

void CheckWorkers(const api::Dataplane& dataplane, Findings& findings) {
  if (!dataplane.has_workers()) return;
  if (dataplane.workers() < 1 || dataplane.workers() > kMaxWorkers) {
    NotIn(findings, "dataplane.workers", dataplane.workers(),
          "a number of workers", 1, kMaxWorkers);
  }
}

void CheckMaxFlows(const api::Dataplane& dataplane, Findings& findings) {
  if (!dataplane.has_max_flows()) return;
  if (dataplane.max_flows() < kMinFlows || dataplane.max_flows() > kMaxFlows) {
    NotIn(findings, "dataplane.max_flows", dataplane.max_flows(),
          "a number of flows", kMinFlows, kMaxFlows);
  }
}

// "auto" is no range; it is fit for use as it is.
std::optional<L4PortRange> EgressRange(const api::Egress& egress) {
  if (!egress.has_ports() || egress.ports() == "auto") return std::nullopt;
  return ParseL4PortRange(egress.ports());
}

void CheckEgressPorts(const api::Egress& egress, Findings& findings) {
  if (!egress.has_ports() || egress.ports() == "auto") return;
  const std::optional<L4PortRange> range = EgressRange(egress);
  const bool is_range = egress.ports().find('-') != std::string::npos;
  if (!range || !is_range || range->low < kMinEgressPort) {
    NotA(findings, "egress.ports", egress.ports(),
         "auto or LOW-HIGH within 1024-65535");
  }
}

void CheckReserved(const api::Egress& egress, Findings& findings) {
  Once<uint32_t> once;
  for (int i = 0; i < egress.reserved_size(); ++i) {
    const std::string path = At("egress.reserved", i);
    const uint32_t l4port = egress.reserved(i);
    if (l4port < 1 || l4port > 65535) {
      NotIn(findings, path, l4port, "a port", 1, 65535);
    } else {
      once.Check(findings, l4port, absl::StrCat(l4port), path);
    }
  }
}

// Every worker gives out a block of its own, so an empty one is a worker that
// can't originate.
void CheckPortsLeft(const api::Config& config, Findings& findings) {
  const std::optional<L4PortRange> range = EgressRange(config.egress());
  if (!range) return;
  const std::set<uint32_t> reserved(config.egress().reserved().begin(),
                                    config.egress().reserved().end());
  uint32_t left = range->high - range->low + 1U;
  for (const uint32_t l4port : reserved) {
    if (l4port >= range->low && l4port <= range->high) --left;
  }
  const uint32_t needed =
      config.dataplane().has_workers() ? config.dataplane().workers() : 1;
  if (left < needed) {
    NotA(findings, "egress.ports", config.egress().ports(),
         absl::StrCat("enough: it leaves ", left,
                      " ports after reserved, and each worker needs one (",
                      needed, ")"));
  }
}

void CheckDirect(const api::Egress& egress, Findings& findings) {
  Once<Prefix> once;
  for (int i = 0; i < egress.direct_size(); ++i) {
    const std::string path = At("egress.direct", i);
    const std::string& text = egress.direct(i);
    const std::optional<Prefix> prefix = Prefix::Parse(text);
    if (!prefix) {
      NotA(findings, path, text,
           "a prefix, as in 203.0.113.0/24 or \"2001:db8::/32\"");
    } else if (prefix->Masked() != *prefix) {
      NotA(findings, path, text,
           absl::StrCat("a prefix: it has host bits; the block around it is ",
                        prefix->Masked().ToString()));
    } else {
      once.Check(findings, *prefix, text, path);
    }
  }
}

// RFC 4787 REQ-5 and RFC 5508 REQ-2: shorter ones break protocols that are
// made for the minimum, silently; refused.
void CheckQueryTimeouts(const api::Timeouts& timeouts, Findings& findings) {
  if (timeouts.has_udp()) {
    CheckDuration(findings, "egress.timeouts.udp", timeouts.udp(),
                  120 * kSecondMs, kDayMs);
  }
  if (timeouts.has_icmp()) {
    CheckDuration(findings, "egress.timeouts.icmp", timeouts.icmp(),
                  60 * kSecondMs, kDayMs);
  }
}

// RFC 5382 REQ-5. Operators do shorten these when ports are scarce, and TCP
// can tell the program: accepted with a warning.
void CheckTcpTimeout(const google::protobuf::Duration& timeout,
                     const std::string& path, int64_t advised_s,
                     Findings& findings) {
  CheckDuration(findings, path, timeout, kSecondMs, kDayMs);
  const int64_t ms = Milliseconds(timeout);
  if (ms >= kSecondMs && ms < advised_s * kSecondMs) {
    findings.Warn(path, absl::StrCat(Quoted(DurationText(timeout)),
                                     " is under the minimum of RFC 5382, ",
                                     advised_s, "s: idle connections break"));
  }
}

void CheckTimeouts(const api::Timeouts& timeouts, Findings& findings) {
  CheckQueryTimeouts(timeouts, findings);
  if (timeouts.has_tcp_established()) {
    CheckTcpTimeout(timeouts.tcp_established(),
                    "egress.timeouts.tcp_established", 7440, findings);
  }
  if (timeouts.has_tcp_transitory()) {
    CheckTcpTimeout(timeouts.tcp_transitory(), "egress.timeouts.tcp_transitory",
                    240, findings);
  }
}

// RFC 6888 REQ-8: how long is the operator's choice.
void CheckRest(const api::Egress& egress, Findings& findings) {
  if (!egress.has_rest()) return;
  CheckDuration(findings, "egress.rest", egress.rest(), 0, 3600 * kSecondMs);
}

void CheckEgressLog(const api::EgressLog& log, Findings& findings) {
  if (log.has_rate() && (log.rate() < 1 || log.rate() > kMaxLogRate)) {
    NotIn(findings, "egress.log.rate", log.rate(), "a number of lines a second",
          1, kMaxLogRate);
  }
}

// 253 and 255 are the kernel's default and local tables. 254, main, is what
// some routing daemons read alone.
void CheckAnnounceTable(const api::Announce& announce, Findings& findings) {
  if (!announce.has_table()) return;
  const uint32_t table = announce.table();
  if (table == 0 || table == 253 || table == 255) {
    NotA(findings, "announce.table", absl::StrCat(table),
         "a routing table of 1-4294967295 other than the kernel's own 253 and "
         "255");
  }
}

// IPv6 has no metric 0: the kernel takes it for 1024.
void CheckAnnounceMetric(const api::Announce& announce, Findings& findings) {
  if (announce.has_metric() && announce.metric() == 0) {
    NotA(findings, "announce.metric", "0", "a metric of 1-4294967295");
  }
}

void CheckAnnounceTimes(const api::Announce& announce, Findings& findings) {
  if (announce.has_hold()) {
    CheckDuration(findings, "announce.hold", announce.hold(), 0,
                  3600 * kSecondMs);
  }
  if (announce.has_linger()) {
    CheckDuration(findings, "announce.linger", announce.linger(), 0,
                  3600 * kSecondMs);
  }
  if (announce.has_damping()) {
    CheckDuration(findings, "announce.damping", announce.damping(), 0,
                  3600 * kSecondMs);
  }
}

void CheckMetricsListen(const api::Metrics& metrics, Findings& findings) {
  if (!metrics.has_listen()) return;
  const auto listen = AddressAndPort::Parse(metrics.listen());
  // Debian builds the HTTP library without IPv6.
  if (!listen || listen->l4port == 0 || !listen->address.IsV4()) {
    NotA(findings, "metrics.listen", metrics.listen(),
         "ADDRESS:PORT of IPv4, as in \"127.0.0.1:9467\"");
  }
}

void CheckControlGroup(const api::Control& control, Findings& findings) {
  if (!control.has_group()) return;
  const std::string& group = control.group();
  const bool fits = !group.empty() && group.size() <= 32 &&
                    group.find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-") == group.npos;
  if (!fits) NotA(findings, "control.group", group, "the name of a group");
}

void CheckControlMode(const api::Control& control, Findings& findings) {
  if (!control.has_mode()) return;
  const std::string& mode = control.mode();
  const bool fits =
      (mode.size() == 3 || (mode.size() == 4 && mode[0] == '0')) &&
      mode.find_first_not_of("01234567") == mode.npos;
  if (!fits) {
    NotA(findings, "control.mode", mode,
         "an octal file mode of 0000-0777, as in \"0660\"");
  }
}

}  // namespace

void CheckNode(const api::Config& config, Findings& findings) {
  CheckNodeName(config.node(), findings);
  CheckUnicastIsGiven(config, findings);
  CheckUnicastCount(config.node(), findings);
  CheckUnicastAddresses(config.node(), findings);
}

void CheckDataplane(const api::Config& config, Findings& findings) {
  CheckCpus(config.dataplane(), findings);
  CheckWorkers(config.dataplane(), findings);
  CheckMaxFlows(config.dataplane(), findings);
  CheckEalArgs(config.dataplane(), findings);
}

void CheckEgress(const api::Config& config, Findings& findings) {
  CheckEgressPorts(config.egress(), findings);
  CheckReserved(config.egress(), findings);
  CheckPortsLeft(config, findings);
  CheckDirect(config.egress(), findings);
  CheckTimeouts(config.egress().timeouts(), findings);
  CheckRest(config.egress(), findings);
  CheckEgressLog(config.egress().log(), findings);
}

void CheckDaemon(const api::Config& config, Findings& findings) {
  CheckAnnounceTable(config.announce(), findings);
  CheckAnnounceMetric(config.announce(), findings);
  CheckAnnounceTimes(config.announce(), findings);
  CheckMetricsListen(config.metrics(), findings);
  if (config.control().has_socket()) {
    CheckSocketPath(findings, "control.socket", config.control().socket());
  }
  CheckControlGroup(config.control(), findings);
  CheckControlMode(config.control(), findings);
}

}  // namespace godwit::rules
