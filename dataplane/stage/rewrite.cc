// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/rewrite.h"

#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/translate.h"
#include "dataplane/stage/answer.h"
#include "dataplane/stage/egress_guard.h"
#include "dataplane/stage/forward_known.h"
#include "dataplane/stage/fragment_out.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

constexpr size_t kTagSize = sizeof(VlanTag);

// Many sources become one, so what they called their datagrams may clash at
// the other end (FRG-09, RFC 6864 5.3.1): what is fragmented, or is about to
// be, gets a new name. Whole datagrams keep theirs (MAP-21).
void Rename(rte_mbuf* mbuf, const Meta& meta, Context& context) {
  const PacketView& view = meta.view;
  uint8_t* frame = FrameOf(mbuf);
  const bool known = meta.tagged && (TagOf(mbuf).first & kFirstKnown) != 0;
  if (view.is_v4) {
    auto* ip = reinterpret_cast<Ipv4Header*>(frame + view.l3_offset);
    const Be16 fresh(known ? TagOf(mbuf).fresh_id : context.fragments.NextId());
    ChecksumDelta delta;
    delta.Remove16(ip->id.wire());
    delta.Add16(fresh.wire());
    ip->id = fresh;
    ip->checksum = ApplyDelta(ip->checksum, delta.value());
  } else if (known) {
    auto* fragment =
        reinterpret_cast<Ipv6FragmentHeader*>(frame + view.fragment_field);
    fragment->id = Be32(TagOf(mbuf).fresh_id);
  }
}

// The flow's translation, one way or the other (MAP-21: nothing else). `cut`:
// it is about to be fragmented.
void Translate(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
               const Meta& meta, bool cut) {
  const Flow& flow = *meta.flow;
  const PacketView& view = meta.view;
  const bool out = meta.action == Action::kTranslateOut;
  uint8_t* frame = FrameOf(mbuf);
  const NewEnd end = NewEndOf(snapshot, flow, out);
  TranslateL3(frame + view.l3_offset, view.is_v4, out, end);
  if (out && (cut || view.fragment != FragmentKind::kWhole)) [[unlikely]] {
    Rename(mbuf, meta, context);
  }
  if (!view.HasL4()) return;
  TranslateL4(frame + view.l4_offset, view.protocol, out, end);
}

bool IsError(const Meta& meta) {
  return meta.view.HasL4() &&
         IsIcmpError(meta.view.protocol, meta.view.l4_flags);
}

// Makes the link header `size` bytes long; nullptr if there is no room.
uint8_t* ResizeLink(rte_mbuf* mbuf, Meta& meta, size_t size) {
  const size_t now = meta.view.l3_offset;
  if (now == size) return FrameOf(mbuf);
  char* frame =
      now > size ? rte_pktmbuf_adj(mbuf, static_cast<uint16_t>(now - size))
                 : rte_pktmbuf_prepend(mbuf, static_cast<uint16_t>(size - now));
  if (frame == nullptr) return nullptr;
  meta.view.l3_offset = static_cast<uint16_t>(size);
  meta.view.l4_offset = static_cast<uint16_t>(meta.view.l4_offset + size - now);
  return reinterpret_cast<uint8_t*>(frame);
}

uint16_t EtherTypeOf(const uint8_t* frame, const PacketView& view) {
  uint16_t wire;
  std::memcpy(&wire, frame + view.l3_offset - 2, 2);
  return wire;
}

// Towards the kernel: as it came, less our tag, to the TAP's own address.
bool LinkToKernel(const Snapshot& snapshot, rte_mbuf* mbuf, Meta& meta) {
  const uint16_t type = EtherTypeOf(FrameOf(mbuf), meta.view);
  const Device& tap = snapshot.devices[meta.out];
  EthHeader kept;
  std::memcpy(&kept, FrameOf(mbuf), sizeof(kept));
  uint8_t* frame = ResizeLink(mbuf, meta, sizeof(EthHeader));
  if (frame == nullptr) return false;
  if (meta.in == meta.out || (kept.destination[0] & 1) == 0) {
    kept.destination = tap.peer_mac;
  }
  kept.ether_type = Be16::FromWire(type);
  std::memcpy(frame, &kept, sizeof(kept));
  return true;
}

