// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/icmp_error.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/decide.h"
#include "dataplane/stage/find_flow.h"
#include "dataplane/stage/lend.h"
#include "dataplane/stage/seek.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

// ICE-01, RFC 4443 2.3: over the IP length, not the frame's.
bool ChecksumHolds(const rte_mbuf* mbuf, const Meta& meta) {
  const PacketView& view = meta.view;
  uint64_t sum = 0;
  if (!view.is_v4) {
    const IpAddress& a = meta.key.local;
    const IpAddress& b = meta.key.remote;
    sum = PseudoHeaderSum(a, b, kProtoIcmpv6, view.l4_size());
  }
  // A long quote may end in another buffer of the chain.
  constexpr uint32_t kPart = 1024;
  std::array<uint8_t, kPart> room;
  for (uint32_t at = 0; at < view.l4_size(); at += kPart) {
    const uint32_t size = std::min(kPart, view.l4_size() - at);
    const void* part =
        rte_pktmbuf_read(mbuf, view.l4_offset + at, size, room.data());
    if (part == nullptr) return false;
    sum = AddBytes(sum, part, size);
  }
  return FoldSum(sum) == 0xffff;
}

bool IsPacketTooBig(const PacketView& view) {
  return view.is_v4 ? view.l4_flags == kIcmpUnreachable &&
                          view.icmp_code == kIcmpCodeFragmentationNeeded
                    : view.l4_flags == kIcmpv6PacketTooBig;
}

// ICE-21: below what the family allows. IPv4 zero is the old style (RFC 1191).
bool IsAbsurdMtu(const IcmpHeader& icmp, bool is_v4) {
  if (is_v4) {
    const unsigned mtu = icmp.sequence.host();
    return mtu != 0 && mtu < 68;
  }
  const unsigned mtu =
      static_cast<unsigned>(icmp.id.host()) << 16 | icmp.sequence.host();
  return mtu < 1280;
}

// Whether it is an error that may pass at all, and what it quotes.
Verdict CheckError(const rte_mbuf* mbuf, const Meta& meta, QuoteView& quote) {
  const PacketView& view = meta.view;
  if (view.fragment != FragmentKind::kWhole) return Verdict::kDropIcmpFrag;
  if (!ChecksumHolds(mbuf, meta)) return Verdict::kDropIcmpCsum;
  if (view.is_v4 && view.l4_flags == kIcmpQuench) return Verdict::kDropIcmpType;
  if (view.is_v4 && view.l4_flags == kIcmpRedirect) {
    return Verdict::kDropIcmpRedirect;
  }
  const uint8_t* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  const size_t at = view.l4_offset + sizeof(IcmpHeader);
  const size_t end = size_t{view.l3_offset} + view.l3_size;
  switch (ParseQuote(frame, at, end, view.is_v4, quote)) {
    case QuoteError::kShort:
      return Verdict::kDropIcmpShort;
    case QuoteError::kBad:
      return Verdict::kDropIcmpInnerMismatch;
    case QuoteError::kNone:
      break;
  }
  if (quote.later_fragment) return Verdict::kDropIcmpInnerFrag;
  if (IsIcmpError(quote.protocol, quote.icmp_type) && IsIcmp(quote.protocol)) {
    return Verdict::kDropIcmpAboutError;
  }
  const auto* icmp =
      reinterpret_cast<const IcmpHeader*>(frame + view.l4_offset);
  if (IsPacketTooBig(view) && IsAbsurdMtu(*icmp, view.is_v4)) {
    return Verdict::kDropIcmpPtbSmall;
  }
  return Verdict::kUndecided;
}

// ICE-02: a router may quote a header it has changed already, so a packet too
// big with a live flow passes all the same.
bool QuotedHeaderHolds(const rte_mbuf* mbuf, const QuoteView& quote) {
  if (!quote.is_v4) return true;
  const auto* ip =
      rte_pktmbuf_mtod_offset(mbuf, const Ipv4Header*, quote.l3_offset);
  return FoldSum(AddBytes(0, ip, ip->header_size())) == 0xffff;
}

