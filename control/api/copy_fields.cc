// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/copy_fields.h"

#include <google/protobuf/descriptor.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace godwit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::vector<const FieldDescriptor*> FieldsOf(const Message& message) {
  std::vector<const FieldDescriptor*> present;
  message.GetReflection()->ListFields(message, &present);
  return present;
}

bool HasCheck(const api::Health& health) {
  return health.has_tcp() || health.has_http() || health.has_dns() ||
         !health.exec().empty();
}

}  // namespace

absl::Status CopyFields(const Message& from,
                        const std::vector<std::string>& fields, Message& into) {
  for (const std::string& path : fields) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(path, absl::MaxSplits('.', 1));
    const auto* field = into.GetDescriptor()->FindFieldByName(parts.first);
    if (field == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", path, "\" is not a key of ", into.GetDescriptor()->name()));
    }
    const auto* reflection = into.GetReflection();
    if (!parts.second.empty()) {
      Message& inside = *reflection->MutableMessage(&into, field);
      const absl::Status inner =
          CopyFields(from.GetReflection()->GetMessage(from, field),
                     {parts.second}, inside);
      if (!inner.ok()) return inner;
      if (FieldsOf(inside).empty()) reflection->ClearField(&into, field);
      continue;
    }
    // A message of this one field alone, merged over a cleared one.
    std::unique_ptr<Message> only(from.New());
    only->CopyFrom(from);
    for (const auto* other : FieldsOf(*only)) {
      if (other != field) only->GetReflection()->ClearField(only.get(), other);
    }
    reflection->ClearField(&into, field);
    into.MergeFrom(*only);
  }
  return absl::OkStatus();
}

absl::Status CopyFields(const api::Queue& from,
                        const std::vector<std::string>& fields,
                        api::Queue& into) {
  const bool had_check = HasCheck(into.health());
  const absl::Status status =
      CopyFields(from, fields, static_cast<Message&>(into));
  if (had_check && !HasCheck(into.health())) into.clear_health();
  return status;
}

}  // namespace godwit
