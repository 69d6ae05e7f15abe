// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/verdict.h"

namespace godwit {

bool HealthVerdict::Take(Outcome outcome) {
  if (outcome == Outcome::kNotRun) return false;
  const State said = outcome == Outcome::kPassed ? State::kUp : State::kDown;
  if (state_ == State::kUnknown) {
    state_ = said;
    return up();
  }
  if (said == state_) {
    against_ = 0;
    return false;
  }
  ++against_;
  if (against_ < (up() ? fall_ : rise_)) return false;
  state_ = said;
  against_ = 0;
  return true;
}

void HealthVerdict::Recount(uint32_t rise, uint32_t fall) {
  rise_ = rise;
  fall_ = fall;
  against_ = 0;
}

}  // namespace godwit
