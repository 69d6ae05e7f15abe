// SPDX-License-Identifier: BSD-3-Clause
// To end so that the next godwitd can go on: it takes the place of this one in
// the same process, on the state and the interfaces that are there.
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "control/intent/defaults.h"
#include "control/intent/difference.h"
#include "control/server/control_thread.h"
#include "control/server/log.h"

namespace godwit {
namespace {

// What a successor reads anew is all that runs: what only a start can change
// may differ.
api::Config WithoutFixed(api::Config config) {
  config.clear_dataplane();
  config.clear_metrics();
  config.clear_control();
  return config;
}

// systemd waits for the READY=1 that the next one says.
void TellSystemdOfReload() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t us = now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
  sd_notify(0, absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", us).c_str());
}

}  // namespace

// A successor that would not start, or would do something else, is none.
absl::Status ControlThread::CheckSuccessor() const {
  const std::string& program = options_.program;
  if (access(program.c_str(), X_OK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(program, ": ", strerror(errno)));
  }
  if (!options_.state->lasts()) {
    return absl::FailedPreconditionError(
        "the flows would be lost: no state outlives this process (the log says "
        "why); a restart withdraws the routes first");
  }
  const std::string& filename = options_.config_filename;
  const auto text = ReadConfigFile(filename);
  if (!text.ok()) return text.status();
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(*text, filename);
  if (!loaded.ok()) return loaded.status();
  const auto warnings = CheckFile(*loaded);
  if (!warnings.ok()) return warnings.status();
  const auto changes = Difference(WithoutFixed(WithDefaults(config_)),
                                  WithoutFixed(WithDefaults(loaded->config)));
  if (!changes.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        filename, " is not what runs (", changes.size(),
        changes.size() == 1 ? " change" : " changes",
        "): `godwitctl config save` keeps what runs, `godwitctl config apply ",
        filename, "` takes the file's"));
  }
  if (WithDefaults(loaded->config).control().socket() !=
      full_.control().socket()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "control.socket: \"", loaded->config.control().socket(),
        "\": state is found by it, so that only a restart can change it"));
  }
  return absl::OkStatus();
}

absl::StatusOr<api::ChangeReply> ControlThread::Upgrade(
    const api::UpgradeRequest&) {
  return Do([this]() -> absl::StatusOr<api::ChangeReply> {
    absl::Status status = history_.CheckNoTrial(Clock::now());
    if (status.ok()) status = CheckSuccessor();
    if (!status.ok()) return status;
    Log("upgrade: ", options_.program, " takes over");
    TellSystemdOfReload();
    upgrading_ = true;
    {
      // Nothing more is posted; whoever asks from here on asks the next.
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    api::ChangeReply reply;
    reply.set_generation(generation_);
    reply.set_message(absl::StrCat("ok, ", options_.program, " takes over"));
    return reply;
  });
}

}  // namespace godwit
