// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/table_claim.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace godwit {
namespace {

constexpr absl::string_view kAsk = "ask";
constexpr absl::string_view kTake = "take";
constexpr absl::string_view kInUse = "in use";
constexpr absl::string_view kLeft = "left";
// Who has connected says its word at once.
constexpr int kWordMs = 200;

struct Name {
  explicit Name(uint32_t table) {
    address.sun_family = AF_UNIX;
    const std::string text = absl::StrCat("godwit-routes-", table);
    std::memcpy(address.sun_path + 1, text.data(), text.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 +
                                  text.size());
  }
  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&address);
  }
  sockaddr_un address{};
  socklen_t size = 0;
};

OwnedFd NewSocket() {
  return OwnedFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

// Anybody in this namespace may take a name or connect to one; only the word
// of a process with our rights counts.
bool IsTrusted(int fd, pid_t* pid) {
  ucred who{};
  socklen_t size = sizeof(who);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return false;
  *pid = who.pid;
  return who.uid == geteuid();
}

// Empty when the other end has closed, or nothing came in time.
std::string WordFrom(int fd, int patience_ms, bool* closed) {
  pollfd readable{fd, POLLIN, 0};
  std::array<char, 16> word{};
  *closed = false;
  if (poll(&readable, 1, patience_ms) <= 0) return "";
  const ssize_t got = recv(fd, word.data(), word.size(), 0);
  *closed = got == 0 || (got < 0 && errno == ECONNRESET);
  return got <= 0 ? "" : std::string(word.data(), static_cast<size_t>(got));
}

TableClaim Say(absl::string_view word, uint32_t table,
               std::chrono::milliseconds patience) {
  TableClaim claim;
  const Name name(table);
  const OwnedFd owner = NewSocket();
  if (connect(owner.get(), name.get(), name.size) != 0) return claim;
  claim.state = TableClaim::State::kUnknown;
  if (!IsTrusted(owner.get(), &claim.owner)) return claim;
  send(owner.get(), word.data(), word.size(), MSG_NOSIGNAL);
  bool closed = false;
  const std::string answer =
      WordFrom(owner.get(), static_cast<int>(patience.count()), &closed);
  if (closed) claim.state = TableClaim::State::kNobody;
  if (answer == kInUse) claim.state = TableClaim::State::kInUse;
  if (answer == kLeft) claim.state = TableClaim::State::kLeft;
  return claim;
}

}  // namespace

TableClaim AskForTable(uint32_t table, std::chrono::milliseconds patience) {
  return Say(kAsk, table, patience);
}

TableClaim TakeTable(uint32_t table, std::chrono::milliseconds patience) {
  return Say(kTake, table, patience);
}

absl::StatusOr<OwnedFd> ClaimTable(uint32_t table) {
  const Name name(table);
  OwnedFd listener = NewSocket();
  if (bind(listener.get(), name.get(), name.size) != 0 ||
      listen(listener.get(), 4) != 0) {
    return absl::ErrnoToStatus(
        errno, "a successor could not take the routes over: their name");
  }
  return listener;
}

bool AnswerClaim(OwnedFd& listener, bool in_use) {
  const OwnedFd peer(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  pid_t pid = 0;
  if (peer.get() < 0 || !IsTrusted(peer.get(), &pid)) return false;
  bool closed = false;
  const std::string word = WordFrom(peer.get(), kWordMs, &closed);
  if (word == kTake && !in_use) {
    listener = OwnedFd(-1);  // before `peer`: then the name is free
    return true;
  }
  const absl::string_view answer = in_use ? kInUse : kLeft;
  send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  return false;
}

}  // namespace godwit
