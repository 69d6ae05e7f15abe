// SPDX-License-Identifier: BSD-3-Clause
// A file's text -> Config by reflection over the schema, with the line of every
// field. Knows no key: names, types and allowed words are the schema's.
#ifndef GODWIT_CONTROL_INTENT_YAML_H_
#define GODWIT_CONTROL_INTENT_YAML_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "control/api/godwit.pb.h"
#include "control/intent/findings.h"

namespace godwit {

struct ParsedYaml {
  api::Config config;           // what could be read
  Source source;                // where
  std::vector<Finding> errors;  // syntax, unknown keys, wrong types
};

// Any bytes may be given; see ReadYaml() for the bounds.
ParsedYaml ParseYaml(absl::string_view text, absl::string_view filename);

// Of `words`, the one with the fewest letters to change to make `word`.
// `words` must not be empty.
std::string Nearest(absl::string_view word,
                    const std::vector<std::string>& words);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_YAML_H_
