// SPDX-License-Identifier: BSD-3-Clause
// What the files of this folder share. Included by them and by validate.cc
// alone.
#ifndef GODWIT_CONTROL_INTENT_RULES_RULES_H_
#define GODWIT_CONTROL_INTENT_RULES_RULES_H_

#include <google/protobuf/duration.pb.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "control/api/godwit.pb.h"
#include "control/intent/findings.h"
#include "dataplane/net/address.h"

namespace godwit::rules {

// By subject; each calls its rules one after the other.
void CheckNode(const api::Config& config, Findings& findings);
void CheckDataplane(const api::Config& config, Findings& findings);
void CheckEalArgs(const api::Dataplane& dataplane, Findings& findings);
void CheckVdevs(const api::Config& config, Findings& findings);
void CheckEgress(const api::Config& config, Findings& findings);
void CheckDaemon(const api::Config& config, Findings& findings);
void CheckUplinks(const api::Config& config, Findings& findings);
void CheckQueues(const api::Config& config, Findings& findings);
void CheckDevices(const api::Config& config, Findings& findings);
void CheckHealth(const api::Health& health, const std::string& path,
                 Findings& findings);
void CheckServices(const api::Config& config, Findings& findings);
void CheckEndpoints(const api::Config& config, Findings& findings);

// "uplinks[3]".
std::string At(absl::string_view list, int index);

// `"VALUE" is not ALLOWED`.
void NotA(Findings& findings, absl::string_view path, absl::string_view value,
          absl::string_view allowed);
void NotIn(Findings& findings, absl::string_view path, uint64_t value,
           absl::string_view what, uint64_t min, uint64_t max);

// A thing that may be there once: reports the second and where the first was.
template <typename Key>
class Once {
 public:
  // True if `key` is new.
  bool Check(Findings& findings, const Key& key, absl::string_view shown,
             const std::string& path) {
    const auto [first, is_new] = seen_.emplace(key, path);
    if (!is_new) Refuse(findings, shown, path, first->second);
    return is_new;
  }
  // Where `key` was first; nullptr if it was not.
  const std::string* Find(const Key& key) const {
    const auto found = seen_.find(key);
    return found == seen_.end() ? nullptr : &found->second;
  }

 private:
  static void Refuse(Findings& findings, absl::string_view shown,
                     const std::string& path, const std::string& first);
  std::map<Key, std::string> seen_;  // key -> path
};

void RefuseSecond(Findings& findings, absl::string_view shown,
                  const std::string& path, const std::string& first);

template <typename Key>
void Once<Key>::Refuse(Findings& findings, absl::string_view shown,
                       const std::string& path, const std::string& first) {
  RefuseSecond(findings, shown, path, first);
}

// Reads an address that one host may have: neither multicast, loopback,
// link-local, unspecified, broadcast nor reserved. Reports what is none.
std::optional<IpAddress> HostAddress(Findings& findings,
                                     const std::string& path,
                                     const std::string& text);

// The name of an uplink, queue or service: there, well-formed, not reserved.
void CheckName(Findings& findings, const std::string& path, bool has_name,
               const std::string& name);

// Reports a duration outside of [min_ms, max_ms].
void CheckDuration(Findings& findings, const std::string& path,
                   const google::protobuf::Duration& duration, int64_t min_ms,
                   int64_t max_ms);

// Whether DPDK is given drivers that are not its own (-d).
enum class Plugins : uint8_t { kNone, kSome };
Plugins PluginsOf(const api::Dataplane& dataplane);
// Empty, or what `devargs` is not.
std::string WhyNoVdev(absl::string_view devargs, Plugins plugins);

// An absolute path that the control socket can have.
void CheckSocketPath(Findings& findings, const std::string& path,
                     const std::string& text);

}  // namespace godwit::rules

#endif  // GODWIT_CONTROL_INTENT_RULES_RULES_H_
