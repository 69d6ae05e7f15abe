// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as a configuration file: no crash, bounded messages, and whatever
// is accepted survives being saved, filled in and compared.
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "control/api/utf8.h"
#include "control/intent/defaults.h"
#include "control/intent/difference.h"
#include "control/intent/load.h"
#include "control/intent/machine.h"
#include "control/intent/save.h"
#include "control/intent/validate.h"
#include "dataplane/net/check.h"

namespace godwit {
namespace {

using google::protobuf::util::MessageDifferencer;

// A machine that has next to nothing, so that every rule has work to do.
Machine BareMachine() {
  Machine machine;
  machine.cpus = {0};
  machine.interfaces = {"lo"};
  return machine;
}

void CheckRefusal(absl::string_view message) {
  GODWIT_CHECK(!message.empty());
  const auto lines = std::count(message.begin(), message.end(), '\n') + 1;
  GODWIT_CHECK(lines <= 21);
  for (const char c : message) {
    GODWIT_CHECK(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  }
  GODWIT_CHECK(IsUtf8(message));
}

void CheckAccepted(const LoadedConfig& loaded) {
  const auto again = LoadConfig(ToYaml(loaded.config), "saved");
  GODWIT_CHECK(again.ok());
  GODWIT_CHECK(MessageDifferencer::Equals(again->config, loaded.config));
  GODWIT_CHECK(CheckConfig(loaded.config).ok());
  const api::Config filled = WithDefaults(loaded.config);
  GODWIT_CHECK(MessageDifferencer::Equals(WithDefaults(filled), filled));
  GODWIT_CHECK(Difference(loaded.config, filled).empty());
  const Machine machine = BareMachine();
  Lines(CheckMachine(loaded.config, machine).errors, loaded.source);
  GODWIT_CHECK(WithMachineDefaults(filled, machine).dataplane().workers() > 0);
  Lines(RefuseNotSupportedYet(loaded.config).errors, loaded.source);
}

}  // namespace
}  // namespace godwit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto loaded = godwit::LoadConfig(text, "f");
  if (loaded.ok()) {
    godwit::CheckAccepted(*loaded);
  } else {
    godwit::CheckRefusal(loaded.status().message());
  }
  return 0;
}
