// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/next_hop.h"

#include <algorithm>

#include "dataplane/stage/link_answer.h"

namespace godwit {
namespace {

// The packet stays as it came until somebody says who has `address`.
void WaitFor(const Snapshot& snapshot, DeviceId device,
             const IpAddress& address, Context& context, rte_mbuf* mbuf,
             Meta& meta) {
  PacketTag& tag = Tag(mbuf, meta);
  if (tag.since == 0) tag.since = context.now;
  if (context.now - tag.since > WaitingRoom::kPatience) {
    meta.verdict = Verdict::kDropNeighborFailed;
    return;
  }
  const WaitingRoom::Entry entry =
      context.waiting.Enter(mbuf, device, address, tag.since, context.now);
  if (entry == WaitingRoom::Entry::kFull) {
    meta.verdict = Verdict::kDropNeighborWait;
    return;
  }
  meta.verdict = Verdict::kHeld;
  if (entry == WaitingRoom::Entry::kWaits) return;
  if (snapshot.devices[device].side == Side::kQueue) {
    AskQueue(snapshot, device, address, context);
    return;
  }
  Event event;
  event.kind = EventKind::kResolve;
  event.device = device;
  event.address = address;
  context.events->Post(event);
}

void ToUplink(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
              Meta& meta) {
  Flow* flow = meta.flow;
  if (meta.adjacency == kLoopAdjacency) return;
  if (flow != nullptr && flow->to_uplink == kLoopAdjacency) return;
  if (meta.side == Side::kKernel) {
    // The kernel has chosen the next hop; its link header stays.
    meta.out = snapshot.devices[meta.in].peer;
    return;
  }
  const IpAddress& destination = meta.key.remote;
  const NextHopChoice hop = ChooseNextHop(snapshot, destination, meta.hash);
  if (hop.device == kNoDevice) {
    // Of a flow that was made when a host had it, or when nobody knew.
    meta.verdict = snapshot.routes.IsBroadcast(destination)
                       ? Verdict::kDropMartianDestination
                       : Verdict::kDropRouteNone;
    return;
  }
  if (!IsResolved(snapshot, hop.adjacency)) {
    WaitFor(snapshot, hop.device, hop.address, context, mbuf, meta);
    return;
  }
  meta.adjacency = hop.adjacency;
  meta.out = hop.device;
  if (flow != nullptr) flow->to_uplink = hop.adjacency;
}

void ToQueue(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
             Meta& meta) {
  const ServiceQueue* queue = snapshot.Queue(meta.queue);
  if (queue == nullptr) {
    meta.verdict = Verdict::kDropDeviceGone;
    return;
  }
  if (meta.queue == kKernelQueue) {
    // The TAP beside the uplink it came in on; from a loop, any.
    DeviceId uplink = meta.in;
    if (snapshot.devices[uplink].side != Side::kUplink) {
      uplink = meta.flow != nullptr ? meta.flow->uplink : kNoDevice;
    }
    if (uplink == kNoDevice) uplink = queue->device;
    meta.out = snapshot.devices[uplink].peer;
    meta.adjacency = kNoAdjacency;
    if (meta.out == kNoDevice) meta.verdict = Verdict::kDropDeviceGone;
    return;
  }
  meta.out = queue->device;
  if (queue->device == kNoDevice) {  // it is being opened anew
    meta.verdict = Verdict::kDropDeviceGone;
    return;
  }
  // An originator is where it sent from.
  if (meta.action == Action::kTranslateIn) return;
  Flow* flow = meta.flow;
  if (flow != nullptr && IsResolved(snapshot, flow->to_queue)) {
    meta.adjacency = flow->to_queue;
    return;
  }
  const AdjacencyId adjacency =
      snapshot.neighbours.Find(queue->device, meta.key.local);
  if (!IsResolved(snapshot, adjacency)) {
    WaitFor(snapshot, queue->device, meta.key.local, context, mbuf, meta);
    return;
  }
  meta.adjacency = adjacency;
  if (flow != nullptr) flow->to_queue = adjacency;
}

enum class Among : uint8_t { kAll, kAlive };

// The hop on which `point` falls when each takes as much room as its weight;
// nullptr: there is none.
const RouteTable::NextHop* HopAt(const RouteTable::Route& route, uint64_t point,
                                 Among among) {
  const auto room = [among](const RouteTable::NextHop& hop) -> uint64_t {
    return among == Among::kAll || hop.alive ? hop.weight : 0;
  };
  uint64_t all = 0;
  for (const RouteTable::NextHop& hop : route.hops) all += room(hop);
  if (all == 0) return nullptr;
  uint64_t left = point % all;
  for (const RouteTable::NextHop& hop : route.hops) {
    if (left < room(hop)) return &hop;
    left -= room(hop);
  }
  return nullptr;
}

}  // namespace

NextHopChoice ChooseNextHop(const Snapshot& snapshot,
                            const IpAddress& destination, uint64_t hash) {
  NextHopChoice choice;
  const RouteTable::Route* route = snapshot.routes.Lookup(destination);
  if (route == nullptr || route->hops.empty()) return choice;
  // Bits that neither the index nor the queue group use.
  const RouteTable::NextHop* hop =
      HopAt(*route, (hash >> 24) & 0xffff, Among::kAll);
  if (!hop->alive) {
    constexpr uint64_t kOtherBits = 0x9e3779b97f4a7c15;
    const RouteTable::NextHop* living =
        HopAt(*route, (hash * kOtherBits) >> 48, Among::kAlive);
    if (living != nullptr) hop = living;
  }
  choice.device = hop->device;
  choice.adjacency = hop->adjacency;
  choice.address = destination;
  if (hop->adjacency != kNoAdjacency) {
    choice.address = snapshot.adjacencies[hop->adjacency].next_hop;
  } else {
    choice.adjacency = snapshot.neighbours.Find(hop->device, destination);
  }
  return choice;
}

bool IsLiveHop(const Snapshot& snapshot, const IpAddress& destination,
               AdjacencyId gateway) {
  if (gateway == kNoAdjacency) return false;
  const RouteTable::Route* route = snapshot.routes.Lookup(destination);
  if (route == nullptr || route->hops.size() < 2) return false;
  return std::any_of(route->hops.begin(), route->hops.end(),
                     [gateway](const RouteTable::NextHop& hop) {
                       return hop.adjacency == gateway && hop.alive;
                     });
}

void FindNextHopAnew(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                     Meta& meta) {
  switch (meta.action) {
    case Action::kToUplink:
    case Action::kTranslateOut:
      ToUplink(snapshot, context, mbuf, meta);
      break;
    case Action::kToQueue:
    case Action::kTranslateIn:
      ToQueue(snapshot, context, mbuf, meta);
      break;
    case Action::kToKernel:
      // What the kernel sent goes back to it.
      meta.out =
          meta.side == Side::kKernel ? meta.in : snapshot.devices[meta.in].peer;
      if (meta.out == kNoDevice) meta.verdict = Verdict::kDropDeviceGone;
      break;
    default:
      break;
  }
}

}  // namespace godwit
