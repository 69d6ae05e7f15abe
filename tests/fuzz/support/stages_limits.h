// SPDX-License-Identifier: BSD-3-Clause
// Stories of what is given out by shares, of addresses that are nobody's, and
// of ways that die.
#ifndef GODWIT_TESTS_FUZZ_SUPPORT_STAGES_LIMITS_H_
#define GODWIT_TESTS_FUZZ_SUPPORT_STAGES_LIMITS_H_

#include <string>
#include <utility>
#include <vector>

#include "tests/fuzz/support/story.h"

namespace godwit {

void AddLimitStories(const Side4Or6& at,
                     std::vector<std::pair<std::string, Bytes>>& all);

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_SUPPORT_STAGES_LIMITS_H_
