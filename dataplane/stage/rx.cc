// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/rx.h"

#include <rte_ethdev.h>
#include <rte_ether.h>

#include <cstring>

#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

// What a device says of a buffer's memory stays; nothing else of the receive
// side's may reach the transmit side (MBF-04).
constexpr uint64_t kMemoryFlags = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;

PacketState Beginning(Route route, DeviceId device) {
  PacketState state;
  state.route = route;
  state.in = device;
  return state;
}

void Begin(const PacketState& state, Meta& meta) {
  std::memcpy(static_cast<PacketState*>(&meta), &state, sizeof(state));
  meta.flow = nullptr;
}

}  // namespace

void Rx(DeviceId device, DeviceLane lane, Context& context, Burst& burst) {
  burst.count = rte_eth_rx_burst(lane.eth_port, lane.index, burst.mbuf.data(),
                                 Burst::kMax);
  if (burst.count == 0) return;
  const PacketState state = Beginning(Route::kReceived, device);
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < burst.count; ++i) {
    rte_prefetch0(rte_pktmbuf_mtod(burst.mbuf[i], void*));
  }
  for (uint16_t i = 0; i < burst.count; ++i) {
    // A driver that has taken the tag off gives it back: parse reads frames.
    if ((burst.mbuf[i]->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0)
        [[unlikely]] {
      rte_vlan_insert(&burst.mbuf[i]);
    }
    bytes += burst.mbuf[i]->pkt_len;
    burst.mbuf[i]->ol_flags &= kMemoryFlags;
    Begin(state, burst.meta[i]);
  }
  Counts& counts = context.counters->counts;
  counts.received += burst.count;
  counts.devices[device].received += burst.count;
  counts.devices[device].received_bytes += bytes;
}

void RxAgain(rte_mbuf** mbufs, uint16_t count, const Snapshot& snapshot,
             Burst& burst) {
  burst.count = count;
  for (uint16_t i = 0; i < count; ++i) {
    burst.mbuf[i] = mbufs[i];
    const PacketTag& tag = TagOf(mbufs[i]);
    Begin(Beginning(tag.route, tag.device), burst.meta[i]);
    burst.meta[i].tagged = true;
    const bool gone = tag.device >= snapshot.devices.size() ||
                      snapshot.devices[tag.device].side == Side::kNone;
    if (gone) burst.meta[i].verdict = Verdict::kDropDeviceGone;
  }
}

uint16_t RxHandedOver(const Snapshot& snapshot, unsigned from, Context& context,
                      Burst& burst) {
  std::array<rte_mbuf*, Burst::kMax> taken;
  const uint16_t count =
      context.handoff->Take(from, context.worker, taken.data(), Burst::kMax);
  burst.count = 0;
  if (count == 0) return 0;
  // They may have been handed over after their giver's copy was taken.
  context.counters->CopyIfAsked(Holding(context));
  context.counters->counts.handed_in += count;
  uint16_t kept = 0;
  for (uint16_t i = 0; i < count; ++i) {
    const PacketTag& tag = TagOf(taken[i]);
    if (tag.route == Route::kTransmit) {
      Enqueue(snapshot, tag.device, taken[i], tag.verdict, context);
    } else {
      taken[kept++] = taken[i];
    }
  }
  RxAgain(taken.data(), kept, snapshot, burst);
  return count;
}

}  // namespace godwit