// From the kernel: it knows the next hop; our tag goes on, and a tag of
// priority alone comes off.
bool LinkFromKernel(const Snapshot& snapshot, rte_mbuf* mbuf, Meta& meta) {
  const Device& uplink = snapshot.devices[meta.out];
  const bool tagged = uplink.vlan != 0;
  if (!tagged && meta.view.l3_offset == sizeof(EthHeader)) return true;
  const uint16_t type = EtherTypeOf(FrameOf(mbuf), meta.view);
  EthHeader kept;
  std::memcpy(&kept, FrameOf(mbuf), sizeof(kept));
  uint8_t* frame =
      ResizeLink(mbuf, meta, sizeof(EthHeader) + (tagged ? kTagSize : 0));
  if (frame == nullptr) return false;
  kept.ether_type = tagged ? Be16(kEtherTypeVlan) : Be16::FromWire(type);
  std::memcpy(frame, &kept, sizeof(kept));
  if (!tagged) return true;
  VlanTag tag;
  tag.tci = Be16(uplink.vlan);
  tag.ether_type = Be16::FromWire(type);
  std::memcpy(frame + sizeof(kept), &tag, sizeof(tag));
  return true;
}

bool LinkToAdjacency(const Snapshot& snapshot, rte_mbuf* mbuf, Meta& meta) {
  if (meta.adjacency == kNoAdjacency) {
    const uint16_t type = EtherTypeOf(FrameOf(mbuf), meta.view);
    // An originator without a known far end: where it sent from.
    uint8_t* frame = ResizeLink(mbuf, meta, sizeof(EthHeader));
    if (frame == nullptr) return false;
    EthHeader eth;
    eth.destination = meta.flow->originator;
    eth.source = snapshot.devices[meta.out].mac;
    eth.ether_type = Be16::FromWire(type);
    std::memcpy(frame, &eth, sizeof(eth));
    return true;
  }
  const Adjacency& next = snapshot.adjacencies[meta.adjacency];
  if (next.header_size == sizeof(EthHeader) &&
      meta.view.l3_offset == sizeof(EthHeader)) [[likely]] {
    // The type stays where it is.
    std::memcpy(FrameOf(mbuf), next.header.data(), 2 * sizeof(MacAddress));
    return true;
  }
  const uint16_t type = EtherTypeOf(FrameOf(mbuf), meta.view);
  uint8_t* frame = ResizeLink(mbuf, meta, next.header_size);
  if (frame == nullptr) return false;
  std::memcpy(frame, next.header.data(), next.header_size - 2U);
  std::memcpy(frame + next.header_size - 2, &type, 2);
  return true;
}

bool WriteLink(const Snapshot& snapshot, rte_mbuf* mbuf, Meta& meta) {
  const Side to = snapshot.devices[meta.out].side;
  if (to == Side::kKernel) return LinkToKernel(snapshot, mbuf, meta);
  const bool from_kernel =
      meta.side == Side::kKernel && meta.adjacency == kNoAdjacency;
  if (from_kernel && to == Side::kUplink) {
    return LinkFromKernel(snapshot, mbuf, meta);
  }
  return LinkToAdjacency(snapshot, mbuf, meta);
}

// IPH-05: a device with `hop: router` takes a hop of what goes through. What
// the kernel is given, or sends, and what goes round inside has no router.
bool TakesHop(const Snapshot& snapshot, const Meta& meta) {
  return snapshot.devices[meta.in].hop == Hop::kRouter &&
         meta.side != Side::kKernel && meta.route != Route::kLoop &&
         meta.route != Route::kLoopReply && meta.verdict != Verdict::kPunted;
}

bool IsLastHop(const uint8_t* l3, bool is_v4) {
  return (is_v4 ? reinterpret_cast<const Ipv4Header*>(l3)->ttl
                : reinterpret_cast<const Ipv6Header*>(l3)->hop_limit) <= 1;
}

void TakeHop(uint8_t* l3, bool is_v4) {
  if (!is_v4) {
    --reinterpret_cast<Ipv6Header*>(l3)->hop_limit;
    return;
  }
  auto* ip = reinterpret_cast<Ipv4Header*>(l3);
  ChecksumDelta delta;
  delta.Remove16(ip->ttl);
  --ip->ttl;
  delta.Add16(ip->ttl);
  ip->checksum = ApplyDelta(ip->checksum, delta.value());
}

bool GoesRound(const Meta& meta) {
  if (meta.verdict != Verdict::kSent) return false;
  return meta.adjacency == kLoopAdjacency ||
         (meta.flow != nullptr && meta.flow->to_uplink == kLoopAdjacency);
}

