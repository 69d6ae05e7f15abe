// SPDX-License-Identifier: BSD-3-Clause
// The bits of an input to stages_fuzz.cc.
#ifndef GODWIT_TESTS_FUZZ_STAGES_INPUT_H_
#define GODWIT_TESTS_FUZZ_STAGES_INPUT_H_

#include <array>
#include <cstdint>

namespace godwit {

struct Setup {
  static constexpr uint8_t kWorkers = 0x03;  // less one; 3 is 0
  static constexpr uint8_t kIndependent = 0x04;
  static constexpr uint8_t kTracked = 0x08;
  static constexpr uint8_t kRouter = 0x10;
  static constexpr uint8_t kSmallMtu = 0x20;
  static constexpr uint8_t kNobodyThere = 0x40;
};

struct Step {
  static constexpr uint8_t kDevice = 0x0f;  // modulo the devices there are
  static constexpr uint8_t kWait = 0x20;    // before it, seconds: byte 0
  static constexpr uint8_t kCut = 0x40;     // in a chain of three buffers
  static constexpr uint8_t kFixSums = 0x80;
};

inline constexpr std::array<const char*, 8> kDevices = {
    "wan0", "gw0", "wan1", "gw1", "dns0", "mail0", "quiet0", "crawl0"};

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_STAGES_INPUT_H_
