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

constexpr size_t kMaxPieces = 64;
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
  const uint8_t* frame;
  size_t link;  // bytes of link header
  const Ipv4Header* ip;
  size_t header;   // bytes of the IP header with options
  size_t payload;  // bytes behind it
  std::array<uint8_t, 40> copied{};
  size_t copied_size = 0;
};

// One piece: the whole header for the first, the copied options for others.
rte_mbuf* MakePiece(const Cut& cut, size_t from, size_t size, bool last,
                    rte_mempool* pool) {
  const bool first = from == 0;
  const size_t options =
      first ? cut.header - sizeof(Ipv4Header) : cut.copied_size;
  const size_t header = sizeof(Ipv4Header) + options;
  rte_mbuf* piece = rte_pktmbuf_alloc(pool);
  if (piece == nullptr) return nullptr;
  auto* out = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(
      piece, static_cast<uint16_t>(cut.link + header + size)));
  if (out == nullptr) {
    rte_pktmbuf_free(piece);
    return nullptr;
  }
  std::memcpy(out, cut.frame, cut.link);
  auto* ip = reinterpret_cast<Ipv4Header*>(out + cut.link);
  std::memcpy(ip, cut.ip, sizeof(Ipv4Header));
  const uint8_t* source =
      first ? cut.frame + cut.link + sizeof(Ipv4Header) : cut.copied.data();
  std::memcpy(ip + 1, source, options);
  std::memcpy(out + cut.link + header, cut.frame + cut.link + cut.header + from,
              size);
  ip->version_ihl = static_cast<uint8_t>(0x40 | header / 4);
  ip->total_length = Be16(static_cast<uint16_t>(header + size));
  const uint16_t field = cut.ip->fragment.host();
  const bool more = !last || (field & kMoreFragments) != 0;
  const size_t offset = (field & kOffsetMask) + from / 8;
  ip->fragment = Be16(static_cast<uint16_t>(
      (field & 0x8000) | (more ? kMoreFragments : 0) | offset));
  ip->checksum = 0;
  ip->checksum = Checksum(ip, header);
  return piece;
}

}  // namespace

bool MayFragment(const rte_mbuf* mbuf, const PacketView& view, uint16_t mtu) {
  if (!view.is_v4 || view.l3_size <= mtu) return false;
  const auto* ip =
      rte_pktmbuf_mtod_offset(mbuf, const Ipv4Header*, view.l3_offset);
  const bool in_one_piece =
      rte_pktmbuf_data_len(mbuf) >= size_t{view.l3_offset} + view.l3_size;
  return !ip->dont_fragment() && in_one_piece && mtu >= 68;
}

Verdict SendFragments(const Snapshot& snapshot, Context& context,
                      rte_mbuf* mbuf, const Meta& meta) {
  Cut cut;
  cut.frame = FrameOf(mbuf);
  cut.link = meta.view.l3_offset;
  cut.ip = reinterpret_cast<const Ipv4Header*>(cut.frame + cut.link);
  cut.header = cut.ip->header_size();
  cut.payload = meta.view.l3_size - cut.header;
  cut.copied_size =
      CopiedOptions(cut.frame + cut.link + sizeof(Ipv4Header),
                    cut.header - sizeof(Ipv4Header), cut.copied.data());
  const size_t mtu = snapshot.devices[meta.out].mtu;
  std::array<rte_mbuf*, kMaxPieces> pieces;
  size_t count = 0;
  bool whole = true;
  for (size_t from = 0; from < cut.payload && whole;) {
    const size_t header =
        from == 0 ? cut.header : sizeof(Ipv4Header) + cut.copied_size;
    const size_t room = (mtu - header) / 8 * 8;
    const size_t left = cut.payload - from;
    const bool last = left <= mtu - header;
    const size_t size = last ? left : room;
    rte_mbuf* piece = count < kMaxPieces
                          ? MakePiece(cut, from, size, last, context.pool)
                          : nullptr;
    whole = piece != nullptr;
    if (whole) pieces[count++] = piece;
    from += size;
  }
  if (!whole) {
    rte_pktmbuf_free_bulk(pieces.data(), static_cast<unsigned>(count));
    return Verdict::kDropMbufNone;
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
