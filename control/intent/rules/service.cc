// SPDX-License-Identifier: BSD-3-Clause
// Rules of services: their addresses, endpoints and queues.
#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/api/field_text.h"
#include "control/intent/port_spec.h"
#include "control/intent/rules/rules.h"
#include "control/intent/validate.h"

namespace godwit::rules {
namespace {

constexpr absl::string_view kKernel = "kernel";

void CheckServiceCount(const api::Config& config, Findings& findings) {
  const auto count = static_cast<uint64_t>(config.services_size());
  if (count > kMaxServices) {
    NotIn(findings, "services", count, "a number of services", 0, kMaxServices);
  }
}

void CheckServiceNames(const api::Config& config, Findings& findings) {
  Once<std::string> once;
  for (int i = 0; i < config.services_size(); ++i) {
    const api::Service& service = config.services(i);
    const std::string path = At("services", i);
    CheckName(findings, path, service.has_name(), service.name());
    if (service.name().empty()) continue;
    once.Check(findings, service.name(), service.name(), path + ".name");
  }
}

void CheckServiceAddresses(const api::Service& service, const std::string& path,
                           Findings& findings) {
  Once<IpAddress> once;
  for (int i = 0; i < service.addresses_size(); ++i) {
    const std::string at = At(path + ".addresses", i);
    const std::string& text = service.addresses(i);
    const auto address = HostAddress(findings, at, text);
    if (address) once.Check(findings, *address, text, at);
  }
}

void CheckPortSyntax(const api::Service& service, const std::string& path,
                     Findings& findings) {
  for (int i = 0; i < service.ports_size(); ++i) {
    if (ParsePortSpec(service.ports(i))) continue;
    NotA(findings, At(path + ".ports", i), service.ports(i),
         "PROTO/PORT, PROTO/LOW-HIGH or icmp, with tcp or udp as PROTO and "
         "ports of 1-65535");
  }
}

void CheckPortsHaveAddress(const api::Service& service, const std::string& path,
                           Findings& findings) {
  if (service.ports_size() > 0 && service.addresses_size() == 0) {
    findings.ErrorOfEmpty(path, "\"addresses\" is missing", path + ".addresses",
                          "ports need an address to be at");
  }
}

void CheckHasQueue(const api::Service& service, const std::string& path,
                   Findings& findings) {
  if (service.queues_size() == 0) {
    findings.ErrorOfEmpty(path, "\"queues\" is missing", path + ".queues",
                          "at least one queue");
  }
}

std::vector<std::string> QueueNames(const api::Config& config) {
  std::vector<std::string> names;
  for (const api::Queue& queue : config.queues()) names.push_back(queue.name());
  names.emplace_back(kKernel);
  return names;
}

// What an operator may choose from, cut where nobody reads on.
std::string Listed(const std::vector<std::string>& names) {
  constexpr size_t kMaxShown = 16;
  if (names.size() <= kMaxShown) return absl::StrJoin(names, ", ");
  return absl::StrCat(
      absl::StrJoin(names.begin(), names.begin() + kMaxShown, ", "), " and ",
      names.size() - kMaxShown, " more");
}

void CheckQueueRefs(const api::Config& config, Findings& findings) {
  const std::vector<std::string> names = QueueNames(config);
  const std::set<std::string> known(names.begin(), names.end());
  for (int i = 0; i < config.services_size(); ++i) {
    Once<std::string> once;
    for (int j = 0; j < config.services(i).queues_size(); ++j) {
      const api::QueueRef& ref = config.services(i).queues(j);
      const std::string path = At(At("services", i) + ".queues", j);
      if (!ref.has_queue()) {
        findings.Error(path, "\"queue\" is missing");
      } else if (!known.contains(ref.queue())) {
        NotA(findings, path, ref.queue(),
             absl::StrCat("a queue of this node: it has ", Listed(names)));
      } else {
        once.Check(findings, ref.queue(), ref.queue(), path);
      }
    }
  }
}

void CheckWeights(const api::Service& service, const std::string& path,
                  Findings& findings) {
  for (int i = 0; i < service.queues_size(); ++i) {
    const api::QueueRef& ref = service.queues(i);
    if (!ref.has_weight()) continue;
    if (ref.weight() < 1 || ref.weight() > kMaxWeight) {
      NotIn(findings, At(path + ".queues", i) + ".weight", ref.weight(),
            "a weight", 1, kMaxWeight);
    }
  }
}

// What a queue sends is judged by its queue alone, so the policy must be one.
void CheckOriginateAgrees(const api::Config& config, Findings& findings) {
  std::map<std::string, const api::Service*> first;
  for (int i = 0; i < config.services_size(); ++i) {
    const api::Service& service = config.services(i);
    for (const api::QueueRef& ref : service.queues()) {
      const auto [other, is_new] = first.emplace(ref.queue(), &service);
      if (is_new || other->second->originate() == service.originate()) continue;
      const auto word = [](const api::Service& of) {
        const auto* const type = api::Service::Originate_descriptor();
        return EnumWord(*type->FindValueByNumber(of.originate()));
      };
      NotA(findings, At("services", i) + ".originate", word(service),
           absl::StrCat("what service ", other->second->name(), " says of the ",
                        "queue ", ref.queue(),
                        " that both have: ", word(*other->second)));
    }
  }
}

// A service address and what else it may not be.
void CheckAddressesAreFree(const api::Config& config, Findings& findings) {
  std::map<IpAddress, std::string> taken;
  for (const std::string& text : config.node().unicast()) {
    if (const auto address = IpAddress::Parse(text)) {
      taken.emplace(*address, "a unicast address of this node");
    }
  }
  for (const api::Uplink& uplink : config.uplinks()) {
    for (const std::string& text : uplink.addresses()) {
      const auto prefix = Prefix::Parse(text);
      if (!prefix) continue;
      taken.emplace(prefix->address,
                    absl::StrCat("an address of uplink ", uplink.name()));
    }
    for (const std::string& text : uplink.gateway()) {
      if (const auto address = IpAddress::Parse(text)) {
        taken.emplace(*address,
                      absl::StrCat("the gateway of uplink ", uplink.name()));
      }
    }
  }
  for (int i = 0; i < config.services_size(); ++i) {
    const api::Service& service = config.services(i);
    for (int j = 0; j < service.addresses_size(); ++j) {
      const auto address = IpAddress::Parse(service.addresses(j));
      const auto found = address ? taken.find(*address) : taken.end();
      if (found == taken.end()) continue;
      NotA(findings, At(At("services", i) + ".addresses", j),
           service.addresses(j),
           absl::StrCat("free for a service: it is ", found->second));
    }
  }
}

// One endpoint range of one service at one address.
struct Endpoint {
  IpAddress address;
  PortSpec spec;
  int service;  // index in the config, as the next one
  int l4port;

