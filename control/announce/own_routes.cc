// SPDX-License-Identifier: BSD-3-Clause
// The process that owns the routes. One thread, one poll.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/announce/owner.h"
#include "control/announce/route_table.h"
#include "control/announce/table_claim.h"
#include "control/plumb/child.h"

namespace godwit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTakePatience = std::chrono::seconds(2);
constexpr auto kAskPatience = std::chrono::milliseconds(200);
constexpr auto kLookPeriod = std::chrono::seconds(1);
constexpr size_t kMaxMessage = 1 << 16;

class Owner {
 public:
  Owner(int fd, RouteTable routes, const Withdrawn& withdrawn)
      : fd_(fd), routes_(std::move(routes)), withdrawn_(withdrawn) {}

  int Run() {
    for (;;) {
      std::array<pollfd, 2> polls = {pollfd{fd_, POLLIN, 0},
                                     pollfd{listener_.get(), POLLIN, 0}};
      if (poll(polls.data(), polls.size(), TimeoutMs()) < 0 && errno != EINTR) {
        return 1;
      }
      // The daemon first: that it has gone is told before anybody asks.
      if (polls[0].revents != 0 && !TakeMessage()) return ended_well_ ? 0 : 1;
      if ((polls[1].revents & POLLIN) != 0 &&
          AnswerClaim(listener_, fd_ >= 0)) {
        return 0;
      }
      if (fd_ < 0 && Clock::now() >= next_) return GiveUp();
      if (fd_ >= 0 && is_ours_ && Clock::now() >= next_) Look();
    }
  }

 private:
  int TimeoutMs() const {
    if (fd_ >= 0 && !is_ours_) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(next_ - Clock::now());
    return static_cast<int>(std::max<int64_t>(left.count(), 0));
  }

  // False to end.
  bool TakeMessage() {
    static std::array<char, kMaxMessage> message;
    std::vector<OwnedFd> fds;
    const ssize_t got = ReceiveWith(fd_, message, fds);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) {
      // The daemon has gone without a word: its successor may come.
      fd_ = -1;
      next_ = Clock::now() + now_.hold;
      return is_ours_;
    }
    const absl::string_view text(message.data(), static_cast<size_t>(got));
    if (text == "end") {
      const absl::Status gone = Clear();
      if (!gone.ok()) Say(gone.message());
      ended_well_ = gone.ok();
      return false;
    }
    if (text == kKeepMessage) {
      kept_ = std::move(fds);
      return true;
    }
    const auto is_last = DecodeInto(text, coming_);
    if (!is_last) {
      Say("what it was sent can't be read");
    } else if (*is_last) {
      const absl::Status status = Apply(std::exchange(coming_, {}));
      Say(status.ok() ? "ok" : status.message());
    }
    return true;
  }

  absl::Status Apply(const Announcement& wanted) {
    absl::Status left;
    if (wanted.table != now_.table) {
      left = Clear();
      is_ours_ = false;
      listener_ = OwnedFd(-1);
    }
    now_ = wanted;
    if (!is_ours_) {
      // The predecessor lets go first, or it would withdraw what is ours.
      const TableClaim claim = TakeTable(now_.table, kTakePatience);
      if (claim.state == TableClaim::State::kInUse) {
        return absl::AlreadyExistsError(absl::StrCat(
            "table ", now_.table,
            " has the routes of another godwitd (process ", claim.owner, ")"));
      }
      is_ours_ = true;
      next_ = Clock::now() + kLookPeriod;
      Claim();
    }
    const auto set = Set();
    return left.ok() ? set.status() : left;
  }

  void Claim() {
    auto listener = ClaimTable(now_.table);
    if (listener.ok()) {
      listener_ = *std::move(listener);
    } else {
      Say(absl::StrCat("log ", listener.status().message()));
    }
  }

  absl::StatusOr<size_t> Set() {
    std::set<AnnouncedRoute> routes;
    for (const IpAddress& address : now_.addresses) {
      routes.insert({address, now_.metric});
    }
    return routes_.Set(now_.table, routes, now_.kept);
  }

  absl::Status Clear() {
    if (!is_ours_) return absl::OkStatus();
    return routes_.Set(now_.table, {}).status();
  }

  // No successor has come.
  int GiveUp() {
    if (!Clear().ok()) return 1;
    withdrawn_(now_.steered);
    return 0;
  }

  // An operator's `ip route flush` took them, or something else did.
  void Look() {
    next_ = Clock::now() + kLookPeriod;
    const auto changed = Set();
    if (!changed.ok()) {
      Say(changed.status().message());
    } else if (*changed > 0) {
      Say(absl::StrCat("log ", *changed, " in table ", now_.table,
                       " were changed by somebody else, and put right"));
    }
  }

  void Say(absl::string_view text) const {
    if (fd_ < 0) return;
    send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  int fd_;  // -1: the daemon has gone
  RouteTable routes_;
  const Withdrawn& withdrawn_;
  OwnedFd listener_{-1};
  std::vector<OwnedFd> kept_;
  bool is_ours_ = false;  // the table of now_
  bool ended_well_ = true;
  Announcement now_;          // what is to be in the kernel
  Announcement coming_;       // as far as it has come
  Clock::time_point next_{};  // look at the table; or, alone, withdraw
};

}  // namespace

int OwnRoutes(int fd, const Withdrawn& withdrawn) {
  IsolateChild("godwit-routes");
  auto routes = RouteTable::Open();
  if (!routes.ok()) return 1;
  return Owner(fd, *std::move(routes), withdrawn).Run();
}

absl::StatusOr<size_t> WithdrawStale(uint32_t table) {
  const TableClaim claim = AskForTable(table, kAskPatience);
  if (claim.state != TableClaim::State::kNobody) return size_t{0};
  auto routes = RouteTable::Open();
  if (!routes.ok()) return routes.status();
  return routes->Set(table, {});
}

}  // namespace godwit
