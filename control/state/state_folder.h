// SPDX-License-Identifier: BSD-3-Clause
// Where a node's state lies: a folder for each control socket, held while the
// daemon lives.
//
// It must be memory: entries are written by every packet, and a file system on
// a disk would write them out and stop who writes meanwhile. /run is that on
// any system with systemd. Where it is not, the folder is in /dev/shm, and
// /run/godwit/state leads there.
#ifndef GODWIT_CONTROL_STATE_STATE_FOLDER_H_
#define GODWIT_CONTROL_STATE_STATE_FOLDER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control/plumb/netns.h"

namespace godwit {

// `folder`/state, in memory: made if it is not there. The error says why not.
absl::StatusOr<std::string> StateRoot(const std::string& folder);

class StateFolder {
 public:
  // `root`/NAME, made if it is not there, for the node that is known by
  // `control_socket`. FAILED_PRECONDITION: another process has it.
  static absl::StatusOr<StateFolder> Hold(const std::string& root,
                                          const std::string& control_socket);

  // With a folder's '/' as '+', so that each path has a name of its own.
  static std::string NameOf(const std::string& control_socket);

  const std::string& path() const { return path_; }
  std::string PathOf(const std::string& file) const {
    return path_ + "/" + file;
  }
  std::vector<std::string> Files() const;
  // The parts of flow files without an entry in use go back to the system.
  // Whether any is in use. What can't be read stays as it is, and counts.
  bool Compact() const;
  // All that is in it, and it.
  void Remove() const;

 private:
  StateFolder(std::string path, OwnedFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  friend absl::StatusOr<StateFolder> HoldFolder(const std::string& path);

  std::string path_;
  OwnedFd lock_;
};

// The folders of `root` that nobody holds, other than `mine`.
std::vector<StateFolder> HoldOrphans(const std::string& root,
                                     const std::string& mine);

// The files of flow tables in a folder, and of what their numbers mean.
std::string FlowFilePrefix(uint64_t run);
std::string FlowFileName(uint64_t run, unsigned worker);
bool IsFlowFile(const std::string& name);
inline constexpr char kNodeFileName[] = "node";
// One line each, after the number of the run: interfaces that were made.
inline constexpr char kInterfacesFileName[] = "interfaces";

}  // namespace godwit

#endif  // GODWIT_CONTROL_STATE_STATE_FOLDER_H_
