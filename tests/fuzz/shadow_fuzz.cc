// SPDX-License-Identifier: BSD-3-Clause
// F8: the product and the shadow model (tests/shadow) side by side, step by
// step: every packet that leaves, every counter that moves and every flow that
// lives is the same. What a step's numbers mean, twin.h says.
//
// Input: which shape, then steps of six bytes.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "dataplane/net/check.h"
#include "tests/fuzz/support/input.h"
#include "tests/shadow/twin.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace godwit;
  Input input(data, size);
  shadow::Shape shape;
  shape.workers = 1U << input.Below(3);
  shape.endpoint_independent = input.Flag();
  std::vector<shadow::Op> ops;
  while (input.left() > 0 && ops.size() < 150) {
    shadow::Op op;
    op.kind = static_cast<unsigned>(input.Below(100));
    op.who = input.Byte();
    op.what = input.Word();
    op.how = input.Word() & 0x3ffU;
    ops.push_back(op);
  }
  const std::string wrong = shadow::Twin(shape).Run(ops);
  if (!wrong.empty()) std::fprintf(stderr, "%s\n", wrong.c_str());
  GODWIT_CHECK(wrong.empty());
  return 0;
}
