// SPDX-License-Identifier: BSD-3-Clause
#include "tests/shadow/runner.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace godwit::shadow {
namespace {

bool WriteAll(int file, const void* data, size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size != 0) {
    const ssize_t done = write(file, at, size);
    if (done <= 0) return false;
    at += done;
    size -= static_cast<size_t>(done);
  }
  return true;
}

bool ReadAll(int file, void* data, size_t size) {
  auto* at = static_cast<char*>(data);
  while (size != 0) {
    const ssize_t done = read(file, at, size);
    if (done <= 0) return false;
    at += done;
    size -= static_cast<size_t>(done);
  }
  return true;
}

template <typename Items>
bool Put(int file, const Items& items) {
  const size_t count = items.size();
  return WriteAll(file, &count, sizeof count) &&
         WriteAll(file, items.data(), count * sizeof *items.data());
}

template <typename Items>
bool Take(int file, Items& items) {
  size_t count = 0;
  if (!ReadAll(file, &count, sizeof count)) return false;
  items.resize(count);
  return ReadAll(file, items.data(), count * sizeof *items.data());
}

}  // namespace

Runner::~Runner() { Finish(); }

std::string Runner::Run(const std::vector<Op>& ops) {
  if (child_ == 0) Start();
  std::string wrong;
  if (Put(requests_, ops) && Take(replies_, wrong)) return wrong;
  close(requests_);
  close(replies_);
  int status = 0;
  waitpid(child_, &status, 0);
  child_ = 0;
  return WIFSIGNALED(status)
             ? "ended by signal " + std::to_string(WTERMSIG(status))
             : "ended with " + std::to_string(WEXITSTATUS(status));
}

void Runner::Start() {
  std::signal(SIGPIPE, SIG_IGN);
  int there[2];
  int back[2];
  if (pipe(there) != 0 || pipe(back) != 0) std::abort();
  child_ = fork();
  if (child_ < 0) std::abort();
  if (child_ == 0) {
    close(there[1]);
    close(back[0]);
    Serve(there[0], back[1]);
  }
  close(there[0]);
  close(back[1]);
  requests_ = there[1];
  replies_ = back[0];
}

std::string Runner::Finish() {
  if (child_ == 0) return "";
  close(requests_);
  std::string census;
  Take(replies_, census);
  close(replies_);
  waitpid(child_, nullptr, 0);
  child_ = 0;
  return census;
}

void Runner::Serve(int requests, int replies) const {
  std::vector<Op> ops;
  while (Take(requests, ops)) {
    std::string wrong;
    {
      Twin twin(shape_);
      wrong = twin.Run(ops);
    }
    if (!Put(replies, wrong)) break;
  }
  Put(replies, Twin::Census());
  _exit(0);
}

}  // namespace godwit::shadow
