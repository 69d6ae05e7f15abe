// SPDX-License-Identifier: BSD-3-Clause
// What workers tell the control thread: which neighbours they need, what they
// heard from a queue's far end. Bounded; when it is full an event is lost,
// counted, and asked again later, because the packet that needs it waits.
#ifndef GODWIT_DATAPLANE_STAGE_EVENTS_H_
#define GODWIT_DATAPLANE_STAGE_EVENTS_H_

#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/snapshot/adjacency.h"
#include "dataplane/table/one_way_ring.h"

namespace godwit {

enum class EventKind : uint8_t {
  kResolve,    // a neighbour is needed: `device`, `address`
  kNeighbour,  // a queue's far end is heard: `device`, `address`, `mac`
  kNoL4Port,   // an allocation failed: `address` is the remote end
  kFewL4Ports  // one that did not had four fifths taken before: the same
};

struct Event {
  EventKind kind = EventKind::kResolve;
  DeviceId device = kNoDevice;
  MacAddress mac{};
  IpAddress address;
};

// From a worker to the control thread.
using EventSink = OneWayRing<Event, 1024>;

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_EVENTS_H_
