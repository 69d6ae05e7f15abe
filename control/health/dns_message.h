// SPDX-License-Identifier: BSD-3-Clause
// As much of RFC 1035 as a dns check needs.
#ifndef GODWIT_CONTROL_HEALTH_DNS_MESSAGE_H_
#define GODWIT_CONTROL_HEALTH_DNS_MESSAGE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace godwit {

// Asks for the A records of `name`, recursion not desired.
std::string DnsQuery(uint16_t id, absl::string_view name);

// True if `message` answers `query`; all else that comes is not for us.
bool AnswersDnsQuery(absl::string_view message, absl::string_view query);

// The RCODE of an answer: "NOERROR", "REFUSED", ...
std::string DnsRcodeOf(absl::string_view answer);

}  // namespace godwit

#endif  // GODWIT_CONTROL_HEALTH_DNS_MESSAGE_H_
