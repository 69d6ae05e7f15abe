// SPDX-License-Identifier: BSD-3-Clause
// The name under which a bpf_link outlives its owner. It is on a bpffs: the
// system's (/sys/fs/bpf), or one we mount, which goes with its last pin.
#ifndef GODWIT_BPF_LINK_PIN_H_
#define GODWIT_BPF_LINK_PIN_H_

#include <string>

#include "absl/status/status.h"

namespace godwit {

// Gives `link_fd` the name `path`, instead of what had it. Mounts a bpffs on
// the path's folder, which is made if need be, where there is none. The file's
// own name has no dots: the kernel reserves them.
absl::Status PinLink(int link_fd, const std::string& path);

// The link of that name, -1 if there is none. The caller closes it.
int OpenPinnedLink(const std::string& path);

// Removes the name, and the bpffs if we mounted it and nothing else is on it.
void RemovePin(const std::string& path);

}  // namespace godwit

#endif  // GODWIT_BPF_LINK_PIN_H_