// The quoted packet went the other way: its source is our end.
FlowKey QuotedFlow(const Meta& meta, const QuoteView& quote) {
  FlowKey key;
  key.protocol = quote.protocol;
  key.side = meta.key.side;
  if (key.side == kUplinkSide) {
    key.local = quote.source;
    key.remote = quote.destination;
    key.local_l4port = quote.source_l4port;
    key.remote_l4port = quote.destination_l4port;
  } else {
    // What a queue complains about, it has received.
    key.local = quote.destination;
    key.remote = quote.source;
    key.local_l4port = quote.destination_l4port;
    key.remote_l4port = quote.source_l4port;
  }
  return key;
}

// Where the l4 checksum of a quoted protocol stands; 0: it has none we know.
size_t ChecksumOffset(uint8_t protocol) {
  switch (protocol) {
    case kProtoTcp:
      return offsetof(TcpHeader, checksum);
    case kProtoUdp:
      return offsetof(UdpHeader, checksum);
    case kProtoIcmp:
    case kProtoIcmpv6:
      return offsetof(IcmpHeader, checksum);
    default:
      return 0;
  }
}

// Writes 16 bits and notes the change in `outer`, which sums the quote too.
// `at` is an offset in the frame; the ICMP header is 16-bit aligned with all
// that it quotes, because IP headers are multiples of four bytes.
void Put16(uint8_t* frame, size_t at, uint16_t wire, ChecksumDelta& outer) {
  uint16_t old;
  std::memcpy(&old, frame + at, 2);
  outer.Remove16(old);
  outer.Add16(wire);
  std::memcpy(frame + at, &wire, 2);
}

void PutAddress(uint8_t* frame, size_t at, const IpAddress& address,
                ChecksumDelta& outer) {
  const uint8_t* bytes =
      address.IsV4() ? address.V4Bytes() : address.bytes.data();
  const size_t size = address.IsV4() ? 4 : 16;
  for (size_t i = 0; i < size; i += 2) {
    uint16_t wire;
    std::memcpy(&wire, bytes + i, 2);
    Put16(frame, at + i, wire, outer);
  }
}

// What is replaced in one direction.
struct Change {
  bool source;        // of the quote: its source, else its destination
  IpAddress address;  // new one
  uint16_t l4port;    // new one
  uint16_t l3_delta;  // for the quoted IPv4 header
  uint16_t l4_delta;  // for the quoted l4 header
  bool outer_source;  // outer header: its source, else its destination
};

// ICE-06, ICE-07, ICE-10: address and l4port inside, with the checksums that
// are there, and never a byte beyond the quote.
void RewriteQuote(uint8_t* frame, const QuoteView& quote, const Change& change,
                  ChecksumDelta& outer) {
  const size_t l3 = quote.l3_offset;
  if (quote.is_v4) {
    const size_t field = change.source ? offsetof(Ipv4Header, source)
                                       : offsetof(Ipv4Header, destination);
    PutAddress(frame, l3 + field, change.address, outer);
    const size_t sum = l3 + offsetof(Ipv4Header, checksum);
    uint16_t old;
    std::memcpy(&old, frame + sum, 2);
    Put16(frame, sum, ApplyDelta(old, change.l3_delta), outer);
  } else {
    const size_t field = change.source ? offsetof(Ipv6Header, source)
                                       : offsetof(Ipv6Header, destination);
    PutAddress(frame, l3 + field, change.address, outer);
  }
  const size_t l4 = quote.l4_offset;
  size_t l4port = l4 + (change.source ? 0U : 2U);
  if (IsIcmp(quote.protocol)) l4port = l4 + offsetof(IcmpHeader, id);
  Put16(frame, l4port, Be16(change.l4port).wire(), outer);
  const size_t sum = ChecksumOffset(quote.protocol);
  if (sum == 0 || sum + 2 > quote.l4_quoted) return;
  uint16_t old;
  std::memcpy(&old, frame + l4 + sum, 2);
  if (quote.protocol == kProtoUdp && old == 0) return;
  uint16_t fresh = ApplyDelta(old, change.l4_delta);
  if (quote.protocol == kProtoUdp && fresh == 0) fresh = 0xffff;
  Put16(frame, l4 + sum, fresh, outer);
}

