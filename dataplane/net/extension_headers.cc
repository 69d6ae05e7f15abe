// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/net/extension_headers.h"

#include <algorithm>

#include "dataplane/net/headers.h"

namespace godwit {
namespace {

constexpr size_t kMaxExtHeaders = 8;
constexpr size_t kMaxExtBytes = 512;
constexpr size_t kLeastExtSize = 8;
constexpr uint8_t kPad1 = 0;
constexpr uint8_t kJumboPayload = 0xc2;

template <class Header>
const Header* At(const uint8_t* frame, size_t offset) {
  return reinterpret_cast<const Header*>(frame + offset);
}

bool IsExtension(uint8_t next_header) {
  return next_header == kProtoHopByHop || next_header == kProtoRouting ||
         next_header == kProtoFragment || next_header == kProtoAuth ||
         next_header == kProtoDestOptions;
}

size_t SizeOf(uint8_t type, const Ipv6ExtHeader& ext) {
  if (type == kProtoFragment) return sizeof(Ipv6FragmentHeader);
  if (type == kProtoAuth) return (size_t{ext.length} + 2) * 4;
  return (size_t{ext.length} + 1) * 8;
}

// V6-02: its options are ignored, all but the one that changes the length.
ParseError CheckHopByHop(const uint8_t* options, size_t size) {
  for (size_t at = 0; at < size;) {
    const uint8_t type = options[at];
    if (type == kPad1) {
      ++at;
      continue;
    }
    if (at + 1 >= size) return ParseError::kV6EhTrunc;
    if (type == kJumboPayload) return ParseError::kV6Jumbo;
    at += 2U + options[at + 1];
    if (at > size) return ParseError::kV6EhTrunc;
  }
  return ParseError::kNone;
}

// RFC 5095, RFC 9288 3.5.2; with segments left the packet is not for here.
ParseError CheckRouting(const uint8_t* header) {
  const uint8_t type = header[2];
  const uint8_t segments_left = header[3];
  const bool dead = type == 0 || type == 1 || type == 3;
  return dead || segments_left != 0 ? ParseError::kV6Routing
                                    : ParseError::kNone;
}

}  // namespace

ParseError WalkExtensions(const uint8_t* frame, size_t first, size_t packet_end,
                          size_t readable, uint8_t next_header,
                          ExtensionChain& chain) {
  const size_t end = std::min(packet_end, readable);
  chain = ExtensionChain{};
  chain.l4_offset = first;
  chain.protocol = next_header;
  for (size_t headers = 0; IsExtension(chain.protocol); ++headers) {
    const size_t at = chain.l4_offset;
    if (headers == kMaxExtHeaders) return ParseError::kV6EhLimit;
    if (at + kLeastExtSize > end) return ParseError::kV6EhTrunc;
    const auto& ext = *At<Ipv6ExtHeader>(frame, at);
    const size_t size = SizeOf(chain.protocol, ext);
    if (at + size > packet_end) return ParseError::kV6EhTrunc;
    if (at + size - first > kMaxExtBytes) return ParseError::kV6EhLimit;
    if (at + size > end) return ParseError::kV6EhTrunc;
    ParseError error = ParseError::kNone;
    bool later_fragment = false;
    if (chain.protocol == kProtoHopByHop) {
      error = headers != 0 ? ParseError::kV6EhOrder
                           : CheckHopByHop(frame + at + 2, size - 2);
    } else if (chain.protocol == kProtoRouting) {
      error = CheckRouting(frame + at);
    } else if (chain.protocol == kProtoAuth) {
      chain.has_ah = true;
    } else if (chain.protocol == kProtoFragment) {
      if (chain.fragment_at != 0) return ParseError::kV6EhOrder;
      chain.fragment_at = at;
      later_fragment = At<Ipv6FragmentHeader>(frame, at)->offset() != 0;
    }
    if (error != ParseError::kNone) return error;
    chain.protocol = ext.next_header;
    chain.l4_offset = at + size;
    if (later_fragment) break;
  }
  return ParseError::kNone;
}

bool AsksForJumbo(const uint8_t* frame, size_t at, size_t end) {
  if (at + kLeastExtSize > end) return false;
  const size_t size = SizeOf(kProtoHopByHop, *At<Ipv6ExtHeader>(frame, at));
  const size_t options_end = std::min(at + size, end);
  return CheckHopByHop(frame + at + 2, options_end - at - 2) ==
         ParseError::kV6Jumbo;
}

}  // namespace godwit
