// SPDX-License-Identifier: BSD-3-Clause
// What a Config needs of the machine it is for: CPUs, interfaces, namespaces.
#ifndef GODWIT_CONTROL_INTENT_MACHINE_H_
#define GODWIT_CONTROL_INTENT_MACHINE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/api/godwit.pb.h"
#include "control/intent/findings.h"
#include "control/intent/load.h"
#include "control/intent/port_spec.h"
#include "dataplane/net/address.h"

namespace godwit {

struct Machine {
  std::string hostname;
  std::set<uint32_t> cpus;           // online, and this process began with them
  std::set<std::string> interfaces;  // of the calling thread's namespace
  std::set<std::string> namespaces;  // by name, as `ip netns list`
  std::set<std::string> pci_devices;    // 0000:3b:00.0
  L4PortRange ephemeral{32768, 60999};  // net.ipv4.ip_local_port_range
  std::function<bool(const std::string&)> has_group;
  // WhyNotListen(), WhyNoSocket(); absent: nobody needs to know.
  std::function<std::string(const AddressAndPort&)> why_not_listen;
  std::function<std::string(const std::string&)> why_no_socket;
  bool has_hugepages = true;  // any, free ones or not
};

// This machine, as it is now. What can't be read is empty.
Machine ReadMachine();

// Reads "0-3,8": the kernel's way to write a set of CPUs; nullopt if it is
// none.
std::optional<std::set<uint32_t>> ParseCpuList(absl::string_view text);

// What `config` asks for and `machine` does not have. `config` is one that
// Validate() found nothing wrong with, as written, without defaults.
Findings CheckMachine(const api::Config& config, const Machine& machine);

// Whether a finding at `path` of `next` is about an uplink or queue that has
// the device in `before` already, in the same place.
bool IsUntouched(const api::Config& before, const api::Config& next,
                 const std::string& path);

// `machine` as a node that runs by `before` and goes on to `next` may take it:
// with what its untouched parts had when they were opened.
Machine WithUntouched(Machine machine, const api::Config& before,
                      const api::Config& next);

// Whether a config can start on `machine`: what godwitd asks before it opens
// anything, and `config check` alike. The warnings, those of `loaded` first;
// or INVALID_ARGUMENT with a line for each thing that this version does not do
// yet or that `machine` does not have, and for each of `taken`: what is there,
// but is somebody else's (CheckInterfaces of control/ownership).
absl::StatusOr<std::vector<std::string>> CheckHere(
    const LoadedConfig& loaded, const Machine& machine,
    const std::vector<Finding>& taken);

// The same without a machine: for a file that is written for another one.
absl::StatusOr<std::vector<std::string>> CheckAnywhere(
    const LoadedConfig& loaded);

// Fills in the defaults that depend on the machine: `dataplane.cpus` (all but
// the first; the first if it is the only one), `dataplane.workers` (one per
// CPU), `node.name` (the host's) and `control.group` (godwit, if there is such
// a group; else absent, which is the daemon's own group).
api::Config WithMachineDefaults(api::Config config, const Machine& machine);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_MACHINE_H_
