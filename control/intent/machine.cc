// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/machine.h"

#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "control/api/field_text.h"
#include "control/intent/defaults.h"
#include "control/intent/listen.h"
#include "control/intent/rules/rules.h"
#include "control/intent/validate.h"
#include "dataplane/device/device_spec.h"

namespace godwit {
namespace {

using Kind = DeviceSpec::Kind;

constexpr char kDefaultGroup[] = "godwit";

std::string FirstLine(const char* filename) {
  std::ifstream file(filename);
  std::string line;
  std::getline(file, line);
  return line;
}

std::set<std::string> NamesIn(const char* directory) {
  std::set<std::string> names;
  std::error_code error;  // a directory that is not there is an empty one
  std::filesystem::directory_iterator entry(directory, error);
  const std::filesystem::directory_iterator end;
  while (!error && entry != end) {
    names.insert(entry->path().filename().string());
    entry.increment(error);
  }
  return names;
}

// By system call: /sys shows the namespace that it was mounted in.
std::set<std::string> ReadInterfaces() {
  std::set<std::string> names;
  struct if_nameindex* const all = if_nameindex();
  if (all == nullptr) return names;
  for (const struct if_nameindex* each = all; each->if_index != 0; ++each) {
    names.insert(each->if_name);
  }
  if_freenameindex(all);
  return names;
}

// Online, and this process may use them. Asked once: the daemon pins itself
// later, and that is no wish of the operator's.
const std::set<uint32_t>& UsableCpus() {
  static const std::set<uint32_t>& usable = *new std::set<uint32_t>([] {
    const std::string online = FirstLine("/sys/devices/system/cpu/online");
    auto cpus = ParseCpuList(online).value_or(std::set<uint32_t>());
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(getpid(), sizeof(allowed), &allowed) != 0) {
      return cpus;
    }
    std::erase_if(cpus, [&allowed](uint32_t cpu) {
      return cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed);
    });
    return cpus;
  }());
  return usable;
}

bool ReadHasHugepages() {
  constexpr char kFolder[] = "/sys/kernel/mm/hugepages";
  for (const std::string& size : NamesIn(kFolder)) {
    const std::string file = absl::StrCat(kFolder, "/", size, "/nr_hugepages");
    const std::string count = FirstLine(file.c_str());
    if (!count.empty() && count != "0") return true;
  }
  return false;
}

std::string ReadHostname() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0) return "";
  return name;
}

L4PortRange ReadEphemeral() {
  const std::string line = FirstLine("/proc/sys/net/ipv4/ip_local_port_range");
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() == 2) {
    const auto range = ParseL4PortRange(absl::StrJoin(words, "-"));
    if (range) return *range;
  }
  return Machine().ephemeral;
}

bool IsUntouched(const api::Config& before, const api::Queue& queue) {
  return std::any_of(before.queues().begin(), before.queues().end(),
                     [&queue](const api::Queue& old) {
                       return old.name() == queue.name() &&
                              old.device() == queue.device() &&
                              old.netns() == queue.netns();
                     });
}

std::string Listed(const std::set<std::string>& names) {
  constexpr size_t kMaxShown = 12;
  if (names.empty()) return "none";
  auto end = names.begin();
  std::advance(end, std::min(kMaxShown, names.size()));
  std::string text = absl::StrJoin(names.begin(), end, ", ");
  if (names.size() > kMaxShown) absl::StrAppend(&text, ", ...");
  return text;
}

void CheckCpusExist(const api::Config& config, const Machine& machine,
                    Findings& findings) {
  for (int i = 0; i < config.dataplane().cpus_size(); ++i) {
    const uint32_t cpu = config.dataplane().cpus(i);
    if (machine.cpus.contains(cpu)) continue;
    rules::NotA(findings, rules::At("dataplane.cpus", i), absl::StrCat(cpu),
                absl::StrCat("a CPU that this process may use: "
                             "here these are ",
                             absl::StrJoin(machine.cpus, ", ")));
  }
}

// veth: and tap: interfaces are made by godwit; sockets, by the device, where
// there is a place for them.
void CheckDeviceExists(const std::string& path, const std::string& device,
                       const Machine& machine, Findings& findings) {
  const std::optional<DeviceSpec> spec = ParseDeviceSpec(device).spec;
  if (!spec) return;
  const bool needs_interface =
      spec->kind == Kind::kXdp || spec->kind == Kind::kAfPacket;
  if (needs_interface && !machine.interfaces.contains(spec->target)) {
    rules::NotA(
        findings, path, device,
        absl::StrCat("a device of this machine: it has no interface ",
                     spec->target, " but ", Listed(machine.interfaces)));
  }
  if (needs_interface && spec->target == "lo") {
    rules::NotA(findings, path, device, "a link: lo is the loopback");
  }
  if (spec->kind == Kind::kPci && !machine.pci_devices.contains(spec->target)) {
    rules::NotA(findings, path, device,
                "a device of this machine: `lspci -D` lists them");
  }
  const bool is_socket =
      spec->kind == Kind::kVhost || spec->kind == Kind::kMemif;
  if (is_socket && machine.why_no_socket) {
    const std::string why_not = machine.why_no_socket(spec->target);
    if (!why_not.empty()) rules::NotA(findings, path, device, why_not);
  }
}

