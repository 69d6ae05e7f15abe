// SPDX-License-Identifier: BSD-3-Clause
// Flap damping: an address that was withdrawn again and again stays withdrawn
// for a while, so that the network need not follow a server that comes and
// goes. After RFC 2439: a penalty for each withdrawal, which halves with time.
#ifndef GODWIT_CONTROL_ANNOUNCE_DAMPING_H_
#define GODWIT_CONTROL_ANNOUNCE_DAMPING_H_

#include <chrono>
#include <map>

#include "dataplane/net/address.h"

namespace godwit {

class Damping {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr double kPenalty = 1000;     // of one withdrawal
  static constexpr double kSuppressAt = 4000;  // with the fifth within seconds
  static constexpr double kReuseAt = 750;
  static constexpr double kCeiling = 6000;  // 3 half-lives above kReuseAt

  // 0: nothing is held back, and nothing remembered.
  void SetHalfLife(std::chrono::milliseconds half_life);
  void Withdrawn(const IpAddress& address, Clock::time_point now);
  // How long it may not be announced yet; 0: it may.
  Clock::duration Wait(const IpAddress& address, Clock::time_point now) const;
  // Forgets what has decayed.
  void Tidy(Clock::time_point now);
  size_t size() const { return history_.size(); }

 private:
  struct History {
    double penalty = 0;  // at `since`
    Clock::time_point since;
    bool is_suppressed = false;
  };
  double PenaltyAt(const History& history, Clock::time_point now) const;

  std::chrono::milliseconds half_life_{60'000};
  std::map<IpAddress, History> history_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_ANNOUNCE_DAMPING_H_
