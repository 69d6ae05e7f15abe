// SPDX-License-Identifier: BSD-3-Clause
// YAML text -> a tree of lists, maps and texts with their lines. The part of
// YAML that a configuration needs: no anchors, aliases or tags, one document.
#ifndef GODWIT_CONTROL_INTENT_YAML_TREE_H_
#define GODWIT_CONTROL_INTENT_YAML_TREE_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "control/intent/findings.h"

namespace godwit {

struct YamlNode {
  enum class Kind { kNull, kText, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 1;                 // where it begins, from 1
  std::string text;             // kText, as written but for its quotes
  std::vector<YamlNode> items;  // kList: its elements; kMap: keys and values
                                // by turns, the keys all kText
};

// Bounds on what is read at all; beyond them the text is refused.
inline constexpr size_t kMaxYamlBytes = 1 << 20;
inline constexpr int kMaxYamlDepth = 16;

// The tree, or the one error that ended the reading. Never throws; time and
// memory are bounded by kMaxYamlBytes, whatever the bytes are.
std::variant<YamlNode, Finding> ReadYaml(absl::string_view text);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_YAML_TREE_H_
