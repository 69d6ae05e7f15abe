// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/url.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace godwit {

std::optional<HttpUrl> ParseHttpUrl(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "http://")) return std::nullopt;
  const size_t end = text.find_first_of("/?#");
  HttpUrl url;
  absl::string_view authority = text.substr(0, end);
  url.authority = std::string(authority);
  const absl::string_view rest = end == text.npos ? "" : text.substr(end);
  url.path = absl::StrCat(absl::StartsWith(rest, "/") ? "" : "/", rest);
  // A fragment is the client's own (RFC 3986 3.5).
  url.path.resize(std::min(url.path.size(), url.path.find('#')));
  absl::string_view host = authority;
  absl::string_view l4port;
  if (absl::ConsumePrefix(&host, "[")) {
    const size_t close = host.find(']');
    if (close == host.npos) return std::nullopt;
    l4port = host.substr(close + 1);
    host = host.substr(0, close);
    if (!l4port.empty() && !absl::ConsumePrefix(&l4port, ":")) {
      return std::nullopt;
    }
  } else if (const size_t colon = host.rfind(':'); colon != host.npos) {
    l4port = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  int number = 80;
  if (!l4port.empty() &&
      (!absl::SimpleAtoi(l4port, &number) || number < 1 || number > 65535)) {
    return std::nullopt;
  }
  if (host.empty()) return std::nullopt;
  url.host = std::string(host);
  url.l4port = static_cast<uint16_t>(number);
  return url;
}

int HttpStatusOf(absl::string_view answer) {
  // "HTTP/1.1 200 ...", RFC 9112 4.
  constexpr size_t kCodeAt = 9;
  int status = 0;
  if (!absl::StartsWith(answer, "HTTP/1.") || answer.size() < kCodeAt + 3 ||
      answer[kCodeAt - 1] != ' ' ||
      !absl::SimpleAtoi(answer.substr(kCodeAt, 3), &status)) {
    return 0;
  }
  return status;
}

}  // namespace godwit
