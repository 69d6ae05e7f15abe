// SPDX-License-Identifier: BSD-3-Clause
// What the shadow model is told: a configuration, and what was seen.
#ifndef GODWIT_TESTS_SHADOW_MODEL_WORLD_H_
#define GODWIT_TESTS_SHADOW_MODEL_WORLD_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/shadow/model_bytes.h"

namespace godwit::shadow {

enum class Policy { kUnicast, kVip, kDeny };

struct QueueWorld {
  bool alive = true;      // takes new flows
  bool reachable = true;  // keeps those it has
  Policy policy = Policy::kUnicast;
  unsigned flow_limit = 0;  // 0: none
  auto operator<=>(const QueueWorld&) const = default;
};

// Echo is {1 or 58, 0, 0}.
struct Endpoint {
  unsigned protocol = 0;
  unsigned low = 0;
  unsigned high = 0;
  auto operator<=>(const Endpoint&) const = default;
};

struct ServiceWorld {
  std::vector<Address> addresses;
  std::vector<Endpoint> endpoints;
  std::vector<std::string> queues;
  bool tracked = false;
  bool by_client = false;
  bool silent = false;
  auto operator<=>(const ServiceWorld&) const = default;
};

struct Network {
  Address address;
  unsigned length = 0;
  auto operator<=>(const Network&) const = default;
};

struct World {
  std::map<std::string, QueueWorld> queues;
  std::map<std::string, ServiceWorld> services;
  std::vector<Address> unicast;  // one a family
  unsigned low = 50000;          // of egress.ports, both count
  unsigned high = 50999;
  bool endpoint_independent = false;
  unsigned workers = 1;
  std::vector<Network> direct;
  bool operator==(const World&) const = default;
};

// In milliseconds; the shipped defaults of `egress.timeouts`.
struct Timeouts {
  int64_t established = 7440'000;
  int64_t transitory = 240'000;
  int64_t udp = 300'000;
  int64_t icmp = 60'000;
};

// What left, from the IP header up, and by how much counters moved; those that
// stayed are not there. "held" may fall.
struct Out {
  std::string device;
  Bytes packet;
};
struct Seen {
  std::vector<Out> out;
  std::map<std::string, int64_t> counters;
  bool Moved(const std::string& counter) const {
    const auto at = counters.find(counter);
    return at != counters.end() && at->second > 0;
  }
};

}  // namespace godwit::shadow

#endif  // GODWIT_TESTS_SHADOW_MODEL_WORLD_H_
