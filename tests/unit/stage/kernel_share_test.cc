// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "dataplane/table/token_bucket.h"

namespace godwit {
namespace {

constexpr uint64_t kSecond = 2'000'000'000;
constexpr uint64_t kFrame = 4'000;  // what one frame costs: 2 us
constexpr uint64_t kTurn = 12'000;  // and all else of a turn: 6 us
constexpr uint16_t kBurst = 64;

// Turns for a second of a worker that is behind, with a burst of strangers'
// frames in each, and one of a connection in every thirtieth.
struct Second {
  uint64_t strangers = 0;
  uint64_t talk = 0;
  uint64_t talk_lost = 0;
  uint64_t longest = 0;
};
Second SecondOf(KernelShare& share, uint64_t& now) {
  Second run;
  int turn = 0;
  for (const uint64_t end = now + kSecond; now < end;) {
    const uint64_t begin = now;
    share.EndTurn(true);
    now += kTurn;
    share.Begin(now);
    uint16_t frames = 0;
    for (uint16_t i = 0; i < kBurst; ++i) {
      if (share.May(KernelClass::kOther)) ++frames;
    }
    run.strangers += frames;
    if (++turn % 30 == 0) {
      const bool may = share.May(KernelClass::kTalk);
      frames = static_cast<uint16_t>(frames + may);
      ++(may ? run.talk : run.talk_lost);
    }
    now += frames * kFrame;
    share.End(frames, now);
    run.longest = std::max(run.longest, now - begin);
  }
  return run;
}

TEST(KernelShareTest, LimitsNobodyWhileTheWorkerKeepsUp) {
  KernelShare share(kSecond);
  EXPECT_FALSE(share.IsLimited());
  share.EndTurn(false);
  EXPECT_FALSE(share.IsLimited());
  share.EndTurn(true);
  EXPECT_TRUE(share.IsLimited());
}

TEST(KernelShareTest, ForgetsSoonThatItWasBehind) {
  KernelShare share(kSecond);
  share.EndTurn(true);
  for (uint32_t i = 0; i < KernelShare::kTurnsToForget; ++i) {
    EXPECT_TRUE(share.IsLimited());
    share.EndTurn(false);
  }
  EXPECT_FALSE(share.IsLimited());
}

TEST(KernelShareTest, AClassHasItsPartOfTheTimeAndTakesNoOthers) {
  KernelShare share(kSecond);
  uint64_t now = 12345;
  SecondOf(share, now);
  const Second run = SecondOf(share, now);
  const double part = static_cast<double>(run.strangers * kFrame) / kSecond;
  EXPECT_NEAR(part, 1.0 / KernelShare::kShare, 0.005);
  EXPECT_GT(run.talk, 4000u);
  EXPECT_EQ(run.talk_lost, 0u);
  // No ring of 1,024 runs over meanwhile.
  EXPECT_LE(run.longest, kTurn + (KernelShare::kFewFrames + 1) * kFrame);
}

TEST(KernelShareTest, HasSomethingAtOnceAfterAPause) {
  KernelShare share(kSecond);
  uint64_t now = 12345;
  SecondOf(share, now);
  now += kSecond;
  share.Begin(now);
  uint16_t frames = 0;
  while (share.May(KernelClass::kOther)) ++frames;
  EXPECT_EQ(frames, KernelShare::kFewFrames);
}

// The thread lost its CPU in the middle of each call: to the program that was
// woken by it.
TEST(KernelShareTest, LongCallsAreNoDebt) {
  KernelShare share(kSecond);
  uint64_t now = 12345;
  for (int i = 0; i < 100; ++i) {
    now += kSecond / 1000;
    share.Begin(now);
    EXPECT_TRUE(share.May(KernelClass::kTalk)) << i;
    share.End(1, now + kSecond / 1000);
  }
}

// The queue `kernel` is nobody's debt.
TEST(KernelShareTest, FramesOfNoClassAreChargedToNone) {
  KernelShare share(kSecond);
  share.Begin(12345);
  EXPECT_TRUE(share.May(KernelClass::kTcp));
  share.End(1000, 12345 + 1000 * kFrame);
  EXPECT_TRUE(share.May(KernelClass::kTcp));
}

TEST(KernelTalksTest, KnowsWhoWasNotedForAWhile) {
  auto talks = std::make_unique<KernelTalks>();
  constexpr uint64_t kHash = 0x1234567800000042;
  EXPECT_FALSE(talks->Knows(kHash, 5));
  talks->Note(kHash, 5);
  EXPECT_TRUE(talks->Knows(kHash, 5));
  EXPECT_TRUE(talks->Knows(kHash, 5 + KernelTalks::kForget - 1));
  EXPECT_FALSE(talks->Knows(kHash, 5 + KernelTalks::kForget));
  EXPECT_FALSE(talks->Knows(kHash + (uint64_t{2} << 32), 5));  // same place
  EXPECT_FALSE(talks->Knows(kHash + 1, 5));
  EXPECT_FALSE(talks->Knows(0, 0)) << "an empty place is nobody's";
}

}  // namespace
}  // namespace godwit
