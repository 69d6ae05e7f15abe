// SPDX-License-Identifier: BSD-3-Clause
//
// --key=value -> a field of a message, by the message's own description: a new
// field of the schema needs a line in verbs.cc and no code here.
#ifndef GODWIT_CONTROL_CLI_FIELDS_H_
#define GODWIT_CONTROL_CLI_FIELDS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace godwit::cli {

// Sets the field that `path` names in `message` ("limits.flows") to what `text`
// says: a list is split at commas and replaces what was there, a message with
// a shorthand is that field and, after a colon, its number ("dns0:10"). Empty
// text clears the field. INVALID_ARGUMENT names path, text and what is allowed;
// INTERNAL if there is no such path.
absl::Status SetField(absl::string_view path, absl::string_view text,
                      google::protobuf::Message& message);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_FIELDS_H_
