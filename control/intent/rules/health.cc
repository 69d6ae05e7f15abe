// SPDX-License-Identifier: BSD-3-Clause
// Rules of a queue's health check.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/api/field_text.h"
#include "control/intent/rules/rules.h"

namespace godwit::rules {
namespace {

void CheckOneKind(const api::Health& health, const std::string& path,
                  Findings& findings) {
  const int kinds = (health.has_tcp() ? 1 : 0) + (health.has_http() ? 1 : 0) +
                    (health.has_dns() ? 1 : 0) +
                    (health.exec_size() > 0 ? 1 : 0);
  constexpr absl::string_view kWanted =
      "exactly one of tcp, http, dns and exec";
  const std::string said = absl::StrCat("has ", kinds, " checks and not one");
  if (kinds == 0) {
    findings.ErrorOfEmpty(path, said, path + ".exec", kWanted);
  } else if (kinds != 1) {
    findings.Error(path, absl::StrCat(said, ": ", kWanted));
  }
}

void CheckTcp(const api::Health& health, const std::string& path,
              Findings& findings) {
  if (!health.has_tcp()) return;
  if (health.tcp() < 1 || health.tcp() > 65535) {
    NotIn(findings, path + ".tcp", health.tcp(), "a port", 1, 65535);
  }
}

void CheckHttp(const api::Health& health, const std::string& path,
               Findings& findings) {
  if (!health.has_http()) return;
  absl::string_view rest = health.http();
  const bool has_scheme = absl::ConsumePrefix(&rest, "http://") ||
                          absl::ConsumePrefix(&rest, "https://");
  const bool is_clean = rest.find_first_of(" \t\r\n\"<>") == rest.npos;
  if (!has_scheme || rest.empty() || rest.front() == '/' || !is_clean) {
    NotA(findings, path + ".http", health.http(),
         "a URL, as in http://192.0.2.53/health");
  }
}

// RFC 1035, 2.3.4: labels of at most 63 bytes, 253 in all; service names have
// underscores.
bool IsDnsName(absl::string_view name) {
  absl::ConsumeSuffix(&name, ".");
  if (name.empty() || name.size() > 253) return false;
  for (const absl::string_view label : absl::StrSplit(name, '.')) {
    const bool fits =
        !label.empty() && label.size() <= 63 &&
        label.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyz"
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == label.npos;
    if (!fits) return false;
  }
  return true;
}

void CheckDns(const api::Health& health, const std::string& path,
              Findings& findings) {
  if (health.has_dns() && !IsDnsName(health.dns())) {
    NotA(findings, path + ".dns", health.dns(),
         "a domain name, as in health.example");
  }
}

void CheckExec(const api::Health& health, const std::string& path,
               Findings& findings) {
  if (health.exec_size() == 0) return;
  if (!absl::StartsWith(health.exec(0), "/")) {
    NotA(findings, path + ".exec[0]", health.exec(0),
         "a program's absolute path");
  }
}

void CheckTimes(const api::Health& health, const std::string& path,
                Findings& findings) {
  constexpr int64_t kHourMs = 3'600'000;
  if (health.has_interval()) {
    CheckDuration(findings, path + ".interval", health.interval(), 100,
                  kHourMs);
  }
  if (health.has_timeout()) {
    CheckDuration(findings, path + ".timeout", health.timeout(), 10, kHourMs);
  }
  // The defaults of defaults.cc.
  const int64_t interval_ms =
      health.has_interval() ? Milliseconds(health.interval()) : 1000;
  const int64_t timeout_ms =
      health.has_timeout() ? Milliseconds(health.timeout()) : 500;
  if (timeout_ms > interval_ms) {
    findings.Error(path, absl::StrCat("the timeout of \"", timeout_ms,
                                      "ms\" is not at most the interval, \"",
                                      interval_ms, "ms\""));
  }
}

void CheckCounts(const api::Health& health, const std::string& path,
                 Findings& findings) {
  constexpr uint32_t kMaxCount = 100;
  if (health.has_rise() && (health.rise() < 1 || health.rise() > kMaxCount)) {
    NotIn(findings, path + ".rise", health.rise(), "a number of checks", 1,
          kMaxCount);
  }
  if (health.has_fall() && (health.fall() < 1 || health.fall() > kMaxCount)) {
    NotIn(findings, path + ".fall", health.fall(), "a number of checks", 1,
          kMaxCount);
  }
}

}  // namespace

void CheckHealth(const api::Health& health, const std::string& path,
                 Findings& findings) {
  CheckOneKind(health, path, findings);
  CheckTcp(health, path, findings);
  CheckHttp(health, path, findings);
  CheckDns(health, path, findings);
  CheckExec(health, path, findings);
  CheckTimes(health, path, findings);
  CheckCounts(health, path, findings);
}

}  // namespace godwit::rules
