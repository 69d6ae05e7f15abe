// SPDX-License-Identifier: BSD-3-Clause
// The options of an IPv4 header: which may pass (RFC 791, RFC 7126).
#ifndef GODWIT_DATAPLANE_NET_IP_OPTIONS_H_
#define GODWIT_DATAPLANE_NET_IP_OPTIONS_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/net/packet_view.h"

namespace godwit {

// kNone, kIpOptBad or kIpOpt<type> for the `size` bytes (0-40) behind the
// first 20 of the header. What stands behind the end of the list isn't read.
ParseError CheckIpOptions(const uint8_t* options, size_t size);

// Whether there is a loose or strict source route among them (ICE-28).
bool HasSourceRoute(const uint8_t* options, size_t size);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_IP_OPTIONS_H_
