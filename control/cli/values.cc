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

namespace {

// Positive, in milliseconds; other bounds are the daemon's.
absl::StatusOr<int64_t> ReadPositive(const char* key, const std::string& text,
                                     const char* allowed) {
  const auto duration = ParseDuration(text);
  if (!duration.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, ": ", duration.status().message()));
  }
  const int64_t time_ms = Milliseconds(*duration);
  if (time_ms > 0) return time_ms;
  return absl::InvalidArgumentError(
      absl::StrCat(key, ": \"", text, "\" is not ", allowed));
}

}  // namespace

absl::StatusOr<int64_t> ReadTrial(const std::string& text) {
  return ReadPositive("confirm-within", text, "from 1s to 24h");
}

absl::StatusOr<int64_t> ReadDeadline(const std::string& text) {
  return ReadPositive("deadline", text, "from 1s to 24h");
}

}  // namespace godwit::cli
