// SPDX-License-Identifier: BSD-3-Clause
// A table of bad files: what is written, and every word of the answer.
#ifndef GODWIT_TESTS_UNIT_INTENT_BAD_INPUT_H_
#define GODWIT_TESTS_UNIT_INTENT_BAD_INPUT_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "control/intent/load.h"

namespace godwit {

// A file that nothing is wrong with.
inline constexpr char kGoodFile[] = R"(version: 1
node: {unicast: [198.51.100.7, "2001:db8:7::7"]}
uplinks: [{name: wan0, device: "veth:wan0"}]
queues: [{name: dns0, device: "veth:dns0"}, {name: web0, device: "memif:/run/web0"}]
services:
  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: [dns0]}
  - {name: web, addresses: [192.0.2.80], ports: [tcp/443], queues: [web0]}
)";

struct BadInput {
  const char* name;
  int line;  // of kGoodFile, from 1: replaced by `text`; 8: added
             // below it; 0: `text` is the whole file
  const char* text;
  const char* error;  // the whole message

  std::string File() const {
    if (line == 0) return text;
    std::vector<std::string> lines =
        absl::StrSplit(kGoodFile, '\n', absl::SkipEmpty());
    lines.resize(std::max(lines.size(), static_cast<size_t>(line)));
    lines[static_cast<size_t>(line) - 1] = text;
    return absl::StrJoin(lines, "\n") + "\n";
  }
  friend void PrintTo(const BadInput& input, std::ostream* out) {
    *out << input.text;
  }
};

inline std::string BadInputName(const testing::TestParamInfo<BadInput>& info) {
  return info.param.name;
}

inline void ExpectRefused(const BadInput& input) {
  ASSERT_TRUE(LoadConfig(kGoodFile, "godwit.yaml").ok());
  const auto loaded = LoadConfig(input.File(), "godwit.yaml");
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(loaded.status().message(), input.error);
}

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_INTENT_BAD_INPUT_H_
