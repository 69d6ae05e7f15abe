// SPDX-License-Identifier: BSD-3-Clause
// Starts DPDK's environment (EAL) inside this process, beside other daemons.
#ifndef GODWIT_DATAPLANE_DEVICE_EAL_H_
#define GODWIT_DATAPLANE_DEVICE_EAL_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace godwit {

struct EalOptions {
  enum class Hugepages : uint8_t {
    kAuto,      // if enough of them are free, else ordinary pages
    kRequired,  // or no start
    kOff,
  };
  // Worker i runs as DPDK lcore i + 1 on worker_cpus[i % size]: more workers
  // than CPUs share them. 1-127 workers; at least one CPU, all of them online.
  uint32_t workers = 1;
  std::vector<uint32_t> worker_cpus;
  // Where the control side (lcore 0, the caller of StartEal) and the threads
  // that it makes later run; empty: on all CPUs that it may use and no worker
  // has, if there is one.
  std::vector<uint32_t> control_cpus;
  Hugepages hugepages = Hugepages::kAuto;
  // With hugepages: reserved at start; more is taken as needed while there
  // are any. Without: the fixed size of DPDK's heap, of which only what is
  // touched costs memory.
  uint32_t memory_mib = 512;
  // What may be needed later: only added where the size is fixed.
  uint32_t spare_mib = 0;
  // Addresses "0000:3b:00.0"; without any the PCI bus is not even looked at.
  std::vector<std::string> pci_devices;
  // Passed on to DPDK behind ours (the config's eal_args).
  std::vector<std::string> extra_args;
};

struct EalMode {
  bool hugepages = false;
  std::string note;  // one line for the log: which pages, and why
};

// Once in a process's life, on the control thread, before any other rte_ call.
// INVALID_ARGUMENT names a bad option, FAILED_PRECONDITION what the machine
// lacks (hugepages) or that it was called before, INTERNAL what the EAL said.
absl::StatusOr<EalMode> StartEal(const EalOptions& options);

// After every EthPort and pool is gone.
void StopEal();

// The hugepages that are free now and promised to nobody, of all sizes, in MiB.
uint64_t FreeHugepagesMib();

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_EAL_H_
