// SPDX-License-Identifier: BSD-3-Clause
// What a change would do, before it is done.
#ifndef GODWIT_CONTROL_INTENT_DIFFERENCE_H_
#define GODWIT_CONTROL_INTENT_DIFFERENCE_H_

#include <string>
#include <vector>

#include "control/api/godwit.pb.h"
#include "control/intent/findings.h"

namespace godwit {

// One line for each thing that differs, `service dns: queues [dns0] -> [dns0,
// dns1]`; none if `after` means the same as `before`. Defaults are filled in on
// both sides first, so that writing one out is no change. Uplinks, queues and
// services are known by their names; their order means nothing. A line of what
// FixedAtStart() finds ends with "(takes a restart)".
std::vector<std::string> Difference(const api::Config& before,
                                    const api::Config& after);

// What was made once, at start: a finding for each field of `dataplane`,
// `metrics` and `control` that is another in `after`. Both have every default.
std::vector<Finding> FixedAtStart(const api::Config& before,
                                  const api::Config& after);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_DIFFERENCE_H_
