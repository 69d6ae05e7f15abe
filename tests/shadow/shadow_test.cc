// SPDX-License-Identifier: BSD-3-Clause
// Random sequences through the product and through the shadow model; what
// differs is made small before it is told (README.md).
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/shadow/runner.h"
#include "tests/shadow/twin.h"

namespace rc {
template <>
struct Arbitrary<godwit::shadow::Op> {
  static Gen<godwit::shadow::Op> arbitrary() {
    using godwit::shadow::Op;
    return gen::build<Op>(
        gen::set(&Op::kind, gen::resize(100, gen::inRange(0U, 100U))),
        gen::set(&Op::who, gen::resize(100, gen::inRange(0U, 1U << 10))),
        gen::set(&Op::what, gen::resize(100, gen::inRange(0U, 1U << 16))),
        gen::set(&Op::how, gen::resize(100, gen::inRange(0U, 1U << 10))));
  }
};
}  // namespace rc

namespace godwit::shadow {
namespace {

class ShadowTest : public testing::TestWithParam<std::tuple<unsigned, bool>> {
 protected:
  Shape shape() const {
    return {std::get<0>(GetParam()), std::get<1>(GetParam())};
  }
};
INSTANTIATE_TEST_SUITE_P(, ShadowTest,
                         testing::Combine(testing::Values(1U, 2U, 4U),
                                          testing::Bool()),
                         [](const auto& param) {
                           return std::string(std::get<1>(param.param)
                                                  ? "EndpointIndependentBy"
                                                  : "PerDestinationBy") +
                                  std::to_string(std::get<0>(param.param));
                         });

TEST_P(ShadowTest, EveryPacketIsTreatedAsTheModelSays) {
  Runner runner(shape());
  const bool holds = rc::check([&runner](const std::vector<Op>& ops) {
    const std::string wrong = runner.Run(ops);
    if (!wrong.empty()) RC_FAIL(wrong);
  });
  EXPECT_TRUE(holds);
  // Sequences that meet drops alone would prove little.
  const std::string census = runner.Finish();
  for (const char* end :
       {"delivered ", "sent ", "punted ", "consumed ", "generated ",
        "nat_filtered ", "nat_no_port ", "icmp_unmatched ", "svc_miss "}) {
    EXPECT_TRUE(!holds || census.find(end) != std::string::npos)
        << "never " << end << "in:\n"
        << census;
  }
}

// GODWIT_SHADOW_OPS="{12,0,0,0}, {22,1,56960,0}": one sequence, as it is
// printed when it fails, in this process.
TEST_P(ShadowTest, OneSequenceAgain) {
  const char* ops = std::getenv("GODWIT_SHADOW_OPS");
  std::vector<Op> sequence;
  Op op;
  int used = 0;
  while (ops != nullptr &&
         std::sscanf(ops, " {%u,%u,%u,%u}%n", &op.kind, &op.who, &op.what,
                     &op.how, &used) == 4) {
    sequence.push_back(op);
    ops += used;
    if (*ops == ',') ++ops;
  }
  Runner runner(shape());
  EXPECT_EQ(ops == nullptr ? runner.Run(sequence) : Twin(shape()).Run(sequence),
            "");
}

}  // namespace
}  // namespace godwit::shadow

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // The same sequences each time, unless it has hours or is told otherwise.
  const char* seed = std::getenv("GODWIT_TEST_SEED");
  const bool full = std::getenv("GODWIT_FULL") != nullptr;
  std::string parameters = full ? "max_success=10000" : "max_success=300";
  parameters += " max_size=120";
  if (seed == nullptr && !full) seed = "1";
  if (seed != nullptr) parameters += " seed=" + std::string(seed);
  setenv("RC_PARAMS", parameters.c_str(), /*overwrite=*/0);
  return RUN_ALL_TESTS();
}
