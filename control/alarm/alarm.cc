// SPDX-License-Identifier: BSD-3-Clause
#include "control/alarm/alarm.h"

namespace godwit {

bool HighWater::Rises(uint64_t used, uint64_t of) {
  const bool was_high = high_;
  if (used * 5 >= of * 4) high_ = true;
  if (used * 10 < of * 7) high_ = false;
  return high_ && !was_high;
}

}  // namespace godwit
