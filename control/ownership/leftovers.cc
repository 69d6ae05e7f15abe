// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/leftovers.h"

#include <net/if.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bpf/tc_attachment.h"
#include "bpf/xdp_attachment.h"
#include "control/ownership/interfaces.h"
#include "control/ownership/tap_owner.h"
#include "control/plumb/queue_netns.h"
#include "control/plumb/veth.h"

namespace godwit {
namespace {

constexpr absl::string_view kTapWord = "tap";
constexpr absl::string_view kPairWord = "pair";

std::string LineOf(const char* interface, const std::string& program) {
  return absl::StrCat("interface ", interface, ": removed the ", program,
                      " of a daemon that is gone");
}

absl::StatusOr<bool> Delete(absl::string_view kind, const std::string& name,
                            const std::string& netns, NameHolds& names) {
  // Another daemon has it, or its namespace is gone and it with that.
  const auto hold = names.Hold(name, netns);
  if (!hold.ok()) return false;
  if (kind == kTapWord) return DeleteOurTap(name, netns);
  if (kind == kPairWord) return DeleteOurPair(name, netns);
  return false;
}

}  // namespace

std::vector<std::string> RemoveLeftovers(NameHolds& names) {
  std::vector<std::string> lines;
  const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> links(
      if_nameindex(), if_freenameindex);
  if (links == nullptr) return lines;
  for (const auto* link = links.get(); link->if_index != 0; ++link) {
    const auto hold = names.Hold(link->if_name, "");
    if (!hold.ok()) continue;
    for (const std::string& program :
         TcAttachment::RemoveLeftovers(static_cast<int>(link->if_index))) {
      lines.push_back(LineOf(link->if_name, "tc program " + program));
    }
    if (XdpAttachment::FindLeftover(static_cast<int>(link->if_index))) {
      lines.push_back(LineOf(link->if_name, "XDP program"));
    }
  }
  return lines;
}

// Found before it is asked who has the interface: a successor that comes
// between the two has one of its own there, which is not the one found.
void RemoveSteering(const std::set<std::string>& interfaces) {
  const NameHolds names;
  for (const std::string& interface : interfaces) {
    const auto left = XdpAttachment::FindLeftover(
        static_cast<int>(if_nametoindex(interface.c_str())));
    if (left && !names.Check(interface, "").ok()) left->Leave();
  }
}

// Neither name has a slash.
std::string MadeTap(const std::string& name, const std::string& netns) {
  return absl::StrCat(kTapWord, "/", netns, "/", name);
}

std::string MadePair(const std::string& far_name, const std::string& netns) {
  return absl::StrCat(kPairWord, "/", netns, "/", far_name);
}

std::vector<std::string> RemoveMade(const std::vector<std::string>& made,
                                    const api::Config& now, NameHolds& names) {
  std::vector<std::string> lines;
  const std::vector<InterfaceUse> uses = InterfacesOf(now);
  for (const std::string& text : made) {
    const std::vector<std::string> parts = absl::StrSplit(text, '/');
    if (parts.size() != 3) continue;
    const std::string& netns = parts[1];
    const std::string& name = parts[2];
    bool has_netns = netns.empty();
    bool has_name = false;
    for (const InterfaceUse& use : uses) {
      has_netns = has_netns || use.netns == netns;
      has_name = has_name || (use.netns == netns && use.name == name);
    }
    if (has_name) continue;
    const auto deleted = Delete(parts[0], name, netns, names);
    if (deleted.ok() && !*deleted) continue;
    lines.push_back(absl::StrCat(
        "interface ", name, netns.empty() ? "" : " in netns ", netns,
        deleted.ok() ? ": removed, a daemon that is gone had made it"
                     : ": is left over: ",
        deleted.status().ok() ? "" : deleted.status().message()));
    if (!has_netns && deleted.ok()) UnplumbQueueNetns(netns).IgnoreError();
  }
  return lines;
}

}  // namespace godwit
