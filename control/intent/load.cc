// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/load.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/intent/validate.h"
#include "control/intent/yaml.h"

namespace godwit {
namespace {

// Errors that only follow from what could not be read: a name that was
// mistyped is not missing too.
std::vector<Finding> WithoutConsequences(std::vector<Finding> errors,
                                         const std::vector<Finding>& unread) {
  std::erase_if(errors, [&unread](const Finding& error) {
    return std::any_of(unread.begin(), unread.end(),
                       [&error](const Finding& cause) {
                         return IsAround(cause.path, error.path) ||
                                IsAround(error.path, cause.path);
                       });
  });
  return errors;
}

}  // namespace

absl::StatusOr<std::string> ReadConfigFile(const std::string& filename) {
  std::ifstream in(filename, std::ios::binary);
  if (!in) {
    return absl::NotFoundError(absl::StrCat(filename, ": can't be read"));
  }
  return std::string{std::istreambuf_iterator<char>(in), {}};
}

absl::StatusOr<LoadedConfig> LoadConfig(absl::string_view text,
                                        absl::string_view filename) {
  ParsedYaml parsed = ParseYaml(text, filename);
  const bool is_yaml =
      std::none_of(parsed.errors.begin(), parsed.errors.end(),
                   [](const Finding& error) { return error.path.empty(); });
  if (!is_yaml) return ToStatus(parsed.errors, parsed.source);
  Findings findings = Validate(parsed.config);
  PlaceEmptyLists(parsed.source, findings.errors);
  std::vector<Finding> errors =
      WithoutConsequences(std::move(findings.errors), parsed.errors);
  errors.insert(errors.begin(), parsed.errors.begin(), parsed.errors.end());
  if (!errors.empty()) return ToStatus(errors, parsed.source);
  return LoadedConfig{std::move(parsed.config),
                      Lines(findings.warnings, parsed.source),
                      std::move(parsed.source)};
}

absl::StatusOr<LoadedConfig> CheckConfig(api::Config config) {
  const Findings findings = Validate(config);
  if (!findings.errors.empty()) return ToStatus(findings.errors, Source());
  return LoadedConfig{std::move(config), Lines(findings.warnings, Source()),
                      Source()};
}

}  // namespace godwit
