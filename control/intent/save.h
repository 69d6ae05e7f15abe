// SPDX-License-Identifier: BSD-3-Clause
// Config -> the text of a configuration file.
#ifndef GODWIT_CONTROL_INTENT_SAVE_H_
#define GODWIT_CONTROL_INTENT_SAVE_H_

#include <string>

#include "control/api/godwit.pb.h"

namespace godwit {

// YAML that LoadConfig() reads as exactly `config`: absent keys stay absent.
std::string ToYaml(const api::Config& config);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_SAVE_H_
