// SPDX-License-Identifier: BSD-3-Clause
// What the control thread asks of a worker's flow table: the worker walks it
// in slices between bursts and writes into memory that the asker has reserved.
#ifndef GODWIT_DATAPLANE_WORKER_COMMAND_H_
#define GODWIT_DATAPLANE_WORKER_COMMAND_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "dataplane/flow/flow.h"
#include "dataplane/net/address.h"

namespace godwit {

struct FlowFilter {
  // Inbound flows of this service, and what its queues originated.
  ServiceId service = kNoService;
  std::vector<QueueId> queues;  // of `service`, sorted
  bool by_client = false;
  Prefix client;         // the remote side
  uint8_t protocol = 0;  // 0: any; 1 also means ICMPv6
  bool Matches(const Flow& flow) const;
};

struct FlowRecord {
  Flow flow;
  IpAddress external;  // originated: the unicast address
  uint32_t idle = 0;   // ticks since it was last refreshed
};

struct MappingCount {
  IpAddress external;
  uint64_t flows = 0;
};

struct Command {
  enum class Kind : uint8_t {
    kList,   // into `records`, up to its capacity; all that match are counted
    kFlush,  // ends what matches
    kFind,   // the flow of `key`, if any; a lent one too
  };
  Kind kind = Kind::kList;
  FlowFilter filter;
  FlowKey key;
  std::vector<FlowRecord> records;     // reserved by the asker
  std::vector<MappingCount> mappings;  // of the addresses in it, all of them
  uint64_t matched = 0;
  uint64_t inbound = 0;  // of those
  uint32_t cursor = 0;
  std::atomic<bool> done{false};
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_WORKER_COMMAND_H_
