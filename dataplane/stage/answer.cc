// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/answer.h"

#include <algorithm>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/egress_guard.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

constexpr uint8_t kTtl = 64;
constexpr size_t kMaxErrorV4 = 576;   // RFC 1812 4.3.2.3
constexpr size_t kMaxErrorV6 = 1280;  // RFC 4443 2.4c

// The addresses of the packet that is answered, as the answer has them.
struct Ends {
  IpAddress source;
  IpAddress destination;
};

// A new buffer with the link header of `mbuf`, ends swapped, and an IP header;
// nullptr if there is no buffer. The l4 part is behind the IP header.
rte_mbuf* Start(const rte_mbuf* mbuf, const Meta& meta, const Ends& ends,
                uint8_t protocol, size_t l4_size, Context& context) {
  const PacketView& view = meta.view;
  const size_t l3_header = view.is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  const size_t size = view.l3_offset + l3_header + l4_size;
  rte_mbuf* answer = rte_pktmbuf_alloc(context.pool);
  if (answer == nullptr) return nullptr;
  if (size > rte_pktmbuf_tailroom(answer)) {  // before it is cut to 16 bits
    rte_pktmbuf_free(answer);
    return nullptr;
  }
  char* room = rte_pktmbuf_append(answer, static_cast<uint16_t>(size));
  auto* frame = reinterpret_cast<uint8_t*>(room);
  const uint8_t* asked = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  std::memcpy(frame, asked, view.l3_offset);
  auto* eth = reinterpret_cast<EthHeader*>(frame);
  const MacAddress asker = eth->source;
  eth->source = eth->destination;
  eth->destination = asker;
  // What the kernel sends to the TAP may have been on its way out of another
  // interface (loopback, an `xdp:` uplink), with that one's link header.
  const Device& in = context.snapshot->devices[meta.in];
  if (in.side == Side::kKernel) eth->destination = in.peer_mac;
  std::memset(frame + view.l3_offset, 0, l3_header);
  if (view.is_v4) {
    auto* ip = reinterpret_cast<Ipv4Header*>(frame + view.l3_offset);
    ip->version_ihl = 0x45;
    ip->total_length = Be16(static_cast<uint16_t>(l3_header + l4_size));
    ip->fragment = Be16(0x4000);  // atomic: RFC 6864 4.1
    ip->ttl = kTtl;
    ip->protocol = protocol;
    std::memcpy(ip->source, ends.source.V4Bytes(), 4);
    std::memcpy(ip->destination, ends.destination.V4Bytes(), 4);
    ip->checksum = Checksum(ip, sizeof(*ip));
  } else {
    auto* ip = reinterpret_cast<Ipv6Header*>(frame + view.l3_offset);
    ip->version_class_label = Be32(0x60000000);
    ip->payload_length = Be16(static_cast<uint16_t>(l4_size));
    ip->next_header = protocol;
    ip->hop_limit = kTtl;
    std::memcpy(ip->source, ends.source.bytes.data(), 16);
    std::memcpy(ip->destination, ends.destination.bytes.data(), 16);
  }
  return answer;
}

// Bytes of a frame that may be spread over a chain.
void CopyOut(const rte_mbuf* mbuf, size_t from, size_t size, void* out) {
  const void* there = rte_pktmbuf_read(mbuf, static_cast<uint32_t>(from),
                                       static_cast<uint32_t>(size), out);
  if (there != out) std::memcpy(out, there, size);
}

uint64_t PseudoSum(const Meta& meta, const Ends& ends, uint8_t protocol,
                   size_t l4_size) {
  if (protocol == kProtoIcmp) return 0;
  (void)meta;
  return PseudoHeaderSum(ends.source, ends.destination, protocol,
                         static_cast<uint32_t>(l4_size));
}

// Out by the way the question came, or round again if it came from this node.
void Finish(rte_mbuf* answer, const Meta& meta, Context& context) {
  ++context.counters->counts.generated;
  TagOf(answer) = PacketTag{};
  TagOf(answer).device = meta.in;
  if (meta.route == Route::kLoop) {
    TagOf(answer).route = Route::kLoopReply;
    LoopAround(answer, context);
    return;
  }
  const Snapshot& snapshot = *context.snapshot;
  const bool uplink = snapshot.devices[meta.in].side == Side::kUplink;
  if (uplink &&
      !MayLeave(snapshot, FrameOf(answer), rte_pktmbuf_data_len(answer),
                MayHave::kUnicastOrService)) {
    context.counters->Count(Verdict::kLeakPrevented);
    rte_pktmbuf_free(answer);
    return;
  }
  Enqueue(snapshot, meta.in, answer,
          uplink ? Verdict::kSent : Verdict::kDelivered, context);
}

