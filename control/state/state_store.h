// SPDX-License-Identifier: BSD-3-Clause
// What one godwitd leaves to the next: the flow tables' entries, and what the
// numbers in them mean.
//
// A run writes files of its own, and its `node` file takes the place of the
// predecessor's in one step, when all flows have been taken over (Commit): a
// process that is killed while it takes over leaves the next one what it found
// itself. Nothing here keeps a node from starting: what is not to be used is
// left out and told in a line.
#ifndef GODWIT_CONTROL_STATE_STATE_STORE_H_
#define GODWIT_CONTROL_STATE_STATE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control/state/state.pb.h"
#include "control/state/state_folder.h"
#include "dataplane/flow/flow_region.h"
#include "dataplane/table/memory.h"

namespace godwit {

class StateStore {
 public:
  static constexpr uint32_t kLayout = 1;

  // `folder`: /run/godwit. What nodes that are gone have left there is
  // removed. The error says why nothing will outlive this process.
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(
      const std::string& folder, const std::string& control_socket);

  // What was left for this node; nullopt if nothing, with `why_not` if there
  // was something.
  std::optional<state::Node> ReadNode(std::string& why_not) const;
  // The flows that go with it. `now`: of the clock of `node`. A line for what
  // could not be read, in `problems`.
  FlowReader ReadFlows(const state::Node& node, uint32_t now, uint32_t longest,
                       std::vector<std::string>& problems) const;

  uint64_t run() const { return run_; }
  // The file of one worker's entries; empty if there is no room.
  BigMemory MakeFlowFile(unsigned worker, uint32_t capacity);
  // Fills in whose it is, and puts it in the place of what is there.
  absl::Status Write(state::Node node);
  // What has been made, and stays if this process is killed.
  absl::Status WriteInterfaces(const std::vector<std::string>& interfaces);
  // Of the run of `node`.
  std::vector<std::string> ReadInterfaces(const state::Node& node) const;
  // The files of other runs go. From here on it is this run that a successor
  // finds.
  void RemoveOthers();
  // The files of this run go, before it has written what they mean.
  void RemoveOwn();
  // At the end, when no worker runs: what is not in use goes, all of it if no
  // entry is in use.
  void Rest();
  void Remove() { folder_.Remove(); }

 private:
  StateStore(StateFolder folder, std::string control_socket);
  static void RemoveGone(const std::string& root, const std::string& mine);
  void ReadFlowFile(const std::string& name, const state::Node& node,
                    FlowReader& reader,
                    std::vector<std::string>& problems) const;

  absl::Status Replace(const char* name, const std::string& content);

  const StateFolder folder_;
  const std::string control_socket_;
  const std::string boot_;
  const uint64_t network_namespace_;
  const uint64_t run_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_STATE_STATE_STORE_H_
