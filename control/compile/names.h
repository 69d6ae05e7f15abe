// SPDX-License-Identifier: BSD-3-Clause
// Names -> the small numbers that snapshots and flow entries hold.
//
// A removed name that comes back is another thing: it gets a new number. A
// number that was given up goes to another name only after many others were
// given up, the one that has rested longest first, and never before every
// worker has ended the flows that carry it: `since` and `judged` are snapshot
// generations.
#ifndef GODWIT_CONTROL_COMPILE_NAMES_H_
#define GODWIT_CONTROL_COMPILE_NAMES_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace godwit {

class Names {
 public:
  static constexpr uint64_t kAll = UINT64_MAX;

  // Numbers `first` to `last`, of which `resting` rest at least while there
  // are fresh ones. `what` is for the message when they run out.
  Names(uint32_t first, uint32_t last, size_t resting, std::string what)
      : next_(first), last_(last), resting_(resting), what_(std::move(what)) {}

  // `judged`: no flow is left that was last judged under a generation before.
  absl::StatusOr<uint32_t> NumberOf(const std::string& name,
                                    uint64_t judged = kAll) {
    const auto known = numbers_.find(name);
    if (known != numbers_.end()) return known->second;
    const bool may_reuse = rested_.size() > resting_ || next_ > last_;
    if (may_reuse && !rested_.empty() && rested_.front().since <= judged) {
      const uint32_t number = rested_.front().number;
      rested_.pop_front();
      return numbers_[name] = number;
    }
    if (next_ > last_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no more than ", last_, " ", what_, " at a time"));
    }
    numbers_[name] = next_;
    return next_++;
  }
  // Never given up.
  void Reserve(const std::string& name, uint32_t number) {
    numbers_[name] = number;
    reserved_.insert(name);
  }
  // Before any number is given out: those of an earlier process. One that is
  // out of range is not taken; what they leave free rests.
  void Restore(const std::map<std::string, uint32_t>& numbers) {
    std::set<uint32_t> taken;
    for (const auto& [name, number] : numbers) {
      if (number < next_ || number > last_ || numbers_.contains(name)) continue;
      if (taken.insert(number).second) numbers_[name] = number;
    }
    if (taken.empty()) return;
    for (; next_ <= *taken.rbegin(); ++next_) {
      if (!taken.contains(next_)) rested_.push_back({next_, 0});
    }
  }
  const std::map<std::string, uint32_t>& numbers() const { return numbers_; }
  // 0 if it has none.
  uint32_t Find(const std::string& name) const {
    const auto known = numbers_.find(name);
    return known == numbers_.end() ? 0 : known->second;
  }
  // `since`: the first generation without it.
  void Forget(const std::string& name, uint64_t since = 0) {
    const auto known = numbers_.find(name);
    if (known == numbers_.end() || reserved_.contains(name)) return;
    rested_.push_back({known->second, since});
    numbers_.erase(known);
  }
  void ForgetAllBut(const std::set<std::string>& names, uint64_t since) {
    for (auto it = numbers_.begin(); it != numbers_.end();) {
      const std::string& name = (it++)->first;
      if (!names.contains(name)) Forget(std::string(name), since);
    }
  }
  // Numbers that were ever given out.
  uint32_t highest() const { return next_ - 1; }

 private:
  struct Rested {
    uint32_t number;
    uint64_t since;
  };

  std::map<std::string, uint32_t> numbers_;
  std::set<std::string> reserved_;
  std::deque<Rested> rested_;
  uint32_t next_;
  const uint32_t last_;
  const size_t resting_;
  const std::string what_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_COMPILE_NAMES_H_
