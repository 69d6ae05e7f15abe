// SPDX-License-Identifier: BSD-3-Clause
// The seed of a model test: new each time, printed with a failure, given again
// in the environment (GODWIT_TEST_SEED=...) to repeat it.
#ifndef GODWIT_TESTS_MODEL_SEED_H_
#define GODWIT_TESTS_MODEL_SEED_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace godwit {

inline uint64_t Seed() {
  const char* given = std::getenv("GODWIT_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10)
                                         : std::random_device()();
  std::printf("GODWIT_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace godwit

#endif  // GODWIT_TESTS_MODEL_SEED_H_
