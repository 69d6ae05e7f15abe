// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/dns_message.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace godwit {
namespace {

constexpr size_t kHeaderSize = 12;
constexpr unsigned kResponse = 0x80;  // QR, of the third byte

void Append16(std::string& out, unsigned value) {
  out.push_back(static_cast<char>(value >> 8 & 0xff));
  out.push_back(static_cast<char>(value & 0xff));
}

unsigned ByteAt(absl::string_view bytes, size_t index) {
  return static_cast<unsigned char>(bytes[index]);
}

}  // namespace

std::string DnsQuery(uint16_t id, absl::string_view name) {
  std::string query;
  Append16(query, id);
  // Flags, then one question and no records.
  for (const unsigned value : {0u, 1u, 0u, 0u, 0u}) Append16(query, value);
  absl::ConsumeSuffix(&name, ".");
  for (const absl::string_view label : absl::StrSplit(name, '.')) {
    query.push_back(static_cast<char>(label.size()));
    absl::StrAppend(&query, label);
  }
  query.push_back('\0');
  Append16(query, 1);  // A
  Append16(query, 1);  // IN
  return query;
}

bool AnswersDnsQuery(absl::string_view message, absl::string_view query) {
  if (message.size() < kHeaderSize) return false;
  if (message.substr(0, 2) != query.substr(0, 2)) return false;
  if ((ByteAt(message, 2) & kResponse) == 0) return false;
  // Refusals may leave the question out.
  if (ByteAt(message, 4) == 0 && ByteAt(message, 5) == 0) return true;
  return absl::EqualsIgnoreCase(
      message.substr(kHeaderSize, query.size() - kHeaderSize),
      query.substr(kHeaderSize));
}

std::string DnsRcodeOf(absl::string_view answer) {
  constexpr std::array<const char*, 6> kNames = {
      "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
  const unsigned code = ByteAt(answer, 3) & 0x0f;
  return code < kNames.size() ? kNames[code] : absl::StrCat("RCODE ", code);
}

}  // namespace godwit
