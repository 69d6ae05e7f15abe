// SPDX-License-Identifier: BSD-3-Clause
// CHECK for programmer errors: says what was expected and aborts. A packet's
// error is a Verdict, an operator's an absl::Status; neither comes here.
#ifndef GODWIT_DATAPLANE_NET_CHECK_H_
#define GODWIT_DATAPLANE_NET_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace godwit {

[[noreturn]] inline void CheckFailed(const char* file, int line,
                                     const char* what) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, what);
  std::abort();
}

}  // namespace godwit

#define GODWIT_CHECK(condition)                              \
  do {                                                       \
    if (!(condition)) [[unlikely]] {                         \
      ::godwit::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                        \
  } while (false)

#endif  // GODWIT_DATAPLANE_NET_CHECK_H_
