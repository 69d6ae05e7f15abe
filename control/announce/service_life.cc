// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/service_life.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace godwit {

ServiceLife LifeOf(const api::Service& service, const QueueLives& queues) {
  ServiceLife life;
  for (const api::QueueRef& ref : service.queues()) {
    if (ref.queue() == "kernel") {
      ++life.alive;
      continue;
    }
    const auto found = queues.find(ref.queue());
    if (found == queues.end()) continue;
    if (found->second.alive) ++life.alive;
    if (found->second.drained) ++life.drained;
    if (!found->second.alive && life.reason.empty()) {
      life.reason = absl::StrCat(
          "queue ", ref.queue(), ": ",
          found->second.drained ? "drained" : found->second.reason);
    }
  }
  return life;
}

AddressLives LivesOf(const api::Config& config, const QueueLives& queues) {
  // Who only originates serves nobody: it counts where no other has the
  // address.
  std::set<IpAddress> served;
  for (const api::Service& service : config.services()) {
    if (service.ports().empty()) continue;
    for (const std::string& text : service.addresses()) {
      served.insert(*IpAddress::Parse(text));
    }
  }
  AddressLives lives;
  for (const api::Service& service : config.services()) {
    if (service.addresses().empty()) continue;
    const ServiceLife life = LifeOf(service, queues);
    for (const std::string& text : service.addresses()) {
      const IpAddress parsed = *IpAddress::Parse(text);
      if (service.ports().empty() && served.contains(parsed)) continue;
      AddressLife& address = lives[parsed];
      address.is_live = address.is_live || life.alive > 0;
      address.is_drained = address.is_drained || life.drained > 0;
      if (address.reason.empty()) address.reason = life.reason;
    }
  }
  return lives;
}

std::vector<IpAddress> AddressesOf(const api::Config& config,
                                   const std::string& queue) {
  // All queues in one namespace share its loopback.
  std::set<std::string> beside = {queue};
  for (const api::Queue& one : config.queues()) {
    if (one.name() != queue) continue;
    for (const api::Queue& other : config.queues()) {
      if (!one.netns().empty() && other.netns() == one.netns()) {
        beside.insert(other.name());
      }
    }
  }
  std::vector<IpAddress> addresses;
  for (const api::Service& service : config.services()) {
    const bool uses =
        std::any_of(service.queues().begin(), service.queues().end(),
                    [&beside](const api::QueueRef& r) {
                      return beside.contains(r.queue());
                    });
    if (!uses) continue;
    for (const std::string& text : service.addresses()) {
      const IpAddress address = *IpAddress::Parse(text);
      if (std::find(addresses.begin(), addresses.end(), address) ==
          addresses.end()) {
        addresses.push_back(address);
      }
    }
  }
  return addresses;
}

}  // namespace godwit
