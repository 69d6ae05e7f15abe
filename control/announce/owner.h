// SPDX-License-Identifier: BSD-3-Clause
// The process that owns the announced routes, seen from both its ends. It is a
// child of the daemon that outlives it by `hold`: a daemon that crashes can't
// withdraw anything, and the kernel keeps a dead process's routes. When its
// socket closes without a farewell it waits that long for a successor, whose
// owner takes the routes over as they are; if none comes it withdraws them.
// Meanwhile it keeps descriptors of the daemon's open: the carrier of TAPs.
#ifndef GODWIT_CONTROL_ANNOUNCE_OWNER_H_
#define GODWIT_CONTROL_ANNOUNCE_OWNER_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/plumb/child.h"
#include "control/plumb/netns.h"
#include "dataplane/net/address.h"

namespace godwit {

struct Announcement {
  uint32_t table = 0;
  uint32_t metric = 0;
  std::chrono::milliseconds hold{1000};
  std::set<IpAddress> addresses;
  std::set<IpAddress> kept;  // stay if they are there, are not made
  // Interfaces from which an XDP program takes what is ours: until the routes
  // are withdrawn, nobody else is to answer it.
  std::set<std::string> steered{};
  friend bool operator==(const Announcement&, const Announcement&) = default;
};

// In pieces that fit a message.
std::vector<std::string> Encode(const Announcement& announcement);
// The first piece begins `into` anew; true when this was the last, nullopt when
// it can't be read.
std::optional<bool> DecodeInto(absl::string_view piece, Announcement& into);

// The daemon's end. Never blocks but in Settle and Withdraw.
class RouteOwner {
 public:
  using Clock = std::chrono::steady_clock;

  // `command` is a program that calls OwnRoutes with kOwnerFd.
  explicit RouteOwner(std::vector<std::string> command);
  ~RouteOwner();

  // The kernel has these soon. Does nothing if it has them.
  void Announce(const Announcement& wanted);
  // The process has copies of these, and of no others, for as long as it
  // lives.
  void KeepOpen(const std::vector<int>& fds);
  // What the process says; begins it again should it have gone. Lines for the
  // log.
  std::vector<std::string> Turn(Clock::time_point now);
  // Until the kernel has what was last wanted: problem() is empty then. The
  // lines of Turn.
  std::vector<std::string> Settle(std::chrono::milliseconds patience);
  // No route is left when it returns, or `patience` is over. Then the process
  // ends.
  absl::Status Withdraw(std::chrono::milliseconds patience);

  pid_t pid() const { return pid_; }  // 0: there is none
  // Why the kernel does not have what was last wanted; empty if it has.
  std::string problem() const;

 private:
  absl::Status Begin(Clock::time_point now);
  void Write(const Announcement& announcement);
  bool Send();  // true when all is sent
  void SendKept();
  void Receive(std::vector<std::string>& lines);
  void End();

  const std::vector<std::string> command_;
  pid_t pid_ = 0;
  OwnedFd fd_{-1};
  Clock::time_point next_begin_{};
  Clock::time_point next_write_{};
  std::optional<Announcement> wanted_;
  std::vector<std::string> outgoing_;  // not sent yet
  bool written_ = false;               // wanted_, to the process that runs now
  size_t unanswered_ = 0;
  std::vector<OwnedFd> kept_;
  bool kept_is_sent_ = true;
  std::string refusal_;
};

constexpr int kOwnerFd = kChildSocket;
// With the descriptors that it is to keep.
inline constexpr char kKeepMessage[] = "keep";

// The process itself. `withdrawn` is called with what was `steered` when the
// routes of a daemon that died have gone without a successor. The exit code.
using Withdrawn = std::function<void(const std::set<std::string>&)>;
int OwnRoutes(int fd, const Withdrawn& withdrawn);

// Removes what owners have left that were killed together with their daemons,
// so that nothing is announced before it is forwarded; returns how many. Does
// nothing while there is an owner.
absl::StatusOr<size_t> WithdrawStale(uint32_t table);

}  // namespace godwit

#endif  // GODWIT_CONTROL_ANNOUNCE_OWNER_H_
