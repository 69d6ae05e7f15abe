// SPDX-License-Identifier: BSD-3-Clause
// The names of interfaces and sockets that a live daemon has. Two daemons on
// one would take its sockets, programs and addresses from each other, so the
// second is to be told before it touches anything.
#ifndef GODWIT_CONTROL_OWNERSHIP_NAME_HOLD_H_
#define GODWIT_CONTROL_OWNERSHIP_NAME_HOLD_H_

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control/ownership/hold_file.h"
#include "control/plumb/netns.h"

namespace godwit {

struct HeldName {
  OwnedFd socket = OwnedFd(-1);    // where nobody calls: it is there
  std::unique_ptr<HoldFile> file;  // for what several namespaces can reach
};
// Held until the last copy is gone, and never longer than the process lives.
using NameHold = std::shared_ptr<const HeldName>;

// Those of one process. A hold of an interface is a listening socket
// "\0godwit/IFNAME" in the daemon's own namespace. What daemons of several
// namespaces can have is a locked file: an interface in a queue's namespace
// ("IFNAME@INODE", and a socket "\0godwit/IFNAME@INODE" too: one in there would
// keep a deleted namespace alive), a device's socket ("NAME@DEVICE-INODE" of
// its directory).
class NameHolds {
 public:
  static constexpr char kFolder[] = "/run/godwit/held";

  explicit NameHolds(std::string folder = kFolder)
      : folder_(std::move(folder)) {}

  // Held by this object already: the same again. AlreadyExists, with its
  // process id, if another process has it.
  absl::StatusOr<NameHold> Hold(const std::string& name,
                                const std::string& netns);
  absl::StatusOr<NameHold> HoldSocket(const std::string& path);

  // What those would say, without taking anything. What can't be looked at
  // from here is OK.
  absl::Status Check(const std::string& name, const std::string& netns) const;
  absl::Status CheckSocket(const std::string& path) const;

 private:
  struct Key;
  static absl::StatusOr<Key> KeyOf(const std::string& name,
                                   const std::string& netns);
  static absl::StatusOr<Key> KeyOfSocket(const std::string& path);
  absl::StatusOr<NameHold> Hold(const Key& key);
  absl::Status Check(const Key& key) const;
  bool IsOurs(const Key& key) const;

  std::string folder_;
  std::map<std::string, std::weak_ptr<const HeldName>> held_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_OWNERSHIP_NAME_HOLD_H_
