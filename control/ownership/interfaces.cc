// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/interfaces.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "control/intent/defaults.h"
#include "control/ownership/tap_owner.h"
#include "control/plumb/veth.h"
#include "dataplane/device/device_spec.h"

namespace godwit {
namespace {

using Kind = InterfaceUse::Kind;

// Another process finds the device there.
bool IsServer(const DeviceSpec& spec) {
  return spec.kind == DeviceSpec::Kind::kVhost ||
         (spec.kind == DeviceSpec::Kind::kMemif &&
          spec.memif_role == DeviceSpec::MemifRole::kServer);
}

// What `device:` itself stands for; nothing, if that has no name here.
void AddDevice(const std::string& path, const std::string& device,
               const std::string& netns, std::vector<InterfaceUse>& uses) {
  const auto spec = ParseDeviceSpec(device).spec;
  if (spec && IsServer(*spec)) {
    uses.push_back({path + ".device", device, Kind::kSocket, spec->target, ""});
  }
  if (!spec || !spec->IsInterface()) return;
  Kind kind = Kind::kOpened;
  if (spec->kind == DeviceSpec::Kind::kTap) kind = Kind::kTap;
  if (spec->kind == DeviceSpec::Kind::kVeth) kind = Kind::kPair;
  uses.push_back({path + ".device", device, kind, spec->target, netns});
}

absl::Status Check(const InterfaceUse& use, const NameHolds& ours) {
  const absl::Status free = use.kind == Kind::kSocket
                                ? ours.CheckSocket(use.name)
                                : ours.Check(use.name, use.netns);
  if (!free.ok()) return free;
  switch (use.kind) {
    case Kind::kOpened:
    case Kind::kSocket:
      return absl::OkStatus();
    case Kind::kTap:
      return CheckTap(use.name, use.netns).status();
    case Kind::kPair:
      return CheckVethNames(use.name, use.netns);
  }
  return absl::OkStatus();
}

}  // namespace

// An interface's name has 15 bytes.
std::string TapNameOf(const api::Uplink& uplink) {
  if (uplink.has_kernel()) return uplink.kernel();
  return absl::StrCat("gw-", uplink.name()).substr(0, 15);
}

std::string KernelQueuePath(const api::Config& config) {
  for (int i = 0; i < config.services_size(); ++i) {
    const api::Service& service = config.services(i);
    for (int j = 0; j < service.queues_size(); ++j) {
      if (service.queues(j).queue() == "kernel") {
        return absl::StrCat("services[", i, "].queues[", j, "]");
      }
    }
  }
  return "";
}

std::vector<InterfaceUse> InterfacesOf(const api::Uplink& uplink, int index) {
  const std::string path = absl::StrCat("uplinks[", index, "]");
  std::vector<InterfaceUse> uses;
  AddDevice(path, uplink.device(), "", uses);
  const std::string tap = TapNameOf(uplink);
  uses.push_back({path + (uplink.has_kernel() ? ".kernel" : ".name"), tap,
                  Kind::kTap, tap, ""});
  return uses;
}

std::vector<InterfaceUse> InterfacesOf(const api::Queue& queue, int index) {
  std::vector<InterfaceUse> uses;
  AddDevice(absl::StrCat("queues[", index, "]"), queue.device(), queue.netns(),
            uses);
  return uses;
}

std::vector<InterfaceUse> InterfacesOf(const api::Config& config) {
  std::vector<InterfaceUse> all;
  const auto add = [&all](const std::vector<InterfaceUse>& uses) {
    all.insert(all.end(), uses.begin(), uses.end());
  };
  // The names that a start gives, too; reported where the file has a line.
  const api::Config full = WithDefaults(config);
  for (int i = 0; i < full.uplinks_size(); ++i) {
    add(InterfacesOf(full.uplinks(i), i));
    if (!config.uplinks(i).has_kernel()) {
      all.back().path = absl::StrCat("uplinks[", i, "].name");
    }
  }
  for (int i = 0; i < config.queues_size(); ++i) {
    add(InterfacesOf(config.queues(i), i));
  }
  const std::string kernel = KernelQueuePath(config);
  if (!kernel.empty()) {
    all.push_back({kernel, "kernel", Kind::kOpened, "lo", ""});
  }
  return all;
}

absl::StatusOr<NameHold> Hold(const InterfaceUse& use, NameHolds& names) {
  return use.kind == Kind::kSocket ? names.HoldSocket(use.name)
                                   : names.Hold(use.name, use.netns);
}

std::vector<Finding> CheckInterfaces(const api::Config& config,
                                     const NameHolds& ours) {
  std::vector<Finding> found;
  for (const InterfaceUse& use : InterfacesOf(config)) {
    const absl::Status status = Check(use, ours);
    // A namespace that is not there is reported at its own place.
    if (status.ok() || absl::IsNotFound(status) ||
        absl::IsPermissionDenied(status)) {
      continue;
    }
    found.push_back(
        {use.path, absl::StrCat("\"", use.value, "\": ", status.message())});
  }
  return found;
}

}  // namespace godwit
