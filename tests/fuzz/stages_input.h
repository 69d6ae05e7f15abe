// SPDX-License-Identifier: BSD-3-Clause
// An input to stages_fuzz.cc: a word of Setup, then steps. A step is a byte of
// Step, a word, and for a frame as many bytes, or what is left.
#ifndef GODWIT_TESTS_FUZZ_STAGES_INPUT_H_
#define GODWIT_TESTS_FUZZ_STAGES_INPUT_H_

#include <cstdint>

namespace godwit {

struct Step {
  // One of kDevices; or no frame, but what the word says is turned round in
  // the Setup (kChange) or in the Trouble; or how often the next frame comes,
  // at once. What else has the bit of kChange is a kChange.
  static constexpr uint8_t kDevice = 0x0f;
  static constexpr uint8_t kChange = 0x08;
  static constexpr uint8_t kTrouble = 0x09;
  static constexpr uint8_t kFlood = 0x0a;
  static constexpr uint8_t kBurst = 0x10;  // the frame twice, at once
  static constexpr uint8_t kWait = 0x20;   // before it, seconds: byte 0
  static constexpr uint8_t kCut = 0x40;    // in a chain of three buffers
  static constexpr uint8_t kFixSums = 0x80;
};

inline constexpr uint32_t kMaxFlows = 48;  // of each worker

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_STAGES_INPUT_H_
