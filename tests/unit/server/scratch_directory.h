// SPDX-License-Identifier: BSD-3-Clause
//
// A directory of a test's own, gone with everything in it when the test ends.
#ifndef GODWIT_TESTS_UNIT_SERVER_SCRATCH_DIRECTORY_H_
#define GODWIT_TESTS_UNIT_SERVER_SCRATCH_DIRECTORY_H_

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "dataplane/net/check.h"

namespace godwit {

// Under /tmp and short: a socket's path has room for 107 characters.
class ScratchDirectory {
 public:
  ScratchDirectory() { GODWIT_CHECK(mkdtemp(path_.data()) != nullptr); }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/godwit.XXXXXX";
};

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_SERVER_SCRATCH_DIRECTORY_H_
