// SPDX-License-Identifier: BSD-3-Clause
#include "control/alarm/alarm.h"

#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace godwit {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

const char* NameOf(uint8_t protocol) {
  return protocol == 6 ? "tcp" : protocol == 17 ? "udp" : "icmp";
}

std::string UtcText(std::chrono::system_clock::time_point time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                      time.time_since_epoch())
                      .count();
  const std::time_t seconds = ms / 1000;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%dZ",
                         utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                         utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000 / 100);
}

}  // namespace

bool LineBudget::Take(uint32_t rate, Clock::time_point now) {
  if (now - second_ >= kSecond) {
    second_ = now;
    written_ = 0;
  }
  if (written_ < rate) {
    ++written_;
    return true;
  }
  ++left_out_;
  return false;
}

uint64_t LineBudget::TakeLeftOut(Clock::time_point now) {
  if (left_out_ == told_ || now - told_at_ < kSecond) return 0;
  const uint64_t left_out = left_out_ - told_;
  told_ = left_out_;
  told_at_ = now;
  return left_out;
}

bool HighWater::Rises(uint64_t used, uint64_t of) {
  const bool was_high = high_;
  if (used * 5 >= of * 4) high_ = true;
  if (used * 10 < of * 7) high_ = false;
  return high_ && !was_high;
}

std::string MappingText(const MappingRecord& record,
                        std::chrono::system_clock::time_point time,
                        const std::string& queue, const IpAddress& unicast) {
  const bool begins = record.kind == MappingRecord::Kind::kBegins;
  return absl::StrCat(
      begins ? "begins " : "ends ", UtcText(time), " ", NameOf(record.protocol),
      " ",
      AddressAndPort{record.originator, record.originator_l4port}.ToString(),
      " ", queue, " ", AddressAndPort{unicast, record.given_l4port}.ToString());
}

}  // namespace godwit
