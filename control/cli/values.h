// SPDX-License-Identifier: BSD-3-Clause
//
// What was typed -> what is asked with. The errors are the operator's to read.
#ifndef GODWIT_CONTROL_CLI_VALUES_H_
#define GODWIT_CONTROL_CLI_VALUES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace godwit::cli {

// The content of a file; of the standard input for `-`.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// One of `config history`.
absl::StatusOr<uint64_t> ReadGeneration(const std::string& text);

// How long a config is on trial, in milliseconds. Never 0, which would say to
// the daemon that it is not on trial; the other bounds are the daemon's.
absl::StatusOr<int64_t> ReadTrial(const std::string& text);

// When a drain is over, in milliseconds. Never 0, which would say never.
absl::StatusOr<int64_t> ReadDeadline(const std::string& text);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_VALUES_H_
