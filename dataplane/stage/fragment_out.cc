// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/fragment_out.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/tx.h"

namespace godwit {
namespace {

// What 64 KiB make on the smallest link, 68 bytes (RFC 791 3.2). Room for as
// many is taken from the pool at once, so there is a limit.
constexpr size_t kMaxPieces = 1365;
constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kOffsetMask = 0x1fff;

// Options of the first fragment that the others carry too: those with the
// copied flag (RFC 791 3.1), padded to a word.
size_t CopiedOptions(const uint8_t* options, size_t size, uint8_t* out) {
  size_t kept = 0;
  for (size_t at = 0; at < size;) {
    const uint8_t type = options[at];
    if (type == 0) break;
    if (type == 1) {
      ++at;
      continue;
    }
    const size_t length = at + 1 < size ? options[at + 1] : 0;
    if (length < 2 || at + length > size) break;
    if ((type & 0x80) != 0) {
      std::memcpy(out + kept, options + at, length);
      kept += length;
    }
    at += length;
  }
  while (kept % 4 != 0) out[kept++] = 0;
  return kept;
}

struct Cut {
  const rte_mbuf* whole;
  const uint8_t* frame;  // its first segment, with all headers
  size_t link;           // bytes of link header
  bool is_v4;
  size_t header;   // bytes of the IP header with options
  size_t payload;  // bytes behind it
  uint16_t id;     // of the pieces
  std::array<uint8_t, 40> copied{};
  size_t copied_size = 0;

  // Of the piece that begins at `from`.
  size_t HeaderSize(size_t from) const {
    if (!is_v4) return sizeof(Ipv6Header) + sizeof(Ipv6FragmentHeader);
    return from == 0 ? header : sizeof(Ipv4Header) + copied_size;
  }
};

// `size` bytes of the payload, which may be spread over a chain.
void CopyOut(const Cut& cut, size_t from, size_t size, uint8_t* out) {
  const auto offset = static_cast<uint32_t>(cut.link + cut.header + from);
  const auto count = static_cast<uint32_t>(size);
  const void* there = rte_pktmbuf_read(cut.whole, offset, count, out);
  if (there != out) std::memcpy(out, there, size);
}

// The whole header for the first piece, the copied options for others.
void WriteV4(const Cut& cut, size_t from, size_t size, bool last,
             uint8_t* out) {
  const uint8_t* l3 = cut.frame + cut.link;
  auto* ip = reinterpret_cast<Ipv4Header*>(out);
  std::memcpy(ip, l3, sizeof(Ipv4Header));
  const size_t header = cut.HeaderSize(from);
  std::memcpy(ip + 1, from == 0 ? l3 + sizeof(Ipv4Header) : cut.copied.data(),
              header - sizeof(Ipv4Header));
  ip->version_ihl = static_cast<uint8_t>(0x40 | header / 4);
  ip->total_length = Be16(static_cast<uint16_t>(header + size));
  ip->id = Be16(cut.id);
  const uint16_t field = ip->fragment.host();
  const bool more = !last || (field & kMoreFragments) != 0;
  const size_t offset = (field & kOffsetMask) + from / 8;
  ip->fragment = Be16(static_cast<uint16_t>(
      (field & 0x8000) | (more ? kMoreFragments : 0) | offset));
  ip->checksum = 0;
  ip->checksum = Checksum(ip, header);
}

void WriteV6(const Cut& cut, size_t from, size_t size, bool last,
             uint8_t* out) {
  auto* ip = reinterpret_cast<Ipv6Header*>(out);
  std::memcpy(ip, cut.frame + cut.link, sizeof(*ip));
  auto* fragment = reinterpret_cast<Ipv6FragmentHeader*>(ip + 1);
  *fragment = Ipv6FragmentHeader{};
  fragment->next_header = ip->next_header;
  fragment->offset_flags = Be16(static_cast<uint16_t>(from | (last ? 0 : 1)));
  fragment->id = Be32(cut.id);
  ip->next_header = kProtoFragment;
  ip->payload_length = Be16(static_cast<uint16_t>(sizeof(*fragment) + size));
}

// Bytes of payload in the piece that begins at `from`; 0 if the link has no
// room for any.
size_t PieceSize(const Cut& cut, size_t from, size_t mtu) {
  const size_t header = cut.HeaderSize(from);
  if (mtu < header + 8) return 0;
  const size_t left = cut.payload - from;
  return left <= mtu - header ? left : (mtu - header) / 8 * 8;
}

// 0 if it takes more than kMaxPieces.
size_t CountPieces(const Cut& cut, size_t mtu) {
  size_t count = 0;
  for (size_t from = 0; from < cut.payload; ++count) {
    const size_t size = PieceSize(cut, from, mtu);
    if (size == 0 || count == kMaxPieces) return 0;
    from += size;
  }
  return count;
}

// Into an empty buffer that has room for it.
void WritePiece(const Cut& cut, size_t from, size_t size, bool last,
                rte_mbuf* piece) {
  const size_t header = cut.HeaderSize(from);
  auto* out = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(
      piece, static_cast<uint16_t>(cut.link + header + size)));
  std::memcpy(out, cut.frame, cut.link);
  if (cut.is_v4) {
    WriteV4(cut, from, size, last, out + cut.link);
  } else {
    WriteV6(cut, from, size, last, out + cut.link);
  }
  CopyOut(cut, from, size, out + cut.link + header);
}

Cut CutOf(const rte_mbuf* mbuf, const Meta& meta, Cutter cutter,
          Context& context) {
  // A whole datagram that its sender would have cut, or that has taken the
  // unicast address on its way round: a name of its own there (FRG-09). What
  // is a fragment already keeps the name that it shares with the others.
  const bool fresh = meta.view.fragment == FragmentKind::kWhole &&
                     (cutter == Cutter::kSender || meta.route == Route::kLoop);
  Cut cut;
  cut.whole = mbuf;
  cut.frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  cut.link = meta.view.l3_offset;
  cut.is_v4 = meta.view.is_v4;
  cut.header = sizeof(Ipv6Header);
  cut.id = fresh ? context.fragments.NextId() : uint16_t{0};
  if (cut.is_v4) {
    const auto* ip = reinterpret_cast<const Ipv4Header*>(cut.frame + cut.link);
    cut.header = ip->header_size();
    if (!fresh) cut.id = ip->id.host();
    cut.copied_size =
        CopiedOptions(cut.frame + cut.link + sizeof(Ipv4Header),
                      cut.header - sizeof(Ipv4Header), cut.copied.data());
  }
  cut.payload = meta.view.l3_size - cut.header;
  return cut;
}

}  // namespace

