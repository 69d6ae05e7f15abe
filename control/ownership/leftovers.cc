// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/leftovers.h"

#include <net/if.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "bpf/tc_attachment.h"

namespace godwit {

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
      lines.push_back(absl::StrCat("interface ", link->if_name,
                                   ": removed the tc program ", program,
                                   " of a daemon that is gone"));
    }
  }
  return lines;
}

}  // namespace godwit
