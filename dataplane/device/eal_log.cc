// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/eal_log.h"

#include <bpf/libbpf.h>
#include <rte_log.h>
#include <stdio.h>
#include <sys/types.h>
#include <xdp/libxdp.h>

#include <array>
#include <cstdarg>
#include <mutex>
#include <string_view>

namespace godwit {
namespace {

// Written by: whichever thread logs, under the mutex. Never destroyed: the
// EAL's threads may log until the very end.
struct LogState {
  std::mutex mutex;
  bool capturing = false;
  std::string first;
  std::string last;
};

LogState& State() {
  static LogState& state = *new LogState;
  return state;
}

void TakeLine(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) {
    line.remove_suffix(1);
  }
  if (line.empty()) return;
  LogState& state = State();
  const std::lock_guard lock(state.mutex);
  if (!state.capturing) {
    std::fprintf(stderr, "dpdk: %.*s\n", static_cast<int>(line.size()),
                 line.data());
    return;
  }
  if (state.first.empty()) {
    state.first = line;
  } else {
    state.last = line;
  }
}

ssize_t WriteCookie(void*, const char* text, size_t size) {
  std::string_view rest(text, size);
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    TakeLine(rest.substr(0, end));
    if (end == rest.npos) break;
    rest.remove_prefix(end + 1);
  }
  return static_cast<ssize_t>(size);
}

void TakeFormatted(const char* format, va_list arguments) {
  std::array<char, 512> line;
  if (std::vsnprintf(line.data(), line.size(), format, arguments) > 0) {
    TakeLine(line.data());
  }
}

[[gnu::format(printf, 2, 0)]] int TakeLibbpf(libbpf_print_level level,
                                             const char* format,
                                             va_list arguments) {
  if (level == LIBBPF_WARN) TakeFormatted(format, arguments);
  return 0;
}

[[gnu::format(printf, 2, 0)]] int TakeLibxdp(libxdp_print_level level,
                                             const char* format,
                                             va_list arguments) {
  if (level == LIBXDP_WARN) TakeFormatted(format, arguments);
  return 0;
}

}  // namespace

void InstallEalLog() {
  static const bool installed = [] {
    cookie_io_functions_t functions = {};
    functions.write = WriteCookie;
    FILE* stream = fopencookie(nullptr, "w", functions);
    if (stream != nullptr) {
      setvbuf(stream, nullptr, _IOLBF, BUFSIZ);
      rte_openlog_stream(stream);
    }
    libbpf_set_print(TakeLibbpf);
    libxdp_set_print(TakeLibxdp);
    return true;
  }();
  (void)installed;
}

EalLogCapture::EalLogCapture() {
  LogState& state = State();
  const std::lock_guard lock(state.mutex);
  state.capturing = true;
  state.first.clear();
  state.last.clear();
}

EalLogCapture::~EalLogCapture() {
  LogState& state = State();
  const std::lock_guard lock(state.mutex);
  state.capturing = false;
}

std::string EalLogCapture::Why() const {
  LogState& state = State();
  const std::lock_guard lock(state.mutex);
  std::string why;
  if (!state.first.empty()) why += ": " + state.first;
  if (!state.last.empty()) why += "; " + state.last;
  return why;
}

void EalLogCapture::Clear() {
  LogState& state = State();
  const std::lock_guard lock(state.mutex);
  state.first.clear();
  state.last.clear();
}

}  // namespace godwit
