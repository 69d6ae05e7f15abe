// SPDX-License-Identifier: BSD-3-Clause
// The text of a schema's field: how a scalar is written in YAML, on the command
// line and in messages. One reader and one writer for every key there is.
#ifndef GODWIT_CONTROL_API_FIELD_TEXT_H_
#define GODWIT_CONTROL_API_FIELD_TEXT_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "control/api/godwit.pb.h"

namespace godwit {

// `text` between quotes, fit for one line of a message: control characters
// escaped, cut after 80 bytes.
std::string Quoted(absl::string_view text);

// PER_DESTINATION -> "per-destination".
std::string EnumWord(const google::protobuf::EnumValueDescriptor& value);
// All of them: "per-destination, endpoint-independent".
std::string EnumWords(const google::protobuf::EnumDescriptor& type);

// "500ms", "5s", "2m", "1h": a whole number and its unit, at most 1000 days.
absl::StatusOr<google::protobuf::Duration> ParseDuration(
    absl::string_view text);
// "5s" for whole seconds, else "5500ms". Finer parts are cut off.
std::string DurationText(const google::protobuf::Duration& duration);

// Finer parts are cut off.
int64_t Milliseconds(const google::protobuf::Duration& duration);

// A field that has one text: number, bool, string, enum or Duration.
bool IsScalar(const google::protobuf::FieldDescriptor& field);

// Sets `field` of `message` to what `text` says, or adds it to a repeated
// one. The error is in the form `"x" is not ...` and names what is allowed;
// then nothing has changed. `field` must be a scalar.
absl::Status SetFromText(google::protobuf::Message& message,
                         const google::protobuf::FieldDescriptor& field,
                         absl::string_view text);

// The text of a scalar field, as SetFromText reads it; of the element `index`
// of a repeated one.
std::string FieldText(const google::protobuf::Message& message,
                      const google::protobuf::FieldDescriptor& field);
std::string FieldText(const google::protobuf::Message& message,
                      const google::protobuf::FieldDescriptor& field,
                      int index);

}  // namespace godwit

#endif  // GODWIT_CONTROL_API_FIELD_TEXT_H_
