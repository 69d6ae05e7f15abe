// SPDX-License-Identifier: BSD-3-Clause
// The process that runs checks: one thread, one poll, a process a check.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/health/runner.h"
#include "control/plumb/child.h"

namespace godwit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxText = 4096;   // of what a check writes, the rest is lost
constexpr size_t kMaxReason = 160;  // bytes: one line of a table
constexpr size_t kMaxMessage = 1 << 17;

struct Running {
  uint64_t id = 0;
  Check check;
  pid_t pid = 0;
  OwnedFd process{-1};  // readable when it has ended
  OwnedFd output{-1};
  Clock::time_point deadline;
  std::string text;
};

// The last line that a check of ours wrote says what it was at; the first one
// of a monitoring plugin is the one for people.
std::string LineOf(const Running& running) {
  std::vector<std::string> lines =
      absl::StrSplit(running.text, '\n', absl::SkipWhitespace());
  if (lines.empty()) return "";
  std::string line =
      running.check.kind == Check::Kind::kExec ? lines.front() : lines.back();
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  line.resize(std::min(line.size(), kMaxReason));
  return line;
}

std::string ExecReason(const Running& running, const std::string& how) {
  const std::string line = LineOf(running);
  return absl::StrCat(running.check.words[0], ": ", how,
                      line.empty() ? "" : ": ", line);
}

[[noreturn]] void BeCheck(const Check& check, int output, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
    signal(number, SIG_DFL);
  }
  dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
  _exit(RunCheck(check));
}

class Runner {
 public:
  explicit Runner(int fd) : fd_(fd) {}

  void Run() {
    while (Wait()) {
      if (!TakeRequests()) break;
      TakeOutput();
      EndLate();
    }
    for (const Running& running : running_) kill(-running.pid, SIGKILL);
  }

 private:
  bool Wait() {
    polls_.assign(1, {fd_, POLLIN, 0});
    Clock::time_point next = Clock::time_point::max();
    for (const Running& running : running_) {
      polls_.push_back({running.process.get(), POLLIN, 0});
      polls_.push_back({running.output.get(), POLLIN, 0});
      next = std::min(next, running.deadline);
    }
    int timeout_ms = -1;
    if (!running_.empty()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
      timeout_ms = static_cast<int>(std::max<int64_t>(left.count(), 0));
    }
    return poll(polls_.data(), polls_.size(), timeout_ms) >= 0 ||
           errno == EINTR;
  }

  // False when the daemon is gone.
  bool TakeRequests() {
    static std::array<char, kMaxMessage> message;
    for (;;) {
      const ssize_t got =
          recv(fd_, message.data(), message.size(), MSG_DONTWAIT);
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      if (got == 0) return false;
      Begin(absl::string_view(message.data(), static_cast<size_t>(got)));
    }
  }

  void Begin(absl::string_view message) {
    const std::vector<absl::string_view> parts =
        absl::StrSplit(message, absl::MaxSplits(':', 1));
    Running running;
    if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &running.id)) return;
    const auto check = DecodeCheck(parts[1]);
    if (!check) {
      return Reply(running.id, HealthVerdict::Outcome::kNotRun,
                   "the request can't be read");
    }
    running.check = *check;
    running.deadline = Clock::now() + running.check.timeout;
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      return Reply(running.id, HealthVerdict::Outcome::kNotRun,
                   strerror(errno));
    }
    running.output = OwnedFd(ends[0]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const OwnedFd write_end(ends[1]);
    const pid_t self = getpid();
    running.pid = fork();
    if (running.pid == 0) BeCheck(running.check, write_end.get(), self);
    if (running.pid < 0) {
      return Reply(running.id, HealthVerdict::Outcome::kNotRun,
                   strerror(errno));
    }
    setpgid(running.pid, running.pid);  // whoever of the two comes first
    running.process =
        OwnedFd(static_cast<int>(syscall(SYS_pidfd_open, running.pid, 0)));
    running_.push_back(std::move(running));
  }

  static void Read(Running& running) {
    std::array<char, kMaxText> text;
    for (;;) {
      const ssize_t got = read(running.output.get(), text.data(), text.size());
      if (got == 0) running.output = OwnedFd(-1);
      if (got <= 0) return;
      const size_t room = kMaxText - running.text.size();
      running.text.append(text.data(),
                          std::min(static_cast<size_t>(got), room));
    }
  }

  void TakeOutput() {
    for (auto it = running_.begin(); it != running_.end();) {
      Read(*it);
      siginfo_t info{};
      if (waitid(P_PID, static_cast<id_t>(it->pid), &info,
                 WEXITED | WNOHANG | WNOWAIT) != 0 ||
          info.si_pid == 0) {
        ++it;
        continue;
      }
      Read(*it);
      const int status = Reap(it->pid);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        Reply(it->id, HealthVerdict::Outcome::kPassed, "");
      } else {
        Reply(it->id, HealthVerdict::Outcome::kFailed, Why(*it, status));
      }
      it = running_.erase(it);
    }
  }

  static std::string Why(const Running& running, int status) {
    const bool is_exec = running.check.kind == Check::Kind::kExec;
    const std::string how =
        WIFEXITED(status) ? absl::StrCat("exit ", WEXITSTATUS(status))
                          : absl::StrCat("ended by signal ", WTERMSIG(status));
    if (is_exec) return ExecReason(running, how);
    const std::string line = LineOf(running);
    return WIFEXITED(status) && !line.empty() ? line : absl::StrCat(line, how);
  }

  void EndLate() {
    const Clock::time_point now = Clock::now();
    for (auto it = running_.begin(); it != running_.end();) {
      if (now < it->deadline) {
        ++it;
        continue;
      }
      Read(*it);
      Reap(it->pid);
      const std::string late =
          absl::StrCat("no answer within ", it->check.timeout.count(), "ms");
      Reply(it->id, HealthVerdict::Outcome::kFailed,
            it->check.kind == Check::Kind::kExec
                ? ExecReason(*it, absl::StrCat("not done within ",
                                               it->check.timeout.count(), "ms"))
                : absl::StrCat(LineOf(*it), late));
      it = running_.erase(it);
    }
  }

  // What a program leaves behind goes with it. The number is not another's
  // before it is waited for.
  static int Reap(pid_t pid) {
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  void Reply(uint64_t id, HealthVerdict::Outcome outcome,
             const std::string& reason) const {
    const std::string message = Encode(CheckResult{id, outcome, reason});
    send(fd_, message.data(), message.size(), MSG_NOSIGNAL);
  }

  const int fd_;
  std::vector<Running> running_;
  std::vector<pollfd> polls_;
};

}  // namespace

int RunChecks(int fd) {
  // A service manager that stops the daemon tells all its processes; this one
  // goes on until the daemon is gone.
  IsolateChild("godwit-checks");
  Runner(fd).Run();
  return 0;
}

}  // namespace godwit
