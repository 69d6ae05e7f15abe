// SPDX-License-Identifier: BSD-3-Clause
// What DPDK's environment would not take, or take and end the process for: it
// says so with no line of the file, and only at start.
#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/api/field_text.h"
#include "control/intent/rules/rules.h"

namespace godwit::rules {
namespace {

enum class Takes : uint8_t { kNothing, kValue, kValueOrNothing };

struct Option {
  absl::string_view name;
  Takes takes;
};

// Of DPDK 22.11. Left out are those that print and exit (-h, --help).
constexpr Option kOptions[] = {
    {"-a", Takes::kValue},
    {"-b", Takes::kValue},
    {"-d", Takes::kValue},
    {"-m", Takes::kValue},
    {"-n", Takes::kValue},
    {"-r", Takes::kValue},
    {"-v", Takes::kNothing},
    {"--allow", Takes::kValue},
    {"--base-virtaddr", Takes::kValue},
    {"--block", Takes::kValue},
    {"--create-uio-dev", Takes::kNothing},
    {"--file-prefix", Takes::kValue},
    {"--force-max-simd-bitwidth", Takes::kValue},
    {"--huge-dir", Takes::kValue},
    {"--huge-unlink", Takes::kValueOrNothing},
    {"--huge-worker-stack", Takes::kValueOrNothing},
    {"--iova-mode", Takes::kValue},
    {"--legacy-mem", Takes::kNothing},
    {"--log-level", Takes::kValue},
    {"--match-allocations", Takes::kNothing},
    {"--mbuf-pool-ops-name", Takes::kValue},
    {"--no-hpet", Takes::kNothing},
    {"--no-pci", Takes::kNothing},
    {"--no-shconf", Takes::kNothing},
    {"--no-telemetry", Takes::kNothing},
    {"--single-file-segments", Takes::kNothing},
    {"--socket-limit", Takes::kValue},
    {"--syslog", Takes::kValue},
    {"--telemetry", Takes::kNothing},
    {"--trace", Takes::kValue},
    {"--trace-bufsz", Takes::kValue},
    {"--trace-dir", Takes::kValue},
    {"--trace-mode", Takes::kValue},
    {"--vdev", Takes::kValue},
    {"--vfio-intr", Takes::kValue},
    {"--vfio-vf-token", Takes::kValue},
    {"--vmware-tsc-map", Takes::kNothing},
};

// DPDK takes each of them once, or one of several, and the daemon has; a
// secondary process waits for ever for a first one.
constexpr Option kOurs[] = {
    {"-S", Takes::kValue},           {"-c", Takes::kValue},
    {"-l", Takes::kValue},           {"-s", Takes::kValue},
    {"--lcores", Takes::kValue},     {"--in-memory", Takes::kNothing},
    {"--no-huge", Takes::kNothing},  {"--socket-mem", Takes::kValue},
    {"--main-lcore", Takes::kValue}, {"--proc-type", Takes::kValue}};

struct Words {
  absl::string_view name;
  absl::string_view allowed;  // between blanks
};

// Those whose values are words of a list.
constexpr Words kWords[] = {
    {"--huge-unlink", " always existing never "},
    {"--iova-mode", " pa va "},
    {"--vfio-intr", " legacy msi msix "},
};

// What `value` is not, as a value of `name`; empty if nothing is known of it.
std::string WhyNotValue(absl::string_view name, absl::string_view value,
                        Plugins plugins) {
  if (name == "--vdev") return WhyNoVdev(value, plugins);
  for (const Words& words : kWords) {
    if (words.name != name) continue;
    if (absl::StrContains(words.allowed, absl::StrCat(" ", value, " "))) break;
    return absl::StrCat("a value of ", name, ":",
                        words.allowed.substr(0, words.allowed.size() - 1));
  }
  return "";
}

// "--log-level" of "--log-level=debug", "-m" of "-m512".
absl::string_view NameOf(absl::string_view arg) {
  if (absl::StartsWith(arg, "--")) return arg.substr(0, arg.find('='));
  return arg.substr(0, 2);
}

template <size_t kSize>
const Option* Find(const Option (&options)[kSize], absl::string_view name) {
  const Option* const found =
      std::find_if(std::begin(options), std::end(options),
                   [name](const Option& each) { return each.name == name; });
  return found == std::end(options) ? nullptr : found;
}

std::string Known() {
  return absl::StrJoin(kOptions, " ", [](std::string* out, const Option& each) {
    absl::StrAppend(out, each.name);
  });
}

}  // namespace

void CheckEalArgs(const api::Dataplane& dataplane, Findings& findings) {
  const Plugins plugins = PluginsOf(dataplane);
  for (int i = 0; i < dataplane.eal_args_size(); ++i) {
    const std::string& arg = dataplane.eal_args(i);
    const std::string path = At("dataplane.eal_args", i);
    if (arg.empty() || arg.find('\0') != arg.npos) {
      NotA(findings, path, arg, "an argument for DPDK");
      continue;
    }
    const absl::string_view name = NameOf(arg);
    if (const Option* const ours = Find(kOurs, name); ours != nullptr) {
      NotA(findings, path, arg,
           "possible: the daemon says that itself, by dataplane.cpus, workers "
           "and hugepages");
      if (ours->takes == Takes::kValue && arg == name) ++i;  // its value
      continue;
    }
    const Option* const option = Find(kOptions, name);
    if (option == nullptr) {
      NotA(findings, path, arg,
           absl::StrCat("an option of DPDK's environment: ", Known()));
      continue;
    }
    const bool has_value = arg.size() > name.size();
    if (option->takes == Takes::kNothing && has_value) {
      NotA(findings, path, arg, absl::StrCat("right: ", name, " has no value"));
    }
    const auto check_value = [&](const std::string& at,
                                 absl::string_view value) {
      const std::string why_not = WhyNotValue(name, value, plugins);
      if (!why_not.empty()) NotA(findings, at, value, why_not);
    };
    if (has_value && option->takes != Takes::kNothing) {
      const size_t begin = name.size() + (arg[name.size()] == '=' ? 1 : 0);
      check_value(path, absl::string_view(arg).substr(begin));
    }
    if (option->takes != Takes::kValue || has_value) continue;
    if (i + 1 == dataplane.eal_args_size()) {
      NotA(findings, path, arg,
           absl::StrCat("complete: ", name, " needs a value behind it"));
      continue;
    }
    ++i;  // the value, whatever it is
    if (dataplane.eal_args(i).find('\0') != std::string::npos) {
      NotA(findings, At("dataplane.eal_args", i), dataplane.eal_args(i),
           "an argument for DPDK");
    } else {
      check_value(At("dataplane.eal_args", i), dataplane.eal_args(i));
    }
  }
}

}  // namespace godwit::rules
