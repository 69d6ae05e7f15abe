// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/lanes.h"

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "dataplane/net/check.h"
#include "dataplane/stage/burst.h"

namespace godwit {
namespace {

// As the daemon's (mbuf_pool.h).
constexpr uint16_t kDataRoom = 2176;
constexpr unsigned kMemoryMib = 256;

bool HugePagesAreFree() {
  std::ifstream file(
      "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  unsigned pages = 0;
  return file >> pages && pages * 2 >= 2 * kMemoryMib;
}

void StartOwnEal(Lanes::Pages pages) {
  const bool huge = pages == Lanes::Pages::kHugeIfFree && HugePagesAreFree();
  const std::string prefix = "walk" + std::to_string(getpid());
  std::vector<std::string> words = {
      "walk",           "-m",          std::to_string(kMemoryMib),
      "--no-pci",       "--lcores",    "0@" + std::to_string(sched_getcpu()),
      "--no-telemetry", "--log-level", "error",
      "--file-prefix",  prefix};
  if (huge) {
    words.push_back("--in-memory");
  } else {
    words.insert(words.end(), {"--no-huge", "--no-shconf"});
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  GODWIT_CHECK(rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0);
}

rte_ring* MakeRing(const std::string& name) {
  rte_ring* ring =
      rte_ring_create(name.c_str(), Lanes::kRingSize, SOCKET_ID_ANY,
                      RING_F_SP_ENQ | RING_F_SC_DEQ);
  GODWIT_CHECK(ring != nullptr);
  return ring;
}

}  // namespace

Lanes& Lanes::Get(Pages pages) {
  static Lanes* const lanes = new Lanes(pages);  // lives as long as the EAL
  return *lanes;
}

Lanes::Lanes(Pages pages) {
  StartOwnEal(pages);
  pool_ = rte_pktmbuf_pool_create("walk", kBuffers, 0, sizeof(PacketTag),
                                  kDataRoom, SOCKET_ID_ANY);
  GODWIT_CHECK(pool_ != nullptr);
  for (unsigned device = 0; device < kDevices; ++device) {
    Ends& ends = ends_[device];
    const std::string name = "walk" + std::to_string(device);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      ends.rx[lane] = MakeRing(name + "rx" + std::to_string(lane));
      ends.tx[lane] = MakeRing(name + "tx" + std::to_string(lane));
    }
    const int eth_port = rte_eth_from_rings(name.c_str(), ends.rx.data(),
                                            kLanes, ends.tx.data(), kLanes, 0);
    GODWIT_CHECK(eth_port >= 0);
    ends.eth_port = static_cast<uint16_t>(eth_port);
    const rte_eth_conf plain{};
    GODWIT_CHECK(rte_eth_dev_configure(ends.eth_port, kLanes, kLanes, &plain) ==
                 0);
    for (uint16_t lane = 0; lane < kLanes; ++lane) {
      GODWIT_CHECK(rte_eth_rx_queue_setup(ends.eth_port, lane, kRingSize, 0,
                                          nullptr, pool_) == 0);
      GODWIT_CHECK(rte_eth_tx_queue_setup(ends.eth_port, lane, kRingSize, 0,
                                          nullptr) == 0);
    }
    GODWIT_CHECK(rte_eth_dev_start(ends.eth_port) == 0);
  }
}

}  // namespace godwit
