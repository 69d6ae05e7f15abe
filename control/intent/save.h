// SPDX-License-Identifier: BSD-3-Clause
// Config -> the text of a configuration file, and the file.
#ifndef GODWIT_CONTROL_INTENT_SAVE_H_
#define GODWIT_CONTROL_INTENT_SAVE_H_

#include <string>

#include "absl/status/status.h"
#include "control/api/godwit.pb.h"

namespace godwit {

// YAML that LoadConfig() reads as exactly `config`: absent keys stay absent.
std::string ToYaml(const api::Config& config);

// The file's new content is that of `config`, and on the disk, or it is as it
// was: never half of either. It keeps its owner and its mode; if `filename` is
// a symbolic link, the file that it leads to is written.
absl::Status SaveTo(const std::string& filename, const api::Config& config);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_SAVE_H_
