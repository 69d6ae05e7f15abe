// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/service_life.h"

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
  AddressLives lives;
  for (const api::Service& service : config.services()) {
    if (service.addresses().empty()) continue;
    const ServiceLife life = LifeOf(service, queues);
    for (const std::string& text : service.addresses()) {
      AddressLife& address = lives[*IpAddress::Parse(text)];
      address.is_live = address.is_live || life.alive > 0;
      address.is_drained = address.is_drained || life.drained > 0;
      if (address.reason.empty()) address.reason = life.reason;
    }
  }
  return lives;
}

}  // namespace godwit
