// SPDX-License-Identifier: BSD-3-Clause
// Decides which service addresses are routes, and says why the others are not.
// Does nothing itself: RouteOwner brings what is wanted into the kernel.
#ifndef GODWIT_CONTROL_ANNOUNCE_ANNOUNCER_H_
#define GODWIT_CONTROL_ANNOUNCE_ANNOUNCER_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/announce/damping.h"
#include "control/announce/owner.h"

namespace godwit {

// What stands behind an address.
struct AddressLife {
  bool is_live = false;
  // Taken out by an operator: no sign of a server that comes and goes.
  bool is_drained = false;
  std::string reason;  // why it is not live
};
using AddressLives = std::map<IpAddress, AddressLife>;

struct AnnounceSettings {
  uint32_t table = 0;
  uint32_t metric = 0;
  std::chrono::milliseconds hold{0};
  std::chrono::milliseconds damping{0};  // half-life; 0: none
  std::set<std::string> steered{};       // of Announcement
};

class Announcer {
 public:
  using Clock = std::chrono::steady_clock;
  // What a dead predecessor announced stays for that long after the start, if
  // nobody is alive behind it yet: peers of queues connect anew meanwhile.
  static constexpr std::chrono::seconds kGrace{1};

  explicit Announcer(Clock::time_point start) : grace_end_(start + kGrace) {}

  // All that a decision depends on, as it is now. Lines for the log: what is
  // announced and withdrawn.
  std::vector<std::string> Decide(const AnnounceSettings& settings,
                                  const AddressLives& lives,
                                  Clock::time_point now);
  // When to decide again, if nothing changes before.
  std::optional<Clock::time_point> next() const { return next_; }
  // What the kernel is to have.
  const Announcement& wanted() const { return wanted_; }
  bool IsAnnounced(const IpAddress& address) const {
    return announced_.contains(address);
  }
  // Why it is not announced.
  std::string ReasonOf(const IpAddress& address, Clock::time_point now) const;

  uint64_t announcements() const { return announcements_; }
  uint64_t withdrawals() const { return withdrawals_; }

 private:
  void DecideNext(Clock::time_point candidate);

  Damping damping_;
  const Clock::time_point grace_end_;
  AddressLives lives_;
  std::set<IpAddress> announced_;
  Announcement wanted_;
  std::optional<Clock::time_point> next_;
  uint64_t announcements_ = 0;
  uint64_t withdrawals_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_ANNOUNCE_ANNOUNCER_H_