void Translate(rte_mbuf* mbuf, const Meta& meta, const QuoteView& quote,
               const Change& change) {
  uint8_t* frame = FrameOf(mbuf);
  const PacketView& view = meta.view;
  ChecksumDelta icmp_delta;
  RewriteQuote(frame, quote, change, icmp_delta);
  ChecksumDelta outer;
  const size_t l3 = view.l3_offset;
  if (view.is_v4) {
    const size_t field = change.outer_source
                             ? offsetof(Ipv4Header, source)
                             : offsetof(Ipv4Header, destination);
    PutAddress(frame, l3 + field, change.address, outer);
    auto* ip = reinterpret_cast<Ipv4Header*>(frame + l3);
    ip->checksum = ApplyDelta(ip->checksum, outer.value());
  } else {
    const size_t field = change.outer_source
                             ? offsetof(Ipv6Header, source)
                             : offsetof(Ipv6Header, destination);
    PutAddress(frame, l3 + field, change.address, icmp_delta);  // pseudo header
  }
  auto* icmp = reinterpret_cast<IcmpHeader*>(frame + view.l4_offset);
  icmp->checksum = ApplyDelta(icmp->checksum, icmp_delta.value());
}

// From the uplink, or round again: to the queue of the flow it quotes.
void ToOriginatorOrService(const Snapshot& snapshot, Context& context,
                           rte_mbuf* mbuf, const QuoteView& quote, Meta& meta) {
  Flow* flow = meta.flow;
  if (flow == nullptr) {
    // No entry: the hash alone decides, as for the flow's packets.
    const ServiceId id = snapshot.service_table.Find(
        meta.key.local, meta.key.protocol,
        IsIcmp(meta.key.protocol) ? uint16_t{0} : meta.key.local_l4port);
    const Service* service = snapshot.ServiceOf(id);
    if (service == nullptr) {
      const bool kernels =
          meta.route != Route::kLoopReply &&  // it asks by a mapping of ours
          snapshot.nat->IsUnicast(meta.key.local) &&
          (IsIcmp(meta.key.protocol) ||
           !snapshot.nat->l4ports.Contains(meta.key.local_l4port));
      meta.action = Action::kToKernel;
      meta.verdict = kernels ? Verdict::kPunted : Verdict::kDropIcmpUnmatched;
      return;
    }
    FlowKey client;
    client.remote = meta.key.remote;
    meta.queue =
        ChooseQueue(*service, meta.hash, context.flows->HashOf(client));
    meta.service = id;
    meta.action = Action::kToQueue;
    meta.verdict =
        meta.queue == 0 ? Verdict::kDropServiceNoQueue : Verdict::kDelivered;
    return;
  }
  meta.queue = flow->queue;
  meta.service = flow->service;
  meta.verdict = Verdict::kDelivered;
  meta.action = Action::kToQueue;
  const bool translated = flow->kind == FlowKind::kOriginated &&
                          flow->source_rule == SourceRule::kTranslated;
  if (!translated) return;
  meta.action = Action::kTranslateIn;
  Change change;
  change.source = true;
  change.address = flow->local;
  change.l4port = flow->local_l4port;
  change.l3_delta = NegateDelta(flow->l3_delta);
  change.l4_delta = NegateDelta(flow->l4_delta);
  change.outer_source = false;
  Translate(mbuf, meta, quote, change);
}

// From a queue, about what it received.
void FromOriginatorOrService(const Snapshot& snapshot, rte_mbuf* mbuf,
                             const QuoteView& quote, const IpAddress& sender,
                             Meta& meta) {
  Flow* flow = meta.flow;
  meta.verdict = Verdict::kSent;
  meta.action = Action::kToUplink;
  const bool translated = flow != nullptr &&
                          flow->kind == FlowKind::kOriginated &&
                          flow->source_rule == SourceRule::kTranslated;
  if (!translated) {
    // A service speaks for itself, of a flow of its own.
    const ServiceAddress* at =
        snapshot.service_table.FindAddress(meta.key.local);
    const bool own = at != nullptr && sender == meta.key.local;
    meta.source_may_be_service = true;
    // Who asked is behind another queue, flow or none.
    if (snapshot.nat->IsUnicast(meta.key.remote)) {
      meta.adjacency = kLoopAdjacency;
    }
    if (!own || (flow == nullptr &&
                 (snapshot.service_table.Find(*at, meta.key.protocol,
                                              IsIcmp(meta.key.protocol)
                                                  ? uint16_t{0}
                                                  : meta.key.local_l4port) ==
                      kNoService ||
                  !IsOwnService(snapshot, meta.key.local, meta.queue)))) {
      meta.verdict = Verdict::kDropIcmpUnmatched;
    }
    return;
  }
  meta.action = Action::kTranslateOut;
  Change change;
  change.source = false;
  change.address = snapshot.nat->unicast[flow->unicast];
  change.l4port = flow->external_l4port;
  change.l3_delta = flow->l3_delta;
  change.l4_delta = flow->l4_delta;
  change.outer_source = true;
  Translate(mbuf, meta, quote, change);
}

