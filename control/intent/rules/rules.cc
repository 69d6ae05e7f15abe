// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/rules/rules.h"

#include "absl/strings/str_cat.h"
#include "control/api/field_text.h"

namespace godwit::rules {
namespace {

constexpr char kNameCharacters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
constexpr size_t kMaxName = 63;

bool IsBroadcast(const IpAddress& address) {
  return address.IsV4() && address.V4Wire() == 0xffffffff;
}

// RFC 1122 3.2.1.3: no host has one, and routers drop them.
bool IsReserved(const IpAddress& address) {
  return address.IsV4() &&
         (address.V4Bytes()[0] == 0 || address.V4Bytes()[0] >= 240);
}

}  // namespace

std::string At(absl::string_view list, int index) {
  return absl::StrCat(list, "[", index, "]");
}

void NotA(Findings& findings, absl::string_view path, absl::string_view value,
          absl::string_view allowed) {
  findings.Error(path, absl::StrCat(Quoted(value), " is not ", allowed));
}

void NotIn(Findings& findings, absl::string_view path, uint64_t value,
           absl::string_view what, uint64_t min, uint64_t max) {
  NotA(findings, path, absl::StrCat(value),
       absl::StrCat(what, " of ", min, "-", max));
}

void RefuseSecond(Findings& findings, absl::string_view shown,
                  const std::string& path, const std::string& first) {
  findings.Error(path,
                 absl::StrCat(Quoted(shown), " is not the only one: it is at ",
                              first, " already"));
}

std::optional<IpAddress> HostAddress(Findings& findings,
                                     const std::string& path,
                                     const std::string& text) {
  const std::optional<IpAddress> address = IpAddress::Parse(text);
  if (!address) {
    NotA(findings, path, text,
         "an IP address, as in 192.0.2.53 or \"2001:db8:53::53\"");
    return std::nullopt;
  }
  if (address->IsMulticast() || address->IsLoopback() ||
      address->IsLinkLocal() || address->IsUnspecified() ||
      IsBroadcast(*address)) {
    NotA(findings, path, text,
         "an address that one host can have: multicast, broadcast, loopback, "
         "link-local and unspecified ones can't be used here");
    return std::nullopt;
  }
  if (IsReserved(*address)) {
    NotA(findings, path, text,
         "an address that one host can have: 0.0.0.0/8 and 240.0.0.0/4 are "
         "reserved");
    return std::nullopt;
  }
  return address;
}

void CheckName(Findings& findings, const std::string& path, bool has_name,
               const std::string& name) {
  if (!has_name) {
    findings.Error(path, "\"name\" is missing");
    return;
  }
  const bool fits = !name.empty() && name.size() <= kMaxName &&
                    name.find_first_not_of(kNameCharacters) == name.npos &&
                    name.front() != '-' && name.front() != '.';
  if (!fits) {
    NotA(findings, path + ".name", name,
         "a name: 1-63 letters, digits, '_', '.' or '-', and neither of the "
         "last two at its beginning");
  } else if (name == "kernel" || name == "uplink") {
    NotA(findings, path + ".name", name,
         "free to use: kernel is the built-in queue, uplink means all uplinks");
  }
}

void CheckDuration(Findings& findings, const std::string& path,
                   const google::protobuf::Duration& duration, int64_t min_ms,
                   int64_t max_ms) {
  const int64_t ms = Milliseconds(duration);
  if (ms >= min_ms && ms <= max_ms) return;
  const auto text = [](int64_t milliseconds) {
    google::protobuf::Duration bound;
    bound.set_seconds(milliseconds / 1000);
    bound.set_nanos(static_cast<int32_t>(milliseconds % 1000 * 1'000'000));
    return DurationText(bound);
  };
  NotA(findings, path, DurationText(duration),
       absl::StrCat("a time of ", text(min_ms), "-", text(max_ms)));
}

void CheckSocketPath(Findings& findings, const std::string& path,
                     const std::string& text) {
  // sizeof(sockaddr_un::sun_path) less the final zero.
  constexpr size_t kMaxSocketPath = 107;
  if (text.empty() || text.front() != '/' || text.back() == '/' ||
      text.size() > kMaxSocketPath || text.find('\0') != text.npos) {
    NotA(findings, path, text,
         "the absolute path of a socket, of at most 107 bytes");
  }
}

}  // namespace godwit::rules
