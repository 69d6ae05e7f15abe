// SPDX-License-Identifier: BSD-3-Clause
// The verbs that change something, and those about the configuration.
#include <algorithm>
#include <chrono>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "control/api/copy_fields.h"
#include "control/intent/defaults.h"
#include "control/intent/difference.h"
#include "control/intent/machine.h"
#include "control/intent/save.h"
#include "control/server/control_thread.h"
#include "control/server/log.h"

namespace godwit {
namespace {

// Time to type a word, and not so much that it is forgotten.
constexpr std::chrono::milliseconds kShortestTrial = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kLongestTrial = std::chrono::hours(24);

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

std::string ServicesWith(const api::Config& config, const std::string& queue) {
  std::string names;
  for (const api::Service& service : config.services()) {
    for (const api::QueueRef& ref : service.queues()) {
      if (ref.queue() != queue) continue;
      absl::StrAppend(&names, names.empty() ? "service \"" : ", \"",
                      service.name(), "\"");
    }
  }
  return names;
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

// The queue `kernel` is of no configuration.
absl::Status CheckNotBuiltIn(const std::string& queue, absl::string_view verb) {
  if (queue != kKernelQueueName) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "queue \"", queue, "\": cannot ", verb,
      " what is built in: the node's own root namespace. A service is taken "
      "off it with `service set NAME --queues=...`: its flows there end then"));
}

}  // namespace

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
    return Apply(std::move(next), absl::StrCat("service set ", name));
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::ServiceRemove(
    const api::ServiceRemoveRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    api::Config next = config_;
    if (!RemoveByName(next.mutable_services(), request.name())) {
      return NoSuch("service", request.name(), config_.services());
    }
    return Apply(std::move(next),
                 absl::StrCat("service remove ", request.name()));
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::QueueSet(
    const api::QueueSetRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    const std::string& name = request.queue().name();
    if (name.empty()) {
      return absl::InvalidArgumentError("a queue needs a name");
    }
    const absl::Status allowed = CheckNotBuiltIn(name, "set");
    if (!allowed.ok()) return allowed;
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
    return Apply(std::move(next), absl::StrCat("queue set ", name));
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::QueueDrain(
    const api::QueueDrainRequest& request) {
  const std::chrono::milliseconds within(request.deadline_ms());
  absl::Status allowed = Drains::Check(within);
  if (allowed.ok()) {
    allowed = CheckNotBuiltIn(request.name(),
                              request.undrain() ? "undrain" : "drain");
  }
  if (!allowed.ok()) return allowed;
  return Do([this, request, within]() -> absl::StatusOr<api::ChangeReply> {
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
    auto reply = Apply(
        std::move(next),
        absl::StrCat(request.undrain() ? "queue undrain " : "queue drain ",
                     request.name()));
    if (reply.ok() && drains_.Set(request.name(), within, Clock::now())) {
      UpdateLiveness(full_);
      Republish("a drain begins anew");
    }
    return reply;
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::QueueRemove(
    const api::QueueRemoveRequest& request) {
  const absl::Status allowed = CheckNotBuiltIn(request.name(), "remove");
  if (!allowed.ok()) return allowed;
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    api::Config next = config_;
    if (!RemoveByName(next.mutable_queues(), request.name())) {
      return NoSuch("queue", request.name(), config_.queues());
    }
    const std::string users = ServicesWith(next, request.name());
    if (!users.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("queue \"", request.name(), "\": is of ", users,
                       ": give that others, or remove it, first"));
    }
    return Apply(std::move(next),
                 absl::StrCat("queue remove ", request.name()));
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
    return Apply(std::move(next), "egress set");
  });
}

absl::StatusOr<api::ConfigShowReply> ControlThread::ConfigShow(
    const api::ConfigShowRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ConfigShowReply> {
    api::ConfigShowReply reply;
    reply.set_generation(generation_);
    *reply.mutable_config() = request.defaults() ? full_ : config_;
    if (request.generation() != 0) {
      const auto kept = history_.Find(request.generation());
      if (!kept.ok()) return kept.status();
      reply.set_generation(kept->generation);
      *reply.mutable_config() =
          request.defaults()
              ? WithMachineDefaults(WithDefaults(kept->config), ReadMachine())
              : kept->config;
    }
    reply.set_text(ToYaml(reply.config()));
    return reply;
  });
}

absl::StatusOr<api::ConfigCheckReply> ControlThread::ConfigCheck(
    const api::ConfigCheckRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ConfigCheckReply> {
    const auto loaded = LoadConfig(request.text(), request.filename());
    if (!loaded.ok()) return loaded.status();
    const auto warnings = CheckFile(*loaded);
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
    const auto warnings = CheckFile(*loaded);
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
  const std::chrono::milliseconds within(request.confirm_within_ms());
  if (within.count() != 0 &&
      (within < kShortestTrial || within > kLongestTrial)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "confirm-within: ", within.count(), "ms is not from 1s to 24h"));
  }
  return Do([this, request, within]() -> absl::StatusOr<api::ChangeReply> {
    const auto loaded = LoadConfig(request.text(), request.filename());
    if (!loaded.ok()) return loaded.status();
    absl::StatusOr<api::ChangeReply> reply =
        Apply(*loaded,
              absl::StrCat("config apply ", absl::CEscape(request.filename())));
    if (!reply.ok() || within.count() == 0) return reply;
    const Clock::time_point now = Clock::now();
    history_.StartTrial(now, within);
    const History::Trial& trial = *history_.trial();
    const std::string until =
        absl::StrCat("back to generation ", trial.back_to.generation, " in ",
                     SecondsLeft(now, trial.deadline), ", unless confirmed");
    Log("generation ", generation_, ": ", until);
    reply->set_message(absl::StrCat(reply->message(), ", ", until));
    return reply;
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::ConfigConfirm(
    const api::ConfigConfirmRequest&) {
  return Do([this]() -> absl::StatusOr<api::ChangeReply> {
    if (!history_.trial()) {
      return absl::FailedPreconditionError(
          absl::StrCat("generation ", generation_,
                       " is in effect for good: nothing waits for `config "
                       "confirm`"));
    }
    history_.EndTrial();
    Log("generation ", generation_, ": confirmed");
    api::ChangeReply reply;
    reply.set_generation(generation_);
    reply.set_message(
        absl::StrCat("ok, generation ", generation_, " is confirmed"));
    return reply;
  });
}

absl::StatusOr<api::ChangeReply> ControlThread::ConfigRollback(
    const api::ConfigRollbackRequest& request) {
  return Do([this, request]() -> absl::StatusOr<api::ChangeReply> {
    const absl::StatusOr<History::Entry> to =
        request.generation() == 0 ? history_.Previous()
                                  : history_.Find(request.generation());
    if (!to.ok()) return to.status();
    const std::string back =
        absl::StrCat("back to generation ", to->generation);
    absl::StatusOr<api::ChangeReply> reply =
        GoBack(*to, absl::StrCat("config rollback: ", back));
    if (reply.ok()) {
      reply->set_message(absl::StrCat(reply->message(), ", ", back));
    }
    return reply;
  });
}

void ControlThread::EndTrialWhenDue() {
  if (!history_.IsDue(Clock::now())) return;
  const uint64_t generation = history_.trial()->generation;
  const History::Entry to = history_.trial()->back_to;
  const absl::Status status =
      GoBack(to, absl::StrCat("generation ", generation,
                              " was not confirmed: back to generation ",
                              to.generation))
          .status();
  if (status.ok()) return;
  const std::string why = absl::StrReplaceAll(status.message(), {{"\n", "; "}});
  if (!history_.RevertFailed(Clock::now(), why)) return;
  Log("generation ", generation, " was not confirmed, but generation ",
      to.generation, " does not come back: ", why, "; it is tried again");
}

void ControlThread::Fill(api::ConfigStatus& out) const {
  out.set_last_change(history_.entries().back().how);
  if (!history_.trial()) return;
  const History::Trial& trial = *history_.trial();
  out.set_unconfirmed(trial.generation);
  out.set_back_to(trial.back_to.generation);
  const std::chrono::duration<double> left = trial.deadline - Clock::now();
  out.set_confirm_left_s(std::max(left.count(), 0.0));
  out.set_revert_failed(trial.failure);
}

absl::StatusOr<api::ConfigHistoryReply> ControlThread::ConfigHistory(
    const api::ConfigHistoryRequest&) {
  return Do([this]() -> absl::StatusOr<api::ConfigHistoryReply> {
    api::ConfigHistoryReply reply;
    const auto& entries = history_.entries();
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      api::ConfigEntry& out = *reply.add_entries();
      out.set_generation(entry->generation);
      out.set_when(absl::FormatTime(absl::RFC3339_sec, entry->when,
                                    absl::UTCTimeZone()));
      out.set_how(entry->how);
      out.set_in_effect(entry == entries.rbegin());
      for (const std::string& line :
           Difference(entry->config, entries.back().config)) {
        *out.add_changes() = line;
      }
    }
    return reply;
  });
}

absl::StatusOr<api::ConfigSaveReply> ControlThread::ConfigSave(
    const api::ConfigSaveRequest&) {
  return Do([this]() -> absl::StatusOr<api::ConfigSaveReply> {
    // A start must not bring back what is about to be taken back.
    const absl::Status free = history_.CheckNoTrial(Clock::now());
    if (!free.ok()) return free;
    const std::string& filename = options_.config_filename;
    const absl::Status saved = SaveTo(filename, config_);
    if (!saved.ok()) return saved;
    api::ConfigSaveReply reply;
    reply.set_generation(generation_);
    reply.set_filename(filename);
    reply.set_message(absl::StrCat("ok, saved to ", filename));
    return reply;
  });
}

}  // namespace godwit
