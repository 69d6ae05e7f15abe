// SPDX-License-Identifier: BSD-3-Clause
// What an operator asks for -> a Config that is known to be right, or every
// reason why not. Knows nothing of this machine: machine.h does.
#ifndef GODWIT_CONTROL_INTENT_LOAD_H_
#define GODWIT_CONTROL_INTENT_LOAD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/api/godwit.pb.h"
#include "control/intent/findings.h"

namespace godwit {

struct LoadedConfig {
  api::Config config;  // as written: see WithDefaults() in defaults.h
  std::vector<std::string> warnings;  // one line each: accepted, but...
  Source source;  // where each field was written, for later findings
};

// The text of the daemon's own file.
absl::StatusOr<std::string> ReadConfigFile(const std::string& filename);

// Reads the configuration file's `text`. `filename` is for the messages only.
// The error is INVALID_ARGUMENT; its message has a line for each of the first
// 20 errors, `FILENAME:LINE: PATH: VALUE is not ALLOWED`, in the file's order.
// Any bytes are fit to be asked about; more than 1 MiB are refused.
absl::StatusOr<LoadedConfig> LoadConfig(absl::string_view text,
                                        absl::string_view filename);

// The same rules for a Config that was built by verbs: the lines are
// `PATH: VALUE is not ALLOWED`.
absl::StatusOr<LoadedConfig> CheckConfig(api::Config config);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_LOAD_H_
