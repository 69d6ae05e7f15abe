// SPDX-License-Identifier: BSD-3-Clause
#include "control/intent/difference.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/api/field_text.h"
#include "control/intent/defaults.h"

namespace godwit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string ValueText(const Message& message, const FieldDescriptor& field);

// `dns0`, or `{queue: dns0, weight: 10}`.
std::string MessageText(const Message& message) {
  const std::string& shorthand =
      message.GetDescriptor()->options().GetExtension(api::shorthand);
  std::vector<const FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  if (set.size() == 1 && set[0]->name() == shorthand) {
    return ValueText(message, *set[0]);
  }
  std::vector<std::string> texts;
  for (const FieldDescriptor* const field : set) {
    texts.push_back(
        absl::StrCat(field->name(), ": ", ValueText(message, *field)));
  }
  return absl::StrCat("{", absl::StrJoin(texts, ", "), "}");
}

std::string ValueText(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    std::vector<std::string> texts;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      texts.push_back(
          IsScalar(field)
              ? FieldText(message, field, i)
              : MessageText(reflection.GetRepeatedMessage(message, &field, i)));
    }
    return absl::StrCat("[", absl::StrJoin(texts, ", "), "]");
  }
  if (!reflection.HasField(message, &field)) return "(none)";
  if (IsScalar(field)) return FieldText(message, field);
  return MessageText(reflection.GetMessage(message, &field));
}

// Lines `SUBJECT: FIELD OLD -> NEW` for what differs in two messages of a type,
// fields of messages within by their path.
void CompareFields(const std::string& subject, const std::string& prefix,
                   const Message& before, const Message& after,
                   std::vector<std::string>& lines) {
  const google::protobuf::Descriptor& type = *before.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (!field.is_repeated() && !IsScalar(field) &&
        before.GetReflection()->HasField(before, &field) &&
        after.GetReflection()->HasField(after, &field)) {
      CompareFields(subject, absl::StrCat(prefix, field.name(), "."),
                    before.GetReflection()->GetMessage(before, &field),
                    after.GetReflection()->GetMessage(after, &field), lines);
      continue;
    }
    const std::string was = ValueText(before, field);
    const std::string is = ValueText(after, field);
    if (was == is) continue;
    lines.push_back(absl::StrCat(subject, ": ", prefix, field.name(), " ", was,
                                 " -> ", is));
  }
}

// The same for what was made once, at start.
void CompareFixed(const std::string& subject, const Message& before,
                  const Message& after, std::vector<std::string>& lines) {
  const size_t begin = lines.size();
  CompareFields(subject, "", before, after, lines);
  for (size_t i = begin; i < lines.size(); ++i) {
    absl::StrAppend(&lines[i], " (takes a restart)");
  }
}

// Lists whose elements have names: what is gone, what has changed, what is new.
template <typename List>
void CompareLists(const std::string& noun, const List& before,
                  const List& after, std::vector<std::string>& lines) {
  std::map<std::string, const typename List::value_type*> old;
  for (const auto& item : before) old.emplace(item.name(), &item);
  for (const auto& item : after) {
    const std::string subject = absl::StrCat(noun, " ", item.name());
    const auto found = old.find(item.name());
    if (found == old.end()) {
      lines.push_back(absl::StrCat(subject, ": added ", MessageText(item)));
      continue;
    }
    CompareFields(subject, "", *found->second, item, lines);
    old.erase(found);
  }
  for (const auto& [name, item] : old) {
    lines.push_back(absl::StrCat(noun, " ", name, ": removed"));
  }
}

// With defaults, but for those that would only make lines longer.
api::Config Comparable(const api::Config& config) {
  api::Config filled = WithDefaults(config);
  for (api::Service& service : *filled.mutable_services()) {
    for (api::QueueRef& ref : *service.mutable_queues()) {
      if (ref.weight() == 1) ref.clear_weight();
    }
  }
  return filled;
}

}  // namespace

std::vector<std::string> Difference(const api::Config& before,
                                    const api::Config& after) {
  const api::Config old = Comparable(before);
  const api::Config next = Comparable(after);
  std::vector<std::string> lines;
  CompareFields("node", "", old.node(), next.node(), lines);
  CompareFixed("dataplane", old.dataplane(), next.dataplane(), lines);
  CompareLists("uplink", old.uplinks(), next.uplinks(), lines);
  CompareLists("queue", old.queues(), next.queues(), lines);
  CompareLists("service", old.services(), next.services(), lines);
  CompareFields("egress", "", old.egress(), next.egress(), lines);
  if (old.has_announce() != next.has_announce()) {
    lines.push_back(next.has_announce() ? "announce: added"
                                        : "announce: removed");
  }
  CompareFields("announce", "", old.announce(), next.announce(), lines);
  CompareFixed("metrics", old.metrics(), next.metrics(), lines);
  CompareFixed("control", old.control(), next.control(), lines);
  return lines;
}

std::vector<Finding> FixedAtStart(const api::Config& before,
                                  const api::Config& after) {
  std::vector<Finding> findings;
  const auto compare = [&findings](const char* room, const Message& was,
                                   const Message& is) {
    const google::protobuf::Descriptor& type = *was.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const std::string old = ValueText(was, field);
      const std::string next = ValueText(is, field);
      if (old == next) continue;
      findings.push_back({absl::StrCat(room, ".", field.name()),
                          absl::StrCat(Quoted(next),
                                       " can't change while the daemon runs, "
                                       "which began with ",
                                       Quoted(old), ": restart it")});
    }
  };
  compare("dataplane", before.dataplane(), after.dataplane());
  compare("metrics", before.metrics(), after.metrics());
  compare("control", before.control(), after.control());
  return findings;
}

}  // namespace godwit
