// SPDX-License-Identifier: BSD-3-Clause
// The verbs that change something, and those about the configuration.
#include <rte_version.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "control/intent/defaults.h"
#include "control/intent/difference.h"
#include "control/intent/machine.h"
#include "control/intent/save.h"
#include "control/server/control_thread.h"
#include "control/server/version.h"

namespace godwit {
namespace {

template <class List>
std::string NamesOf(const List& list) {
  return absl::StrJoin(list, ", ", [](std::string* out, const auto& item) {
    absl::StrAppend(out, item.name());
  });
}

template <class List>
auto* FindByName(List* list, const std::string& name) {
  for (int i = 0; i < list->size(); ++i) {
    if (list->Get(i).name() == name) return list->Mutable(i);
  }
  return static_cast<decltype(list->Mutable(0))>(nullptr);
}

template <class List>
absl::Status NoSuch(const char* what, const std::string& name,
                    const List& list) {
  if (list.empty()) {
    return absl::NotFoundError(
        absl::StrCat(what, " \"", name, "\": this node has none"));
  }
  return absl::NotFoundError(
      absl::StrCat(what, " \"", name, "\": this node has ", NamesOf(list)));
}

template <class List>
bool RemoveByName(List* list, const std::string& name) {
  for (int i = 0; i < list->size(); ++i) {
    if (list->Get(i).name() != name) continue;
    list->DeleteSubrange(i, 1);
    return true;
  }
  return false;
}

absl::Status NotYet(const char* what) {
  return absl::UnimplementedError(
      absl::StrCat(what, " is not supported by this version yet"));
}

}  // namespace

absl::Status CopyFields(const google::protobuf::Message& from,
                        const std::vector<std::string>& fields,
                        google::protobuf::Message& into) {
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
      const absl::Status inner =
          CopyFields(from.GetReflection()->GetMessage(from, field),
                     {parts.second}, *reflection->MutableMessage(&into, field));
      if (!inner.ok()) return inner;
      continue;
    }
    // A message of this one field alone, merged over a cleared one.
    std::unique_ptr<google::protobuf::Message> only(from.New());
    only->CopyFrom(from);
    std::vector<const google::protobuf::FieldDescriptor*> present;
    only->GetReflection()->ListFields(*only, &present);
    for (const auto* other : present) {
      if (other != field) only->GetReflection()->ClearField(only.get(), other);
    }
    reflection->ClearField(&into, field);
    into.MergeFrom(*only);
  }
  return absl::OkStatus();
}

