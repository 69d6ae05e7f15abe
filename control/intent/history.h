// SPDX-License-Identifier: BSD-3-Clause
// The configurations that were applied, so that each can be returned to, and
// the one on trial: it goes by itself unless the operator confirms it, who may
// have cut the branch that he sits on.
//
// Nothing of it outlives the process: a start reads the file, and the file
// holds only what was saved.
#ifndef GODWIT_CONTROL_INTENT_HISTORY_H_
#define GODWIT_CONTROL_INTENT_HISTORY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "control/api/godwit.pb.h"

namespace godwit {

class History {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr size_t kKept = 10;  // beside the one in effect
  static constexpr std::chrono::seconds kRetry{10};

  struct Entry {
    uint64_t generation = 0;
    absl::Time when;
    std::string how;     // "config apply new.yaml", "queue drain dns0"
    api::Config config;  // as written
  };

  struct Trial {
    uint64_t generation = 0;  // that is to be confirmed
    Entry back_to;
    Clock::time_point deadline;
    std::string failure;  // why it is still there after the deadline
  };

  // `entry` is in effect from now on.
  void Applied(Entry entry);

  // The newest, which is in effect, stands last.
  const std::deque<Entry>& entries() const { return entries_; }

  absl::StatusOr<Entry> Find(uint64_t generation) const;

  // Where a rollback leads to: what the trial came after, if there is one; else
  // the newest that differs from what is in effect.
  absl::StatusOr<Entry> Previous() const;

  // What is in effect goes again at `now + within`, unless confirmed. Something
  // was in effect before it.
  void StartTrial(Clock::time_point now, Clock::duration within);
  const std::optional<Trial>& trial() const { return trial_; }
  // Confirmed, or taken back.
  void EndTrial() { trial_.reset(); }

  // FAILED_PRECONDITION while something is on trial: what is built on it would
  // be taken back together with it.
  absl::Status CheckNoTrial(Clock::time_point now) const;

  // The trial's time is over, and it is time to go back, or to try that again.
  bool IsDue(Clock::time_point now) const;
  // Going back was not possible. True if it had not failed for this reason
  // before: an operator reads it once.
  bool RevertFailed(Clock::time_point now, const std::string& why);

 private:
  std::deque<Entry> entries_;
  std::optional<Trial> trial_;
  Clock::time_point next_try_;
};

// "41s", rounded up: what is left of a trial.
std::string SecondsLeft(History::Clock::time_point now,
                        History::Clock::time_point deadline);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_HISTORY_H_
