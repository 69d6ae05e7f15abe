// SPDX-License-Identifier: BSD-3-Clause
// The daemon's end.
#include "control/health/runner.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "control/plumb/child.h"

namespace godwit {
namespace {

constexpr auto kBetweenTries = std::chrono::seconds(1);
// It kills what takes too long itself; when it does not, it hangs.
constexpr auto kPatience = std::chrono::seconds(5);

}  // namespace

RunnerProcess::RunnerProcess(std::vector<std::string> command)
    : command_(std::move(command)) {}

RunnerProcess::~RunnerProcess() { End(); }

std::string RunnerProcess::Begin(Clock::time_point now) {
  if (pid_ != 0) return "";
  if (now < not_before_) return "the process that runs checks has ended";
  not_before_ = now + kBetweenTries;
  auto child = StartChild(command_);
  if (!child.ok()) return std::string(child.status().message());
  pid_ = child->pid;
  fd_ = std::move(child->socket);
  return "";
}

// Its checks, too: it ends them when it finds its socket closed.
void RunnerProcess::End() {
  fd_ = OwnedFd(-1);
  if (pid_ == 0) return;
  EndChild(pid_);
  pid_ = 0;
}

void RunnerProcess::GiveUp(const std::string& why) {
  End();
  for (const auto& [id, deadline] : under_way_) {
    results_.push_back({id, HealthVerdict::Outcome::kNotRun, why});
  }
  under_way_.clear();
}

bool RunnerProcess::IsStuck(Clock::time_point now) const {
  for (const auto& [id, deadline] : under_way_) {
    if (now > deadline) return true;
  }
  return false;
}

void RunnerProcess::Start(uint64_t id, const Check& check,
                          Clock::time_point now) {
  std::string why = Begin(now);
  if (why.empty()) {
    const std::string message = absl::StrCat(id, ":", Encode(check));
    const ssize_t sent = send(fd_.get(), message.data(), message.size(),
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      under_way_[id] = now + check.timeout + kPatience;
      return;
    }
    why = strerror(errno);
  }
  results_.push_back({id, HealthVerdict::Outcome::kNotRun, why});
}

std::vector<CheckResult> RunnerProcess::Take(Clock::time_point now) {
  std::array<char, 1024> message;
  while (pid_ != 0) {
    const ssize_t got =
        recv(fd_.get(), message.data(), message.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (got <= 0) {
      GiveUp("the process that runs checks has ended");
      break;
    }
    const auto result = DecodeResult(
        absl::string_view(message.data(), static_cast<size_t>(got)));
    if (!result || under_way_.erase(result->id) == 0) continue;
    results_.push_back(*result);
  }
  if (pid_ != 0 && IsStuck(now)) GiveUp("the process that runs checks hangs");
  return std::exchange(results_, {});
}

}  // namespace godwit
