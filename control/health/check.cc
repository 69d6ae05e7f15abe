// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/check.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "control/api/field_text.h"
#include "control/health/url.h"
#include "control/intent/port_spec.h"
#include "dataplane/net/address.h"

namespace godwit {
namespace {

constexpr uint16_t kDnsL4Port = 53;
constexpr char kBetween = '\0';  // no argument of a program can hold it

bool Serves(const api::Service& service, const std::string& queue) {
  return std::any_of(
      service.queues().begin(), service.queues().end(),
      [&queue](const api::QueueRef& ref) { return ref.queue() == queue; });
}

bool Has(const api::Service& service, PortSpec::Proto proto, uint16_t l4port) {
  for (const std::string& text : service.ports()) {
    const auto spec = ParsePortSpec(text);
    if (spec && spec->proto == proto && spec->l4ports.low <= l4port &&
        l4port <= spec->l4ports.high) {
      return true;
    }
  }
  return false;
}

std::vector<std::string> AddressesFor(const api::Config& config,
                                      const std::string& queue,
                                      PortSpec::Proto proto, uint16_t l4port) {
  std::vector<std::string> served;
  std::string first;
  for (const api::Service& service : config.services()) {
    if (!Serves(service, queue)) continue;
    const bool has = Has(service, proto, l4port);
    for (const std::string& address : service.addresses()) {
      if (first.empty()) first = address;
      if (has) served.push_back(address);
    }
  }
  if (!served.empty()) return served;
  return {first.empty() ? "127.0.0.1" : first};
}

}  // namespace

std::optional<Check> CheckOf(const api::Config& config,
                             const api::Queue& queue) {
  if (!queue.has_health()) return std::nullopt;
  const api::Health& health = queue.health();
  Check check;
  check.netns = queue.netns();
  check.timeout = std::chrono::milliseconds(Milliseconds(health.timeout()));
  if (health.has_tcp()) {
    check.kind = Check::Kind::kTcp;
    check.l4port = static_cast<uint16_t>(health.tcp());
  } else if (health.has_http()) {
    const auto url = ParseHttpUrl(health.http());
    if (!url) return std::nullopt;
    check.kind = Check::Kind::kHttp;
    check.l4port = url->l4port;
    check.words = {url->authority, url->path};
    if (IpAddress::Parse(url->host)) {
      check.addresses = {url->host};
      return check;
    }
  } else if (health.has_dns()) {
    check.kind = Check::Kind::kDns;
    check.l4port = kDnsL4Port;
    check.words = {health.dns()};
  } else {
    check.kind = Check::Kind::kExec;
    check.words.assign(health.exec().begin(), health.exec().end());
    return check;
  }
  const auto proto = check.kind == Check::Kind::kDns ? PortSpec::Proto::kUdp
                                                     : PortSpec::Proto::kTcp;
  check.addresses = AddressesFor(config, queue.name(), proto, check.l4port);
  return check;
}

std::string Encode(const Check& check) {
  std::vector<std::string> fields = {
      absl::StrCat(static_cast<int>(check.kind)), check.netns,
      absl::StrCat(check.timeout.count()), absl::StrCat(check.l4port),
      absl::StrCat(check.addresses.size())};
  fields.insert(fields.end(), check.addresses.begin(), check.addresses.end());
  fields.insert(fields.end(), check.words.begin(), check.words.end());
  return absl::StrJoin(fields, std::string(1, kBetween));
}

std::optional<Check> DecodeCheck(absl::string_view bytes) {
  const std::vector<std::string> fields = absl::StrSplit(bytes, kBetween);
  constexpr size_t kFixed = 5;
  int kind = 0;
  int64_t timeout_ms = 0;
  int l4port = 0;
  size_t addresses = 0;
  if (fields.size() < kFixed || !absl::SimpleAtoi(fields[0], &kind) ||
      !absl::SimpleAtoi(fields[2], &timeout_ms) ||
      !absl::SimpleAtoi(fields[3], &l4port) ||
      !absl::SimpleAtoi(fields[4], &addresses) ||
      addresses > fields.size() - kFixed) {
    return std::nullopt;
  }
  Check check;
  check.kind = static_cast<Check::Kind>(kind);
  check.netns = fields[1];
  check.timeout = std::chrono::milliseconds(timeout_ms);
  check.l4port = static_cast<uint16_t>(l4port);
  const auto words =
      fields.begin() + static_cast<std::ptrdiff_t>(kFixed + addresses);
  check.addresses.assign(fields.begin() + kFixed, words);
  check.words.assign(words, fields.end());
  return check;
}

std::string Encode(const CheckResult& result) {
  return absl::StrCat(result.id, ":", static_cast<int>(result.outcome), ":",
                      result.reason);
}

std::optional<CheckResult> DecodeResult(absl::string_view bytes) {
  const std::vector<std::string> fields =
      absl::StrSplit(bytes, absl::MaxSplits(':', 2));
  CheckResult result;
  int outcome = 0;
  if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &result.id) ||
      !absl::SimpleAtoi(fields[1], &outcome)) {
    return std::nullopt;
  }
  result.outcome = static_cast<HealthVerdict::Outcome>(outcome);
  result.reason = fields[2];
  return result;
}

}  // namespace godwit
