// SPDX-License-Identifier: BSD-3-Clause
// DPDK without a NIC: ring devices whose far ends a test holds, and a pool of
// real buffers. One set for a process, because the EAL starts once.
#ifndef GODWIT_TESTS_SUPPORT_LANES_H_
#define GODWIT_TESTS_SUPPORT_LANES_H_

#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <cstdint>

namespace godwit {

class Lanes {
 public:
  static constexpr unsigned kDevices = 16;
  static constexpr unsigned kLanes = 5;  // rxqs and txqs of each device
  static constexpr unsigned kRingSize = 1024;
  static constexpr unsigned kBuffers = 4095;

  // What buffers lie in. Tests run side by side on ordinary pages; what is
  // timed takes huge ones, as a node has them, where enough are free.
  enum class Pages { kOrdinary, kHugeIfFree };

  // Starts the EAL when first called, then as `pages` says. Aborts where it
  // can't.
  static Lanes& Get(Pages pages = Pages::kOrdinary);

  // `device` is in [0, kDevices), `lane` in [0, kLanes).
  uint16_t eth_port(unsigned device) const { return ends_[device].eth_port; }
  // What is put here the device receives.
  rte_ring* rx(unsigned device, unsigned lane) {
    return ends_[device].rx[lane];
  }
  // What the device sends comes out here.
  rte_ring* tx(unsigned device, unsigned lane) {
    return ends_[device].tx[lane];
  }
  rte_mempool* pool() { return pool_; }
  // Buffers that somebody has.
  unsigned buffers_in_use() const { return rte_mempool_in_use_count(pool_); }

 private:
  explicit Lanes(Pages pages);

  struct Ends {
    uint16_t eth_port = 0;
    std::array<rte_ring*, kLanes> rx{};
    std::array<rte_ring*, kLanes> tx{};
  };
  std::array<Ends, kDevices> ends_;
  rte_mempool* pool_ = nullptr;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_SUPPORT_LANES_H_
