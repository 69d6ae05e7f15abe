// SPDX-License-Identifier: BSD-3-Clause
// godwitd: wiring in order of start, undone in reverse. Decides nothing.
#include <signal.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control/announce/owner.h"
#include "control/api/field_text.h"
#include "control/daemon/buffers.h"
#include "control/daemon/successor.h"
#include "control/daemon/watchdog.h"
#include "control/health/runner.h"
#include "control/intent/defaults.h"
#include "control/intent/listen.h"
#include "control/intent/load.h"
#include "control/intent/machine.h"
#include "control/intent/validate.h"
#include "control/ownership/interfaces.h"
#include "control/ownership/leftovers.h"
#include "control/server/control_thread.h"
#include "control/server/log.h"
#include "control/server/metrics.h"
#include "control/server/service.h"
#include "control/server/version.h"
#include "control/state/state_keeper.h"
#include "dataplane/device/eal.h"
#include "dataplane/device/mbuf_pool.h"
#include "dataplane/stage/burst.h"
#include "dataplane/stage/handoff.h"
#include "dataplane/table/token_bucket.h"

namespace godwit {
namespace {

// An AF_XDP socket's rings together; each has a pool of its own.
constexpr uint64_t kXskSlots = 5 * 1024;
// What DPDK and its drivers take beside buffers: 8 with four devices. Where the
// size is fixed, room for any number of them.
constexpr uint32_t kDriversMib = 32;
constexpr uint32_t kSpareDriversMib = 256 - kDriversMib;
constexpr char kStateFolder[] = "/run/godwit";

struct Options {
  std::string config = "/etc/godwit/godwit.yaml";
  std::string socket;
  char** argv = nullptr;  // of main()
};

EalOptions EalOptionsOf(const api::Config& config, unsigned workers) {
  EalOptions options;
  const api::Dataplane& dataplane = config.dataplane();
  options.workers = workers;
  options.worker_cpus.assign(dataplane.cpus().begin(), dataplane.cpus().end());
  switch (dataplane.hugepages()) {
    case api::Dataplane::REQUIRED:
      options.hugepages = EalOptions::Hugepages::kRequired;
      break;
    case api::Dataplane::OFF:
      options.hugepages = EalOptions::Hugepages::kOff;
      break;
    default:
      options.hugepages = EalOptions::Hugepages::kAuto;
      break;
  }
  options.extra_args.assign(dataplane.eal_args().begin(),
                            dataplane.eal_args().end());
  const auto add_pci = [&options](const std::string& text) {
    const DeviceSpecResult parsed = ParseDeviceSpec(text);
    if (parsed.spec && parsed.spec->kind == DeviceSpec::Kind::kPci) {
      options.pci_devices.push_back(parsed.spec->target);
    }
  };
  for (const api::Uplink& uplink : config.uplinks()) add_pci(uplink.device());
  for (const api::Queue& queue : config.queues()) add_pci(queue.device());
  return options;
}

// More workers than CPUs share them, so none may keep one to itself.
Idle IdleOf(const api::Dataplane& dataplane, unsigned workers) {
  if (dataplane.idle() == api::Dataplane::ADAPTIVE) return Idle::kAdaptive;
  return workers > static_cast<unsigned>(dataplane.cpus_size()) ? Idle::kYield
                                                                : Idle::kPoll;
}

HugePages HugePagesOf(const api::Dataplane& dataplane) {
  switch (dataplane.hugepages()) {
    case api::Dataplane::REQUIRED:
      return HugePages::kRequired;
    case api::Dataplane::OFF:
      return HugePages::kOff;
    default:
      return HugePages::kAuto;
  }
}

// The field of the config that is at the bottom of what StartEal() says.
absl::Status WithField(const api::Dataplane& dataplane,
                       const absl::Status& status) {
  std::string field = "dataplane";
  if (absl::IsInvalidArgument(status)) {
    field = "dataplane.cpus";
  } else if (absl::IsFailedPrecondition(status)) {
    field = "dataplane.hugepages";
  } else if (dataplane.eal_args_size() > 0) {
    field = absl::StrCat("dataplane.eal_args: ",
                         Quoted(absl::StrJoin(dataplane.eal_args(), " ")));
  }
  return absl::Status(status.code(),
                      absl::StrCat(field, ": ", status.message()));
}

// The HTTP library has no reason to tell; the system has.
absl::Status WithReason(const api::Metrics& metrics,
                        const absl::Status& status) {
  const auto where = AddressAndPort::Parse(metrics.listen());
  if (status.ok() || !where) return status;
  const std::string why_not = WhyNotListen(*where);
  if (why_not.empty()) return status;
  return absl::UnavailableError(absl::StrCat(
      "metrics.listen: ", Quoted(metrics.listen()), " is not ", why_not));
}

// What a part says of its field, `PATH: MESSAGE`, with the file and the line.
absl::Status AtLine(const absl::Status& status, const Source& source) {
  const std::string message(status.message());
  const size_t colon = message.find(": ");
  if (status.ok() || colon == message.npos ||
      absl::StartsWith(message, source.filename + ":")) {
    return status;
  }
  return ToStatus({{message.substr(0, colon), message.substr(colon + 2)}},
                  source);
}

// DPDK's environment, and the buffers of all devices.
absl::StatusOr<rte_mempool*> StartMemory(const api::Config& config,
                                         unsigned workers) {
  EalOptions eal = EalOptionsOf(config, workers);
  const BufferNeeds needs = BuffersOf(config, workers);
  const BufferNeeds spare = SpareBuffers();
  MbufPoolOptions pool;
  pool.name = "godwit";
  pool.count = MbufCount(needs.ring_slots + spare.ring_slots, workers);
  pool.meta_size = sizeof(PacketTag);
  const auto mib_of = [&pool](uint32_t count, bool paged) {
    return MbufPoolMib(count, pool.meta_size, pool.data_room, paged);
  };
  const uint32_t xsk_pool =
      mib_of(MbufCount(kXskSlots, workers + 1), /*paged=*/true);
  const uint32_t shared_pool = mib_of(pool.count, /*paged=*/false);
  const uint64_t handoff =
      uint64_t{workers} * workers * Handoff::kRingSize * sizeof(rte_mbuf*) >>
      20;
  eal.memory_mib = kDriversMib + static_cast<uint32_t>(handoff) + shared_pool +
                   needs.xsk_sockets * xsk_pool;
  eal.spare_mib = kSpareDriversMib + mib_of(pool.count, /*paged=*/true) -
                  shared_pool + spare.xsk_sockets * xsk_pool;
  const auto mode = StartEal(eal);
  if (!mode.ok()) return WithField(config.dataplane(), mode.status());
  Log(mode->note);
  const auto created = CreateMbufPool(pool);
  if (created.ok()) return created;
  return absl::ResourceExhaustedError(
      absl::StrCat("dataplane.hugepages: ", created.status().message()));
}

// The longest that a flow may stay without a packet.
uint32_t LongestTimeout(const api::Timeouts& timeouts) {
  int64_t longest = 0;
  for (const auto* timeout :
       {&timeouts.tcp_established(), &timeouts.tcp_transitory(),
        &timeouts.udp(), &timeouts.icmp()}) {
    longest = std::max(longest, timeout->seconds() + 1);
  }
  return static_cast<uint32_t>(longest * TokenBucket::kTicksPerSecond);
}

absl::StatusOr<std::unique_ptr<WorkerSet>> MakeWorkers(
    const api::Config& config, rte_mempool* pool, StateKeeper& state) {
  state.Read(LongestTimeout(config.egress().timeouts()));
  const api::Dataplane& dataplane = config.dataplane();
  WorkerSet::Options options;
  options.workers = dataplane.workers();
  options.max_flows = dataplane.max_flows();
  options.idle = IdleOf(dataplane, options.workers);
  options.huge_pages = HugePagesOf(dataplane);
  options.pool = pool;
  options.identity = state.identity();
  options.entries =
      state.MakeEntries(options.workers, WorkerSet::EntriesOf(options));
  auto set = WorkerSet::Create(options);
  if (set.ok()) return set;
  return absl::ResourceExhaustedError(absl::StrCat(
      "dataplane.max_flows: ", Quoted(absl::StrCat(options.max_flows)), ": ",
      set.status().message()));
}

// The signal that is to end this run. SIGHUP is none: it means a new file to
// many programs, or that a terminal is gone, and the node goes on serving.
int AwaitStop(const sigset_t& signals) {
  int signal_number = 0;
  while (sigwait(&signals, &signal_number) == 0 && signal_number == SIGHUP) {
    Log("SIGHUP: nothing is changed: `godwitctl config apply FILE` reads a "
        "file anew");
  }
  return signal_number;
}

// The first ends it; and while the node lingers, who asks once more does not
// want to wait.
void FollowSignals(const sigset_t& signals, const std::atomic<bool>& ended,
                   ControlThread& control) {
  constexpr timespec kLook{0, 50'000'000};
  Log("stopping: ", strsignal(AwaitStop(signals)));
  sd_notify(0, "STOPPING=1");
  control.Stop();
  while (!ended) {
    const int number = sigtimedwait(&signals, nullptr, &kLook);
    if (number == SIGTERM || number == SIGINT) control.Stop();
  }
}

// systemd kills what takes longer than it was told.
void TellSystemdOfLinger(std::chrono::steady_clock::duration linger) {
  constexpr auto kRest = std::chrono::seconds(30);
  const auto left =
      std::chrono::duration_cast<std::chrono::microseconds>(linger + kRest);
  sd_notify(0, absl::StrCat("EXTEND_TIMEOUT_USEC=", left.count()).c_str());
}

// Before anything is open: what is missing here, all of it at once. Whether the
// metrics can be listened on shows when that is done, last: where another
// daemon has the devices too, those are what matters.
absl::Status CheckStart(const api::Control& where, const Source& asked,
                        const LoadedConfig& loaded) {
  const absl::Status place = ControlServer::CheckPlace(where);
  if (!place.ok()) return AtLine(place, asked);
  Machine machine = ReadMachine();
  machine.why_not_listen = nullptr;
  return CheckHere(loaded, machine, CheckInterfaces(loaded.config, NameHolds()))
      .status();
}

void Tell(const std::string& line) { Log(line); }

// The workers have stopped. An upgrade does not come back.
void Leave(const ControlThread& control, char** argv, StateKeeper& state) {
  if (!control.upgrading()) return state.Rest();
  Log("upgrade: ",
      Become(control.program(), argv, control.carriers()).message());
  std::_Exit(1);
}

// The devices are open.
absl::Status StartWorkers(WorkerSet& workers, ControlThread& control) {
  DropInherited();
  const absl::Status started = workers.Start();
  if (started.ok()) control.AwaitGateways();
  return started;
}

absl::Status Serve(const Options& options, const LoadedConfig& loaded,
                   const sigset_t& signals) {
  const api::Config config =
      WithMachineDefaults(WithDefaults(loaded.config), ReadMachine());
  // Of this run alone: not part of the configuration, so a file without it
  // can be applied.
  api::Control where = config.control();
  if (!options.socket.empty()) where.set_socket(options.socket);
  // `--socket` is no line of the file.
  const Source asked = options.socket.empty() ? loaded.source : Source();
  absl::Status status = CheckStart(where, asked, loaded);
  if (!status.ok()) return status;
  const unsigned workers = config.dataplane().workers();
  const auto pool = StartMemory(config, workers);
  if (!pool.ok()) return AtLine(pool.status(), loaded.source);
  StateKeeper state(kStateFolder, where.socket(), Tell);
  auto set = MakeWorkers(config, *pool, state);
  if (!set.ok()) return AtLine(set.status(), loaded.source);
  DeviceSet device_set({workers, *pool});
  Watchdog watchdog(
      WatchdogLimit(), workers,
      [&set](unsigned worker) { return (*set)->TurnsOf(worker); }, TellSystemd);
  ControlThread control({options.config,
                         set->get(),
                         &device_set,
                         &state,
                         ProgramFile(),
                         {"/proc/self/exe", "--run-checks"},
                         {"/proc/self/exe", "--own-routes"},
                         [&watchdog](auto now) { watchdog.Look(now); },
                         TellSystemdOfLinger});
  const auto begun = control.Begin(loaded);
  status = begun.status();
  if (status.ok()) status = StartWorkers(**set, control);
  std::unique_ptr<ControlServer> server;
  std::unique_ptr<MetricsServer> metrics;
  if (status.ok()) {
    auto started = ControlServer::Start(where, control);
    status = AtLine(started.status(), asked);
    if (started.ok()) server = *std::move(started);
  }
  if (status.ok()) {
    auto started = MetricsServer::Start(config.metrics(), control);
    status =
        AtLine(WithReason(config.metrics(), started.status()), loaded.source);
    if (started.ok()) metrics = *std::move(started);
  }
  std::thread signal_thread;
  std::atomic<bool> ended = false;
  if (status.ok()) {
    if (!server->warning().empty()) Log(server->warning());
    for (const std::string& warning : begun->warnings()) Log(warning);
    signal_thread =
        std::thread([&] { FollowSignals(signals, ended, control); });
    Log("ready: ", workers, workers == 1 ? " worker" : " workers");
    sd_notify(0, "READY=1");
  } else {
    control.Stop();
  }
  control.Run([&] {
    metrics.reset();
    if (server != nullptr) server->Shutdown();
    (*set)->Stop();
    Leave(control, options.argv, state);
  });
  ended = true;
  if (signal_thread.joinable()) signal_thread.join();
  return status;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("godwitd: the dataplane of an anycast node");
  app.add_option("--config", options.config, "the configuration file");
  app.add_option("--socket", options.socket,
                 "the control socket, in place of control.socket");
  app.set_version_flag("--version", kVersion);
  // Not for people: the daemon starts itself with it (control/health).
  bool run_checks = false;
  app.add_flag("--run-checks", run_checks)->group("");
  bool own_routes = false;  // the same (control/announce)
  app.add_flag("--own-routes", own_routes)->group("");
  CLI11_PARSE(app, argc, argv);
  if (run_checks) return RunChecks(kRunnerFd);
  if (own_routes) return OwnRoutes(kOwnerFd, RemoveSteering);
  options.argv = argv;
  BeginLife();
  // Blocked here, so that every thread made later leaves them to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const auto text = ReadConfigFile(options.config);
  if (!text.ok()) {
    Log(text.status().message());
    return 1;
  }
  const auto loaded = LoadConfig(*text, options.config);
  if (!loaded.ok()) {
    std::fprintf(stderr, "%s\n",
                 std::string(loaded.status().message()).c_str());
    return 1;
  }
  const absl::Status served = Serve(options, *loaded, signals);
  if (!served.ok()) {
    std::fprintf(stderr, "%s\n", std::string(served.message()).c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) { return godwit::Main(argc, argv); }
