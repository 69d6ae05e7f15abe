// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "control/plumb/netns.h"

namespace godwit {
namespace {

constexpr int kReversePathLoose = 2;

std::string PathOf(absl::string_view path) {
  return absl::StrCat("/proc/sys/net/", path);
}

}  // namespace

absl::StatusOr<int> GetSysctl(absl::string_view path) {
  const std::string full = PathOf(path);
  // /proc/sys/net is that of the namespace of whoever opens it.
  const OwnedFd fd(open(full.c_str(), O_RDONLY | O_CLOEXEC));
  char text[32];
  const ssize_t size = fd.get() < 0 ? -1 : read(fd.get(), text, sizeof(text));
  if (size < 0) return absl::ErrnoToStatus(errno, full);
  int value = 0;
  if (!absl::SimpleAtoi(absl::string_view(text, static_cast<size_t>(size)),
                        &value)) {
    return absl::InternalError(absl::StrCat(full, " is not a number"));
  }
  return value;
}

absl::Status SetSysctl(absl::string_view path, int value) {
  const auto old = GetSysctl(path);
  if (!old.ok()) return old.status();
  if (*old == value) return absl::OkStatus();
  const std::string full = PathOf(path);
  const std::string text = absl::StrCat(value);
  const OwnedFd fd(open(full.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0 || write(fd.get(), text.data(), text.size()) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("writing ", full));
  }
  return absl::OkStatus();
}

bool HasIpv6() { return access("/proc/sys/net/ipv6", F_OK) == 0; }

absl::Status RelaxReversePathFilter(absl::string_view ifname) {
  // The kernel takes the greater of this and `all` (ip-sysctl: rp_filter), now
  // and whenever somebody writes `all`: so loose even where that is off.
  return SetSysctl(absl::StrCat("ipv4/conf/", ifname, "/rp_filter"),
                   kReversePathLoose);
}

}  // namespace godwit
