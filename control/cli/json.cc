// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/json.h"

#include <charconv>
#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "control/api/field_text.h"
#include "control/api/utf8.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"

namespace godwit::cli {
namespace {

using google::protobuf::Duration;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kNoIndex = -1;

std::string Number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  const std::to_chars_result end =
      std::to_chars(text, text + sizeof(text), value);
  return std::string(text, end.ptr);
}

std::string Object(const Message& message, int depth);

// One value of `field`: element `index`, or the only one.
std::string Value(const Message& message, const FieldDescriptor& field,
                  int index, int depth) {
  const Reflection& reflection = *message.GetReflection();
  const bool only = index == kNoIndex;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(
          only ? reflection.GetInt32(message, &field)
               : reflection.GetRepeatedInt32(message, &field, index));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(
          only ? reflection.GetInt64(message, &field)
               : reflection.GetRepeatedInt64(message, &field, index));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(
          only ? reflection.GetUInt32(message, &field)
               : reflection.GetRepeatedUInt32(message, &field, index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(
          only ? reflection.GetUInt64(message, &field)
               : reflection.GetRepeatedUInt64(message, &field, index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Number(only
                        ? reflection.GetDouble(message, &field)
                        : reflection.GetRepeatedDouble(message, &field, index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return Number(only ? reflection.GetFloat(message, &field)
                         : reflection.GetRepeatedFloat(message, &field, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (only ? reflection.GetBool(message, &field)
                   : reflection.GetRepeatedBool(message, &field, index))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return JsonString(EnumWord(
          *(only ? reflection.GetEnum(message, &field)
                 : reflection.GetRepeatedEnum(message, &field, index))));
    case FieldDescriptor::CPPTYPE_STRING:
      return JsonString(
          only ? reflection.GetString(message, &field)
               : reflection.GetRepeatedString(message, &field, index));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Object(only
                        ? reflection.GetMessage(message, &field)
                        : reflection.GetRepeatedMessage(message, &field, index),
                    depth);
  }
  return "null";
}

// `parts` between brackets, one a line; nothing between them if there are none.
std::string Bracketed(char open, const std::vector<std::string>& parts,
                      char close, int depth) {
  std::string text(1, open);
  const std::string indent(static_cast<size_t>(depth) * 2, ' ');
  for (size_t i = 0; i < parts.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "\n" : ",\n", indent, "  ", parts[i]);
  }
  if (!parts.empty()) absl::StrAppend(&text, "\n", indent);
  text.push_back(close);
  return text;
}

std::string Map(const Message& message, const FieldDescriptor& field,
                int depth) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor& key = *field.message_type()->map_key();
  const FieldDescriptor& value = *field.message_type()->map_value();
  std::map<std::string, std::string> sorted;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    sorted[entry.GetReflection()->GetString(entry, &key)] =
        Value(entry, value, kNoIndex, depth + 1);
  }
  std::vector<std::string> parts;
  for (const auto& [name, text] : sorted) {
    parts.push_back(absl::StrCat(JsonString(name), ": ", text));
  }
  return Bracketed('{', parts, '}', depth);
}

std::string List(const Message& message, const FieldDescriptor& field,
                 int depth) {
  std::vector<std::string> parts;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field);
       ++i) {
    parts.push_back(Value(message, field, i, depth + 1));
  }
  return Bracketed('[', parts, ']', depth);
}

std::string Object(const Message& message, int depth) {
  if (message.GetDescriptor() == Duration::descriptor()) {
    Duration duration;
    duration.CopyFrom(message);
    return JsonString(DurationText(duration));
  }
  std::vector<std::string> parts;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.has_presence() &&
        !message.GetReflection()->HasField(message, &field)) {
      continue;
    }
    const std::string text = field.is_map() ? Map(message, field, depth + 1)
                             : field.is_repeated()
                                 ? List(message, field, depth + 1)
                                 : Value(message, field, kNoIndex, depth + 1);
    parts.push_back(absl::StrCat(JsonString(field.name()), ": ", text));
  }
  return Bracketed('{', parts, '}', depth);
}

}  // namespace

std::string JsonString(const std::string& text) {
  std::string quoted = "\"";
  for (absl::string_view rest = text; !rest.empty();) {
    const size_t size = Utf8Length(rest);
    const unsigned char first = static_cast<unsigned char>(rest[0]);
    if (size == 0) {
      absl::StrAppend(&quoted, "\\ufffd");
    } else if (first == '"' || first == '\\') {
      quoted.push_back('\\');
      quoted.push_back(rest[0]);
    } else if (first == '\n') {
      absl::StrAppend(&quoted, "\\n");
    } else if (first < 0x20 || first == 0x7F) {
      absl::StrAppend(&quoted, absl::StrFormat("\\u%04x", first));
    } else {
      absl::StrAppend(&quoted, rest.substr(0, size));
    }
    rest.remove_prefix(size == 0 ? 1 : size);
  }
  quoted.push_back('"');
  return quoted;
}

std::string Json(const Message& message) { return Object(message, 0) + "\n"; }

}  // namespace godwit::cli
