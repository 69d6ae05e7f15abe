// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/save.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/api/field_text.h"

namespace godwit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// True if any reader of YAML takes `text` for itself without quotes, wherever
// it stands. The words are null and booleans in one or the other version.
bool IsPlain(absl::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool fits = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                      c == '_' || c == '/' || c == '.' || c == '-';
    if (!fits) return false;
  }
  const auto first = static_cast<unsigned char>(text[0]);
  if (!absl::ascii_isalnum(first) && first != '/') return false;
  const bool is_number = text.find_first_not_of("0123456789_.") == text.npos &&
                         text.find('.') == text.rfind('.');
  if (is_number) return false;
  const std::string lower = absl::AsciiStrToLower(text);
  for (const char* const word :
       {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}) {
    if (lower == word) return false;
  }
  return true;
}

std::string Scalar(const std::string& text) {
  if (IsPlain(text)) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      absl::StrAppend(&quoted, "\\", std::string(1, c));
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&quoted, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

// An enum's word and a number need no quotes, whatever they look like.
std::string ScalarText(const FieldDescriptor& field, const std::string& text) {
  const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  return is_text ? Scalar(text) : text;
}

// The field that `message` can be written as alone, in place of a map; nullptr
// if it says more than that.
const FieldDescriptor* OnlyShorthand(const Message& message) {
  const std::string& name =
      message.GetDescriptor()->options().GetExtension(api::shorthand);
  std::vector<const FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  return set.size() == 1 && set[0]->name() == name ? set[0] : nullptr;
}

// `[a, b]`, or nothing if the list has elements that need lines of their own.
std::string InlineList(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<std::string> texts;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    if (IsScalar(field)) {
      texts.push_back(ScalarText(field, FieldText(message, field, i)));
      continue;
    }
    const Message& item = reflection.GetRepeatedMessage(message, &field, i);
    const FieldDescriptor* const only = OnlyShorthand(item);
    if (only == nullptr) return "";
    texts.push_back(ScalarText(*only, FieldText(item, *only)));
  }
  return absl::StrCat("[", absl::StrJoin(texts, ", "), "]");
}

class Writer {
 public:
  // The keys of `message`, each on a line that begins with `indent`; the first
  // with `first` in its place.
  void WriteMessage(const Message& message, const std::string& first,
                    const std::string& indent) {
    std::vector<const FieldDescriptor*> set;
    message.GetReflection()->ListFields(message, &set);
    const std::string* begin = &first;
    for (const FieldDescriptor* const field : set) {
      absl::StrAppend(&text_, *begin, field->name(), ":");
      WriteValue(message, *field, indent);
      begin = &indent;
    }
    if (set.empty()) absl::StrAppend(&text_, first, "{}\n");
  }

  std::string Take() { return std::move(text_); }

 private:
  void WriteValue(const Message& message, const FieldDescriptor& field,
                  const std::string& indent) {
    const Reflection& reflection = *message.GetReflection();
    if (field.is_repeated()) {
      WriteList(message, field, indent);
    } else if (IsScalar(field)) {
      absl::StrAppend(&text_, " ", ScalarText(field, FieldText(message, field)),
                      "\n");
    } else {
      const Message& value = reflection.GetMessage(message, &field);
      std::vector<const FieldDescriptor*> set;
      value.GetReflection()->ListFields(value, &set);
      if (set.empty()) {
        absl::StrAppend(&text_, " {}\n");
        return;
      }
      text_ += '\n';
      WriteMessage(value, indent + "  ", indent + "  ");
    }
  }

  void WriteList(const Message& message, const FieldDescriptor& field,
                 const std::string& indent) {
    const std::string in_line = InlineList(message, field);
    if (!in_line.empty()) {
      absl::StrAppend(&text_, " ", in_line, "\n");
      return;
    }
    text_ += '\n';
    const Reflection& reflection = *message.GetReflection();
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      WriteMessage(reflection.GetRepeatedMessage(message, &field, i),
                   indent + "  - ", indent + "    ");
    }
  }

  std::string text_;
};

absl::Status Failed(const std::string& filename, const char* what) {
  return absl::FailedPreconditionError(
      absl::StrCat(filename, ": ", what, ": ", std::strerror(errno)));
}

// Like the file that it will replace, whose reader may be chosen with care.
bool TakeOver(int fd, const std::string& filename) {
  struct stat before = {};
  if (stat(filename.c_str(), &before) != 0) return fchmod(fd, 0644) == 0;
  return fchown(fd, before.st_uid, before.st_gid) == 0 &&
         fchmod(fd, before.st_mode & 07777) == 0;
}

bool WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    text.remove_prefix(static_cast<size_t>(wrote));
  }
  return fsync(fd) == 0;
}

}  // namespace

std::string ToYaml(const api::Config& config) {
  Writer writer;
  writer.WriteMessage(config, "", "");
  return writer.Take();
}

absl::Status SaveTo(const std::string& filename, const api::Config& config) {
  std::error_code error;
  const std::filesystem::path found =
      std::filesystem::canonical(filename, error);
  const std::string target = error ? filename : found.string();
  std::string fresh = target + ".XXXXXX";
  const int fd = mkstemp(fresh.data());
  if (fd < 0) return Failed(filename, "a file beside it can't be made");
  absl::Status status;
  if (!WriteAll(fd, ToYaml(config))) {
    status = Failed(filename, "can't be written");
  } else if (!TakeOver(fd, target)) {
    status = Failed(filename, "its owner and mode can't be kept");
  }
  close(fd);
  if (status.ok() && std::rename(fresh.c_str(), target.c_str()) != 0) {
    status = Failed(filename, "can't be replaced");
  }
  if (!status.ok()) unlink(fresh.c_str());
  return status;
}

}  // namespace godwit
