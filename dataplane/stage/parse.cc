// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/parse.h"

#include <algorithm>
#include <array>
#include <utility>

#include "dataplane/net/headers.h"
#include "dataplane/stage/decide.h"
#include "dataplane/stage/find_flow.h"
#include "dataplane/stage/link_answer.h"
#include "dataplane/stage/parse_plain.h"

namespace godwit {
namespace {

IpAddress SourceOf(const uint8_t* frame, const PacketView& view) {
  const uint8_t* ip = frame + view.l3_offset;
  return view.is_v4 ? IpAddress::FromV4(ip + offsetof(Ipv4Header, source))
                    : IpAddress::FromV6(ip + offsetof(Ipv6Header, source));
}

IpAddress DestinationOf(const uint8_t* frame, const PacketView& view) {
  const uint8_t* ip = frame + view.l3_offset;
  return view.is_v4 ? IpAddress::FromV4(ip + offsetof(Ipv4Header, destination))
                    : IpAddress::FromV6(ip + offsetof(Ipv6Header, destination));
}

bool IsBroadcast(const IpAddress& address) {
  const uint8_t all[4] = {255, 255, 255, 255};
  return address == IpAddress::FromV4(all);
}

bool IsGroup(const MacAddress& mac) { return (mac[0] & 1) != 0; }

// MBF-02, MBF-03: from here on the headers are in one piece that is ours
// alone. False if no buffer is left.
bool MakeHeadersOurs(rte_mbuf*& mbuf, const Meta& meta, rte_mempool* pool) {
  const bool shared = rte_mbuf_refcnt_read(mbuf) != 1 || !RTE_MBUF_DIRECT(mbuf);
  if (!shared && mbuf->nb_segs == 1) [[likely]] {
    return true;
  }
  const uint32_t size = rte_pktmbuf_pkt_len(mbuf);
  if (!shared &&
      rte_pktmbuf_data_len(mbuf) >=
          std::min<uint32_t>(size, static_cast<uint32_t>(kHeaderRoom))) {
    return true;
  }
  rte_mbuf* copy = rte_pktmbuf_copy(mbuf, pool, 0, UINT32_MAX);
  if (copy == nullptr) return false;
  if (meta.tagged) TagOf(copy) = TagOf(mbuf);
  rte_pktmbuf_free(mbuf);
  mbuf = copy;
  return true;
}

// The VLAN we live on is taken off in front; what has another tag is not ours
// (L2-03). The TAP and the queues carry no tags.
bool TakeTag(const Device& device, PacketView& view) {
  const uint16_t vid = view.vlan_tci & 0x0fff;
  return vid == device.vlan;
}

// Cuts a chain off behind `size` bytes, in whichever buffer that is.
void CutChain(uint32_t size, rte_mbuf* mbuf) {
  uint16_t parts = 1;
  uint32_t left = size;
  rte_mbuf* last = mbuf;
  for (; left > last->data_len; last = last->next, ++parts) {
    left -= last->data_len;
  }
  rte_pktmbuf_free(last->next);
  last->next = nullptr;
  last->data_len = static_cast<uint16_t>(left);
  mbuf->nb_segs = parts;
  mbuf->pkt_len = size;
}

// What stands behind the IP packet is padding, and stays here (IPH-02).
void TakeTrailer(const PacketView& view, rte_mbuf* mbuf) {
  const uint32_t size = uint32_t{view.l3_offset} + view.l3_size;
  if (rte_pktmbuf_pkt_len(mbuf) > size) CutChain(size, mbuf);
}

// Forced inline: passed by reference an address is written as two words and
// read back as one, which waits for the first cache (10 clk a packet).
[[gnu::always_inline]] inline void SetKey(const IpAddress& local,
                                          const IpAddress& remote,
                                          uint16_t local_l4port,
                                          uint16_t remote_l4port, QueueId side,
                                          Meta& meta) {
  meta.key.local = local;
  meta.key.remote = remote;
  meta.key.local_l4port = local_l4port;
  meta.key.remote_l4port = remote_l4port;
  meta.key.side = side;
  const PacketView& view = meta.view;
  meta.key.protocol = view.protocol;
  meta.lookup = view.HasL4() &&
                (view.protocol == kProtoTcp || view.protocol == kProtoUdp ||
                 IsEchoRequest(view.protocol, view.l4_flags) ||
                 IsEchoReply(view.protocol, view.l4_flags));
}

bool IsLinkIcmpv6(const PacketView& view) {
  return view.protocol == kProtoIcmpv6 && view.HasL4() &&
         ((view.l4_flags >= kIcmpv6MldQuery &&
           view.l4_flags <= kIcmpv6Redirect) ||
          view.l4_flags == kIcmpv6Mldv2Report);
}

// L2-07: ::ffff:0:0/96 is a martian among others.
Verdict MappedVerdict(const uint8_t* frame, const PacketView& view) {
  return SourceOf(frame, view).IsV4() ? Verdict::kDropMartianSource
                                      : Verdict::kDropMartianDestination;
}

void FromUplink(const Device& device, const uint8_t* frame, Meta& meta) {
  const auto* eth = reinterpret_cast<const EthHeader*>(frame);
  const bool mine = IsSame(eth->destination, device.mac);
  const PacketView& view = meta.view;
  meta.action = Action::kToKernel;
  if (view.kind != FrameKind::kIp) {
    const bool ours = mine || IsGroup(eth->destination);
    meta.verdict = ours ? Verdict::kPunted : Verdict::kDropL2NotMine;
    return;
  }
  const IpAddress destination = DestinationOf(frame, view);
  const IpAddress source = SourceOf(frame, view);
  if (view.HasL4() &&
      ((view.protocol == kProtoIcmpv6 && view.l4_flags == kIcmpv6Redirect) ||
       (view.protocol == kProtoIcmp && view.l4_flags == kIcmpRedirect))) {
    meta.verdict = Verdict::kDropIcmpRedirect;  // ADV-63
    return;
  }
  if (!mine) {
    meta.verdict = Verdict::kDropL2NotMine;
    if (IsGroup(eth->destination)) {
      meta.verdict = destination.IsMulticast() ? Verdict::kPunted
                                               : Verdict::kDropL2Multicast;
    }
    return;
  }
  if (IsLinkIcmpv6(view) || destination.IsMulticast()) {
    meta.verdict = Verdict::kPunted;
    return;
  }
  meta.action = Action::kNone;
  SetKey(destination, source, view.destination_l4port, view.source_l4port,
         kUplinkSide, meta);
}

// What the kernel says in an open TCP connection (tx.cc asks for it).
void NoteTalk(const uint8_t* frame, const PacketView& view, Context& context) {
  constexpr uint8_t kBeginOrEnd = kTcpSyn | kTcpRst;
  const bool is_talk = view.kind == FrameKind::kIp &&
                       view.protocol == kProtoTcp && view.HasL4() &&
                       (view.l4_flags & (kBeginOrEnd | kTcpAck)) == kTcpAck;
  if (!is_talk) return;
  const FlowKey key = KernelTalk(frame, view, true);
  context.kernel_talks.Note(context.flows->HashOf(key), context.now);
}

void FromKernel(const Snapshot& snapshot, const uint8_t* frame,
                Context& context, Meta& meta) {
  const PacketView& view = meta.view;
  meta.action = Action::kFromKernel;
  meta.out = snapshot.devices[meta.in].peer;
  const bool other =
      view.kind != FrameKind::kIp && view.kind != FrameKind::kArp;
  if (other) {
    meta.verdict = Verdict::kDropL2Type;
    return;
  }
  const bool from_queue = view.kind == FrameKind::kIp && !IsLinkIcmpv6(view) &&
                          IsOfQueueKernel(snapshot, SourceOf(frame, view),
                                          DestinationOf(frame, view));
  if (!from_queue) {
    NoteTalk(frame, view, context);
    // Whether its source may leave, the egress guard says. Beside an interface
    // that the kernel has itself, the TAP is the queue `kernel` and no more:
    // what the kernel says about that link (ND, MLD) ends here.
    meta.verdict = snapshot.devices[meta.out].keeps_interface
                       ? Verdict::kLeakPrevented
                       : Verdict::kSent;
    return;
  }
  // A program of the root namespace: the queue `kernel`.
  meta.action = Action::kNone;
  meta.queue = kKernelQueue;
  SetKey(SourceOf(frame, view), DestinationOf(frame, view), view.source_l4port,
         view.destination_l4port, kKernelQueue, meta);
}

bool IsMartianOfQueue(const IpAddress& source) {
  return source.IsLoopback() || source.IsLinkLocal() || source.IsMulticast() ||
         source.IsUnspecified() || IsBroadcast(source);
}

bool IsSpecial(const IpAddress& destination) {
  return IsMartianDestination(destination, Martians::kBasic) ||
         destination.IsLinkLocal() || destination.IsMulticast();
}

[[gnu::always_inline]] inline Verdict AddressVerdict(
    const IpAddress& source, const IpAddress& destination) {
  if (MayBeSpecial(source) && IsMartianOfQueue(source)) {
    return Verdict::kDropMartianSource;
  }
  return MayBeSpecial(destination) && IsSpecial(destination)
             ? Verdict::kDropMartianDestination
             : Verdict::kUndecided;
}

void FromQueue(const Device& device, Context& context, rte_mbuf* mbuf,
               Meta& meta) {
  const uint8_t* frame = FrameOf(mbuf);
  const PacketView& view = meta.view;
  meta.queue = device.queue;
  if (view.kind == FrameKind::kArp) {
    meta.verdict = AnswerArp(device, context, mbuf, meta);
    return;
  }
  if (view.kind != FrameKind::kIp) {
    meta.verdict = Verdict::kDropL2Type;
    return;
  }
  if (IsLinkIcmpv6(view)) {
    meta.verdict = AnswerNd(device, context, mbuf, meta);
    return;
  }
  const IpAddress source = SourceOf(frame, view);
  const IpAddress destination = DestinationOf(frame, view);
  const auto* eth = reinterpret_cast<const EthHeader*>(frame);
  const bool mine = IsSame(eth->destination, device.mac);
  if (!mine && !IsGroup(eth->destination)) {
    meta.verdict = Verdict::kDropL2NotMine;
    return;
  }
  meta.verdict = AddressVerdict(source, destination);
  if (!mine && meta.undecided()) {
    meta.verdict = Verdict::kDropMartianDestination;
  }
  if (!meta.undecided()) return;
  SetKey(source, destination, view.source_l4port, view.destination_l4port,
         device.queue, meta);
}

// Goes round once more: translated already, so seen from the uplink side.
void FromLoop(const uint8_t* frame, Meta& meta) {
  const PacketView& view = meta.view;
  meta.side = Side::kUplink;
  SetKey(DestinationOf(frame, view), SourceOf(frame, view),
         view.destination_l4port, view.source_l4port, kUplinkSide, meta);
}

[[gnu::noinline]] void ParseOne(const Snapshot& snapshot, Context& context,
                                rte_mbuf*& mbuf, Meta& meta) {
  if (!MakeHeadersOurs(mbuf, meta, context.pool)) {
    meta.verdict = Verdict::kDropMbufNone;
    return;
  }
  const uint8_t* frame = FrameOf(mbuf);
  const size_t readable = rte_pktmbuf_data_len(mbuf);
  const size_t size = rte_pktmbuf_pkt_len(mbuf);
  const ParseError error = ParseFrame(frame, readable, size, meta.view);
  const Device& device = snapshot.devices[meta.in];
  meta.side = device.side;
  if (error != ParseError::kNone) {
    meta.verdict = error == ParseError::kIp6Mapped
                       ? MappedVerdict(frame, meta.view)
                       : DropOf(error);
    return;
  }
  if (meta.view.kind == FrameKind::kIp) TakeTrailer(meta.view, mbuf);
  if (!TakeTag(device, meta.view)) {
    meta.verdict = DropOf(ParseError::kL2Vlan);
    return;
  }
  if (meta.route == Route::kLoop || meta.route == Route::kLoopReply) {
    FromLoop(frame, meta);
  } else if (device.side == Side::kUplink) {
    FromUplink(device, frame, meta);
  } else if (device.side == Side::kKernel) {
    FromKernel(snapshot, frame, context, meta);
  } else {
    FromQueue(device, context, mbuf, meta);
  }
}

// Packets parsed before what their flows lie in is sent for: so many cache
// lines are on their way while as many packets are being parsed.
constexpr uint16_t kGroup = 8;

}  // namespace

FlowKey KernelTalk(const uint8_t* frame, const PacketView& view,
                   bool from_kernel) {
  FlowKey key;
  key.local = SourceOf(frame, view);
  key.remote = DestinationOf(frame, view);
  key.local_l4port = view.source_l4port;
  key.remote_l4port = view.destination_l4port;
  if (!from_kernel) {
    std::swap(key.local, key.remote);
    std::swap(key.local_l4port, key.remote_l4port);
  }
  key.protocol = view.protocol;
  key.side = kKernelQueue;
  return key;
}

Verdict CheckAddressesOfQueue(const IpAddress& source,
                              const IpAddress& destination) {
  return AddressVerdict(source, destination);
}

void Parse(const Snapshot& snapshot, Context& context, Burst& burst) {
  const FlowTable& flows = *context.flows;
  burst.all_plain = true;
  // Nearly always that of the packet before.
  DeviceId in = kNoDevice;
  const Device* device = &snapshot.devices[kNoDevice];
  Side side = Side::kNone;
  uint16_t bucket_sent_for = 0;
  uint16_t flow_sent_for = 0;
  for (uint16_t i = 0; i < burst.count;) {
    const auto end =
        static_cast<uint16_t>(std::min<int>(i + kGroup, burst.count));
    for (; i < end; ++i) {
      Meta& meta = burst.meta[i];
      // One that has gone since (Rx has said so) is no device of ours.
      if (meta.in != in && meta.undecided()) [[unlikely]] {
        in = meta.in;
        device = &snapshot.devices[in];
        side = PlainSideOf(*device);
      }
      rte_mbuf* mbuf = burst.mbuf[i];
      if (side == Side::kUplink
              ? ParsePlain<Side::kUplink>(*device, mbuf, meta)
              : side == Side::kQueue &&
                    ParsePlain<Side::kQueue>(*device, mbuf, meta)) [[likely]] {
        continue;
      }
      burst.all_plain = false;
      meta.key = FlowKey{};
      if (meta.undecided()) ParseOne(snapshot, context, burst.mbuf[i], meta);
    }
    for (; flow_sent_for < bucket_sent_for; ++flow_sent_for) {
      SendForFlow(flows, burst.meta[flow_sent_for]);
    }
    for (; bucket_sent_for < end; ++bucket_sent_for) {
      SendForBucket(flows, burst.meta[bucket_sent_for]);
    }
  }
  for (; flow_sent_for < bucket_sent_for; ++flow_sent_for) {
    SendForFlow(flows, burst.meta[flow_sent_for]);
  }
}

}  // namespace godwit
