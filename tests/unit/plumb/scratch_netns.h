// SPDX-License-Identifier: BSD-3-Clause
// Network namespaces for one test, gone afterwards on every way out.
#ifndef GODWIT_TESTS_UNIT_PLUMB_SCRATCH_NETNS_H_
#define GODWIT_TESTS_UNIT_PLUMB_SCRATCH_NETNS_H_

#include <string>

#include "absl/functional/function_ref.h"

namespace godwit {

// Runs `command` in a shell and returns what it printed, errors too; a command
// that fails fails the test.
std::string Shell(const std::string& command);

// A namespace under /run/netns with a name of its own, loopback down. Removed
// when destroyed, and if the process dies before, by a process that waits for
// that.
class ScratchNetns {
 public:
  ScratchNetns();
  ~ScratchNetns();
  ScratchNetns(const ScratchNetns&) = delete;
  ScratchNetns& operator=(const ScratchNetns&) = delete;

  const std::string& name() const { return name_; }
  // `ip -n NAME ARGUMENTS`.
  std::string Ip(const std::string& arguments) const;
  // These lines, all run by one `ip -batch`.
  void IpBatch(const std::string& lines) const;
  // A command with this namespace as its own.
  std::string Exec(const std::string& command) const;
  // Calls `work` in a thread inside.
  void Enter(absl::FunctionRef<void()> work) const;

 private:
  std::string name_;
};

bool IsRoot();

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_PLUMB_SCRATCH_NETNS_H_
