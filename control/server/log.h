// SPDX-License-Identifier: BSD-3-Clause
// One line an event, on stderr; systemd's journal adds the time.
#ifndef GODWIT_CONTROL_SERVER_LOG_H_
#define GODWIT_CONTROL_SERVER_LOG_H_

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"

namespace godwit {

// Control side only: workers never log.
template <class... Parts>
void Log(const Parts&... parts) {
  const std::string line = absl::StrCat("godwitd: ", parts..., "\n");
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace godwit

#endif  // GODWIT_CONTROL_SERVER_LOG_H_
