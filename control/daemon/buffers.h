// SPDX-License-Identifier: BSD-3-Clause
// How much memory packets need: taken at the start, before any device is open.
#ifndef GODWIT_CONTROL_DAEMON_BUFFERS_H_
#define GODWIT_CONTROL_DAEMON_BUFFERS_H_

#include <cstdint>

#include "control/api/godwit.pb.h"

namespace godwit {

// Devices that may be added while running, of any kind.
inline constexpr uint32_t kSpareDevices = 8;

struct BufferNeeds {
  uint64_t ring_slots = 0;   // of devices that use the daemon's pool
  uint32_t xsk_sockets = 0;  // each has a pool of its own
};

// Of the devices of a valid `config`, opened for `workers`. An interface that
// is not there yet counts as one receive queue.
BufferNeeds BuffersOf(const api::Config& config, unsigned workers);

// Of kSpareDevices more.
BufferNeeds SpareBuffers();

}  // namespace godwit

#endif  // GODWIT_CONTROL_DAEMON_BUFFERS_H_
