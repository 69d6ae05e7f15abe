// SPDX-License-Identifier: BSD-3-Clause
#include "control/compile/names.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(NamesTest, KeepsTheNumberOfANameThatStays) {
  Names names(1, 9, 2, "things");
  EXPECT_EQ(*names.NumberOf("a"), 1u);
  EXPECT_EQ(*names.NumberOf("b"), 2u);
  names.Forget("a", 5);
  EXPECT_EQ(*names.NumberOf("b"), 2u);
  EXPECT_EQ(names.Find("b"), 2u);
  EXPECT_EQ(names.Find("a"), 0u);
}

TEST(NamesTest, GivesANameThatComesBackAnotherNumber) {
  Names names(1, 9, 2, "things");
  EXPECT_EQ(*names.NumberOf("a"), 1u);
  names.Forget("a", 5);
  EXPECT_EQ(*names.NumberOf("a", 5), 2u);
}

TEST(NamesTest, GoesOnWithTheNumbersOfAnEarlierProcess) {
  Names names(1, 9, 0, "things");
  names.Restore({{"a", 3}, {"b", 5}, {"twice", 5}, {"outside", 10}, {"no", 0}});
  EXPECT_EQ(names.Find("a"), 3u);
  EXPECT_EQ(names.Find("outside"), 0u);
  EXPECT_EQ(names.Find("no"), 0u);
  EXPECT_NE(names.Find("b") == 5u, names.Find("twice") == 5u);
  // What lies between is given out before what never was.
  EXPECT_EQ(*names.NumberOf("c"), 1u);
  EXPECT_EQ(*names.NumberOf("d"), 2u);
  EXPECT_EQ(*names.NumberOf("e"), 4u);
  EXPECT_EQ(*names.NumberOf("f"), 6u);
}

TEST(NamesTest, LetsNumbersRest) {
  Names names(1, 9, 2, "things");
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(names.NumberOf(name).ok());
    names.Forget(name, 5);
  }
  EXPECT_EQ(*names.NumberOf("d", 5), 1u);  // of three one has rested enough
  EXPECT_EQ(*names.NumberOf("e", 5), 4u);
}

TEST(NamesTest, GivesOutNoNumberThatAFlowMayStillName) {
  Names names(1, 4, 2, "things");
  for (const char* name : {"a", "b", "c"})
    ASSERT_TRUE(names.NumberOf(name).ok());
  for (const char* name : {"a", "b", "c"}) names.Forget(name, 5);
  EXPECT_EQ(*names.NumberOf("d", 4), 4u);
  EXPECT_TRUE(absl::IsResourceExhausted(names.NumberOf("e", 4).status()));
  EXPECT_EQ(*names.NumberOf("e", 5), 1u);
}

TEST(NamesTest, RunsOutOnlyOfWhatIsInUse) {
  Names names(1, 3, 9, "things");
  for (const char* name : {"a", "b", "c"})
    ASSERT_TRUE(names.NumberOf(name).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(names.NumberOf("d").status()));
  names.Forget("b");
  EXPECT_EQ(*names.NumberOf("d"), 2u);
}

TEST(NamesTest, NeverForgetsWhatIsReserved) {
  Names names(2, 3, 0, "things");
  names.Reserve("kernel", 1);
  ASSERT_TRUE(names.NumberOf("a").ok());
  names.ForgetAllBut({}, 5);
  EXPECT_EQ(names.Find("kernel"), 1u);
  EXPECT_EQ(names.Find("a"), 0u);
  EXPECT_EQ(*names.NumberOf("b", 5), 2u);
}

}  // namespace
}  // namespace godwit
