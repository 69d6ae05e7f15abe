// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/eal.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>

#include "dataplane/device/eal_log.h"

namespace godwit {
namespace {

constexpr char kHugepagesFolder[] = "/sys/kernel/mm/hugepages";
constexpr char kRunFolder[] = "/run/godwit";
constexpr char kTurnFile[] = "/run/godwit/hugepages.lock";
// 10 s: some times what a start takes.
constexpr int kTurnLooks = 1000;
constexpr useconds_t kTurnLookUs = 10'000;
// Of DPDK's 128 lcores the first is the control side's.
constexpr uint32_t kMaxWorkers = RTE_MAX_LCORE - 1;

uint64_t ReadNumber(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  file >> value;
  return file.fail() ? 0 : value;
}

// The CPUs that this process may use.
std::vector<uint32_t> AllowedCpus() {
  std::vector<uint32_t> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
  for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// The CPUs left beside `workers`; all where none is.
std::vector<uint32_t> OthersThan(const std::vector<uint32_t>& workers) {
  const std::vector<uint32_t> allowed = AllowedCpus();
  std::vector<uint32_t> others;
  std::copy_if(allowed.begin(), allowed.end(), std::back_inserter(others),
               [&workers](uint32_t cpu) {
                 return std::find(workers.begin(), workers.end(), cpu) ==
                        workers.end();
               });
  return others.empty() ? allowed : others;
}

absl::Status CheckCpus(const std::vector<uint32_t>& cpus) {
  const std::vector<uint32_t> allowed = AllowedCpus();
  for (uint32_t cpu : cpus) {
    if (std::find(allowed.begin(), allowed.end(), cpu) == allowed.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("CPU ", cpu, ": this process may use ",
                       absl::StrJoin(allowed, ", ")));
    }
  }
  return absl::OkStatus();
}

// Held from the counting of free hugepages until they are taken: of two that
// start at once the second counts what the first has left. A process that dies
// lets go of it; for one that neither starts nor dies nobody waits longer than
// this. Without the right to the file there is no turn to wait for.
class HugepagesTurn {
 public:
  HugepagesTurn() {
    mkdir(kRunFolder, 0755);
    fd_ = open(kTurnFile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    for (int look = 0; fd_ >= 0 && look < kTurnLooks; ++look) {
      if (flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
      usleep(kTurnLookUs);
    }
  }
  ~HugepagesTurn() {
    if (fd_ >= 0) close(fd_);
  }
  HugepagesTurn(const HugepagesTurn&) = delete;
  HugepagesTurn& operator=(const HugepagesTurn&) = delete;

 private:
  int fd_ = -1;
};

// "0@(0,1),1@(2),2@(3)": lcore i + 1 is worker i.
std::string Lcores(const EalOptions& options) {
  const std::vector<uint32_t> control = options.control_cpus.empty()
                                            ? OthersThan(options.worker_cpus)
                                            : options.control_cpus;
  std::string text = absl::StrCat("0@(", absl::StrJoin(control, ","), ")");
  for (uint32_t i = 0; i < options.workers; ++i) {
    absl::StrAppend(&text, ",", i + 1, "@(",
                    options.worker_cpus[i % options.worker_cpus.size()], ")");
  }
  return text;
}

// Chooses the pages; the EAL can't be asked to try, it can be started once.
absl::StatusOr<EalMode> ChoosePages(const EalOptions& options) {
  using Hugepages = EalOptions::Hugepages;
  if (options.hugepages == Hugepages::kOff) {
    return EalMode{false, "hugepages: off, as configured"};
  }
  const uint64_t free_mib = FreeHugepagesMib();
  if (free_mib >= options.memory_mib) {
    return EalMode{true,
                   absl::StrCat("hugepages: on, ", free_mib, " MiB free, ",
                                options.memory_mib, " MiB reserved")};
  }
  const std::string lack =
      absl::StrCat(free_mib, " MiB free, ", options.memory_mib, " MiB wanted");
  if (options.hugepages == Hugepages::kRequired) {
    return absl::FailedPreconditionError(
        absl::StrCat("hugepages: required, but ", lack));
  }
  return EalMode{false, absl::StrCat("hugepages: off, ", lack)};
}

std::vector<std::string> Arguments(const EalOptions& options,
                                   const EalMode& mode) {
  std::vector<std::string> arguments = {
      "godwitd",
      absl::StrCat("--lcores=", Lcores(options)),
      "--main-lcore=0",
      // Several daemons live on one machine: nothing is shared, and no name
      // of one is another's.
      absl::StrCat("--file-prefix=godwit", getpid()),
      "--no-telemetry",
      "--log-level=warning",
      "-m",
      absl::StrCat(options.memory_mib +
                   (mode.hugepages ? 0 : options.spare_mib)),
  };
  if (mode.hugepages) {
    arguments.push_back("--in-memory");  // refused together with --no-huge
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "--no-shconf"});
  }
  if (options.pci_devices.empty()) {
    // Virtual devices alone: so that a pool is one piece, as AF_XDP needs it.
    arguments.insert(arguments.end(), {"--no-pci", "--iova-mode=va"});
  }
  for (const std::string& address : options.pci_devices) {
    arguments.insert(arguments.end(), {"-a", address});
  }
  arguments.insert(arguments.end(), options.extra_args.begin(),
                   options.extra_args.end());
  return arguments;
}

}  // namespace

uint64_t FreeHugepagesMib() {
  DIR* folder = opendir(kHugepagesFolder);
  if (folder == nullptr) return 0;
  uint64_t kib = 0;
  while (const dirent* entry = readdir(folder)) {
    // "hugepages-2048kB"
    const std::string name = entry->d_name;
    const size_t dash = name.find('-');
    uint64_t page_kib = 0;
    if (dash == name.npos || !name.ends_with("kB") ||
        !absl::SimpleAtoi(name.substr(dash + 1, name.size() - dash - 3),
                          &page_kib)) {
      continue;
    }
    const std::string pages = absl::StrCat(kHugepagesFolder, "/", name, "/");
    const uint64_t free = ReadNumber(pages + "free_hugepages");
    // Mapped by somebody, and free only until it is touched.
    const uint64_t promised = ReadNumber(pages + "resv_hugepages");
    kib += page_kib * (free - std::min(free, promised));
  }
  closedir(folder);
  return kib / 1024;
}

absl::StatusOr<EalMode> StartEal(const EalOptions& options) {
  static bool started = false;
  if (started) return absl::FailedPreconditionError("EAL: started already");
  if (options.workers == 0 || options.workers > kMaxWorkers) {
    return absl::InvalidArgumentError(
        absl::StrCat("workers: ", options.workers, " is not 1-", kMaxWorkers));
  }
  if (options.worker_cpus.empty()) {
    return absl::InvalidArgumentError("cpus: none given for the workers");
  }
  if (absl::Status s = CheckCpus(options.worker_cpus); !s.ok()) return s;
  if (absl::Status s = CheckCpus(options.control_cpus); !s.ok()) return s;
  std::unique_ptr<HugepagesTurn> turn;
  if (options.hugepages != EalOptions::Hugepages::kOff) {
    turn = std::make_unique<HugepagesTurn>();
  }
  absl::StatusOr<EalMode> mode = ChoosePages(options);
  if (!mode.ok()) return mode;
  if (!mode->hugepages) turn.reset();

  InstallEalLog();
  // libxdp's dispatcher pins objects by interface index in bpffs, where those
  // of a crashed run stay; one plain program for an interface needs none.
  setenv("LIBXDP_SKIP_DISPATCHER", "1", /*overwrite=*/0);
  // The EAL keeps pointers into what it is given, and permutes it.
  static std::vector<std::string>& arguments = *new std::vector<std::string>;
  arguments = Arguments(options, *mode);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  started = true;
  const EalLogCapture capture;
  if (rte_eal_init(static_cast<int>(argv.size()) - 1, argv.data()) < 0) {
    return absl::InternalError(
        absl::StrCat("EAL: ", rte_strerror(rte_errno), capture.Why()));
  }
  // Nothing is shared, so nothing is in it; and a killed process leaves none.
  rmdir(rte_eal_get_runtime_dir());
  mode->hugepages = rte_eal_has_hugepages() != 0;  // eal_args may say otherwise
  return mode;
}

void StopEal() { rte_eal_cleanup(); }

}  // namespace godwit
