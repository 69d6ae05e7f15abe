// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/health.h"

#include <google/protobuf/text_format.h>

#include "control/intent/defaults.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Clock = std::chrono::steady_clock;
using Outcome = HealthVerdict::Outcome;

struct Started {
  uint64_t id;
  Check check;
  int64_t at_ms;
};

// Checks take as long as the test says.
class FakeRunner final : public CheckRunner {
 public:
  FakeRunner(std::vector<Started>& started, std::vector<CheckResult>& results)
      : started_(started), results_(results) {}
  void Start(uint64_t id, const Check& check, Clock::time_point now) override {
    started_.push_back(
        {id, check,
         std::chrono::duration_cast<milliseconds>(now.time_since_epoch())
             .count()});
  }
  std::vector<CheckResult> Take(Clock::time_point) override {
    return std::exchange(results_, {});
  }

 private:
  std::vector<Started>& started_;
  std::vector<CheckResult>& results_;
};

api::Config Node(const std::string& queues) {
  api::Config config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(queues, &config));
  return WithDefaults(config);
}

const char kOne[] = "queues { name: \"q0\" netns: \"in\" health { tcp: 80 } }";

class QueueHealthTest : public testing::Test {
 protected:
  void Configure(const std::string& queues, bool trusted = false) {
    health_.Configure(
        Node(queues), [trusted](const std::string&) { return trusted; }, At());
  }
  Clock::time_point At() const { return Clock::time_point(milliseconds(ms_)); }
  // True if a queue went up or down.
  bool TurnAt(int64_t ms) {
    ms_ = ms;
    news_ = health_.Turn(At());
    return news_ == QueueHealth::News::kState;
  }
  // The answer to the newest check, 10 ms later.
  bool Answer(Outcome outcome, const std::string& reason = "") {
    results_.push_back({started_.back().id, outcome, reason});
    return TurnAt(ms_ + 10);
  }
  std::vector<int64_t> Starts() const {
    std::vector<int64_t> starts;
    for (const Started& one : started_) starts.push_back(one.at_ms);
    return starts;
  }

  std::vector<Started> started_;
  std::vector<CheckResult> results_;
  std::vector<std::string> lines_;
  int64_t ms_ = 0;
  QueueHealth::News news_ = QueueHealth::News::kNone;
  QueueHealth health_{
      std::make_unique<FakeRunner>(started_, results_),
      [this](const std::string& line) { lines_.push_back(line); }};
};

TEST_F(QueueHealthTest, WithoutACheckAQueueIsUp) {
  Configure("queues { name: \"q0\" }");
  EXPECT_FALSE(TurnAt(0));
  EXPECT_THAT(started_, IsEmpty());
  EXPECT_TRUE(health_.IsUp("q0"));
  EXPECT_FALSE(health_.AwaitsFirst());
}

TEST_F(QueueHealthTest, IsNotUpBeforeItsFirstCheckPassed) {
  Configure(kOne);
  TurnAt(0);
  EXPECT_FALSE(health_.IsUp("q0"));
  EXPECT_EQ(health_.ReasonOf("q0"), "its health is not known yet");
  EXPECT_TRUE(health_.AwaitsFirst());
  EXPECT_TRUE(Answer(Outcome::kPassed));
  EXPECT_TRUE(health_.IsUp("q0"));
  EXPECT_EQ(health_.ReasonOf("q0"), "");
  EXPECT_FALSE(health_.AwaitsFirst());
}

TEST_F(QueueHealthTest, TellsWhenOnlyTheReasonChanges) {
  Configure(kOne);
  TurnAt(0);
  EXPECT_EQ(news_, QueueHealth::News::kNone);
  EXPECT_FALSE(Answer(Outcome::kFailed, "refused"));
  EXPECT_EQ(news_, QueueHealth::News::kReason);
  EXPECT_EQ(health_.ReasonOf("q0"), "tcp refused");
}

TEST_F(QueueHealthTest, ChecksOnceAnInterval) {
  Configure(kOne);
  for (int64_t ms = 0; ms < 3500; ms += 5) {
    TurnAt(ms);
    if (started_.back().at_ms == ms) Answer(Outcome::kPassed);
  }
  EXPECT_THAT(Starts(), ElementsAre(0, 1000, 2000, 3000));
}

TEST_F(QueueHealthTest, NeverStartsASecondCheckBesideTheFirst) {
  Configure(kOne);
  for (int64_t ms = 0; ms < 5000; ms += 100) TurnAt(ms);
  EXPECT_THAT(Starts(), ElementsAre(0));
  results_.push_back({started_.back().id, Outcome::kPassed, ""});
  TurnAt(5000);
  EXPECT_THAT(Starts(), ElementsAre(0, 5000));
}

