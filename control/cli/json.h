// SPDX-License-Identifier: BSD-3-Clause
//
// A reply as JSON, for programs. Not protobuf's own JSON: that prints 64-bit
// numbers as strings, renames the keys and leaves out what is zero.
#ifndef GODWIT_CONTROL_CLI_JSON_H_
#define GODWIT_CONTROL_CLI_JSON_H_

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace godwit::cli {

// `message` as an indented object and a newline. The keys are the fields'
// names. Every field is there, also if it is zero, "" or [], except for one
// that is `optional` or a message, and absent. Enums are per-destination,
// durations "300s", map keys in order. A number that JSON has no word for
// (infinite) is null, bytes that are not UTF-8 become U+FFFD.
std::string Json(const google::protobuf::Message& message);

// `text` as a JSON string, with its quotes.
std::string JsonString(const std::string& text);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_JSON_H_
