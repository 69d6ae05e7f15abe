// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/values.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "control/api/field_text.h"

namespace godwit::cli {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const auto unreadable = [&path](int error) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot be read: ", std::strerror(error)));
  };
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "re");
  if (file == nullptr) return unreadable(errno);
  std::string text;
  char buffer[1 << 16];
  for (size_t got; (got = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) {
    text.append(buffer, got);
  }
  const int error = std::ferror(file) != 0 ? errno : 0;
  if (file != stdin) std::fclose(file);
  if (error != 0) return unreadable(error);
  return text;
}

absl::StatusOr<uint64_t> ReadGeneration(const std::string& text) {
  uint64_t generation = 0;
  if (absl::SimpleAtoi(text, &generation) && generation > 0) return generation;
  return absl::InvalidArgumentError(absl::StrCat(
      "generation: \"", text, "\" is not a whole number from 1 up"));
}

absl::StatusOr<int64_t> ReadTrial(const std::string& text) {
  const auto duration = ParseDuration(text);
  if (!duration.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("confirm-within: ", duration.status().message()));
  }
  const int64_t trial_ms =
      duration->seconds() * 1000 + duration->nanos() / 1'000'000;
  if (trial_ms > 0) return trial_ms;
  return absl::InvalidArgumentError(
      absl::StrCat("confirm-within: \"", text, "\" is not from 1s to 24h"));
}

}  // namespace godwit::cli
