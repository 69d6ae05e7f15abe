// SPDX-License-Identifier: BSD-3-Clause
//
// Everything that can be said to godwitctl, as data: the parser, the help, the
// completion and the tests all read this one table.
#ifndef GODWIT_CONTROL_CLI_VERBS_H_
#define GODWIT_CONTROL_CLI_VERBS_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace godwit::cli {

enum class Action {
  kStatus,
  kServiceList,
  kServiceShow,
  kServiceSet,
  kServiceRemove,
  kQueueList,
  kQueueShow,
  kQueueSet,
  kQueueDrain,
  kQueueUndrain,
  kQueueRemove,
  kUplinkList,
  kUplinkShow,
  kEgressShow,
  kEgressSet,
  kFlowList,
  kFlowCount,
  kFlowFlush,
  kNeighborList,
  kRouteList,
  kCounters,
  kExplain,
  kConfigShow,
  kConfigCheck,
  kConfigDiff,
  kConfigApply,
  kConfigConfirm,
  kConfigRollback,
  kConfigHistory,
  kConfigSave,
  kUpgrade,
  kVersion,
};

// What stands where a value is expected, so that a shell can complete it.
enum class Names { kNone, kService, kQueue, kUplink, kFile, kGeneration };

// --NAME=VALUE, or --NAME alone where `value` is empty. Of a `set` verb the
// name is the path of the field in the message, as in the config file.
struct Key {
  absl::string_view name;
  absl::string_view value;  // for the help; a|b|c where the choice is closed
  absl::string_view help;
  Names names = Names::kNone;
};

enum class Need { kRequired, kOptional };

struct Argument {
  absl::string_view name;  // for the help; a|b|c where the choice is closed
  absl::string_view help;
  Names names = Names::kNone;
  Need need = Need::kRequired;
};

struct Verb {
  Action action;
  absl::string_view noun;
  absl::string_view verb;  // empty: the noun alone says it
  absl::string_view help;  // one line
  absl::Span<const Argument> arguments;
  absl::Span<const Key> keys;
  absl::string_view examples;  // command lines without the program's name
};

struct Noun {
  absl::string_view name;
  absl::string_view help;  // one line
};

// In the order of the help.
absl::Span<const Noun> Nouns();
absl::Span<const Verb> Verbs();

// Keys that every verb takes.
absl::Span<const Key> CommonKeys();

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_VERBS_H_
