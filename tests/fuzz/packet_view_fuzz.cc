// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as a frame, or as what an ICMP error quotes: nothing is read that
// is not there, and what comes out holds together.
//
// The first byte says how the rest is taken: see Mode. IPv4 sums are made right
// on request, else a fuzzer would hardly ever get past them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/net/check.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/packet_view.h"

namespace godwit {
namespace {

enum Mode : uint8_t { kFixChecksum = 1, kQuoteV4 = 2, kQuoteV6 = 4 };

// Exactly as large as it says, so that a sanitizer sees the first byte beyond.
class Exact {
 public:
  Exact(const uint8_t* from, size_t size)
      : size_(size), bytes_(std::make_unique<uint8_t[]>(size)) {
    if (size != 0) std::memcpy(bytes_.get(), from, size);
  }
  uint8_t* data() { return bytes_.get(); }
  size_t size() const { return size_; }

 private:
  size_t size_;
  std::unique_ptr<uint8_t[]> bytes_;
};

void FixChecksum(Exact& frame) {
  PacketView view;
  if (ParseFrame(frame.data(), frame.size(), frame.size(), view) !=
      ParseError::kIp4Csum) {
    return;
  }
  auto* ip = reinterpret_cast<Ipv4Header*>(frame.data() + view.l3_offset);
  ip->checksum = 0;
  ip->checksum = Checksum(ip, ip->header_size());
}

// The part of the packet that decides: up to here, no further (P25).
size_t DecidedBy(const uint8_t* frame, const PacketView& view) {
  if (!view.HasL4()) return view.l4_offset;
  switch (view.protocol) {
    case kProtoTcp: {
      const auto* tcp =
          reinterpret_cast<const TcpHeader*>(frame + view.l4_offset);
      return view.l4_offset + tcp->header_size();
    }
    case kProtoUdp:
    case kProtoIcmp:
    case kProtoIcmpv6:
      return view.l4_offset + 8U;
    default:
      return view.l4_offset;
  }
}

bool Same(const PacketView& a, const PacketView& b) {
  return a.kind == b.kind && a.fragment == b.fragment &&
         a.protocol == b.protocol && a.l4_flags == b.l4_flags &&
         a.l3_offset == b.l3_offset && a.l4_offset == b.l4_offset &&
         a.l3_size == b.l3_size && a.source_l4port == b.source_l4port &&
         a.destination_l4port == b.destination_l4port &&
         a.fragment_offset == b.fragment_offset &&
         a.fragment_id == b.fragment_id;
}

void CheckView(Exact& frame, const PacketView& view) {
  const size_t end = size_t{view.l3_offset} + view.l3_size;
  GODWIT_CHECK(view.l3_offset == 14 || view.l3_offset == 18);
  GODWIT_CHECK(view.l4_offset >= view.l3_offset + (view.is_v4 ? 20 : 40));
  GODWIT_CHECK(view.l4_offset <= end);
  GODWIT_CHECK(end <= frame.size());
  GODWIT_CHECK(view.l4_size() == end - view.l4_offset);
  GODWIT_CHECK(view.HasL4() || view.fragment_offset != 0);
  GODWIT_CHECK(view.fragment != FragmentKind::kFirst || view.more_fragments);
  GODWIT_CHECK(!view.more_fragments || view.l4_size() > 0);
  if (!view.is_v4) {
    const auto* ip =
        reinterpret_cast<const Ipv6Header*>(frame.data() + view.l3_offset);
    GODWIT_CHECK(!IpAddress::FromV6(ip->source).IsV4());
    GODWIT_CHECK(!IpAddress::FromV6(ip->destination).IsV4());
  }
  const size_t decided = DecidedBy(frame.data(), view);
  GODWIT_CHECK(decided <= end);
  GODWIT_CHECK(decided <= kHeaderRoom);
  const bool l4ports = view.HasL4() && (view.protocol == kProtoTcp ||
                                        view.protocol == kProtoUdp);
  GODWIT_CHECK(!l4ports ||
               (view.source_l4port != 0 && view.destination_l4port != 0));
  // Without what is behind the packet (IPH-02), and with only its headers to
  // read, it is the same packet; whatever its payload is.
  Exact packet(frame.data(), end);
  std::fill(packet.data() + decided, packet.data() + end, uint8_t{0xa5});
  PacketView again;
  GODWIT_CHECK(ParseFrame(packet.data(), end, end, again) == ParseError::kNone);
  GODWIT_CHECK(Same(view, again));
  Exact headers(frame.data(), decided);
  GODWIT_CHECK(ParseFrame(headers.data(), decided, frame.size(), again) ==
               ParseError::kNone);
  GODWIT_CHECK(Same(view, again));
}

void CheckQuote(const uint8_t* from, size_t offset, size_t end, bool is_v4) {
  Exact bytes(from, end);
  QuoteView quote;
  if (ParseQuote(bytes.data(), offset, end, is_v4, quote) !=
      QuoteError::kNone) {
    return;
  }
  GODWIT_CHECK(quote.is_v4 == is_v4);
  GODWIT_CHECK(quote.source.IsV4() == is_v4);
  GODWIT_CHECK(quote.destination.IsV4() == is_v4);
  if (quote.later_fragment) return;
  GODWIT_CHECK(quote.l4_offset >= offset + (is_v4 ? 20 : 40));
  GODWIT_CHECK(size_t{quote.l4_offset} + quote.l4_quoted == end);
  GODWIT_CHECK(quote.l4_quoted >= 8);
  // Cut off behind the l4ports it quotes the same flow.
  const size_t least = size_t{quote.l4_offset} + 8;
  Exact cut(from, least);
  QuoteView shorter;
  GODWIT_CHECK(ParseQuote(cut.data(), offset, least, is_v4, shorter) ==
               QuoteError::kNone);
  GODWIT_CHECK(shorter.source == quote.source);
  GODWIT_CHECK(shorter.destination == quote.destination);
  GODWIT_CHECK(shorter.protocol == quote.protocol);
  GODWIT_CHECK(shorter.source_l4port == quote.source_l4port);
  GODWIT_CHECK(shorter.destination_l4port == quote.destination_l4port);
}

void RunFrame(const uint8_t* data, size_t size, bool fix_checksum) {
  Exact frame(data, size);
  if (fix_checksum) FixChecksum(frame);
  PacketView view;
  const ParseError error = ParseFrame(frame.data(), size, size, view);
  GODWIT_CHECK(static_cast<size_t>(error) < kParseErrors);
  if (error != ParseError::kNone || view.kind != FrameKind::kIp) return;
  CheckView(frame, view);
  if (view.fragment == FragmentKind::kWhole &&
      IsIcmpError(view.protocol, view.l4_flags)) {
    CheckQuote(frame.data(), view.l4_offset + sizeof(IcmpHeader),
               size_t{view.l3_offset} + view.l3_size, view.is_v4);
  }
}

}  // namespace
}  // namespace godwit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using godwit::Mode;
  if (size == 0 || size > 65536) return 0;
  const uint8_t mode = data[0];
  ++data;
  --size;
  if ((mode & (Mode::kQuoteV4 | Mode::kQuoteV6)) != 0) {
    godwit::CheckQuote(data, 0, size, (mode & Mode::kQuoteV4) != 0);
  } else {
    godwit::RunFrame(data, size, (mode & Mode::kFixChecksum) != 0);
  }
  return 0;
}
