// SPDX-License-Identifier: BSD-3-Clause
// Services and their queues: whose addresses a queue serves, and what the
// liveness of queues means for services and addresses.
#ifndef GODWIT_CONTROL_ANNOUNCE_SERVICE_LIFE_H_
#define GODWIT_CONTROL_ANNOUNCE_SERVICE_LIFE_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "control/announce/announcer.h"
#include "control/api/godwit.pb.h"
#include "control/compile/compiler.h"

namespace godwit {

using QueueLives = std::map<std::string, QueueLiveness>;

struct ServiceLife {
  size_t alive = 0;  // queues
  size_t drained = 0;
  std::string reason;  // of the first that is not alive
};
ServiceLife LifeOf(const api::Service& service, const QueueLives& queues);

// An address of several services is alive while one of them is; those without
// ports, which only originate, don't count beside one that has some.
AddressLives LivesOf(const api::Config& config, const QueueLives& queues);

// Service addresses that a queue's namespace needs on its loopback.
std::vector<IpAddress> AddressesOf(const api::Config& config,
                                   const std::string& queue);

}  // namespace godwit

#endif  // GODWIT_CONTROL_ANNOUNCE_SERVICE_LIFE_H_
