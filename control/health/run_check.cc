// SPDX-License-Identifier: BSD-3-Clause
// Runs in a process of its own, which may block: whoever started it kills it
// when the time is over. What it has written by then says where it hung.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "control/health/check.h"
#include "control/health/dns_message.h"
#include "control/health/url.h"
#include "control/plumb/netns.h"
#include "dataplane/net/address.h"

namespace godwit {
namespace {

constexpr int kFailed = 2;  // CRITICAL, as monitoring plugins count

void Say(absl::string_view text) {
  // Nothing can be done about a reader that is gone.
  [[maybe_unused]] const ssize_t written =
      write(STDOUT_FILENO, text.data(), text.size());
}

int Fail(absl::string_view why) {
  Say(why);
  return kFailed;
}

absl::StatusOr<OwnedFd> Connect(const std::string& text, uint16_t l4port,
                                int type) {
  const auto address = IpAddress::Parse(text);
  if (!address) return absl::InvalidArgumentError("is not an address");
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (address->IsV4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(l4port);
    size = sizeof(*in);
    inet_pton(AF_INET, text.c_str(), &in->sin_addr);
  } else {
    auto* in = reinterpret_cast<sockaddr_in6*>(&storage);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(l4port);
    size = sizeof(*in);
    inet_pton(AF_INET6, text.c_str(), &in->sin6_addr);
  }
  OwnedFd fd(socket(storage.ss_family, type | SOCK_CLOEXEC, 0));
  if (fd.get() < 0 ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) !=
          0) {
    return absl::UnavailableError(strerror(errno));
  }
  return fd;
}

int AskHttp(int fd, const Check& check) {
  const std::string request = absl::StrCat(
      "GET ", check.words[1], " HTTP/1.1\r\nHost: ", check.words[0],
      "\r\nUser-Agent: godwit\r\n", "Accept: */*\r\nConnection: close\r\n\r\n");
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return Fail(strerror(errno));
  }
  std::array<char, 64> answer{};
  size_t have = 0;
  while (have < answer.size()) {
    const ssize_t got = recv(fd, answer.data() + have, answer.size() - have, 0);
    if (got < 0) return Fail(strerror(errno));
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  const absl::string_view text(answer.data(), have);
  const int status = HttpStatusOf(text);
  if (status >= 200 && status < 400) return 0;
  return Fail(status == 0 ? "no HTTP answer"
                          : absl::StrCat("answers ", status));
}

int AskDns(int fd, const Check& check) {
  uint16_t id = 0;
  if (getrandom(&id, sizeof(id), 0) < 0) return Fail(strerror(errno));
  const std::string query = DnsQuery(id, check.words[0]);
  if (send(fd, query.data(), query.size(), 0) < 0) {
    return Fail(strerror(errno));
  }
  std::array<char, 4096> answer{};
  for (;;) {
    const ssize_t got = recv(fd, answer.data(), answer.size(), 0);
    if (got < 0) return Fail(strerror(errno));
    const absl::string_view text(answer.data(), static_cast<size_t>(got));
    if (!AnswersDnsQuery(text, query)) continue;
    const std::string rcode = DnsRcodeOf(text);
    return rcode == "NOERROR" ? 0 : Fail(absl::StrCat("answers ", rcode));
  }
}

int Exec(const Check& check) {
  std::vector<char*> argv;
  for (const std::string& word : check.words) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  char path[] =
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
      "/bin";
  char locale[] = "LC_ALL=C.UTF-8";
  char* environment[] = {path, locale, nullptr};
  execve(argv[0], argv.data(), environment);
  return Fail(strerror(errno));
}

int AskAt(const std::string& address, const Check& check) {
  const int type = check.kind == Check::Kind::kDns ? SOCK_DGRAM : SOCK_STREAM;
  const auto fd = Connect(address, check.l4port, type);
  if (!fd.ok()) return Fail(fd.status().message());
  switch (check.kind) {
    case Check::Kind::kHttp:
      return AskHttp(fd->get(), check);
    case Check::Kind::kDns:
      return AskDns(fd->get(), check);
    default:
      return 0;  // tcp: it has accepted
  }
}

}  // namespace

int RunCheck(const Check& check) {
  if (!check.netns.empty()) {
    const auto netns = OpenNetns(check.netns);
    if (!netns.ok()) return Fail(netns.status().message());
    if (setns(netns->get(), CLONE_NEWNET) != 0) return Fail(strerror(errno));
  }
  if (check.kind == Check::Kind::kExec) return Exec(check);
  for (const std::string& address : check.addresses) {
    const bool is_v6 = address.find(':') != address.npos;
    // A line an address: the last one is the one that did not pass.
    Say(absl::StrCat("\n", is_v6 ? "[" : "", address, is_v6 ? "]:" : ":",
                     check.l4port, ": "));
    const int code = AskAt(address, check);
    if (code != 0) return code;
  }
  return 0;
}

}  // namespace godwit
