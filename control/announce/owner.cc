// SPDX-License-Identifier: BSD-3-Clause
// The daemon's end, and what travels.
#include "control/announce/owner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace godwit {
namespace {

constexpr auto kBetweenTries = std::chrono::seconds(1);
constexpr size_t kAddressesAPiece = 500;
constexpr char kWanted = '+';
constexpr char kKept = '=';
constexpr char kSteered = '#';

int MillisecondsUntil(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

}  // namespace

std::vector<std::string> Encode(const Announcement& announcement) {
  std::vector<std::string> lines;
  for (const IpAddress& address : announcement.addresses) {
    lines.push_back(
        absl::StrCat("\n", std::string(1, kWanted), address.ToString()));
  }
  for (const IpAddress& address : announcement.kept) {
    lines.push_back(
        absl::StrCat("\n", std::string(1, kKept), address.ToString()));
  }
  for (const std::string& interface : announcement.steered) {
    lines.push_back(absl::StrCat("\n", std::string(1, kSteered), interface));
  }
  const size_t count = std::max<size_t>(
      (lines.size() + kAddressesAPiece - 1) / kAddressesAPiece, 1);
  std::vector<std::string> pieces;
  for (size_t i = 0; i < count; ++i) {
    pieces.push_back(absl::StrCat(i, " ", count, " ", announcement.table, " ",
                                  announcement.metric, " ",
                                  announcement.hold.count()));
    const size_t end = std::min((i + 1) * kAddressesAPiece, lines.size());
    for (size_t k = i * kAddressesAPiece; k < end; ++k) {
      absl::StrAppend(&pieces.back(), lines[k]);
    }
  }
  return pieces;
}

std::optional<bool> DecodeInto(absl::string_view piece, Announcement& into) {
  const std::vector<absl::string_view> lines = absl::StrSplit(piece, '\n');
  const std::vector<absl::string_view> head = absl::StrSplit(lines[0], ' ');
  size_t number = 0;
  size_t count = 0;
  int64_t hold_ms = 0;
  if (head.size() != 5 || !absl::SimpleAtoi(head[0], &number) ||
      !absl::SimpleAtoi(head[1], &count) || number >= count) {
    return std::nullopt;
  }
  if (number == 0) into = {};
  if (!absl::SimpleAtoi(head[2], &into.table) ||
      !absl::SimpleAtoi(head[3], &into.metric) ||
      !absl::SimpleAtoi(head[4], &hold_ms)) {
    return std::nullopt;
  }
  into.hold = std::chrono::milliseconds(hold_ms);
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) return std::nullopt;
    const absl::string_view text = lines[i].substr(1);
    const char kind = lines[i][0];
    if (kind == kSteered) {
      into.steered.emplace(text);
      continue;
    }
    const auto address =
        IpAddress::Parse(std::string_view(text.data(), text.size()));
    if (!address || (kind != kWanted && kind != kKept)) return std::nullopt;
    (kind == kWanted ? into.addresses : into.kept).insert(*address);
  }
  return number + 1 == count;
}

RouteOwner::RouteOwner(std::vector<std::string> command)
    : command_(std::move(command)) {}

// A process that still has routes is left to its own: that is what it is for.
RouteOwner::~RouteOwner() = default;

absl::Status RouteOwner::Begin(Clock::time_point now) {
  next_begin_ = now + kBetweenTries;
  next_write_ = now;
  auto child = StartChild(command_);
  if (!child.ok()) return child.status();
  pid_ = child->pid;
  fd_ = std::move(child->socket);
  written_ = false;
  kept_is_sent_ = kept_.empty();
  unanswered_ = 0;
  return absl::OkStatus();
}

void RouteOwner::End() {
  if (pid_ != 0) EndChild(pid_);
  pid_ = 0;
  fd_ = OwnedFd(-1);
  written_ = false;
  unanswered_ = 0;
}

void RouteOwner::Announce(const Announcement& wanted) {
  if (wanted_ == wanted) return;
  wanted_ = wanted;
  written_ = false;
  next_write_ = {};
}

void RouteOwner::Write(const Announcement& announcement) {
  outgoing_ = Encode(announcement);
  ++unanswered_;
  written_ = true;
}

void RouteOwner::KeepOpen(const std::vector<int>& fds) {
  kept_.clear();
  for (const int fd : fds) kept_.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  kept_is_sent_ = false;
}