// The flow that `meta.key` names, if there is one. False: the error has gone to
// the worker that may have it.
bool FindQuoted(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                Meta& meta) {
  const unsigned owner =
      OwnerOf(snapshot, *context.ownership, meta, context.worker);
  if (owner != context.worker) {
    if (meta.route == Route::kHome) meta.route = Route::kReceived;
    Tag(mbuf, meta);
    HandOver(mbuf, owner, context);
    meta.verdict = Verdict::kHandedOver;
    return false;
  }
  meta.hash = context.flows->HashOf(meta.key);
  meta.flow = context.flows->Find(meta.hash, meta.key, context.now);
  if (meta.flow != nullptr && meta.flow->epoch != snapshot.epoch &&
      !JudgeAgain(snapshot, *context.flows, *meta.flow)) {
    meta.flow = nullptr;
  }
  const bool here = meta.flow != nullptr && meta.flow->kind != FlowKind::kLent;
  if (!here && Seek(snapshot, context, mbuf, meta)) return false;
  if (meta.route == Route::kSought) meta.route = Route::kReceived;
  // Sent here by an entry, it does not go on by another (lend.h).
  const bool sent_here = meta.route == Route::kBorrowed;
  if (meta.key.side != kUplinkSide && meta.flow == nullptr && !sent_here &&
      snapshot.nat->mapping == Mapping::kEndpointIndependent) {
    meta.flow = context.flows->FindLentBinding(meta.key, context.now);
  }
  if (meta.flow != nullptr && meta.flow->kind == FlowKind::kLent) {
    if (!sent_here) {
      SendToLender(snapshot, context, mbuf, *meta.flow, meta);
      return false;
    }
    meta.flow = nullptr;
  }
  return true;
}

}  // namespace

void HandleIcmpError(const Snapshot& snapshot, Context& context, rte_mbuf* mbuf,
                     Meta& meta) {
  const bool from_uplink = meta.key.side == kUplinkSide;
  const IpAddress sender = from_uplink ? meta.key.remote : meta.key.local;
  const IpAddress target = from_uplink ? meta.key.local : meta.key.remote;
  if (from_uplink && !snapshot.IsOwnAddress(target)) {
    meta.action = Action::kToKernel;
    meta.verdict = Verdict::kPunted;
    return;
  }
  if (from_uplink && meta.route == Route::kReceived &&
      IsMartianSource(sender, snapshot.devices[meta.in].martians)) {
    meta.verdict = Verdict::kDropMartianSource;
    return;
  }
  if (from_uplink && meta.route == Route::kReceived &&
      snapshot.IsOwnAddress(sender)) {
    meta.verdict = Verdict::kDropSpoofOwnSource;
    return;
  }
  QuoteView quote;
  meta.verdict = CheckError(mbuf, meta, quote);
  if (!meta.undecided()) return;
  // ICE-14: what is quoted was sent by whom the error is for.
  if (quote.source != target) {
    meta.verdict = Verdict::kDropIcmpInnerMismatch;
    return;
  }
  const FlowKey outer = meta.key;
  meta.key = QuotedFlow(meta, quote);
  if (!FindQuoted(snapshot, context, mbuf, meta)) return;
  const bool live_ptb = IsPacketTooBig(meta.view) && meta.flow != nullptr;
  if (!live_ptb && !QuotedHeaderHolds(mbuf, quote)) {
    meta.verdict = Verdict::kDropIcmpInnerCsum;
    return;
  }
  if (from_uplink) {
    ToOriginatorOrService(snapshot, context, mbuf, quote, meta);
  } else {
    FromOriginatorOrService(snapshot, mbuf, quote, outer.local, meta);
  }
}

}  // namespace godwit
