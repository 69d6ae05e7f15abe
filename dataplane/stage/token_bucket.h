// SPDX-License-Identifier: BSD-3-Clause
// A token bucket on the tick clock: answers are limited, not timed (RFC 1812
// 4.3.2.8; RFC 4443 2.4f: a bucket, not a bare timer).
#ifndef GODWIT_DATAPLANE_STAGE_TOKEN_BUCKET_H_
#define GODWIT_DATAPLANE_STAGE_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

namespace godwit {

class TokenBucket {
 public:
  static constexpr uint32_t kTicksPerSecond = 10;

  // At most `depth` at once, `rate` a second in the long run; both 1-100000.
  constexpr TokenBucket(uint32_t rate, uint32_t depth)
      : rate_(rate),
        depth_(depth),
        tenths_(uint64_t{depth} * kTicksPerSecond) {}

  bool Take(uint32_t now) {
    const uint32_t elapsed = now - last_;  // over the wrap too
    if (elapsed != 0) {
      tenths_ = std::min(tenths_ + uint64_t{elapsed} * rate_,
                         uint64_t{depth_} * kTicksPerSecond);
      last_ = now;
    }
    if (tenths_ < kTicksPerSecond) return false;
    tenths_ -= kTicksPerSecond;
    return true;
  }

 private:
  uint32_t rate_;
  uint32_t depth_;
  uint64_t tenths_;  // tenths of a token
  uint32_t last_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_TOKEN_BUCKET_H_
