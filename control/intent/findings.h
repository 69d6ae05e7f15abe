// SPDX-License-Identifier: BSD-3-Clause
// What is wrong with a Config: errors and warnings by field path, and the line
// of the file where each path was written.
#ifndef GODWIT_CONTROL_INTENT_FINDINGS_H_
#define GODWIT_CONTROL_INTENT_FINDINGS_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace godwit {

struct Finding {
  std::string path;     // "services[0].addresses[0]"; empty: the whole file
  std::string message;  // "\"192.0.2.300\" is not an IP address, ..."
  int line = 0;         // 0: the line of `path`
  // If not empty: the path of a list that must not be empty, and what is to be
  // in it. Where the file has such a list with nothing in it, this is said of
  // the list in place of `message`: it is not missing.
  std::string list{};
  std::string wanted{};
};

struct Findings {
  std::vector<Finding> errors;
  std::vector<Finding> warnings;

  void Error(absl::string_view path, absl::string_view message) {
    errors.push_back({std::string(path), std::string(message)});
  }
  // Nothing is in the list at `list`. `path` and `message` are for where it is
  // not written at all; see Finding::list.
  void ErrorOfEmpty(absl::string_view path, absl::string_view message,
                    absl::string_view list, absl::string_view wanted);
  void Warn(absl::string_view path, absl::string_view message) {
    warnings.push_back({std::string(path), std::string(message)});
  }
};

// Where a Config came from. Empty for one that verbs have built.
struct Source {
  std::string filename;
  absl::flat_hash_map<std::string, int> lines;  // path -> line, from 1
  // Times as they were written: path -> "25h". They are kept in other units.
  absl::flat_hash_map<std::string, std::string> times;
  // Lists that were written with nothing in them: path -> "[]" or "".
  absl::flat_hash_map<std::string, std::string> empty_lists;

  // The line of `path`, or of the nearest thing around it that was written;
  // 1 if there is none.
  int LineOf(absl::string_view path) const;
};

// One line of text each, in the file's order, after 20 a line that says how
// many more there are.
std::vector<std::string> Lines(const std::vector<Finding>& findings,
                               const Source& source);

// OK without errors, else INVALID_ARGUMENT with all of Lines().
absl::Status ToStatus(const std::vector<Finding>& errors, const Source& source);

// Says of lists that were written empty that they are, at their own place.
void PlaceEmptyLists(const Source& source, std::vector<Finding>& errors);

// True if `outer` is `inner` or something around it: "a" and "a[1]" are
// around "a[1].b".
bool IsAround(absl::string_view outer, absl::string_view inner);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_FINDINGS_H_
