// SPDX-License-Identifier: BSD-3-Clause
// Which originator had which l4port of the unicast address, and when: what a
// worker tells the control thread while an operator wants to know (RFC 6888 4).
// Nothing of where the packets went: that is nobody's business (REQ-12).
#ifndef GODWIT_DATAPLANE_FLOW_MAPPING_LOG_H_
#define GODWIT_DATAPLANE_FLOW_MAPPING_LOG_H_

#include <cstdint>

#include "dataplane/flow/flow.h"
#include "dataplane/table/one_way_ring.h"

namespace godwit {

struct MappingRecord {
  enum class Kind : uint8_t { kBegins, kEnds };
  IpAddress originator{};
  uint32_t tick = 0;
  uint16_t originator_l4port = 0;  // or ICMP identifier
  uint16_t given_l4port = 0;
  QueueId queue = 0;
  UnicastId unicast = 0;
  uint8_t protocol = 0;
  Kind kind = Kind::kBegins;
};
static_assert(sizeof(MappingRecord) == 32, "two in a cache line");

inline MappingRecord RecordOf(MappingRecord::Kind kind, const Flow& flow,
                              uint32_t tick) {
  MappingRecord record;
  record.originator = flow.local;
  record.tick = tick;
  record.originator_l4port = flow.local_l4port;
  record.given_l4port = flow.external_l4port;
  record.queue = flow.queue;
  record.unicast = flow.unicast;
  record.protocol = flow.protocol;
  record.kind = kind;
  return record;
}

// A control thread that is late by 10 ms loses nothing at 400,000 mappings a
// second.
using MappingLog = OneWayRing<MappingRecord, 8192>;

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_MAPPING_LOG_H_
