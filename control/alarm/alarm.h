// SPDX-License-Identifier: BSD-3-Clause
// When there is little room left: said once, before somebody is refused.
#ifndef GODWIT_CONTROL_ALARM_ALARM_H_
#define GODWIT_CONTROL_ALARM_ALARM_H_

#include <cstdint>

namespace godwit {

// Says it once when four fifths are used, and again only after it was under
// seven tenths.
class HighWater {
 public:
  // Whether it is to be said now.
  bool Rises(uint64_t used, uint64_t of);

 private:
  bool high_ = false;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_ALARM_ALARM_H_
