// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/calls.h"

#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "control/api/field_text.h"
#include "control/api/godwit.grpc.pb.h"
#include "control/api/utf8.h"
#include "control/cli/fields.h"
#include "control/cli/json.h"
#include "control/cli/render.h"
#include "control/cli/values.h"
#include "control/intent/load.h"
#include "control/intent/machine.h"
#include "control/ownership/interfaces.h"

namespace godwit::cli {
namespace {

using Stub = api::Godwit::Stub;

// A change is answered when every worker has it, and devices may be slow.
constexpr absl::Duration kChangePatience = absl::Minutes(2);

template <typename Reply>
Answer AnswerWith(const Command& command, const Reply& reply) {
  Answer answer;
  answer.text = command.format == Format::kJson ? Json(reply) : Render(reply);
  if constexpr (requires { reply.warnings(); }) {
    // In JSON they are in the reply itself.
    if (command.format == Format::kTable) {
      answer.warnings.assign(reply.warnings().begin(), reply.warnings().end());
    }
  }
  return answer;
}

template <typename Request, typename Reply>
absl::StatusOr<Answer> Ask(const Command& command, Client& client,
                           Client::Method<Request, Reply> method,
                           const Request& request,
                           absl::Duration patience = absl::Seconds(30)) {
  const absl::StatusOr<Reply> reply = client.Call(method, request, patience);
  if (!reply.ok()) return reply.status();
  return AnswerWith(command, *reply);
}

// A call that needs no more than its name.
template <typename Request, typename Reply>
absl::StatusOr<Answer> Plain(const Command& command, Client& client,
                             Client::Method<Request, Reply> method) {
  return Ask(command, client, method, Request());
}

// `show` is `list` of one; what it prints is the one thing.
template <typename Request, typename Reply, typename Thing>
absl::StatusOr<Answer> Show(
    const Command& command, Client& client,
    Client::Method<Request, Reply> method,
    const google::protobuf::RepeatedPtrField<Thing>& (Reply::*things)() const) {
  Request request;
  request.set_name(command.arguments[0]);
  const absl::StatusOr<Reply> reply = client.Call(method, request);
  if (!reply.ok()) return reply.status();
  if (((*reply).*things)().empty()) {
    return absl::NotFoundError(absl::StrCat(
        "no ", command.verb->noun, " is named \"", command.arguments[0], "\""));
  }
  return AnswerWith(command, ((*reply).*things)().Get(0));
}

template <typename Request, typename Reply>
absl::StatusOr<Answer> ChangeByName(const Command& command, Client& client,
                                    Client::Method<Request, Reply> method,
                                    Request request = {}) {
  request.set_name(command.arguments[0]);
  return Ask(command, client, method, request, kChangePatience);
}

// The keys that were given, as fields of `wanted` and as the list of those to
// take from it.
template <typename Request>
absl::Status SetFields(const Command& command,
                       google::protobuf::Message& wanted, Request& request) {
  for (const auto& [path, text] : command.keys) {
    const absl::Status status = SetField(path, text, wanted);
    if (!status.ok()) return status;
    request.add_fields(path);
  }
  return absl::OkStatus();
}

absl::StatusOr<Answer> ServiceSet(const Command& command, Client& client) {
  api::ServiceSetRequest request;
  request.mutable_service()->set_name(command.arguments[0]);
  const absl::Status status =
      SetFields(command, *request.mutable_service(), request);
  if (!status.ok()) return status;
  return Ask(command, client, &Stub::ServiceSet, request, kChangePatience);
}

absl::StatusOr<Answer> QueueSet(const Command& command, Client& client) {
  api::QueueSetRequest request;
  request.mutable_queue()->set_name(command.arguments[0]);
  const absl::Status status =
      SetFields(command, *request.mutable_queue(), request);
  if (!status.ok()) return status;
  return Ask(command, client, &Stub::QueueSet, request, kChangePatience);
}

absl::StatusOr<Answer> EgressSet(const Command& command, Client& client) {
  api::EgressSetRequest request;
  const absl::Status status =
      SetFields(command, *request.mutable_egress(), request);
  if (!status.ok()) return status;
  return Ask(command, client, &Stub::EgressSet, request, kChangePatience);
}

std::string KeyOr(const Command& command, const std::string& key,
                  const std::string& otherwise) {
  const auto it = command.keys.find(key);
  return it == command.keys.end() ? otherwise : it->second;
}

template <typename Request, typename Reply>
absl::StatusOr<Answer> AskForFlows(const Command& command, Client& client,
                                   Client::Method<Request, Reply> method) {
  Request request;
  api::FlowFilter& filter = *request.mutable_filter();
  filter.set_service(KeyOr(command, "service", ""));
  filter.set_client(KeyOr(command, "client", ""));
  filter.set_proto(KeyOr(command, "proto", ""));
  const std::string text = KeyOr(command, "limit", "0");
  uint64_t limit = 0;
  if (!absl::SimpleAtoi(text, &limit) ||
      (limit == 0 && command.keys.contains("limit"))) {
    return absl::InvalidArgumentError(
        absl::StrCat("limit: \"", text, "\" is not a whole number from 1 up"));
  }
  filter.set_limit(limit);
  return Ask(command, client, method, request);
}

absl::StatusOr<Answer> Counters(const Command& command, Client& client) {
  absl::StatusOr<api::CountersReply> reply =
      client.Call(&Stub::Counters, api::CountersRequest());
  if (!reply.ok()) return reply.status();
  if (command.keys.contains("nonzero")) DropZeros(*reply);
  if (!command.keys.contains("drops")) return AnswerWith(command, *reply);
  return Answer{
      command.format == Format::kJson ? DropsJson(*reply) : RenderDrops(*reply),
      {}};
}

absl::StatusOr<Answer> Explain(const Command& command, Client& client) {
  api::ExplainRequest request;
  request.set_proto(command.arguments[0]);
  request.set_src(command.arguments[1]);
  request.set_dst(command.arguments[2]);
  request.set_from(KeyOr(command, "from", ""));
  return Ask(command, client, &Stub::Explain, request);
}

template <typename Request, typename Reply>
absl::StatusOr<Answer> SendFile(const Command& command, Client& client,
                                Client::Method<Request, Reply> method,
                                Request request = {}) {
  absl::StatusOr<std::string> text = ReadFile(command.arguments[0]);
  if (!text.ok()) return text.status();
  if (!IsUtf8(*text)) {
    // It can't be sent; the daemon would say the same.
    const absl::Status status =
        LoadConfig(*text, command.arguments[0]).status();
    if (!status.ok()) return status;
  }
  request.set_text(*std::move(text));
  request.set_filename(command.arguments[0]);
  return Ask(command, client, method, request, kChangePatience);
}

absl::StatusOr<Answer> ConfigApply(const Command& command, Client& client) {
  api::ConfigApplyRequest request;
  const auto within = command.keys.find("confirm-within");
  if (within != command.keys.end()) {
    const absl::StatusOr<int64_t> trial_ms = ReadTrial(within->second);
    if (!trial_ms.ok()) return trial_ms.status();
    request.set_confirm_within_ms(*trial_ms);
  }
  return SendFile(command, client, &Stub::ConfigApply, std::move(request));
}

absl::StatusOr<Answer> ConfigRollback(const Command& command, Client& client) {
  api::ConfigRollbackRequest request;
  if (!command.arguments.empty()) {
    const absl::StatusOr<uint64_t> generation =
        ReadGeneration(command.arguments[0]);
    if (!generation.ok()) return generation.status();
    request.set_generation(*generation);
  }
  return Ask(command, client, &Stub::ConfigRollback, request, kChangePatience);
}

absl::StatusOr<Answer> QueueDrain(const Command& command, Client& client) {
  api::QueueDrainRequest request;
  const auto deadline = command.keys.find("deadline");
  if (deadline != command.keys.end()) {
    const absl::StatusOr<int64_t> time_ms = ReadDeadline(deadline->second);
    if (!time_ms.ok()) return time_ms.status();
    request.set_deadline_ms(*time_ms);
  }
  return ChangeByName(command, client, &Stub::QueueDrain, request);
}

absl::StatusOr<Answer> QueueUndrain(const Command& command, Client& client) {
  api::QueueDrainRequest request;
  request.set_undrain(true);
  return ChangeByName(command, client, &Stub::QueueDrain, request);
}

absl::StatusOr<Answer> ConfigShow(const Command& command, Client& client) {
  api::ConfigShowRequest request;
  request.set_defaults(command.keys.contains("defaults"));
  const auto generation = command.keys.find("generation");
  if (generation != command.keys.end()) {
    const absl::StatusOr<uint64_t> asked = ReadGeneration(generation->second);
    if (!asked.ok()) return asked.status();
    request.set_generation(*asked);
  }
  return Ask(command, client, &Stub::ConfigShow, request);
}

absl::StatusOr<Answer> Version(const Command& command, Client& client) {
  absl::StatusOr<api::VersionReply> reply =
      client.Call(&Stub::Version, api::VersionRequest());
  if (!reply.ok()) return reply.status();
  reply->set_client(GODWIT_VERSION);
  return AnswerWith(command, *reply);
}

absl::StatusOr<Answer> Upgrade(const Command& command, Client& client) {
  const absl::StatusOr<api::ChangeReply> agreed =
      client.Call(&Stub::Upgrade, api::UpgradeRequest(), kChangePatience);
  if (!agreed.ok()) return agreed.status();
  const auto done = client.AwaitNext(kChangePatience);
  if (!done.ok()) return done.status();
  return AnswerWith(command, *done);
}

struct Call {
  Action action;
  absl::StatusOr<Answer> (*perform)(const Command&, Client&);
};

constexpr Call kCalls[] = {
    {Action::kStatus,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::Status);
     }},
    {Action::kServiceList,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::ServiceList);
     }},
    {Action::kServiceShow,
     [](const Command& command, Client& client) {
       return Show(command, client, &Stub::ServiceList,
                   &api::ServiceListReply::services);
     }},
    {Action::kServiceSet, ServiceSet},
    {Action::kServiceRemove,
     [](const Command& command, Client& client) {
       return ChangeByName(command, client, &Stub::ServiceRemove);
     }},
    {Action::kQueueList,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::QueueList);
     }},
    {Action::kQueueShow,
     [](const Command& command, Client& client) {
       return Show(command, client, &Stub::QueueList,
                   &api::QueueListReply::queues);
     }},
    {Action::kQueueSet, QueueSet},
    {Action::kQueueDrain, QueueDrain},
    {Action::kQueueUndrain, QueueUndrain},
    {Action::kQueueRemove,
     [](const Command& command, Client& client) {
       return ChangeByName(command, client, &Stub::QueueRemove);
     }},
    {Action::kUplinkList,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::UplinkList);
     }},
    {Action::kUplinkShow,
     [](const Command& command, Client& client) {
       return Show(command, client, &Stub::UplinkList,
                   &api::UplinkListReply::uplinks);
     }},
    {Action::kEgressShow,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::EgressShow);
     }},
    {Action::kEgressSet, EgressSet},
    {Action::kFlowList,
     [](const Command& command, Client& client) {
       return AskForFlows(command, client, &Stub::FlowList);
     }},
    {Action::kFlowCount,
     [](const Command& command, Client& client) {
       return AskForFlows(command, client, &Stub::FlowCount);
     }},
    {Action::kFlowFlush,
     [](const Command& command, Client& client) {
       return AskForFlows(command, client, &Stub::FlowFlush);
     }},
    {Action::kNeighborList,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::NeighborList);
     }},
    {Action::kRouteList,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::RouteList);
     }},
    {Action::kCounters, Counters},
    {Action::kExplain, Explain},
    {Action::kConfigShow, ConfigShow},
    {Action::kConfigCheck,
     [](const Command& command, Client& client) {
       return SendFile(command, client, &Stub::ConfigCheck);
     }},
    {Action::kConfigDiff,
     [](const Command& command, Client& client) {
       return SendFile(command, client, &Stub::ConfigDiff);
     }},
    {Action::kConfigApply, ConfigApply},
    {Action::kConfigConfirm,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::ConfigConfirm);
     }},
    {Action::kConfigRollback, ConfigRollback},
    {Action::kConfigHistory,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::ConfigHistory);
     }},
    {Action::kConfigSave,
     [](const Command& command, Client& client) {
       return Plain(command, client, &Stub::ConfigSave);
     }},
    {Action::kUpgrade, Upgrade},
    {Action::kVersion, Version},
};

