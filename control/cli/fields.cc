// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/fields.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/api/field_text.h"
#include "control/api/godwit.pb.h"
#include "google/protobuf/descriptor.h"

namespace godwit::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

using Halves = std::pair<absl::string_view, absl::string_view>;

// "dns0:10": the shorthand's field, then the one number that the message has.
absl::Status SetByShorthand(absl::string_view text, Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  const FieldDescriptor* name =
      type.FindFieldByName(type.options().GetExtension(api::shorthand));
  const FieldDescriptor* number = nullptr;
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      number = type.field(i);
    }
  }
  const Halves halves = absl::StrSplit(text, absl::MaxSplits(':', 1));
  if (name == nullptr || number == nullptr || halves.first.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is not NAME or NAME:NUMBER"));
  }
  const absl::Status status = SetFromText(message, *name, halves.first);
  if (!status.ok() || halves.first.size() == text.size()) return status;
  return SetFromText(message, *number, halves.second);
}

absl::Status SetList(absl::string_view text, const FieldDescriptor& field,
                     Message& message) {
  for (absl::string_view element : absl::StrSplit(text, ',')) {
    element = absl::StripAsciiWhitespace(element);
    if (element.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          Quoted(text), " is not a list with commas between its elements"));
    }
    const absl::Status status =
        IsScalar(field)
            ? SetFromText(message, field, element)
            : SetByShorthand(element, *message.GetReflection()->AddMessage(
                                          &message, &field));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SetField(absl::string_view path, absl::string_view text,
                      Message& message) {
  const Halves halves = absl::StrSplit(path, absl::MaxSplits('.', 1));
  const FieldDescriptor* field =
      message.GetDescriptor()->FindFieldByName(std::string(halves.first));
  if (field == nullptr) {
    return absl::InternalError(absl::StrCat("the schema has no ", path));
  }
  const Reflection& reflection = *message.GetReflection();
  if (!halves.second.empty()) {
    const absl::Status status = SetField(
        halves.second, text, *reflection.MutableMessage(&message, field));
    if (status.ok()) return status;
    return absl::Status(status.code(),
                        absl::StrCat(field->name(), ".", status.message()));
  }
  reflection.ClearField(&message, field);
  if (text.empty()) return absl::OkStatus();
  const absl::Status status = field->is_repeated()
                                  ? SetList(text, *field, message)
                                  : SetFromText(message, *field, text);
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(field->name(), ": ", status.message()));
}

}  // namespace godwit::cli
