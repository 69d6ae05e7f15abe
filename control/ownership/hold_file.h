// SPDX-License-Identifier: BSD-3-Clause
// A name that one process has, by a locked file: seen wherever the same /run
// is, whatever the network namespace, and let go of when the process ends.
#ifndef GODWIT_CONTROL_OWNERSHIP_HOLD_FILE_H_
#define GODWIT_CONTROL_OWNERSHIP_HOLD_FILE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "control/plumb/netns.h"

namespace godwit {

class HoldFile {
 public:
  // Takes `key`, a file's name, in `folder`, which is made if it is not there.
  // AlreadyExists if another has it, in this process or not.
  static absl::StatusOr<std::unique_ptr<HoldFile>> Take(
      const std::string& folder, const std::string& key);

  // The process id of who has `key`, empty where that can't be read; nullopt if
  // nobody has it.
  static std::optional<std::string> HolderOf(const std::string& folder,
                                             const std::string& key);

  ~HoldFile();  // lets go, and leaves no file
  HoldFile(const HoldFile&) = delete;
  HoldFile& operator=(const HoldFile&) = delete;

 private:
  HoldFile(OwnedFd fd, std::string path);

  OwnedFd fd_;
  std::string path_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_OWNERSHIP_HOLD_FILE_H_