void CheckNetnsExists(const api::Queue& queue, const std::string& path,
                      const Machine& machine, Findings& findings) {
  if (!queue.has_netns() || machine.namespaces.contains(queue.netns())) return;
  rules::NotA(findings, path + ".netns", queue.netns(),
              absl::StrCat("a network namespace of this machine: it has ",
                           Listed(machine.namespaces)));
}

void CheckGroupExists(const api::Config& config, const Machine& machine,
                      Findings& findings) {
  if (!config.control().has_group()) return;
  const std::string& group = config.control().group();
  if (machine.has_group && machine.has_group(group)) return;
  // The default, written out: a fresh machine has no such group.
  if (group == kDefaultGroup) {
    findings.Warn("control.group",
                  absl::StrCat(Quoted(group),
                               " is not a group of this machine: the socket "
                               "stays with the daemon's own"));
    return;
  }
  rules::NotA(findings, "control.group", group, "a group of this machine");
}

// Its directory is made where there is none.
void CheckControlSocket(const api::Config& config, Findings& findings) {
  const std::string& path = config.control().socket();
  std::error_code error;
  const auto found = std::filesystem::symlink_status(path, error);
  if (!std::filesystem::exists(found) || std::filesystem::is_socket(found)) {
    return;
  }
  rules::NotA(findings, "control.socket", path,
              "free: it is there and is not a socket");
}

void CheckMetricsCanListen(const api::Config& config, const Machine& machine,
                           Findings& findings) {
  if (!machine.why_not_listen) return;
  const std::string listen = WithDefaults(config).metrics().listen();
  const std::optional<AddressAndPort> where = AddressAndPort::Parse(listen);
  if (!where) return;
  const std::string why_not = machine.why_not_listen(*where);
  if (!why_not.empty())
    rules::NotA(findings, "metrics.listen", listen, why_not);
}

// How many are wanted depends on the devices; the start counts them.
void CheckHugepagesExist(const api::Config& config, const Machine& machine,
                         Findings& findings) {
  if (config.dataplane().hugepages() != api::Dataplane::REQUIRED) return;
  if (machine.has_hugepages) return;
  rules::NotA(findings, "dataplane.hugepages", "required",
              "possible: this machine has set no huge pages aside "
              "(vm.nr_hugepages); auto and off do without");
}

void WarnOfEphemeralPorts(const api::Config& config, const Machine& machine,
                          Findings& findings) {
  if (!config.egress().has_ports()) return;
  const auto range = ParseL4PortRange(config.egress().ports());
  if (!range || range->low > machine.ephemeral.high ||
      range->high < machine.ephemeral.low) {
    return;
  }
  findings.Warn(
      "egress.ports",
      absl::StrCat(Quoted(config.egress().ports()),
                   " overlaps the kernel's ephemeral range ",
                   machine.ephemeral.low, "-", machine.ephemeral.high,
                   ": the node's own connections from there get no answers"));
}

absl::StatusOr<std::vector<std::string>> WarningsUnless(
    const Findings& findings, const LoadedConfig& loaded) {
  const absl::Status status = ToStatus(findings.errors, loaded.source);
  if (!status.ok()) return status;
  std::vector<std::string> warnings = loaded.warnings;
  for (std::string& line : Lines(findings.warnings, loaded.source)) {
    warnings.push_back(std::move(line));
  }
  return warnings;
}

}  // namespace

Machine ReadMachine() {
  Machine machine;
  machine.hostname = ReadHostname();
  machine.cpus = UsableCpus();
  machine.interfaces = ReadInterfaces();
  machine.namespaces = NamesIn("/run/netns");
  machine.pci_devices = NamesIn("/sys/bus/pci/devices");
  machine.ephemeral = ReadEphemeral();
  machine.has_group = [](const std::string& name) {
    return getgrnam(name.c_str()) != nullptr;
  };
  machine.why_not_listen = WhyNotListen;
  machine.why_no_socket = WhyNoSocket;
  machine.has_hugepages = ReadHasHugepages();
  return machine;
}

std::optional<std::set<uint32_t>> ParseCpuList(absl::string_view text) {
  std::set<uint32_t> cpus;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::optional<L4PortRange> range = ParseL4PortRange(part);
    if (!range) return std::nullopt;
    for (uint32_t cpu = range->low; cpu <= range->high; ++cpu) cpus.insert(cpu);
  }
  return cpus;
}

