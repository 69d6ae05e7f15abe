// SPDX-License-Identifier: BSD-3-Clause
// The URL of an http check, and the first line of what it answers.
#ifndef GODWIT_CONTROL_HEALTH_URL_H_
#define GODWIT_CONTROL_HEALTH_URL_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace godwit {

struct HttpUrl {
  std::string host;       // without brackets
  std::string authority;  // host and l4port as written: the Host header
  uint16_t l4port = 80;
  std::string path;  // from the slash on, never empty
};

// Only `http://`: nullopt for all else.
std::optional<HttpUrl> ParseHttpUrl(absl::string_view text);

// 404 of "HTTP/1.1 404 Not Found"; 0 if it is no status line.
int HttpStatusOf(absl::string_view answer);

}  // namespace godwit

#endif  // GODWIT_CONTROL_HEALTH_URL_H_