Cutter CutterOf(const Snapshot& snapshot, const Meta& meta) {
  const bool kernels = meta.route == Route::kLoopReply &&
                       snapshot.devices[meta.in].side == Side::kKernel;
  return kernels ? Cutter::kSender : Cutter::kRouter;
}

bool MayFragment(const rte_mbuf* mbuf, const PacketView& view, uint16_t mtu,
                 Cutter cutter) {
  if (view.l3_size <= mtu) [[likely]] {
    return false;
  }
  // TCP makes smaller segments when it is told.
  if (cutter == Cutter::kSender && view.protocol != kProtoTcp && view.HasL4() &&
      view.fragment == FragmentKind::kWhole) {
    if (view.is_v4) return mtu >= 68;
    return size_t{view.l4_offset} - view.l3_offset == sizeof(Ipv6Header);
  }
  if (!view.is_v4) return false;
  const auto* ip =
      rte_pktmbuf_mtod_offset(mbuf, const Ipv4Header*, view.l3_offset);
  return !ip->dont_fragment() && mtu >= 68;
}

Verdict SendFragments(const Snapshot& snapshot, Context& context,
                      rte_mbuf* mbuf, const Meta& meta) {
  const Cut cut = CutOf(mbuf, meta, CutterOf(snapshot, meta), context);
  // Each piece in one buffer: a link may take more than that.
  const size_t buffer = size_t{rte_pktmbuf_data_room_size(context.pool)} -
                        RTE_PKTMBUF_HEADROOM - cut.link;
  const size_t mtu = std::min<size_t>(snapshot.devices[meta.out].mtu, buffer);
  const size_t count = CountPieces(cut, mtu);
  if (count == 0) return Verdict::kDropMtuExceeded;
  std::array<rte_mbuf*, kMaxPieces> pieces;
  if (rte_pktmbuf_alloc_bulk(context.pool, pieces.data(),
                             static_cast<unsigned>(count)) != 0) {
    return Verdict::kDropMbufNone;
  }
  size_t from = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t size = PieceSize(cut, from, mtu);
    WritePiece(cut, from, size, from + size == cut.payload, pieces[i]);
    from += size;
  }
  for (size_t i = 0; i < count; ++i) {
    TagOf(pieces[i]) = PacketTag{};
    TagOf(pieces[i]).device = meta.in;
    ++context.counters->counts.generated;
    Enqueue(snapshot, meta.out, pieces[i], meta.verdict, context);
  }
  return Verdict::kConsumed;
}

}  // namespace godwit