struct TypeAndCode {
  uint8_t type;
  uint8_t code;
};
TypeAndCode TypeOf(ErrorKind kind, bool is_v4) {
  switch (kind) {
    case ErrorKind::kPortUnreachable:
      return is_v4 ? TypeAndCode{3, 3} : TypeAndCode{1, 4};
    case ErrorKind::kProtocolUnreachable:
      return is_v4 ? TypeAndCode{3, 2} : TypeAndCode{4, 1};
    case ErrorKind::kNoResources:
      return is_v4 ? TypeAndCode{3, 1} : TypeAndCode{1, 3};
    case ErrorKind::kProhibited:
      return is_v4 ? TypeAndCode{3, 13} : TypeAndCode{1, 1};
    case ErrorKind::kTimeExceeded:
      return is_v4 ? TypeAndCode{11, 0} : TypeAndCode{3, 0};
    case ErrorKind::kPacketTooBig:
      return is_v4 ? TypeAndCode{3, 4} : TypeAndCode{2, 0};
  }
  return {};
}

IpAddress AskerOf(const Meta& meta) {
  return meta.key.side == kUplinkSide ? meta.key.remote : meta.key.local;
}

// L2-08: not even where `martians: off` lets such a source in.
bool IsOneHost(const Snapshot& snapshot, const IpAddress& asker) {
  return !snapshot.routes.IsBroadcast(asker) && !asker.IsMulticast() &&
         !asker.IsUnspecified() && !asker.IsLoopback() &&
         !(asker.IsV4() && asker.V4Bytes()[0] >= 240);
}

// ICE-16: about an error, towards no one host, for a later fragment.
bool MayAnswer(const Snapshot& snapshot, const rte_mbuf* mbuf,
               const Meta& meta) {
  const PacketView& view = meta.view;
  const uint8_t* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  const bool group = meta.route != Route::kLoop && (frame[0] & 1) != 0;
  if (group || !view.HasL4()) return false;
  if (IsIcmpError(view.protocol, view.l4_flags)) return false;
  return IsOneHost(snapshot, AskerOf(meta));
}

}  // namespace

void SendGenerated(DeviceId device, const void* frame, size_t size,
                   Verdict verdict, Context& context) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(context.pool);
  if (mbuf == nullptr) return;
  char* room = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(size));
  if (room == nullptr) {
    rte_pktmbuf_free(mbuf);
    return;
  }
  std::memcpy(room, frame, size);
  TagOf(mbuf) = PacketTag{};
  TagOf(mbuf).device = device;
  ++context.counters->counts.generated;
  Enqueue(*context.snapshot, device, mbuf, verdict, context);
}

void SendIcmpError(rte_mbuf* mbuf, const Meta& meta, ErrorKind kind,
                   const IpAddress& source, uint16_t mtu, Context& context) {
  if (!MayAnswer(*context.snapshot, mbuf, meta) ||
      source.IsV4() != meta.view.is_v4) {
    return;
  }
  const PacketView& view = meta.view;
  const size_t l3_header = view.is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  const size_t limit = view.is_v4 ? kMaxErrorV4 : kMaxErrorV6;
  const size_t there = rte_pktmbuf_pkt_len(mbuf) - view.l3_offset;
  const size_t quoted = std::min({limit - l3_header - sizeof(IcmpHeader),
                                  static_cast<size_t>(view.l3_size), there});
  const size_t l4_size = sizeof(IcmpHeader) + quoted;
  const uint8_t protocol = view.is_v4 ? kProtoIcmp : kProtoIcmpv6;
  const Ends ends = {source, AskerOf(meta)};
  rte_mbuf* answer = Start(mbuf, meta, ends, protocol, l4_size, context);
  if (answer == nullptr) return;
  uint8_t* l3 = FrameOf(answer) + view.l3_offset;
  const uint8_t* asked = FrameOf(mbuf) + view.l3_offset;
  // ICE-19: the trigger's class of service, without its ECN.
  if (view.is_v4) {
    auto* ip = reinterpret_cast<Ipv4Header*>(l3);
    ip->dscp_ecn = asked[1] & 0xfc;
    ip->checksum = 0;
    ip->checksum = Checksum(ip, sizeof(*ip));
  } else {
    auto* ip = reinterpret_cast<Ipv6Header*>(l3);
    const uint32_t dscp =
        reinterpret_cast<const Ipv6Header*>(asked)->version_class_label.host() &
        0x0fc00000;
    ip->version_class_label = Be32(0x60000000 | dscp);
  }
  auto* icmp = reinterpret_cast<IcmpHeader*>(l3 + l3_header);
  const TypeAndCode type = TypeOf(kind, view.is_v4);
  *icmp = IcmpHeader{};
  icmp->type = type.type;
  icmp->code = type.code;
  // v4: the lower 16 bits of the second word; v6: of 32, the upper are zero.
  if (kind == ErrorKind::kPacketTooBig) icmp->sequence = Be16(mtu);
  if (kind == ErrorKind::kProtocolUnreachable && !view.is_v4) {
    icmp->sequence = Be16(offsetof(Ipv6Header, next_header));  // the pointer
  }
  CopyOut(mbuf, view.l3_offset, quoted, icmp + 1);
  icmp->checksum =
      Checksum(icmp, l4_size, PseudoSum(meta, ends, protocol, l4_size));
  Finish(answer, meta, context);
}

