// SPDX-License-Identifier: BSD-3-Clause
// What a row of checks says about a queue. Knows neither clock nor check.
#ifndef GODWIT_CONTROL_HEALTH_VERDICT_H_
#define GODWIT_CONTROL_HEALTH_VERDICT_H_

#include <cstdint>

namespace godwit {

class HealthVerdict {
 public:
  enum class State : uint8_t {
    kUnknown,  // not checked yet: no new flows, the first check decides
    kUp,
    kDown,
  };
  enum class Outcome : uint8_t {
    kPassed,
    kFailed,
    kNotRun,  // our own doing: says nothing about the server
  };

  // `rise` passes in a row bring it up, `fall` failures down; both at least 1.
  HealthVerdict(uint32_t rise, uint32_t fall, State state)
      : rise_(rise), fall_(fall), state_(state) {}

  // True if that changes whether it is up.
  bool Take(Outcome outcome);
  // Other counts, the same state.
  void Recount(uint32_t rise, uint32_t fall);

  State state() const { return state_; }
  bool up() const { return state_ == State::kUp; }
  // In a row against the state; 0 after a check that agrees with it.
  uint32_t against() const { return against_; }

 private:
  uint32_t rise_;
  uint32_t fall_;
  State state_;
  uint32_t against_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_HEALTH_VERDICT_H_
