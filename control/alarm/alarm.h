// SPDX-License-Identifier: BSD-3-Clause
// What is said of mappings: a line for each, when an operator wants that, and
// one when there is little room left for more. Bounded in lines a second; what
// is left out is counted and said.
#ifndef GODWIT_CONTROL_ALARM_ALARM_H_
#define GODWIT_CONTROL_ALARM_ALARM_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "dataplane/flow/mapping_log.h"

namespace godwit {

// At most so many lines in each second.
class LineBudget {
 public:
  using Clock = std::chrono::steady_clock;

  // Whether one more may be written; if not, it counts as left out.
  bool Take(uint32_t rate, Clock::time_point now);
  // Left out since the last time that this was asked and not 0; at most once a
  // second.
  uint64_t TakeLeftOut(Clock::time_point now);
  uint64_t left_out() const { return left_out_; }  // since start

 private:
  Clock::time_point second_{};   // in which written_ lines were
  Clock::time_point told_at_{};  // last
  uint32_t written_ = 0;
  uint64_t left_out_ = 0;
  uint64_t told_ = 0;
};

// Says it once when four fifths are used, and again only after it was under
// seven tenths.
class HighWater {
 public:
  // Whether it is to be said now.
  bool Rises(uint64_t used, uint64_t of);

 private:
  bool high_ = false;
};

// "begins 2026-11-23T02:40:01.3Z udp 10.64.0.2:40000 crawl0 203.0.113.7:31245".
// No destination: who needs one has other means (RFC 6888 REQ-12).
std::string MappingText(const MappingRecord& record,
                        std::chrono::system_clock::time_point time,
                        const std::string& queue, const IpAddress& unicast);

}  // namespace godwit

#endif  // GODWIT_CONTROL_ALARM_ALARM_H_
