// SPDX-License-Identifier: BSD-3-Clause
// One check of a queue's server: what is asked, and how it travels to the
// process that asks (runner.h).
#ifndef GODWIT_CONTROL_HEALTH_CHECK_H_
#define GODWIT_CONTROL_HEALTH_CHECK_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "control/api/godwit.pb.h"
#include "control/health/verdict.h"

namespace godwit {

struct Check {
  enum class Kind : uint8_t { kTcp, kHttp, kDns, kExec };
  Kind kind = Kind::kTcp;
  std::string netns;  // empty: the daemon's own
  std::chrono::milliseconds timeout{500};
  uint16_t l4port = 0;                 // not of exec
  std::vector<std::string> addresses;  // all of them must answer; not of exec
  std::vector<std::string> words;  // exec: argv; http: host, path; dns: name
  friend bool operator==(const Check&, const Check&) = default;
};

// The check that `queue` asks for; nullopt without `health:`. It asks every
// service address where this queue serves the checked l4port; if it serves it
// nowhere, its first service address; without any, 127.0.0.1. A URL with an
// address instead of a name says itself where.
std::optional<Check> CheckOf(const api::Config& config,
                             const api::Queue& queue);

std::string Encode(const Check& check);
std::optional<Check> DecodeCheck(absl::string_view bytes);

struct CheckResult {
  uint64_t id = 0;
  HealthVerdict::Outcome outcome = HealthVerdict::Outcome::kNotRun;
  std::string reason;  // of what has not passed: one line
};

std::string Encode(const CheckResult& result);
std::optional<CheckResult> DecodeResult(absl::string_view bytes);

// In a process of its own, which is killed when the time is over: blocks as
// long as it likes. Writes to stdout what it is at and what is wrong with it;
// the exit code, 0 if all is well. Only for exec it does not return.
int RunCheck(const Check& check);

}  // namespace godwit

#endif  // GODWIT_CONTROL_HEALTH_CHECK_H_