bool IsUntouched(const api::Config& before, const api::Config& next,
                 const std::string& path) {
  for (int i = 0; i < next.uplinks_size(); ++i) {
    const api::Uplink& uplink = next.uplinks(i);
    if (!IsAround(rules::At("uplinks", i), path)) continue;
    return std::any_of(before.uplinks().begin(), before.uplinks().end(),
                       [&](const auto& old) {
                         return old.name() == uplink.name() &&
                                old.device() == uplink.device() &&
                                old.kernel() == uplink.kernel();
                       });
  }
  for (int i = 0; i < next.queues_size(); ++i) {
    if (!IsAround(rules::At("queues", i), path)) continue;
    return IsUntouched(before, next.queues(i));
  }
  return false;
}

Machine WithUntouched(Machine machine, const api::Config& before,
                      const api::Config& next) {
  std::set<std::string> kept;
  const auto keep = [&machine, &kept](const std::string& device) {
    const std::optional<DeviceSpec> spec = ParseDeviceSpec(device).spec;
    if (!spec) return;
    kept.insert(spec->target);
    machine.interfaces.insert(spec->target);
    machine.pci_devices.insert(spec->target);
  };
  for (int i = 0; i < next.uplinks_size(); ++i) {
    if (IsUntouched(before, next, rules::At("uplinks", i))) {
      keep(next.uplinks(i).device());
    }
  }
  for (const api::Queue& queue : next.queues()) {
    if (!IsUntouched(before, queue)) continue;
    keep(queue.device());
    machine.namespaces.insert(queue.netns());
  }
  machine.why_no_socket =
      [kept, ask = std::move(machine.why_no_socket)](const std::string& path) {
        return kept.contains(path) || !ask ? std::string() : ask(path);
      };
  // Made and asked for at the start alone.
  machine.has_hugepages = true;
  machine.cpus.insert(before.dataplane().cpus().begin(),
                      before.dataplane().cpus().end());
  machine.has_group =
      [group = before.control().group(),
       now = std::move(machine.has_group)](const std::string& name) {
        return name == group || (now && now(name));
      };
  return machine;
}

Findings CheckMachine(const api::Config& config, const Machine& machine) {
  Findings findings;
  CheckCpusExist(config, machine, findings);
  for (int i = 0; i < config.uplinks_size(); ++i) {
    CheckDeviceExists(rules::At("uplinks", i) + ".device",
                      config.uplinks(i).device(), machine, findings);
  }
  for (int i = 0; i < config.queues_size(); ++i) {
    const std::string path = rules::At("queues", i);
    CheckDeviceExists(path + ".device", config.queues(i).device(), machine,
                      findings);
    CheckNetnsExists(config.queues(i), path, machine, findings);
  }
  CheckGroupExists(config, machine, findings);
  CheckControlSocket(config, findings);
  CheckMetricsCanListen(config, machine, findings);
  CheckHugepagesExist(config, machine, findings);
  WarnOfEphemeralPorts(config, machine, findings);
  return findings;
}

absl::StatusOr<std::vector<std::string>> CheckHere(
    const LoadedConfig& loaded, const Machine& machine,
    const std::vector<Finding>& taken) {
  Findings findings = RefuseNotSupportedYet(loaded.config);
  Findings here = CheckMachine(loaded.config, machine);
  findings.errors.insert(findings.errors.end(), here.errors.begin(),
                         here.errors.end());
  findings.errors.insert(findings.errors.end(), taken.begin(), taken.end());
  findings.warnings = std::move(here.warnings);
  return WarningsUnless(findings, loaded);
}

absl::StatusOr<std::vector<std::string>> CheckAnywhere(
    const LoadedConfig& loaded) {
  return WarningsUnless(RefuseNotSupportedYet(loaded.config), loaded);
}

api::Config WithMachineDefaults(api::Config config, const Machine& machine) {
  api::Dataplane& dataplane = *config.mutable_dataplane();
  if (dataplane.cpus_size() == 0) {
    for (const uint32_t cpu : machine.cpus) {
      if (cpu == *machine.cpus.begin() && machine.cpus.size() > 1) continue;
      dataplane.add_cpus(cpu);
    }
  }
  if (!dataplane.has_workers()) {
    const auto cpus = static_cast<uint32_t>(dataplane.cpus_size());
    dataplane.set_workers(std::clamp(cpus, uint32_t{1}, kMaxWorkers));
  }
  if (!config.node().has_name()) {
    config.mutable_node()->set_name(machine.hostname);
  }
  api::Control& control = *config.mutable_control();
  const bool has_default =
      machine.has_group && machine.has_group(kDefaultGroup);
  if (!control.has_group() && has_default) control.set_group(kDefaultGroup);
  if (control.group() == kDefaultGroup && !has_default) control.clear_group();
  return config;
}

}  // namespace godwit
