// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/tx.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "dataplane/net/headers.h"
#include "dataplane/net/packet_view.h"
#include "dataplane/stage/egress_guard.h"
#include "dataplane/stage/parse.h"

namespace godwit {
namespace {

// What counts when `device` takes no more.
Verdict FullVerdict(const Device& device) {
  switch (device.side) {
    case Side::kUplink:
      return Verdict::kDropUplinkQueue;
    case Side::kKernel:
      return Verdict::kDropKernelQueue;
    default:
      return Verdict::kDropServiceQueue;
  }
}

// A driver that is short of descriptors for a moment is asked again; one that
// takes nothing this often is full (MBF-05).
constexpr int kTxTries = 4;

KernelClass ClassOf(const uint8_t* frame, size_t readable, size_t size,
                    const Context& context) {
  PacketView view;
  if (ParseFrame(frame, readable, size, view) != ParseError::kNone) {
    return KernelClass::kOther;
  }
  if (view.kind != FrameKind::kIp) return KernelClass::kLink;
  constexpr uint8_t kNeverForwarded = 255;
  const uint8_t* ip = frame + view.l3_offset;
  const uint8_t ttl = ip[view.is_v4 ? offsetof(Ipv4Header, ttl)
                                    : offsetof(Ipv6Header, hop_limit)];
  const FlowKey key = KernelTalk(frame, view, false);
  if (ttl == kNeverForwarded || key.local.IsMulticast() ||
      key.remote.IsLinkLocal()) {
    return KernelClass::kLink;
  }
  if (view.protocol != kProtoTcp || !view.HasL4()) return KernelClass::kOther;
  return context.kernel_talks.Knows(context.flows->HashOf(key), context.now)
             ? KernelClass::kTalk
             : KernelClass::kTcp;
}

// Drops of what is only passed on to the kernel as much as there is no time
// for. What its own services are sent goes as it is.
void HoldBack(DeviceId id, TxBatch& batch, Context& context) {
  uint16_t kept = 0;
  for (uint16_t i = 0; i < batch.count; ++i) {
    rte_mbuf* mbuf = batch.mbuf[i];
    if (batch.verdict[i] == Verdict::kPunted) {
      const KernelClass kind =
          ClassOf(FrameOf(mbuf), rte_pktmbuf_data_len(mbuf),
                  rte_pktmbuf_pkt_len(mbuf), context);
      if (!context.kernel_share.May(kind)) {
        rte_pktmbuf_free(mbuf);
        continue;
      }
    }
    batch.mbuf[kept] = mbuf;
    batch.verdict[kept++] = batch.verdict[i];
  }
  const auto dropped = static_cast<uint16_t>(batch.count - kept);
  batch.count = kept;
  if (dropped == 0) return;
  context.counters->Count(Verdict::kDropKernelQueue, dropped);
  context.counters->counts.devices[id].dropped += dropped;
}

void Send(const Snapshot& snapshot, DeviceId id, Context& context) {
  TxBatch& batch = (*context.tx)[id];
  const Device& device = snapshot.devices[id];
  const DeviceLane lane = device.tx[context.worker];
  const bool held_back =
      device.side == Side::kKernel && context.kernel_share.IsLimited();
  if (held_back) [[unlikely]] {
    context.kernel_share.Begin(rte_rdtsc());
    HoldBack(id, batch, context);
  }
  uint64_t bytes = 0;  // added up now: a driver frees what it takes
  for (uint16_t i = 0; i < batch.count; ++i) bytes += batch.mbuf[i]->pkt_len;
  uint16_t sent = 0;
  for (int i = 0; i < kTxTries && sent < batch.count; ++i) {
    sent = static_cast<uint16_t>(
        sent + rte_eth_tx_burst(lane.eth_port, lane.index, &batch.mbuf[sent],
                                static_cast<uint16_t>(batch.count - sent)));
  }
  if (held_back) context.kernel_share.End(batch.count, rte_rdtsc());
  Counters& counters = *context.counters;
  // By runs: one counter moved for each packet is one wait for each.
  for (uint16_t i = 0; i < sent;) {
    const Verdict verdict = batch.verdict[i];
    const uint16_t first = i;
    while (++i < sent && batch.verdict[i] == verdict) {
    }
    counters.Count(verdict, static_cast<uint64_t>(i - first));
  }
  DeviceCounts& counts = counters.counts.devices[id];
  counts.sent += sent;
  if (sent < batch.count) {
    const uint16_t lost = static_cast<uint16_t>(batch.count - sent);
    for (uint16_t i = sent; i < batch.count; ++i) {
      bytes -= batch.mbuf[i]->pkt_len;
    }
    rte_pktmbuf_free_bulk(&batch.mbuf[sent], lost);
    counters.Count(FullVerdict(device), lost);
    counts.dropped += lost;
  }
  counts.sent_bytes += bytes;
  batch.count = 0;
}

}  // namespace

void HandOver(rte_mbuf* mbuf, unsigned owner, Context& context) {
  Counters& counters = *context.counters;
  const PacketTag tag = TagOf(mbuf);  // the owner's as soon as it is given
  if (!context.handoff->Give(context.worker, owner, mbuf)) {
    rte_pktmbuf_free(mbuf);
    counters.Count(Verdict::kDropHandoffFull);
    return;
  }
  ++counters.counts.handed_out;
  // A finished frame on its way to a txq is not counted as the device's.
  if (tag.route != Route::kTransmit) {
    ++counters.counts.devices[tag.device].handed_over;
  }
}

void LoopAround(rte_mbuf* mbuf, Context& context) {
  LoopBuffer& loop = context.loop;
  if (loop.count == loop.mbuf.size()) {
    rte_pktmbuf_free(mbuf);
    context.counters->Count(Verdict::kDropHandoffFull);
    return;
  }
  loop.mbuf[loop.count++] = mbuf;
}

TxBatch* Enqueue(const Snapshot& snapshot, DeviceId id, rte_mbuf* mbuf,
                 Verdict verdict, Context& context) {
  const bool gone =
      id >= snapshot.devices.size() || snapshot.devices[id].tx.empty();
  if (gone) {
    rte_pktmbuf_free(mbuf);
    context.counters->Count(Verdict::kDropDeviceGone);
    return nullptr;
  }
  const Device& device = snapshot.devices[id];
  if (device.tx_owner[context.worker] != context.worker) {
    PacketTag& tag = TagOf(mbuf);
    tag.device = id;
    tag.route = Route::kTransmit;
    tag.verdict = verdict;
    HandOver(mbuf, device.tx_owner[context.worker], context);
    return nullptr;
  }
  TxBatch& batch = (*context.tx)[id];
  if (batch.count == 0) context.pending[context.pending_count++] = id;
  if (batch.count == Burst::kMax) Send(snapshot, id, context);
  batch.Add(mbuf, verdict);
  return &batch;
}

void Flush(const Snapshot& snapshot, Context& context) {
  for (uint16_t i = 0; i < context.pending_count; ++i) {
    Send(snapshot, context.pending[i], context);
  }
  context.pending_count = 0;
}

void Tx(const Snapshot& snapshot, Context& context, Burst& burst) {
  // Most go where the one before went.
  TxBatch* batch = nullptr;
  DeviceId last = kNoDevice;
  for (uint16_t i = 0; i < burst.count; ++i) {
    rte_mbuf* mbuf = burst.mbuf[i];
    const Meta& meta = burst.meta[i];
    switch (meta.verdict) {
      case Verdict::kDelivered:
      case Verdict::kSent:
      case Verdict::kPunted:
        if (batch != nullptr && meta.out == last &&
            batch->count < Burst::kMax) {
          batch->Add(mbuf, meta.verdict);
          break;
        }
        batch = Enqueue(snapshot, meta.out, mbuf, meta.verdict, context);
        last = meta.out;
        break;
      case Verdict::kHandedOver:  // gone already
      case Verdict::kHeld:
        break;
      case Verdict::kConsumed:
        context.counters->Count(Verdict::kConsumed);
        rte_pktmbuf_free(mbuf);
        break;
      default:
        GODWIT_CHECK(IsDrop(meta.verdict));
        context.counters->Count(meta.verdict);
        rte_pktmbuf_free(mbuf);
        break;
    }
  }
  burst.count = 0;
  Flush(snapshot, context);
}

}  // namespace godwit
