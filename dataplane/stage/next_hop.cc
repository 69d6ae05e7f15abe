// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/next_hop.h"

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

}  // namespace

NextHopChoice ChooseNextHop(const Snapshot& snapshot,
                            const IpAddress& destination, uint64_t hash) {
  NextHopChoice choice;
  const RouteTable::Route* route = snapshot.routes.Lookup(destination);
  if (route == nullptr || route->hops.empty()) return choice;
  uint32_t weights = 0;
  for (const RouteTable::NextHop& hop : route->hops) weights += hop.weight;
  // Bits that neither the index nor the queue group use.
  uint32_t point = static_cast<uint32_t>((hash >> 24) & 0xffff) % weights;
  for (const RouteTable::NextHop& hop : route->hops) {
    if (point >= hop.weight) {
      point -= hop.weight;
      continue;
    }
    choice.device = hop.device;
    choice.adjacency = hop.adjacency;
    choice.address = destination;
    if (hop.adjacency != kNoAdjacency) {
      choice.address = snapshot.adjacencies[hop.adjacency].next_hop;
    } else {
      choice.adjacency = snapshot.neighbours.Find(hop.device, destination);
    }
    break;
  }
  return choice;
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
