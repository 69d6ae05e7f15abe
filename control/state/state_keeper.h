// SPDX-License-Identifier: BSD-3-Clause
// The state that outlives the process, as the daemon uses it: what was left is
// taken over at the start, what is now is left at every change. When there is
// no place for it, or what is there is of no use, the log says so and the node
// goes on without.
#ifndef GODWIT_CONTROL_STATE_STATE_KEEPER_H_
#define GODWIT_CONTROL_STATE_STATE_KEEPER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/compile/compiler.h"
#include "control/state/identity.h"
#include "control/state/state_store.h"

namespace godwit {

class StateKeeper {
 public:
  // `folder`: /run/godwit; `control_socket` names the node.
  // `tell` logs a line.
  StateKeeper(const std::string& folder, const std::string& control_socket,
              std::function<void(const std::string&)> tell);
  // What was left stays for the next, if it has not been taken over.
  ~StateKeeper();

  // Reads what was left. No deadline is taken over that is more than `longest`
  // ticks away.
  void Read(uint32_t longest);
  // As the predecessor had it, else new.
  const Identity& identity() const { return identity_; }
  // Whether what is now is left to a successor.
  bool lasts() const { return store_ != nullptr && written_.has_value(); }
  // Whether flows wait to be taken over.
  bool has_flows() const { return !flows_.empty(); }

  // Where the workers' tables have their entries; they live as long as this.
  // None: nothing will outlive this process.
  std::vector<std::span<Flow>> MakeEntries(unsigned workers, uint32_t each);

  void Restore(Compiler& compiler) const;
  // What became of flows that were left.
  struct Adopted {
    uint64_t kept = 0;
    uint64_t ended = 0;    // what they are of is no longer in the snapshot
    uint64_t refused = 0;  // no room, or something of it was another's
  };
  // Once, with the first snapshot and before it is published.
  void TakeOver(const std::function<Adopted(std::span<Flow>)>& adopt);
  // Before a snapshot is published that was compiled with `numbers`.
  // `interfaces`: what is made by then, for the next one's
  // interfaces_left().
  void Write(const Numbers& numbers,
             const std::vector<std::string>& interfaces);
  // By the predecessor.
  const std::vector<std::string>& interfaces_left() const {
    return interfaces_left_;
  }

  // When the workers have stopped.
  void Rest();

 private:
  void WriteNode(const Numbers& numbers);

  const std::function<void(const std::string&)> tell_;
  std::unique_ptr<StateStore> store_;
  std::optional<state::Node> left_;  // by the predecessor
  std::vector<Flow> flows_;
  Identity identity_ = Identity::New();
  std::vector<BigMemory> entries_;
  std::optional<Numbers> written_;
  std::vector<std::string> written_interfaces_;
  std::vector<std::string> interfaces_left_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_STATE_STATE_KEEPER_H_
