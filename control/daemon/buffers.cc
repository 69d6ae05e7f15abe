// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon/buffers.h"

#include <string>

#include "dataplane/device/device_spec.h"
#include "dataplane/device/kernel_interface.h"

namespace godwit {
namespace {

using Kind = DeviceSpec::Kind;

// A receive and a transmit ring (EthPortOptions).
constexpr uint64_t kRingSlots = 2 * 1024;

void Add(const std::string& device, unsigned workers, BufferNeeds& needs) {
  const DeviceSpecResult parsed = ParseDeviceSpec(device);
  if (!parsed.spec) return;
  switch (parsed.spec->kind) {
    case Kind::kPci:
    case Kind::kDpdk:
      needs.ring_slots += workers * kRingSlots;  // a pair for each worker
      return;
    case Kind::kXdp:
      // A socket each, and what is sent from elsewhere waits in our pool.
      needs.xsk_sockets += InterfaceRxqs(parsed.spec->target);
      break;
    case Kind::kVeth:
      needs.xsk_sockets += 1;
      break;
    case Kind::kAfPacket:
    case Kind::kTap:
    case Kind::kMemif:
    case Kind::kVhost:
      break;
  }
  needs.ring_slots += kRingSlots;
}

}  // namespace

BufferNeeds BuffersOf(const api::Config& config, unsigned workers) {
  BufferNeeds needs;
  for (const api::Uplink& uplink : config.uplinks()) {
    Add(uplink.device(), workers, needs);
    needs.ring_slots += kRingSlots;  // its TAP
  }
  for (const api::Queue& queue : config.queues()) {
    Add(queue.device(), workers, needs);
  }
  return needs;
}

BufferNeeds SpareBuffers() {
  return {kSpareDevices * kRingSlots, kSpareDevices};
}

}  // namespace godwit
