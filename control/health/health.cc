// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/health.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

using State = HealthVerdict::State;
using Outcome = HealthVerdict::Outcome;

const char* NameOf(Check::Kind kind) {
  switch (kind) {
    case Check::Kind::kTcp:
      return "tcp";
    case Check::Kind::kHttp:
      return "http";
    case Check::Kind::kDns:
      return "dns";
    case Check::Kind::kExec:
      break;
  }
  return "exec";
}

}  // namespace

QueueHealth::QueueHealth(std::unique_ptr<CheckRunner> runner, Log log)
    : runner_(std::move(runner)), log_(std::move(log)) {}

QueueHealth::~QueueHealth() = default;

void QueueHealth::Configure(
    const api::Config& config,
    const std::function<bool(const std::string&)>& trusted,
    Clock::time_point now) {
  std::map<std::string, Entry> next;
  const int queues = config.queues_size();
  for (int i = 0; i < queues; ++i) {
    const api::Queue& queue = config.queues(i);
    const auto check = CheckOf(config, queue);
    if (!check) continue;
    const api::Health& health = queue.health();
    const Clock::duration interval =
        std::chrono::seconds(health.interval().seconds()) +
        std::chrono::nanoseconds(health.interval().nanos());
    const auto known = entries_.find(queue.name());
    if (known != entries_.end()) {
      Entry entry = std::move(known->second);
      entry.verdict.Recount(health.rise(), health.fall());
      if (entry.check != *check || entry.interval != interval) {
        entry.check = *check;
        entry.interval = interval;
        entry.first_gap = interval;
        entry.under_way = 0;  // what it says is no longer asked
        entry.next = now;
      }
      next.emplace(queue.name(), std::move(entry));
      continue;
    }
    const State state = trusted(queue.name()) ? State::kUp : State::kUnknown;
    // Spread over the interval from the second round on: each costs a process.
    next.emplace(
        queue.name(),
        Entry{*check, interval, interval * (i + 1) / queues,
              HealthVerdict(health.rise(), health.fall(), state), now, 0,
              state == State::kUp ? "" : "its health is not known yet"});
  }
  entries_ = std::move(next);
}

bool QueueHealth::Take(const CheckResult& result) {
  for (auto& [name, entry] : entries_) {
    if (entry.under_way != result.id) continue;
    entry.under_way = 0;
    const std::string why =
        absl::StrCat(NameOf(entry.check.kind), " ", result.reason);
    if (result.outcome == Outcome::kNotRun) {
      log_(absl::StrCat("queue ", name, ": its check was not run: ", why));
      return false;
    }
    const bool was_unknown = entry.verdict.state() == State::kUnknown;
    const bool turned = entry.verdict.Take(result.outcome);
    if (result.outcome == Outcome::kFailed) {
      entry.reason = why;
    } else if (entry.verdict.up()) {
      entry.reason.clear();
    }
    if (turned) {
      log_(absl::StrCat("queue ", name,
                        entry.verdict.up()
                            ? std::string(": its check passes")
                            : absl::StrCat(": its check fails: ", why)));
    } else if (was_unknown) {
      log_(absl::StrCat("queue ", name, ": its check fails: ", why));
    }
    return turned;
  }
  return false;
}

QueueHealth::News QueueHealth::Turn(Clock::time_point now) {
  News news = News::kNone;
  for (const CheckResult& result : runner_->Take(now)) {
    news = std::max(news, Take(result) ? News::kState : News::kReason);
  }
  for (auto& [name, entry] : entries_) {
    if (entry.under_way != 0 || now < entry.next) continue;
    entry.under_way = ++last_id_;
    entry.next = now + std::exchange(entry.first_gap, entry.interval);
    runner_->Start(entry.under_way, entry.check, now);
  }
  return news;
}

bool QueueHealth::IsUp(const std::string& queue) const {
  const auto found = entries_.find(queue);
  return found == entries_.end() || found->second.verdict.up();
}

std::string QueueHealth::ReasonOf(const std::string& queue) const {
  const auto found = entries_.find(queue);
  return found == entries_.end() ? "" : found->second.reason;
}

bool QueueHealth::AwaitsFirst() const {
  for (const auto& [name, entry] : entries_) {
    if (entry.verdict.state() == State::kUnknown) return true;
  }
  return false;
}

}  // namespace godwit
