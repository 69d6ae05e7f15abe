// SPDX-License-Identifier: BSD-3-Clause
// Sequences are run by a child process, so that one that ends it (a check of
// the product, a sanitizer) is made small, too.
#ifndef GODWIT_TESTS_SHADOW_RUNNER_H_
#define GODWIT_TESTS_SHADOW_RUNNER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/shadow/twin.h"

namespace godwit::shadow {

class Runner {
 public:
  explicit Runner(const Shape& shape) : shape_(shape) {}
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // "", or what was different.
  std::string Run(const std::vector<Op>& ops);
  // How often each counter moved, of all since the child began.
  std::string Finish();

 private:
  void Start();
  [[noreturn]] void Serve(int requests, int replies) const;

  Shape shape_;
  pid_t child_ = 0;
  int requests_ = -1;
  int replies_ = -1;
};

}  // namespace godwit::shadow

#endif  // GODWIT_TESTS_SHADOW_RUNNER_H_
