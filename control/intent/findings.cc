// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/findings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/api/field_text.h"

namespace godwit {
namespace {

constexpr size_t kMaxLines = 20;

std::string Text(const Finding& finding, int line, const Source& source) {
  std::string text;
  if (!source.filename.empty()) {
    text = absl::StrCat(source.filename, ":", line, ": ");
  }
  if (!finding.path.empty()) absl::StrAppend(&text, finding.path, ": ");
  const auto written = source.times.find(finding.path);
  const size_t end = finding.message.find('"', 1);
  if (written == source.times.end() || end == finding.message.npos ||
      finding.message.front() != '"') {
    return text + finding.message;
  }
  return absl::StrCat(text, Quoted(written->second),
                      finding.message.substr(end + 1));
}

}  // namespace

void Findings::ErrorOfEmpty(absl::string_view path, absl::string_view message,
                            absl::string_view list, absl::string_view wanted) {
  errors.push_back({std::string(path), absl::StrCat(message, ": ", wanted), 0,
                    std::string(list), std::string(wanted)});
}

void PlaceEmptyLists(const Source& source, std::vector<Finding>& errors) {
  for (Finding& error : errors) {
    const auto written = source.empty_lists.find(error.list);
    if (error.list.empty() || written == source.empty_lists.end()) continue;
    error.path = error.list;
    error.message =
        absl::StrCat(written->second, written->second.empty() ? "" : " ",
                     "is empty: ", error.wanted);
  }
}

int Source::LineOf(absl::string_view path) const {
  while (!path.empty()) {
    if (const auto found = lines.find(path); found != lines.end()) {
      return found->second;
    }
    const size_t end = path.find_last_of(".[");
    path = path.substr(0, end == path.npos ? 0 : end);
  }
  return 1;
}

std::vector<std::string> Lines(const std::vector<Finding>& findings,
                               const Source& source) {
  std::vector<std::pair<int, const Finding*>> sorted;
  for (const Finding& finding : findings) {
    const int line =
        finding.line != 0 ? finding.line : source.LineOf(finding.path);
    sorted.emplace_back(line, &finding);
  }
  std::stable_sort(
      sorted.begin(), sorted.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> texts;
  for (const auto& [line, finding] : sorted) {
    if (texts.size() == kMaxLines) {
      texts.push_back(absl::StrCat("and ", sorted.size() - kMaxLines, " more"));
      break;
    }
    texts.push_back(Text(*finding, line, source));
  }
  return texts;
}

absl::Status ToStatus(const std::vector<Finding>& errors,
                      const Source& source) {
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(Lines(errors, source), "\n"));
}

bool IsAround(absl::string_view outer, absl::string_view inner) {
  if (!absl::StartsWith(inner, outer)) return false;
  if (inner.size() == outer.size()) return true;
  const char next = inner[outer.size()];
  return next == '.' || next == '[';
}

}  // namespace godwit