void RouteOwner::SendKept() {
  std::vector<int> fds;
  for (const OwnedFd& fd : kept_) fds.push_back(fd.get());
  kept_is_sent_ = SendWith(fd_.get(), kKeepMessage, fds);
}

bool RouteOwner::Send() {
  auto next = outgoing_.begin();
  while (next != outgoing_.end() && send(fd_.get(), next->data(), next->size(),
                                         MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
    ++next;
  }
  outgoing_.erase(outgoing_.begin(), next);
  return outgoing_.empty();
}

void RouteOwner::Receive(std::vector<std::string>& lines) {
  std::array<char, 1024> message;
  while (pid_ != 0) {
    const ssize_t got =
        recv(fd_.get(), message.data(), message.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      lines.push_back("the process that owns them has ended");
      End();
      return;
    }
    absl::string_view text(message.data(), static_cast<size_t>(got));
    if (absl::ConsumePrefix(&text, "log ")) {
      lines.push_back(std::string(text));
      continue;
    }
    if (unanswered_ > 0) --unanswered_;
    if (text == "ok") {
      refusal_.clear();
      continue;
    }
    if (refusal_ != text) lines.push_back(std::string(text));
    refusal_ = std::string(text);
    written_ = false;
    next_write_ = Clock::now() + kBetweenTries;
  }
}

std::vector<std::string> RouteOwner::Turn(Clock::time_point now) {
  std::vector<std::string> lines;
  if (!wanted_) return lines;
  Receive(lines);
  if (pid_ == 0 && now >= next_begin_) {
    const absl::Status begun = Begin(now);
    if (!begun.ok()) lines.push_back(std::string(begun.message()));
  }
  if (pid_ == 0) return lines;
  if (!written_ && now >= next_write_) Write(*wanted_);
  if (Send() && !kept_is_sent_) SendKept();
  return lines;
}

std::string RouteOwner::problem() const {
  if (!wanted_) return "";
  if (!refusal_.empty()) return refusal_;
  if (pid_ == 0) return "the process that owns the routes has ended";
  if (!written_ || unanswered_ > 0) return "the kernel does not have it yet";
  return "";
}

std::vector<std::string> RouteOwner::Settle(
    std::chrono::milliseconds patience) {
  const Clock::time_point deadline = Clock::now() + patience;
  std::vector<std::string> lines;
  for (;;) {
    const Clock::time_point now = Clock::now();
    for (std::string& line : Turn(now)) lines.push_back(std::move(line));
    if (problem().empty() || !refusal_.empty() || now >= deadline) return lines;
    const short events =
        static_cast<short>(outgoing_.empty() ? POLLIN : POLLIN | POLLOUT);
    pollfd poll_fd{fd_.get(), events, 0};
    poll(&poll_fd, 1, std::min(MillisecondsUntil(deadline), 10));
  }
}

absl::Status RouteOwner::Withdraw(std::chrono::milliseconds patience) {
  if (!wanted_) return absl::OkStatus();
  const Clock::time_point deadline = Clock::now() + patience;
  if (pid_ == 0) {  // was killed, and its routes are still there
    const absl::Status begun = Begin(Clock::now());
    if (!begun.ok()) return begun;
  }
  Write({wanted_->table, wanted_->metric, wanted_->hold, {}, {}, {}});
  outgoing_.push_back("end");
  // It closes its end when all routes are gone.
  std::array<char, 1024> message;
  std::string refusal;
  for (;;) {
    const bool is_sent = Send();
    pollfd poll_fd{fd_.get(), static_cast<short>(is_sent ? POLLIN : POLLOUT),
                   0};
    const int left = MillisecondsUntil(deadline);
    if (left == 0) {
      return absl::DeadlineExceededError("withdrawing them takes too long");
    }
    if (poll(&poll_fd, 1, left) <= 0 || !is_sent) continue;
    const ssize_t got =
        recv(fd_.get(), message.data(), message.size(), MSG_DONTWAIT);
    if (got > 0) {
      refusal.assign(message.data(), static_cast<size_t>(got));
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      break;
    }
  }
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  fd_ = OwnedFd(-1);
  wanted_.reset();
  refusal_.clear();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("they could not be withdrawn: ", refusal));
}

}  // namespace godwit
