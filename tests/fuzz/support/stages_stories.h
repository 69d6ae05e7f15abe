// SPDX-License-Identifier: BSD-3-Clause
// Inputs to stages_fuzz.cc that tell a story: what comes is an answer to what
// left, so it was tried while it was written. A fuzzer rarely finds an l4port.
#ifndef GODWIT_TESTS_FUZZ_SUPPORT_STAGES_STORIES_H_
#define GODWIT_TESTS_FUZZ_SUPPORT_STAGES_STORIES_H_

#include <string>
#include <utility>
#include <vector>

#include "tests/support/bytes.h"

namespace godwit {

// By name.
std::vector<std::pair<std::string, Bytes>> StagesStories();

// What left, as it comes back: its ends swapped, as an answer.
Bytes AnswerTo(Bytes packet);

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_SUPPORT_STAGES_STORIES_H_