// Whether a packet fits its next link; kCut: in pieces.
enum class Fit : uint8_t { kWhole, kCut, kNot };

Fit Refuse(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
           Meta& meta, ErrorKind kind) {
  const bool too_big = kind == ErrorKind::kPacketTooBig;
  meta.verdict =
      too_big ? Verdict::kDropMtuExceeded : Verdict::kDropTtlExceeded;
  if (context.errors.Take(context.now)) {
    SendIcmpError(mbuf, meta, kind, OwnAddressFor(snapshot, meta),
                  too_big ? snapshot.devices[meta.out].mtu : uint16_t{0},
                  context);
  }
  return Fit::kNot;
}

// Too big for where it goes, or at the end of its hops: the sender is told,
// and the verdict is a drop. The hop is taken last, since errors quote the
// packet as it came (RFC 1812 4.3.2.3).
Fit CheckRoom(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
              Meta& meta) {
  if (GoesRound(meta)) return Fit::kWhole;  // looked at when it has
  uint8_t* l3 = FrameOf(mbuf) + meta.view.l3_offset;
  const bool takes_hop = TakesHop(snapshot, meta);
  if (takes_hop && IsLastHop(l3, meta.view.is_v4)) {
    return Refuse(snapshot, context, mbuf, meta, ErrorKind::kTimeExceeded);
  }
  if (meta.verdict == Verdict::kPunted) return Fit::kWhole;
  const uint16_t mtu = snapshot.devices[meta.out].mtu;
  Fit fit = Fit::kWhole;
  if (meta.view.l3_size > mtu) [[unlikely]] {
    if (!MayFragment(mbuf, meta.view, mtu, CutterOf(snapshot, meta))) {
      return Refuse(snapshot, context, mbuf, meta, ErrorKind::kPacketTooBig);
    }
    fit = Fit::kCut;
  }
  if (takes_hop) TakeHop(l3, meta.view.is_v4);
  return fit;
}

// The source of every piece is that of the whole, which is looked at here:
// pieces do not pass GuardEgress.
void CutAndSend(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                Meta& meta) {
  if (meta.verdict == Verdict::kSent &&
      !MayLeave(snapshot, FrameOf(mbuf), rte_pktmbuf_data_len(mbuf),
                SourcesOf(meta))) {
    meta.verdict = Verdict::kLeakPrevented;
    return;
  }
  meta.verdict = SendFragments(snapshot, context, mbuf, meta);
}

// To the other end inside this node. The link header is of no more use.
void GoRound(rte_mbuf* mbuf, Context& context, Meta& meta) {
  PacketTag& tag = Tag(mbuf, meta);
  tag.route =
      meta.action == Action::kTranslateOut ? Route::kLoop : Route::kLoopReply;
  tag.since = 0;
  tag.first = 0;  // by its translated name it is another datagram
  LoopAround(mbuf, context);
  meta.verdict = Verdict::kHandedOver;
}

}  // namespace

void Rewrite(const Snapshot& snapshot, Context& context, Burst& burst) {
  for (uint16_t i = 0; i < burst.count; ++i) {
    Meta& meta = burst.meta[i];
    rte_mbuf* mbuf = burst.mbuf[i];
    const bool moves = meta.verdict == Verdict::kDelivered ||
                       meta.verdict == Verdict::kSent ||
                       meta.verdict == Verdict::kPunted;
    if (!moves || meta.finished) continue;
    Fit fit = Fit::kWhole;
    if (meta.view.kind == FrameKind::kIp) {
      fit = CheckRoom(snapshot, context, mbuf, meta);
      if (fit == Fit::kNot) continue;
    }
    const bool translates = meta.action == Action::kTranslateOut ||
                            meta.action == Action::kTranslateIn;
    // An error about a flow has been rewritten with its quote.
    if (translates && !IsError(meta)) {
      Translate(snapshot, context, mbuf, meta, fit == Fit::kCut);
    }
    if (GoesRound(meta)) {
      GoRound(mbuf, context, meta);
      continue;
    }
    if (!WriteLink(snapshot, mbuf, meta)) {
      meta.verdict = Verdict::kDropMbufRoom;
      continue;
    }
    if (fit == Fit::kCut) [[unlikely]] {
      CutAndSend(snapshot, context, mbuf, meta);
    }
  }
}

}  // namespace godwit
