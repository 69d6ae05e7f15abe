// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/net/ip_options.h"

namespace godwit {
namespace {

constexpr uint8_t kEndOfList = 0;
constexpr uint8_t kNoOperation = 1;

// kNone: it may pass. Copied flag and class are part of the type.
ParseError WhyDenied(uint8_t type) {
  switch (type) {
    case 7:
      return ParseError::kIpOpt7;
    case 11:
      return ParseError::kIpOpt11;
    case 12:
      return ParseError::kIpOpt12;
    case 30:
      return ParseError::kIpOpt30;
    case 68:
      return ParseError::kIpOpt68;
    case 82:
      return ParseError::kIpOpt82;
    case 94:
      return ParseError::kIpOpt94;
    case 131:
      return ParseError::kIpOpt131;
    case 136:
      return ParseError::kIpOpt136;
    case 137:
      return ParseError::kIpOpt137;
    case 158:
      return ParseError::kIpOpt158;
    case 222:
      return ParseError::kIpOpt222;
    default:
      return ParseError::kNone;
  }
}

// Calls `judge` with each option's type until it finds an error. Ends at once
// for a length that leads nowhere: ADV-15's endless loop.
template <class Judge>
ParseError Walk(const uint8_t* options, size_t size, Judge&& judge) {
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
    const ParseError error = judge(type);
    if (error != ParseError::kNone) return error;
    at += length;
  }
  return ParseError::kNone;
}

}  // namespace

ParseError CheckIpOptions(const uint8_t* options, size_t size) {
  return Walk(options, size, WhyDenied);
}

bool HasSourceRoute(const uint8_t* options, size_t size) {
  const auto is_route = [](ParseError error) {
    return error == ParseError::kIpOpt131 || error == ParseError::kIpOpt137;
  };
  return is_route(Walk(options, size, [is_route](uint8_t type) {
    const ParseError error = WhyDenied(type);
    return is_route(error) ? error : ParseError::kNone;
  }));
}

}  // namespace godwit
