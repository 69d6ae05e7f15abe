// SPDX-License-Identifier: BSD-3-Clause
// Names -> the small numbers that snapshots and flow entries hold. A number
// that is given up goes to another name only when no fresh ones are left, and
// then the one that has rested longest: whatever still knew it has been judged
// by many epochs since.
#ifndef GODWIT_CONTROL_SERVER_NAMES_H_
#define GODWIT_CONTROL_SERVER_NAMES_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace godwit {

class Names {
 public:
  // Numbers `first` to `last`. `what` is for the message when they run out.
  Names(uint32_t first, uint32_t last, std::string what)
      : next_(first), last_(last), what_(std::move(what)) {}

  absl::StatusOr<uint32_t> NumberOf(const std::string& name) {
    const auto known = numbers_.find(name);
    if (known != numbers_.end()) return known->second;
    if (next_ > last_ && !rested_.empty()) {
      const uint32_t number = rested_.front();
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
  void Reserve(const std::string& name, uint32_t number) {
    numbers_[name] = number;
  }
  // 0 if it has none.
  uint32_t Find(const std::string& name) const {
    const auto known = numbers_.find(name);
    return known == numbers_.end() ? 0 : known->second;
  }
  // A removed name that comes back is another thing: it gets a new number.
  void Forget(const std::string& name) {
    const auto known = numbers_.find(name);
    if (known == numbers_.end()) return;
    rested_.push_back(known->second);
    numbers_.erase(known);
  }

 private:
  std::map<std::string, uint32_t> numbers_;
  std::deque<uint32_t> rested_;
  uint32_t next_;
  uint32_t last_;
  std::string what_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_SERVER_NAMES_H_