void SendReset(rte_mbuf* mbuf, const Meta& meta, Context& context) {
  const PacketView& view = meta.view;
  // FRG-19: of a later fragment not even the flags may be read.
  if (!MayAnswer(*context.snapshot, mbuf, meta) ||
      (view.l4_flags & kTcpRst) != 0) {
    return;
  }
  const auto* asked =
      reinterpret_cast<const TcpHeader*>(FrameOf(mbuf) + view.l4_offset);
  const Ends ends = {meta.key.local, meta.key.remote};
  rte_mbuf* answer =
      Start(mbuf, meta, ends, kProtoTcp, sizeof(TcpHeader), context);
  if (answer == nullptr) return;
  const size_t l3_header = view.is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  auto* tcp = reinterpret_cast<TcpHeader*>(FrameOf(answer) + view.l3_offset +
                                           l3_header);
  *tcp = TcpHeader{};
  tcp->source = asked->destination;
  tcp->destination = asked->source;
  tcp->data_offset = 5 << 4;
  tcp->flags = kTcpRst;
  if ((asked->flags & kTcpAck) != 0) {
    tcp->sequence = asked->acknowledgment;
  } else {
    const unsigned data = view.l4_size() - asked->header_size();
    const unsigned phantom = ((asked->flags & kTcpSyn) != 0 ? 1U : 0U) +
                             ((asked->flags & kTcpFin) != 0 ? 1U : 0U);
    tcp->flags = kTcpRst | kTcpAck;
    tcp->acknowledgment = Be32(asked->sequence.host() + data + phantom);
  }
  tcp->checksum = Checksum(tcp, sizeof(*tcp),
                           PseudoSum(meta, ends, kProtoTcp, sizeof(*tcp)));
  Finish(answer, meta, context);
}

void SendEchoReply(rte_mbuf* mbuf, const Meta& meta, Context& context) {
  const PacketView& view = meta.view;
  if (!IsOneHost(*context.snapshot, AskerOf(meta))) return;
  // A fragment is answered by a fragment: IPv6 carries what makes it one
  // along, IPv4 has it in the header.
  const bool fragment = view.fragment != FragmentKind::kWhole;
  const bool v6_fragment = fragment && !view.is_v4;
  const size_t from = v6_fragment ? view.fragment_field : view.l4_offset;
  const size_t size = size_t{view.l3_offset} + view.l3_size - from;
  const Ends ends = {meta.key.local, meta.key.remote};
  rte_mbuf* answer =
      Start(mbuf, meta, ends, v6_fragment ? kProtoFragment : view.protocol,
            size, context);
  if (answer == nullptr) return;
  const size_t l3_header = view.is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  uint8_t* l3 = FrameOf(answer) + view.l3_offset;
  CopyOut(mbuf, from, size, l3 + l3_header);
  if (fragment && view.is_v4) {
    const auto* asked =
        reinterpret_cast<const Ipv4Header*>(FrameOf(mbuf) + view.l3_offset);
    auto* ip = reinterpret_cast<Ipv4Header*>(l3);
    ip->id = asked->id;
    ip->fragment = asked->fragment;
    ip->checksum = 0;
    ip->checksum = Checksum(ip, sizeof(*ip));
  }
  if (view.HasL4()) {
    auto* icmp =
        reinterpret_cast<IcmpHeader*>(l3 + l3_header + view.l4_offset - from);
    // The sum changes by the type alone; a wrong one stays wrong (CHK-01).
    ChecksumDelta delta;
    delta.Remove16(icmp->type);
    icmp->type = view.is_v4 ? kIcmpEchoReply : kIcmpv6EchoReply;
    delta.Add16(icmp->type);
    icmp->checksum = ApplyDelta(icmp->checksum, delta.value());
  }
  Finish(answer, meta, context);
}

IpAddress OwnAddressFor(const Snapshot& snapshot, const Meta& meta) {
  for (const IpAddress& own : snapshot.nat->unicast) {
    if (!own.IsUnspecified() && own.IsV4() == meta.view.is_v4) return own;
  }
  return meta.key.side == kUplinkSide ? meta.key.local : meta.key.remote;
}

}  // namespace godwit
