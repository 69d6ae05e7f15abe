// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/field_text.h"

#include <array>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace godwit {
namespace {

using google::protobuf::Duration;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int64_t kMaxDurationMs = 1000LL * 86400 * 1000;

constexpr std::array<std::pair<absl::string_view, int64_t>, 4> kUnits = {
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};

bool IsDuration(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type() == Duration::descriptor();
}

absl::Status NotA(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(text), " is not ", what));
}

// Decimal digits and nothing else: no sign, no space, no 0x.
bool ReadDigits(absl::string_view text, uint64_t& value) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return absl::SimpleAtoi(text, &value);
}

const EnumValueDescriptor* FindEnumValue(const EnumDescriptor& type,
                                         absl::string_view word) {
  for (int i = 0; i < type.value_count(); ++i) {
    if (EnumWord(*type.value(i)) == word) return type.value(i);
  }
  return nullptr;
}

absl::Status SetUnsigned(Message& message, const FieldDescriptor& field,
                         absl::string_view text) {
  const bool wide = field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  const uint64_t max = wide ? UINT64_MAX : UINT32_MAX;
  uint64_t value = 0;
  if (!ReadDigits(text, value) || value > max) {
    return NotA(text, absl::StrCat("a whole number of 0-", max));
  }
  const Reflection& reflection = *message.GetReflection();
  const auto narrow = static_cast<uint32_t>(value);
  if (wide && field.is_repeated()) {
    reflection.AddUInt64(&message, &field, value);
  } else if (wide) {
    reflection.SetUInt64(&message, &field, value);
  } else if (field.is_repeated()) {
    reflection.AddUInt32(&message, &field, narrow);
  } else {
    reflection.SetUInt32(&message, &field, narrow);
  }
  return absl::OkStatus();
}

absl::Status SetBool(Message& message, const FieldDescriptor& field,
                     absl::string_view text) {
  if (text != "true" && text != "false") return NotA(text, "true or false");
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    reflection.AddBool(&message, &field, text == "true");
  } else {
    reflection.SetBool(&message, &field, text == "true");
  }
  return absl::OkStatus();
}

absl::Status SetEnum(Message& message, const FieldDescriptor& field,
                     absl::string_view text) {
  const EnumDescriptor& type = *field.enum_type();
  const EnumValueDescriptor* const value = FindEnumValue(type, text);
  if (value == nullptr) {
    return NotA(text, absl::StrCat("one of ", EnumWords(type)));
  }
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    reflection.AddEnum(&message, &field, value);
  } else {
    reflection.SetEnum(&message, &field, value);
  }
  return absl::OkStatus();
}

absl::Status SetDuration(Message& message, const FieldDescriptor& field,
                         absl::string_view text) {
  const absl::StatusOr<Duration> duration = ParseDuration(text);
  if (!duration.ok()) return duration.status();
  const Reflection& reflection = *message.GetReflection();
  Message* const target = field.is_repeated()
                              ? reflection.AddMessage(&message, &field)
                              : reflection.MutableMessage(&message, &field);
  target->CopyFrom(*duration);
  return absl::OkStatus();
}

// Nothing that is configured has control characters in its name, and in a log
// or a command line they are a way to deceive.
absl::Status SetString(Message& message, const FieldDescriptor& field,
                       absl::string_view text) {
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return NotA(text, "text without control characters");
    }
  }
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    reflection.AddString(&message, &field, std::string(text));
  } else {
    reflection.SetString(&message, &field, std::string(text));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Quoted(absl::string_view text) {
  constexpr size_t kMaxShown = 80;
  std::string shown = "\"";
  for (const char c : text.substr(0, kMaxShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&shown, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      shown += c;
    }
  }
  return shown + (text.size() > kMaxShown ? "...\"" : "\"");
}

std::string EnumWord(const EnumValueDescriptor& value) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(value.name()), {{"_", "-"}});
}

std::string EnumWords(const EnumDescriptor& type) {
  std::string words;
  for (int i = 0; i < type.value_count(); ++i) {
    absl::StrAppend(&words, i == 0 ? "" : ", ", EnumWord(*type.value(i)));
  }
  return words;
}

absl::StatusOr<Duration> ParseDuration(absl::string_view text) {
  const size_t unit_at = text.find_first_not_of("0123456789");
  const absl::string_view digits = text.substr(0, unit_at);
  const absl::string_view unit =
      unit_at == text.npos ? absl::string_view() : text.substr(unit_at);
  uint64_t count = 0;
  for (const auto& [word, unit_ms] : kUnits) {
    if (unit != word || !ReadDigits(digits, count)) continue;
    if (count > static_cast<uint64_t>(kMaxDurationMs / unit_ms)) continue;
    const int64_t total_ms = static_cast<int64_t>(count) * unit_ms;
    Duration duration;
    duration.set_seconds(total_ms / 1000);
    duration.set_nanos(static_cast<int32_t>(total_ms % 1000 * 1'000'000));
    return duration;
  }
  return NotA(text, "a duration: a whole number and ms, s, m or h, as in 5s");
}

std::string DurationText(const Duration& duration) {
  const int64_t ms = duration.nanos() / 1'000'000;
  if (ms == 0) return absl::StrCat(duration.seconds(), "s");
  return absl::StrCat(duration.seconds() * 1000 + ms, "ms");
}

int64_t Milliseconds(const Duration& duration) {
  return duration.seconds() * 1000 + duration.nanos() / 1'000'000;
}

bool IsScalar(const FieldDescriptor& field) {
  return field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE ||
         IsDuration(field);
}

absl::Status SetFromText(Message& message, const FieldDescriptor& field,
                         absl::string_view text) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return SetUnsigned(message, field, text);
    case FieldDescriptor::CPPTYPE_BOOL:
      return SetBool(message, field, text);
    case FieldDescriptor::CPPTYPE_ENUM:
      return SetEnum(message, field, text);
    case FieldDescriptor::CPPTYPE_STRING:
      return SetString(message, field, text);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (IsDuration(field)) return SetDuration(message, field, text);
      break;
    default:
      break;
  }
  return absl::InternalError(
      absl::StrCat("the field ", field.full_name(), " has no text form"));
}

std::string FieldText(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumWord(*reflection.GetEnum(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, &field);
    default: {
      Duration duration;
      duration.CopyFrom(reflection.GetMessage(message, &field));
      return DurationText(duration);
    }
  }
}

std::string FieldText(const Message& message, const FieldDescriptor& field,
                      int index) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(reflection.GetRepeatedUInt32(message, &field, index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection.GetRepeatedUInt64(message, &field, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetRepeatedBool(message, &field, index) ? "true"
                                                                : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumWord(*reflection.GetRepeatedEnum(message, &field, index));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetRepeatedString(message, &field, index);
    default: {
      Duration duration;
      duration.CopyFrom(reflection.GetRepeatedMessage(message, &field, index));
      return DurationText(duration);
    }
  }
}

}  // namespace godwit
