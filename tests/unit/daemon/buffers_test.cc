// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon/buffers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace godwit {
namespace {

constexpr uint64_t kPair = 2048;  // a receive and a transmit ring

BufferNeeds Of(const std::string& uplink,
               const std::vector<std::string>& queues, unsigned workers) {
  api::Config config;
  config.add_uplinks()->set_device(uplink);
  for (const std::string& queue : queues) {
    config.add_queues()->set_device(queue);
  }
  return BuffersOf(config, workers);
}

TEST(BuffersTest, AnUplinkAndItsTap) {
  const BufferNeeds needs = Of("afpacket:wan0", {}, 4);
  EXPECT_EQ(needs.ring_slots, 2 * kPair);
  EXPECT_EQ(needs.xsk_sockets, 0U);
}

TEST(BuffersTest, ANicHasRingsForEachWorker) {
  EXPECT_EQ(Of("0000:3b:00.0", {}, 1).ring_slots, 2 * kPair);
  EXPECT_EQ(Of("0000:3b:00.0", {}, 32).ring_slots, 33 * kPair);
}

TEST(BuffersTest, OnlyAfXdpHasPoolsOfItsOwn) {
  const BufferNeeds needs = Of("xdp:eth1",
                               {"veth:dns0", "veth:dns1", "tap:t0",
                                "memif:/run/m.sock", "vhost:/run/v.sock"},
                               2);
  EXPECT_EQ(needs.xsk_sockets, 3U);
  EXPECT_EQ(needs.ring_slots, 7 * kPair);
}

TEST(BuffersTest, SpareDevicesMayBeOfAnyKind) {
  EXPECT_EQ(SpareBuffers().xsk_sockets, kSpareDevices);
  EXPECT_EQ(SpareBuffers().ring_slots, kSpareDevices * kPair);
}

}  // namespace
}  // namespace godwit
