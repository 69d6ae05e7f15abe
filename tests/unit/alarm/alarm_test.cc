// SPDX-License-Identifier: BSD-3-Clause
#include "control/alarm/alarm.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

// EXH-03
TEST(HighWaterTest, SaysItOnceUntilThereWasRoom) {
  HighWater water;
  EXPECT_FALSE(water.Rises(0, 1000));
  EXPECT_FALSE(water.Rises(799, 1000));
  EXPECT_TRUE(water.Rises(800, 1000));
  EXPECT_FALSE(water.Rises(1000, 1000));
  EXPECT_FALSE(water.Rises(700, 1000));
  EXPECT_FALSE(water.Rises(900, 1000));
  EXPECT_FALSE(water.Rises(699, 1000));
  EXPECT_TRUE(water.Rises(801, 1000));
}

}  // namespace
}  // namespace godwit
