// SPDX-License-Identifier: BSD-3-Clause
// Network namespaces by name, as `ip netns` keeps them under /run/netns.
#ifndef GODWIT_CONTROL_PLUMB_NETNS_H_
#define GODWIT_CONTROL_PLUMB_NETNS_H_

#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace godwit {

// A file descriptor that is closed with its owner.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd();
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

bool NetnsExists(absl::string_view name);

// NotFound if there is none of that name.
absl::StatusOr<OwnedFd> OpenNetns(absl::string_view name);

// Tells a namespace apart from a later one of the same name; empty if there is
// none.
std::string NetnsId(absl::string_view name);

// Runs `work` in a thread of its own that has entered the namespace, and waits
// for it; no other thread's namespace changes. The empty name is the caller's
// own namespace. Sockets opened inside stay in that namespace, and
// /proc/sys/net is that namespace's there.
absl::Status RunInNetns(absl::string_view name,
                        absl::FunctionRef<absl::Status()> work);

}  // namespace godwit

#endif  // GODWIT_CONTROL_PLUMB_NETNS_H_
