// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/yaml.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/api/field_text.h"
#include "control/intent/yaml_tree.h"

namespace godwit {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Kind = YamlNode::Kind;

// Far more than anybody reads, so that a file of errors costs no more memory
// than a file.
constexpr size_t kMaxErrors = 1000;

std::vector<std::string> KeysOf(const Descriptor& type) {
  std::vector<std::string> keys;
  for (int i = 0; i < type.field_count(); ++i) {
    keys.push_back(type.field(i)->name());
  }
  return keys;
}

// The letters that must be changed, added or left out to make `b` of `a`.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

const char* KindText(const YamlNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kText:
      return "a single value";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "";
}

// How a wrong node is named: its text where it has one.
std::string Shown(const YamlNode& node) {
  return node.kind == Kind::kText ? Quoted(node.text) : KindText(node);
}

// The path of the key `key` in the map at `path`.
std::string Below(const std::string& path, const std::string& key) {
  const bool is_word =
      key.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyz"
          "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == std::string::npos &&
      key.size() <= 64;
  return absl::StrCat(path, path.empty() ? "" : ".",
                      is_word ? key : Quoted(key));
}

class Reader {
 public:
  Reader(Source& source, std::vector<Finding>& errors)
      : source_(source), errors_(errors) {}

  // Adds to `message` what `node` says. `path` is that of `message`.
  void ReadMessage(const YamlNode& node, const std::string& path,
                   Message& message) {
    const Descriptor& type = *message.GetDescriptor();
    if (node.kind == Kind::kNull) return;  // `egress:` with nothing below it
    if (node.kind == Kind::kMap) {
      ReadMap(node, path, message);
      return;
    }
    const std::string& shorthand = type.options().GetExtension(api::shorthand);
    if (node.kind == Kind::kText && !shorthand.empty()) {
      ReadScalar(node, path, *type.FindFieldByName(shorthand), message);
      return;
    }
    Error(path, node,
          absl::StrCat(Shown(node), " is not a map of the keys ",
                       absl::StrJoin(KeysOf(type), ", ")));
  }

 private:
  void ReadMap(const YamlNode& node, const std::string& path,
               Message& message) {
    const Descriptor& type = *message.GetDescriptor();
    absl::flat_hash_map<std::string, int> seen;  // key -> line
    for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
      const YamlNode& key = node.items[i];
      const std::string at = Below(path, key.text);
      const FieldDescriptor* const field = type.FindFieldByName(key.text);
      if (field == nullptr) {
        RefuseKey(key, at, type);
        continue;
      }
      const auto [first, is_new] = seen.emplace(key.text, key.line);
      if (!is_new) {
        Error(at, key,
              absl::StrCat(Quoted(key.text), " is given twice, first in line ",
                           first->second));
        continue;
      }
      const YamlNode& value = node.items[i + 1];
      source_.lines[at] = value.kind == Kind::kText ? value.line : key.line;
      ReadField(value, at, *field, message);
    }
  }

  void RefuseKey(const YamlNode& key, const std::string& path,
                 const Descriptor& type) {
    const std::vector<std::string> keys = KeysOf(type);
    Error(path, key,
          absl::StrCat(Quoted(key.text), " is not a known key, the nearest is ",
                       Quoted(Nearest(key.text, keys)),
                       "; known here: ", absl::StrJoin(keys, ", ")));
  }

  void ReadField(const YamlNode& node, const std::string& path,
                 const FieldDescriptor& field, Message& message) {
    const Reflection& reflection = *message.GetReflection();
    if (field.is_repeated()) {
      ReadList(node, path, field, message);
    } else if (IsScalar(field)) {
      ReadScalar(node, path, field, message);
    } else {
      ReadMessage(node, path, *reflection.MutableMessage(&message, &field));
    }
  }

  void ReadList(const YamlNode& node, const std::string& path,
                const FieldDescriptor& field, Message& message) {
    if (node.kind == Kind::kNull) {  // `queues:` with nothing below it
      source_.empty_lists[path] = "";
      return;
    }
    if (node.kind == Kind::kList && node.items.empty()) {
      source_.empty_lists[path] = "[]";
    }
    if (node.kind != Kind::kList) {
      Error(path, node, absl::StrCat(Shown(node), " is not a list"));
      return;
    }
    for (size_t i = 0; i < node.items.size(); ++i) {
      const YamlNode& item = node.items[i];
      const std::string at = absl::StrCat(path, "[", i, "]");
      source_.lines[at] = item.line;
      const Reflection& reflection = *message.GetReflection();
      if (!IsScalar(field)) {
        ReadMessage(item, at, *reflection.AddMessage(&message, &field));
        continue;
      }
      ReadScalar(item, at, field, message);
      // What could not be read keeps its place, so that the next ones have
      // their own paths in what is found later.
      if (reflection.FieldSize(message, &field) == static_cast<int>(i)) {
        AddUnread(field, message);
      }
    }
  }

  static void AddUnread(const FieldDescriptor& field, Message& message) {
    const Reflection& reflection = *message.GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      reflection.AddUInt32(&message, &field, UINT32_MAX);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      reflection.AddString(&message, &field, "");
    }
  }

  void ReadScalar(const YamlNode& node, const std::string& path,
                  const FieldDescriptor& field, Message& message) {
    if (node.kind != Kind::kText) {
      Error(path, node, absl::StrCat(Shown(node), " is not a single value"));
      return;
    }
    const absl::Status status = SetFromText(message, field, node.text);
    if (!status.ok()) Error(path, node, status.message());
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      source_.times[path] = node.text;
    }
  }

  // A null has no place of its own: its line is that of what comes next.
  void Error(absl::string_view path, const YamlNode& node,
             absl::string_view message) {
    if (errors_.size() == kMaxErrors) return;
    errors_.push_back({std::string(path), std::string(message),
                       node.kind == Kind::kNull ? 0 : node.line});
  }

  Source& source_;
  std::vector<Finding>& errors_;
};

}  // namespace

std::string Nearest(absl::string_view word,
                    const std::vector<std::string>& words) {
  // No key is this long; the rest of the word could only add to all distances.
  const absl::string_view compared = word.substr(0, 64);
  return *std::min_element(
      words.begin(), words.end(),
      [compared](const std::string& a, const std::string& b) {
        return EditDistance(compared, a) < EditDistance(compared, b);
      });
}

ParsedYaml ParseYaml(absl::string_view text, absl::string_view filename) {
  ParsedYaml parsed;
  parsed.source.filename = std::string(filename);
  const std::variant<YamlNode, Finding> read = ReadYaml(text);
  if (const auto* const error = std::get_if<Finding>(&read)) {
    parsed.errors.push_back(*error);
    return parsed;
  }
  Reader(parsed.source, parsed.errors)
      .ReadMessage(std::get<YamlNode>(read), "", parsed.config);
  return parsed;
}

}  // namespace godwit
