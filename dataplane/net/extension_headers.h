// SPDX-License-Identifier: BSD-3-Clause
// The chain between an IPv6 header and the l4 header (RFC 8200 4).
#ifndef GODWIT_DATAPLANE_NET_EXTENSION_HEADERS_H_
#define GODWIT_DATAPLANE_NET_EXTENSION_HEADERS_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/net/packet_view.h"

namespace godwit {

// Offsets in bytes from the frame's start.
struct ExtensionChain {
  uint8_t protocol = 0;    // of what stands at l4_offset
  bool has_ah = false;     // RFC 4302
  size_t l4_offset = 0;    // a later fragment: where its part starts
  size_t fragment_at = 0;  // the fragment header; 0: there is none
};

// Walks the chain that starts at `first` with a header of type `next_header`
// (V6-01). Stops behind the fragment header of a later fragment: what follows
// is the middle of something. `packet_end` is where the IP packet ends,
// `readable` how far the bytes can be read. kNone, kV6EhTrunc, kV6EhOrder,
// kV6EhLimit, kV6Jumbo or kV6Routing.
ParseError WalkExtensions(const uint8_t* frame, size_t first, size_t packet_end,
                          size_t readable, uint8_t next_header,
                          ExtensionChain& chain);

// Whether the hop-by-hop header at `at`, cut off at `end`, asks for a jumbo
// payload (RFC 2675).
bool AsksForJumbo(const uint8_t* frame, size_t at, size_t end);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_EXTENSION_HEADERS_H_