absl::StatusOr<api::ChangeReply> ControlThread::ServiceSet(
    const api::ServiceSetRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    const std::string& name = request.service().name();
    if (name.empty()) {
      return absl::InvalidArgumentError("a service needs a name");
    }
    api::Config next = config_;
    api::Service* service = FindByName(next.mutable_services(), name);
    if (service == nullptr) {
      service = next.add_services();
      service->set_name(name);
    }
    const absl::Status copied = CopyFields(
        request.service(), {request.fields().begin(), request.fields().end()},
        *service);
    if (!copied.ok()) return copied;
    return ChangeTo(std::move(next));
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::ServiceRemove(
    const api::ServiceRemoveRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    api::Config next = config_;
    if (!RemoveByName(next.mutable_services(), request.name())) {
      return NoSuch("service", request.name(), config_.services());
    }
    return ChangeTo(std::move(next));
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::QueueSet(
    const api::QueueSetRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    const std::string& name = request.queue().name();
    if (name.empty()) {
      return absl::InvalidArgumentError("a queue needs a name");
    }
    api::Config next = config_;
    api::Queue* queue = FindByName(next.mutable_queues(), name);
    if (queue == nullptr) {
      queue = next.add_queues();
      queue->set_name(name);
    }
    const absl::Status copied =
        CopyFields(request.queue(),
                   {request.fields().begin(), request.fields().end()}, *queue);
    if (!copied.ok()) return copied;
    return ChangeTo(std::move(next));
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::QueueDrain(
    const api::QueueDrainRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    api::Config next = config_;
    api::Queue* queue = FindByName(next.mutable_queues(), request.name());
    if (queue == nullptr) {
      return NoSuch("queue", request.name(), config_.queues());
    }
    if (request.undrain()) {
      queue->clear_drained();
    } else {
      queue->set_drained(true);
    }
    return ChangeTo(std::move(next));
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::QueueRemove(
    const api::QueueRemoveRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    api::Config next = config_;
    if (!RemoveByName(next.mutable_queues(), request.name())) {
      return NoSuch("queue", request.name(), config_.queues());
    }
    return ChangeTo(std::move(next));
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::EgressSet(
    const api::EgressSetRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    api::Config next = config_;
    const absl::Status copied = CopyFields(
        request.egress(), {request.fields().begin(), request.fields().end()},
        *next.mutable_egress());
    if (!copied.ok()) return copied;
    return ChangeTo(std::move(next));
  });
}

absl::StatusOr<api::ConfigShowReply> ControlThread::ConfigShow(
    const api::ConfigShowRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ConfigShowReply> {
    api::ConfigShowReply reply;
    const api::Config& shown = request.defaults() ? full_ : config_;
    reply.set_text(ToYaml(shown));
    *reply.mutable_config() = shown;
    reply.set_generation(generation_);
    return reply;
  });
}

absl::StatusOr<api::ConfigCheckReply> ControlThread::ConfigCheck(
    const api::ConfigCheckRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ConfigCheckReply> {
    const auto loaded = LoadConfig(request.text(), request.filename());
    if (!loaded.ok()) return loaded.status();
    const auto warnings = CheckHere(*loaded);
    if (!warnings.ok()) return warnings.status();
    api::ConfigCheckReply reply;
    reply.set_message("ok");
    for (const std::string& warning : *warnings) {
      *reply.add_warnings() = warning;
    }
    return reply;
  });
}

absl::StatusOr<api::ConfigDiffReply> ControlThread::ConfigDiff(
    const api::ConfigDiffRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ConfigDiffReply> {
    const auto loaded = LoadConfig(request.text(), request.filename());
    if (!loaded.ok()) return loaded.status();
    const auto warnings = CheckHere(*loaded);
    if (!warnings.ok()) return warnings.status();
    api::ConfigDiffReply reply;
    const api::Config next =
        WithMachineDefaults(WithDefaults(loaded->config), ReadMachine());
    for (const std::string& line : Difference(full_, next)) {
      *reply.add_changes() = line;
    }
    for (const std::string& warning : *warnings) {
      *reply.add_warnings() = warning;
    }
    return reply;
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::ConfigApply(
    const api::ConfigApplyRequest& request) {
  if (request.confirm_within_ms() != 0) {
    return NotYet("config apply --confirm-within");
  }
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    const auto loaded = LoadConfig(request.text(), request.filename());
    if (!loaded.ok()) return loaded.status();
    return Change(*loaded);
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::ConfigConfirm(
    const api::ConfigConfirmRequest&) {
  return NotYet("config confirm");
}

absl::StatusOr<api::ChangeReply> ControlThread::ConfigRollback(
    const api::ConfigRollbackRequest&) {
  return NotYet("config rollback");
}

absl::StatusOr<api::ChangeReply> ControlThread::Upgrade(
    const api::UpgradeRequest&) {
  return NotYet("upgrade");
}

absl::StatusOr<api::ConfigSaveReply> ControlThread::ConfigSave(
    const api::ConfigSaveRequest&) {
  return Do([this]() -> absl::StatusOr<api::ConfigSaveReply> {
    const std::string& filename = options_.config_filename;
    const std::string fresh = filename + ".new";
    {
      std::ofstream out(fresh, std::ios::trunc);
      out << ToYaml(config_);
      out.close();
      if (!out) {
        unlink(fresh.c_str());
        return absl::FailedPreconditionError(
            absl::StrCat(fresh, ": can't be written"));
      }
    }
    // The file is the old one or the new one, never half of either.
    if (std::rename(fresh.c_str(), filename.c_str()) != 0) {
      unlink(fresh.c_str());
      return absl::FailedPreconditionError(
          absl::StrCat(filename, ": can't be replaced"));
    }
    api::ConfigSaveReply reply;
    reply.set_generation(generation_);
    reply.set_filename(filename);
    reply.set_message(absl::StrCat("ok, saved to ", filename));
    return reply;
  });
}

absl::StatusOr<api::VersionReply> ControlThread::Version(
    const api::VersionRequest&) {
  api::VersionReply reply;
  reply.set_version(kVersion);
  reply.set_dpdk(rte_version());
  reply.set_compiler(__VERSION__);
  reply.set_config_version(1);
  reply.set_pid(static_cast<uint32_t>(getpid()));
  return reply;
}

}  // namespace godwit
