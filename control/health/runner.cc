// SPDX-License-Identifier: BSD-3-Clause
// The daemon's end.
#include "control/health/runner.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

constexpr auto kBetweenTries = std::chrono::seconds(1);
// It kills what takes too long itself; when it does not, it hangs.
constexpr auto kPatience = std::chrono::seconds(5);

pid_t Spawn(const std::vector<std::string>& command, int fd, int* error) {
  std::vector<char*> argv;
  for (const std::string& word : command) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, fd, kRunnerFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  // A session of its own: what a terminal sends to the daemon is not for it.
  posix_spawnattr_setflags(
      &attributes,
      static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID));
  pid_t pid = 0;
  *error =
      posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return *error == 0 ? pid : 0;
}

}  // namespace

RunnerProcess::RunnerProcess(std::vector<std::string> command)
    : command_(std::move(command)) {}

RunnerProcess::~RunnerProcess() { End(); }

std::string RunnerProcess::Begin(Clock::time_point now) {
  if (pid_ != 0) return "";
  if (now < not_before_) return "the process that runs checks has ended";
  not_before_ = now + kBetweenTries;
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return absl::StrCat("no socket: ", strerror(errno));
  }
  OwnedFd ours(ends[0]);
  const OwnedFd theirs(ends[1]);
  int error = 0;
  pid_ = Spawn(command_, theirs.get(), &error);
  if (pid_ == 0) return absl::StrCat(command_[0], ": ", strerror(error));
  fd_ = std::move(ours);
  return "";
}

// Its checks, too: it ends them when it finds its socket closed.
void RunnerProcess::End() {
  fd_ = OwnedFd(-1);
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
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
