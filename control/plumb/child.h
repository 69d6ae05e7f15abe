// SPDX-License-Identifier: BSD-3-Clause
// A program as a child of this process, with a socket to talk to it.
#ifndef GODWIT_CONTROL_PLUMB_CHILD_H_
#define GODWIT_CONTROL_PLUMB_CHILD_H_

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/plumb/netns.h"

namespace godwit {

struct Child {
  pid_t pid = 0;
  OwnedFd socket{-1};  // SOCK_SEQPACKET, ours
};

// It has its end as descriptor 3, no signal blocked, and a session of its own:
// what a terminal sends to this process is not for it. Descriptors without
// CLOEXEC are there, too; IsolateChild closes them.
constexpr int kChildSocket = 3;
absl::StatusOr<Child> StartChild(const std::vector<std::string>& command);

// At both ends, a message that has copies of open descriptors with it; these
// never wait. False: not sent, and errno says why.
constexpr size_t kMostDescriptors = 64;
bool SendWith(int socket, absl::string_view text, const std::vector<int>& fds);
// As recv; the descriptors are added to `fds`.
ssize_t ReceiveWith(int socket, std::span<char> text,
                    std::vector<OwnedFd>& fds);

// First thing in the child: keeps nothing of its parent but the socket, and
// does not end with it, whatever a service manager sends.
void IsolateChild(const char* name);

// Kills it and waits for its end.
void EndChild(pid_t pid);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_CHILD_H_
