// SPDX-License-Identifier: BSD-3-Clause
// A spec as DPDK spells it: the devices to attach and their arguments.
#ifndef GODWIT_DATAPLANE_DEVICE_VDEV_ARGS_H_
#define GODWIT_DATAPLANE_DEVICE_VDEV_ARGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/device/device_spec.h"
#include "dataplane/device/eth_port.h"

namespace godwit {

struct Vdev {
  std::string bus;        // "vdev" or "pci"
  std::string name;       // unique in the process: "net_memif3"
  std::string arguments;  // "role=server,id=0,..."
};

// What to attach, in order of preference: the first that can be attached is
// the device (a tap has two ways). For AF_XDP, those of receive queue 0.
// Each call gives new names.
std::vector<Vdev> VdevsFor(const DeviceSpec& spec,
                           const EthPortOptions& options);
// The one of an AF_XDP interface's receive queue.
Vdev XskVdev(const std::string& interface, uint16_t rxq);

// Bytes of one of memif's packet buffers for frames of an MTU, two VLAN tags
// included: one frame is never cut (the driver's way of cutting them overruns
// its ring when that is full).
uint16_t MemifBufferSize(uint16_t mtu);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_VDEV_ARGS_H_