constexpr bool OneOfEach() {
  for (size_t i = 0; i < std::size(kCalls); ++i) {
    if (kCalls[i].action != static_cast<Action>(i)) return false;
  }
  return std::size(kCalls) == static_cast<size_t>(Action::kVersion) + 1;
}
static_assert(OneOfEach(), "one call for each action, in their order");

}  // namespace

absl::StatusOr<Answer> Perform(const Command& command, Client& client) {
  return kCalls[static_cast<size_t>(command.verb->action)].perform(command,
                                                                   client);
}

// By the functions that a starting daemon asks, so that both say the same.
absl::StatusOr<Answer> CheckWithoutDaemon(const Command& command) {
  const absl::StatusOr<std::string> text = ReadFile(command.arguments[0]);
  if (!text.ok()) return text.status();
  const absl::StatusOr<LoadedConfig> loaded =
      LoadConfig(*text, command.arguments[0]);
  if (!loaded.ok()) return loaded.status();
  api::ConfigCheckReply reply;
  const bool is_for_another = command.keys.contains("file-only");
  const auto warnings =
      is_for_another ? CheckAnywhere(*loaded)
                     : CheckHere(*loaded, ReadMachine(),
                                 CheckInterfaces(loaded->config, NameHolds()));
  if (!warnings.ok()) return warnings.status();
  reply.set_message(is_for_another
                        ? "ok (the file alone: no machine was looked at)"
                        : "ok (no daemon was asked: this machine was)");
  for (const std::string& warning : *warnings) reply.add_warnings(warning);
  return AnswerWith(command, reply);
}

Answer VersionWithoutDaemon(const Command& command) {
  api::VersionReply reply;
  reply.set_client(GODWIT_VERSION);
  return AnswerWith(command, reply);
}

}  // namespace godwit::cli
