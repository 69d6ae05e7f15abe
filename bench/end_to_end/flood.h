// SPDX-License-Identifier: BSD-3-Clause
// What somebody sends to do harm: frames of one kind, each from somewhere else.
#ifndef GODWIT_BENCH_END_TO_END_FLOOD_H_
#define GODWIT_BENCH_END_TO_END_FLOOD_H_

#include <string_view>

#include "bench/end_to_end/frames.h"
#include "bench/end_to_end/trial.h"

namespace godwit {

// `kind`: syn (to the service's own l4port), misses (to others of it), scan (of
// the unicast address), fragments (first ones alone, and later ones), errors
// (ICMP errors about what nobody sent), broken (checksums, lengths, land). To
// the service of `traffic`, of its family. No frame has the size of one of its.
FrameTable FloodOf(std::string_view kind, const Traffic& traffic,
                   const LinkEnds& link);

}  // namespace godwit

#endif  // GODWIT_BENCH_END_TO_END_FLOOD_H_
