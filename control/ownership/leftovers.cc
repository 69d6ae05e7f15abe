// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/leftovers.h"

#include <net/if.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "bpf/tc_attachment.h"
#include "bpf/xdp_attachment.h"

namespace godwit {
namespace {

std::string LineOf(const char* interface, const std::string& program) {
  return absl::StrCat("interface ", interface, ": removed the ", program,
                      " of a daemon that is gone");
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

}  // namespace godwit
