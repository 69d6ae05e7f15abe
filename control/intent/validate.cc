// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/validate.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "control/intent/rules/rules.h"

namespace godwit {
namespace {

void CheckVersion(const api::Config& config, Findings& findings) {
  if (!config.has_version()) {
    findings.Error("version", "is missing: it must be 1");
  } else if (config.version() != 1) {
    rules::NotA(findings, "version", absl::StrCat(config.version()),
                "a version that this godwit reads: 1");
  }
}

}  // namespace

Findings Validate(const api::Config& config) {
  Findings findings;
  CheckVersion(config, findings);
  rules::CheckNode(config, findings);
  rules::CheckDataplane(config, findings);
  rules::CheckUplinks(config, findings);
  rules::CheckQueues(config, findings);
  rules::CheckDevices(config, findings);
  rules::CheckServices(config, findings);
  rules::CheckEndpoints(config, findings);
  rules::CheckEgress(config, findings);
  rules::CheckDaemon(config, findings);
  return findings;
}

Findings RefuseNotSupportedYet(const api::Config& config) {
  constexpr absl::string_view kNotYet = "is not supported by this version yet";
  Findings findings;
  for (int i = 0; i < config.queues_size(); ++i) {
    const api::Queue& queue = config.queues(i);
    const api::Health& health = queue.health();
    const std::string path = rules::At("queues", i) + ".health";
    if (absl::StartsWith(health.http(), "https://")) {
      findings.Error(path + ".http", absl::StrCat("\"", health.http(), "\" ",
                                                  kNotYet, ": http:// is"));
    }
    // Without a namespace that we know there is no way to the server but the
    // dataplane's own.
    if (queue.has_health() && health.exec_size() == 0 &&
        queue.netns().empty()) {
      findings.Error(path, absl::StrCat(kNotYet, " on a queue without netns, ",
                                        "but for exec, which runs anywhere"));
    }
  }
  return findings;
}

}  // namespace godwit
