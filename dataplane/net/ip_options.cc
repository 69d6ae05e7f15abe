// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/net/ip_options.h"

namespace godwit {
namespace {

constexpr uint8_t kEndOfList = 0;
constexpr uint8_t kNoOperation = 1;
constexpr uint8_t kLooseSourceRoute = 131;
constexpr uint8_t kStrictSourceRoute = 137;

// RFC 7126 4: what an edge drops. Copied flag and class are part of the type.
bool IsDenied(uint8_t type) {
  switch (type) {
    case 7:    // record route
    case 11:   // probe MTU, RFC 1063
    case 12:   // reply MTU
    case 30:   // RFC 3692 experiments
    case 68:   // timestamp
    case 82:   // traceroute, RFC 1393
    case 94:   // RFC 3692
    case 136:  // stream identifier
    case 158:  // RFC 3692
    case 222:  // RFC 3692
    case kLooseSourceRoute:
    case kStrictSourceRoute:
      return true;
    default:
      return false;
  }
}

// Calls `refuse` with each option's type until it says true. Ends at once for
// a length that leads nowhere: ADV-15's endless loop.
template <class Refuse>
ParseError Walk(const uint8_t* options, size_t size, Refuse&& refuse) {
  for (size_t at = 0; at < size;) {
    const uint8_t type = options[at];
    if (type == kEndOfList) return ParseError::kNone;
    if (type == kNoOperation) {
      ++at;
      continue;
    }
    if (at + 1 >= size) return ParseError::kIpOptBad;
    const size_t length = options[at + 1];
    if (length < 2 || at + length > size) return ParseError::kIpOptBad;
    if (refuse(type)) return ParseError::kIpOptDenied;
    at += length;
  }
  return ParseError::kNone;
}

}  // namespace

ParseError CheckIpOptions(const uint8_t* options, size_t size) {
  return Walk(options, size, IsDenied);
}

bool HasSourceRoute(const uint8_t* options, size_t size) {
  const ParseError error = Walk(options, size, [](uint8_t type) {
    return type == kLooseSourceRoute || type == kStrictSourceRoute;
  });
  return error == ParseError::kIpOptDenied;
}

}  // namespace godwit
