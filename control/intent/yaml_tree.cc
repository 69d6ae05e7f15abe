// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <istream>
#include <optional>
#include <streambuf>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "control/api/field_text.h"
#include "control/api/utf8.h"

namespace godwit {
namespace {

using Kind = YamlNode::Kind;

// How the handler tells the parser to stop: yaml-cpp has no other way. Caught
// in ReadYaml, so it is never seen outside this file.
struct Stop {
  Finding finding;
};

[[noreturn]] void StopAt(const YAML::Mark& mark, absl::string_view message) {
  throw Stop{Finding{"", std::string(message), mark.line + 1}};
}

// Builds the tree from the parser's events. What is open is a stack of nodes
// by value: a node moves into the one around it when it ends.
class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (seen_document_) StopAt(mark, "a second document begins here");
    seen_document_ = true;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    Put(YamlNode{Kind::kNull, mark.line + 1, "", {}}, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    StopAt(mark, "aliases (*name) are not read here: write it out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    Put(YamlNode{Kind::kText, mark.line + 1, value, {}}, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  static void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      StopAt(mark, "anchors (&name) are not read here: write it out");
    }
  }
  // "?" and "!" are yaml-cpp's own marks for plain and quoted texts.
  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      StopAt(mark, absl::StrCat("tags are not read here: ", Quoted(tag)));
    }
  }
  // True where the innermost open map expects a key.
  bool AtKey() const {
    return !open_.empty() && open_.back().kind == Kind::kMap &&
           open_.back().items.size() % 2 == 0;
  }
  void Open(Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (AtKey()) StopAt(mark, "a key is a single word, not a list or a map");
    if (open_.size() == static_cast<size_t>(kMaxYamlDepth)) {
      StopAt(mark, absl::StrCat("lists and maps are nested more than ",
                                kMaxYamlDepth, " deep"));
    }
    open_.push_back(YamlNode{kind, mark.line + 1, "", {}});
    marks_.push_back(mark);
  }
  void Close() {
    YamlNode node = std::move(open_.back());
    const YAML::Mark mark = marks_.back();
    open_.pop_back();
    marks_.pop_back();
    Put(std::move(node), mark);
  }
  void Put(YamlNode node, const YAML::Mark& mark) {
    if (AtKey() && node.kind != Kind::kText) StopAt(mark, "a key has no name");
    if (open_.empty()) {
      root_ = std::move(node);
    } else {
      open_.back().items.push_back(std::move(node));
    }
  }

  bool seen_document_ = false;
  YamlNode root_;
  std::vector<YamlNode> open_;
  std::vector<YAML::Mark> marks_;  // of open_
};

// What is no text: too long, not UTF-8, or with control characters. yaml-cpp
// would guess at other encodings, and protobuf holds UTF-8 only.
std::optional<Finding> CheckBytes(absl::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return Finding{"",
                   absl::StrCat("the file has ", text.size(),
                                " bytes; at most ", kMaxYamlBytes, " are read"),
                   1};
  }
  int line = 1;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = Utf8Length(text.substr(i));
    const bool is_space = byte == '\n' || byte == '\r' || byte == '\t';
    if (length == 0 || byte == 0x7f || (byte < 0x20 && !is_space)) {
      return Finding{"",
                     absl::StrCat("byte 0x", absl::Hex(byte, absl::kZeroPad2),
                                  " is not text in UTF-8"),
                     line};
    }
    if (byte == '\n') ++line;
    i += length;
  }
  return std::nullopt;
}

// A stream over text that is not copied.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(absl::string_view text) {
    // The get area is never written to: nothing here calls sputbackc().
    char* const begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

}  // namespace

std::variant<YamlNode, Finding> ReadYaml(absl::string_view text) {
  if (std::optional<Finding> bad = CheckBytes(text)) return *std::move(bad);
  TextBuffer buffer(text);
  std::istream stream(&buffer);
  try {
    YAML::Parser parser(stream);
    TreeBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.TakeRoot();
  } catch (const Stop& stop) {
    return stop.finding;
  } catch (const YAML::Exception& error) {
    // It may say a character of the file, half of one, or what yaml-cpp takes
    // for the end of it.
    return Finding{"", absl::StrCat("not YAML: ", absl::CEscape(error.msg)),
                   std::max(error.mark.line, 0) + 1};
  }
}

}  // namespace godwit