TEST_F(QueueHealthTest, GoesDownWithinFallTimesTheInterval) {
  Configure(kOne);
  TurnAt(0);
  Answer(Outcome::kPassed);
  for (const int64_t ms : {1000, 2000}) {
    TurnAt(ms);
    EXPECT_FALSE(Answer(Outcome::kFailed, "192.0.2.80:80: refused"));
    EXPECT_TRUE(health_.IsUp("q0"));
  }
  TurnAt(3000);
  EXPECT_TRUE(Answer(Outcome::kFailed, "192.0.2.80:80: refused"));
  EXPECT_FALSE(health_.IsUp("q0"));
  EXPECT_EQ(health_.ReasonOf("q0"), "tcp 192.0.2.80:80: refused");
  EXPECT_THAT(lines_.back(),
              "queue q0: its check fails: tcp 192.0.2.80:80: refused");
  TurnAt(4000);
  EXPECT_FALSE(Answer(Outcome::kPassed));
  EXPECT_EQ(health_.ReasonOf("q0"), "tcp 192.0.2.80:80: refused");
  TurnAt(5000);
  EXPECT_TRUE(Answer(Outcome::kPassed));
  EXPECT_TRUE(health_.IsUp("q0"));
  EXPECT_EQ(health_.ReasonOf("q0"), "");
}

TEST_F(QueueHealthTest, ACheckThatWasNotRunChangesNothingAndIsTold) {
  Configure(kOne, /*trusted=*/true);
  for (int64_t ms = 0; ms < 10000; ms += 1000) {
    TurnAt(ms);
    EXPECT_FALSE(Answer(Outcome::kNotRun, "no process"));
  }
  EXPECT_TRUE(health_.IsUp("q0"));
  EXPECT_THAT(lines_.back(), HasSubstr("was not run: tcp no process"));
}

TEST_F(QueueHealthTest, AQueueThatServedAlreadyIsUpUntilItsChecksFail) {
  Configure(kOne, /*trusted=*/true);
  TurnAt(0);
  EXPECT_TRUE(health_.IsUp("q0"));
  EXPECT_FALSE(Answer(Outcome::kFailed, "x"));
  EXPECT_TRUE(health_.IsUp("q0"));
}

TEST_F(QueueHealthTest, KeepsItsStateWhenTheCheckChanges) {
  Configure(kOne);
  TurnAt(0);
  Answer(Outcome::kPassed);
  TurnAt(1000);
  const uint64_t old = started_.back().id;
  Configure("queues { name: \"q0\" netns: \"in\" health { tcp: 81 fall: 1 } }");
  EXPECT_TRUE(health_.IsUp("q0"));
  TurnAt(1010);
  EXPECT_EQ(started_.back().check.l4port, 81);
  results_.push_back({old, Outcome::kFailed, "of the old check"});
  EXPECT_FALSE(TurnAt(1020));
  EXPECT_TRUE(health_.IsUp("q0"));
  EXPECT_TRUE(Answer(Outcome::kFailed, "x"));
  Configure("queues { name: \"q0\" }");
  EXPECT_TRUE(health_.IsUp("q0")) << "no check, no objection";
}

TEST_F(QueueHealthTest, AChangeOfSomethingElseDoesNotDisturbTheRhythm) {
  Configure(kOne);
  TurnAt(0);
  Answer(Outcome::kPassed);
  TurnAt(500);
  Configure(kOne);
  TurnAt(600);
  EXPECT_THAT(Starts(), ElementsAre(0));
  TurnAt(1000);
  EXPECT_THAT(Starts(), ElementsAre(0, 1000));
}

TEST_F(QueueHealthTest, SpreadsManyQueuesOverTheInterval) {
  std::string queues;
  for (int i = 0; i < 4; ++i) {
    queues += "queues { name: \"q" + std::to_string(i) +
              "\" netns: \"in\" health { tcp: 80 } }";
  }
  Configure(queues);
  for (int64_t ms = 0; ms <= 1000; ms += 10) {
    TurnAt(ms);
    for (const Started& one : started_) {
      results_.push_back({one.id, Outcome::kPassed, ""});
    }
  }
  EXPECT_THAT(Starts(), ElementsAre(0, 0, 0, 0, 250, 500, 750, 1000));
}

}  // namespace
}  // namespace godwit
