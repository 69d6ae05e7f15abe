// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/follow_first.h"

#include "dataplane/stage/decide.h"
#include "dataplane/stage/find_flow.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

void Adopt(const PacketTag& tag, const FlowTable& flows, Meta& meta) {
  const bool inward = meta.key.side == kUplinkSide;
  meta.key.local_l4port = inward ? tag.destination_l4port : tag.source_l4port;
  meta.key.remote_l4port = inward ? tag.source_l4port : tag.destination_l4port;
  meta.key.protocol = tag.protocol;
  meta.view.protocol = tag.protocol;
  // What its first is refused for it is refused for, too.
  if ((tag.first & kFirstLacksChecksum) != 0) {
    meta.view.l4_flags = kUdpNoChecksum;
  }
  meta.lookup = (tag.first & kFirstHasL4Ports) != 0;
  SendForBucket(flows, meta);
  SendForFlow(flows, meta);
}

void Mark(const Fragments::First& first, uint16_t fresh_id, PacketTag& tag) {
  tag.source_l4port = first.source_l4port;
  tag.destination_l4port = first.destination_l4port;
  tag.protocol = first.protocol;
  tag.fresh_id = fresh_id;
  tag.first = static_cast<uint8_t>(
      kFirstKnown | (first.has_l4ports ? kFirstHasL4Ports : 0) |
      (first.lacks_checksum ? kFirstLacksChecksum : 0));
}

// What names a datagram: RFC 791 has the protocol in it, RFC 8200 4.5 not.
FlowKey DatagramOf(const Meta& meta) {
  FlowKey key = meta.key;
  key.local_l4port = static_cast<uint16_t>(meta.view.fragment_id);
  key.remote_l4port = static_cast<uint16_t>(meta.view.fragment_id >> 16);
  if (!meta.view.is_v4) key.protocol = 0;
  return key;
}

// A fragment on the worker that owns its datagram.
void See(Context& context, rte_mbuf* mbuf, const FlowKey& datagram,
         Meta& meta) {
  const PacketView& view = meta.view;
  PacketTag& tag = Tag(mbuf, meta);
  Fragments::First first;
  first.source_l4port = view.source_l4port;
  first.destination_l4port = view.destination_l4port;
  first.protocol = view.protocol;
  first.has_l4ports = meta.lookup;
  first.is_icmp_error =
      view.HasL4() && IsIcmpError(view.protocol, view.l4_flags);
  first.lacks_checksum = LacksChecksum(view);
  const Fragments::Piece piece = {view.fragment_offset, view.l4_size(),
                                  view.more_fragments};
  Fragments::First known;
  uint16_t fresh_id = 0;
  const Fragments::Answer answer = context.fragments.See(
      datagram, context.flows->HashOf(datagram), piece,
      view.HasL4() ? &first : nullptr, mbuf, context.now, known, fresh_id);
  switch (answer) {
    case Fragments::Answer::kKnown:
      Mark(known, fresh_id, tag);
      Adopt(tag, *context.flows, meta);
      if (known.is_icmp_error) meta.verdict = Verdict::kDropIcmpFrag;
      context.fragments.TakeReleased([&](rte_mbuf* released) {
        Mark(known, fresh_id, TagOf(released));
        LoopAround(released, context);
      });
      break;
    case Fragments::Answer::kWaits:
      meta.verdict = Verdict::kHeld;
      break;
    case Fragments::Answer::kDuplicate:
      meta.verdict = Verdict::kDropFragDuplicate;
      break;
    case Fragments::Answer::kOverlap:
      meta.verdict = Verdict::kDropFragOverlap;
      context.fragments.TakeReleased([&context](rte_mbuf* released) {
        rte_pktmbuf_free(released);
        context.counters->Count(Verdict::kDropFragOverlap);
      });
      break;
    case Fragments::Answer::kFull:
      meta.verdict = Verdict::kDropFragBudget;
      break;
  }
}

}  // namespace

void FollowFirst(const Snapshot& snapshot, Context& context, Burst& burst) {
  for (uint16_t i = 0; i < burst.count; ++i) {
    Meta& meta = burst.meta[i];
    if (meta.view.fragment == FragmentKind::kWhole || !meta.undecided())
        [[likely]] {
      continue;
    }
    rte_mbuf* mbuf = burst.mbuf[i];
    if (meta.tagged && (TagOf(mbuf).first & kFirstKnown) != 0) {
      Adopt(TagOf(mbuf), *context.flows, meta);
      continue;
    }
    const bool ours =
        meta.key.side != kUplinkSide || snapshot.IsOwnAddress(meta.key.local);
    if (!ours) continue;
    const FlowKey datagram = DatagramOf(meta);
    const unsigned owner =
        context.ownership->OfDatagram(meta.key.local, meta.key.remote,
                                      meta.view.fragment_id, datagram.protocol);
    if (owner != context.worker) {
      Tag(mbuf, meta);
      HandOver(mbuf, owner, context);
      meta.verdict = Verdict::kHandedOver;
      continue;
    }
    See(context, mbuf, datagram, meta);
  }
}

}  // namespace godwit