  auto Key() const {
    return std::tuple(address, spec.proto, spec.l4ports.low, service, l4port);
  }
  std::string Path() const {
    return At(At("services", service) + ".ports", l4port);
  }
};

uint64_t EndpointCount(const api::Config& config) {
  uint64_t count = 0;
  for (const api::Service& service : config.services()) {
    count += static_cast<uint64_t>(service.addresses_size()) *
             static_cast<uint64_t>(service.ports_size());
  }
  return count;
}

std::vector<Endpoint> EndpointsOf(const api::Config& config) {
  std::vector<Endpoint> endpoints;
  for (int i = 0; i < config.services_size(); ++i) {
    const api::Service& service = config.services(i);
    std::set<IpAddress> addresses;  // one given twice is not an overlap too
    for (const std::string& text : service.addresses()) {
      const auto address = IpAddress::Parse(text);
      if (address) addresses.insert(*address);
    }
    for (int j = 0; j < service.ports_size(); ++j) {
      const auto spec = ParsePortSpec(service.ports(j));
      if (!spec) continue;
      for (const IpAddress& address : addresses) {
        endpoints.push_back({address, *spec, i, j});
      }
    }
  }
  return endpoints;
}

void CheckEndpointCount(const api::Config& config, Findings& findings) {
  const uint64_t count = EndpointCount(config);
  if (count > kMaxEndpoints) {
    NotIn(findings, "services", count,
          "a number of addresses times ports, over all services,", 0,
          kMaxEndpoints);
  }
}

// In the order of addresses, protocols and l4ports an overlap is with the range
// that reaches furthest so far. A pair of `ports` is reported at one address.
void CheckOverlaps(const api::Config& config, Findings& findings) {
  if (EndpointCount(config) > kMaxEndpoints) return;  // refused already
  std::vector<Endpoint> endpoints = EndpointsOf(config);
  std::sort(
      endpoints.begin(), endpoints.end(),
      [](const Endpoint& a, const Endpoint& b) { return a.Key() < b.Key(); });
  std::set<std::pair<std::string, std::string>> reported;
  const Endpoint* reach = nullptr;
  for (const Endpoint& endpoint : endpoints) {
    const bool same_space = reach != nullptr &&
                            reach->address == endpoint.address &&
                            reach->spec.proto == endpoint.spec.proto;
    if (same_space && endpoint.spec.l4ports.low <= reach->spec.l4ports.high) {
      const bool in_order = std::tie(reach->service, reach->l4port) <
                            std::tie(endpoint.service, endpoint.l4port);
      const Endpoint& first = in_order ? *reach : endpoint;
      const Endpoint& second = in_order ? endpoint : *reach;
      if (reported.emplace(first.Path(), second.Path()).second) {
        const auto text = [&config](const Endpoint& of) {
          return config.services(of.service).ports(of.l4port);
        };
        NotA(findings, second.Path(), text(second),
             absl::StrCat("free at ", endpoint.address.ToString(),
                          ": it overlaps \"", text(first), "\" at ",
                          first.Path()));
      }
    }
    if (!same_space || endpoint.spec.l4ports.high > reach->spec.l4ports.high) {
      reach = &endpoint;
    }
  }
}

void WarnOfVipWithoutAddress(const api::Service& service,
                             const std::string& path, Findings& findings) {
  if (service.originate() == api::Service::VIP &&
      service.addresses_size() == 0) {
    findings.Warn(path + ".originate",
                  "\"vip\" lets nothing out: this service has no addresses");
  }
}

void WarnOfMixedUnmatched(const api::Config& config, Findings& findings) {
  std::map<IpAddress, const api::Service*> first;
  for (int i = 0; i < config.services_size(); ++i) {
    const api::Service& service = config.services(i);
    for (const std::string& text : service.addresses()) {
      const auto address = IpAddress::Parse(text);
      if (!address) continue;
      const auto [other, is_new] = first.emplace(*address, &service);
      if (is_new || other->second->unmatched() == service.unmatched()) continue;
      findings.Warn(At("services", i) + ".unmatched",
                    absl::StrCat("differs from service ", other->second->name(),
                                 " at ", text, ": silent holds there"));
    }
  }
}

void WarnOfIdleQueues(const api::Config& config, Findings& findings) {
  std::set<std::string> used;
  for (const api::Service& service : config.services()) {
    for (const api::QueueRef& ref : service.queues()) used.insert(ref.queue());
  }
  for (int i = 0; i < config.queues_size(); ++i) {
    const std::string& name = config.queues(i).name();
    if (used.contains(name)) continue;
    findings.Warn(At("queues", i) + ".name",
                  absl::StrCat(Quoted(name), " is in no service"));
  }
}

}  // namespace

void CheckServices(const api::Config& config, Findings& findings) {
  CheckServiceCount(config, findings);
  CheckServiceNames(config, findings);
  CheckQueueRefs(config, findings);
  CheckOriginateAgrees(config, findings);
  CheckAddressesAreFree(config, findings);
  for (int i = 0; i < config.services_size(); ++i) {
    const api::Service& service = config.services(i);
    const std::string path = At("services", i);
    CheckServiceAddresses(service, path, findings);
    CheckPortSyntax(service, path, findings);
    CheckPortsHaveAddress(service, path, findings);
    CheckHasQueue(service, path, findings);
    CheckWeights(service, path, findings);
    WarnOfVipWithoutAddress(service, path, findings);
  }
  WarnOfMixedUnmatched(config, findings);
  WarnOfIdleQueues(config, findings);
}

void CheckEndpoints(const api::Config& config, Findings& findings) {
  CheckEndpointCount(config, findings);
  CheckOverlaps(config, findings);
}

}  // namespace godwit::rules
