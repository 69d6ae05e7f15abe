// SPDX-License-Identifier: BSD-3-Clause
// Ports on a veth pair: AF_XDP and packet sockets, and what a killed process
// leaves of every kind.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <unistd.h>

#include <algorithm>

#include "dataplane/device/eth_port.h"
#include "dataplane/device/kernel_interface.h"
#include "tests/unit/device/device_fixture.h"

namespace godwit {
namespace {

using ::testing::HasSubstr;

// A pair "near0" and "far0", up, without the chatter of IPv6.
class VethTest : public DeviceTest {
 protected:
  void SetUp() override {
    Shell(
        "ip link add near0 numrxqueues 2 numtxqueues 2 type veth peer name "
        "far0 numrxqueues 2 numtxqueues 2");
    for (const char* name : {"near0", "far0"}) {
      Shell(std::string("sysctl -qw net.ipv6.conf.") + name +
            ".disable_ipv6=1");
      Shell(std::string("ip link set ") + name + " up");
    }
    DeviceTest::SetUp();
  }
  void TearDown() override {
    Shell("ip link del near0");
    DeviceTest::TearDown();
  }
  EthPortOptions NearEnd() const {
    EthPortOptions options = Options();
    options.near_end = "near0";
    return options;
  }
  void ExpectBothWays(const EthPort& port, uint8_t number) {
    PacketSocket far("far0");
    far.Send(TestFrame(number));
    EXPECT_EQ(Receive(port), TestFrame(number));
    Send(port, TestFrame(number, 1514));
    EXPECT_EQ(far.Receive(), TestFrame(number, 1514));
  }
};

TEST_F(VethTest, CarriesFramesBothWays) {
  std::unique_ptr<EthPort> port = OpenStarted("veth:far0", NearEnd());
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->driver(), "net_af_xdp");
  EXPECT_TRUE(port->LinkUp());
  EXPECT_EQ(port->mtu(), 1500);
  EXPECT_GE(port->max_frame(), 1522U);
  EXPECT_EQ(port->mac(), InterfaceMac("near0"));
  ExpectBothWays(*port, 1);
  EXPECT_EQ(port->counters().rx_packets, 1U);
  EXPECT_EQ(port->counters().tx_packets, 1U);
  EXPECT_EQ(port->counters().rx_missed, 0U);
}

TEST_F(VethTest, HasAQueueForEveryReceiveQueueOfTheInterface) {
  Shell("ethtool -L near0 rx 2 tx 2");
  std::unique_ptr<EthPort> port = OpenStarted("xdp:near0", Options());
  ASSERT_NE(port, nullptr);
  ASSERT_EQ(port->rxqs().size(), 2U);
  EXPECT_NE(port->rxqs()[0].eth_port, port->rxqs()[1].eth_port);
  ExpectBothWays(*port, 2);
}

TEST_F(VethTest, SaysThatTheLinkIsDownWhenTheFarEndIs) {
  std::unique_ptr<EthPort> port = OpenStarted("veth:far0", NearEnd());
  ASSERT_NE(port, nullptr);
  Shell("ip link set far0 down");
  EXPECT_FALSE(port->LinkUp());
  Shell("ip link set far0 up");
  EXPECT_TRUE(port->LinkUp());
}

TEST_F(VethTest, ComesAndGoesWithoutLosingBuffers) {
  std::unique_ptr<EthPort> other = OpenStarted("dpdk:net_ring7", Options());
  ASSERT_NE(other, nullptr);
  const unsigned pools_before = rte_mempool_in_use_count(pool_);
  for (int i = 0; i < kRounds; ++i) {
    std::unique_ptr<EthPort> port = OpenStarted("veth:far0", NearEnd());
    ASSERT_NE(port, nullptr) << "round " << i;
    ExpectBothWays(*port, static_cast<uint8_t>(i));
    // Frames that nobody fetched are among what comes back.
    PacketSocket far("far0");
    for (uint8_t n = 0; n < 50; ++n) far.Send(TestFrame(n));
    Send(*other, TestFrame(1));
    EXPECT_EQ(Receive(*other), TestFrame(1));
    port.reset();
    EXPECT_EQ(RetiredPoolCount(), 0U) << "round " << i;
  }
  EXPECT_EQ(rte_mempool_in_use_count(pool_), pools_before);
}

TEST_F(VethTest, TakesBackFramesThatOverflowedTheRing) {
  std::unique_ptr<EthPort> port = OpenStarted("veth:far0", NearEnd());
  ASSERT_NE(port, nullptr);
  PacketSocket far("far0");
  for (int n = 0; n < 5000; ++n) far.Send(TestFrame(1));
  EXPECT_GT(port->counters().rx_missed, 0U);
  port.reset();
  EXPECT_EQ(RetiredPoolCount(), 0U);
}

// What a killed process leaves (an XDP program, a TAP, a socket file) must not
// be in the way of the next.
TEST_F(VethTest, EveryKindStartsAgainAfterAKill) {
  const std::string memif = "memif:" + SocketPath("killed-memif");
  const std::string vhost = "vhost:" + SocketPath("killed-vhost");
  for (const std::string& device :
       {std::string("veth:near0"), std::string("afpacket:near0"),
        std::string("tap:gw0"), memif, vhost}) {
    for (int i = 0; i < 2; ++i) {
      Shell(SelfPath() + " " + std::string(kDieWith) + " " + device +
            "; test $? = 137");
      EthPortOptions options = Options();
      std::unique_ptr<EthPort> port = OpenStarted(device, options);
      ASSERT_NE(port, nullptr) << device;
      if (port->interface() == "near0") ExpectBothWays(*port, 6);
    }
  }
  EXPECT_TRUE(DeleteTap("gw0").ok());
}

// A process that is about to go holds the queue for a while.
TEST_F(VethTest, WaitsForAQueueThatIsBusyForAMoment) {
  Shell(SelfPath() + " " + kDieWith + " veth:near0 500 &");
  Shell("until ip link show near0 | grep -q xdp; do sleep 0.01; done");
  std::unique_ptr<EthPort> port = OpenStarted("veth:near0", Options());
  ASSERT_NE(port, nullptr);
  ExpectBothWays(*port, 5);
}

// Whatever program stands on the near end, which is ours alone, makes way.
TEST_F(VethTest, TakesAForeignProgramOffTheNearEnd) {
  const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K,
                            .dst_reg = 0,
                            .src_reg = 0,
                            .off = 0,
                            .imm = XDP_PASS},
                           {.code = BPF_JMP | BPF_EXIT,
                            .dst_reg = 0,
                            .src_reg = 0,
                            .off = 0,
                            .imm = 0}};
  const int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "old", "GPL", pass,
                                    std::size(pass), nullptr);
  ASSERT_GE(program, 0);
  ASSERT_EQ(bpf_xdp_attach(static_cast<int>(InterfaceIndex("near0")), program,
                           0, nullptr),
            0);
  close(program);
  std::unique_ptr<EthPort> port = OpenStarted("veth:far0", NearEnd());
  ASSERT_NE(port, nullptr);
  ExpectBothWays(*port, 4);
}

// Another daemon's queue: refused, and this process is none the worse.
TEST_F(VethTest, RefusesAQueueThatAnotherSocketHas) {
  std::unique_ptr<EthPort> first = OpenStarted("xdp:near0", Options());
  ASSERT_NE(first, nullptr);
  const absl::StatusOr<std::unique_ptr<EthPort>> second =
      EthPort::Open(*ParseDeviceSpec("xdp:near0").spec, Options());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("no AF_XDP socket on interface near0 queue 0"));
  first.reset();
  first = OpenStarted("xdp:near0", Options());
  ASSERT_NE(first, nullptr);
  ExpectBothWays(*first, 8);
}

TEST_F(VethTest, RefusesAnMtuThatItsBuffersHaveNoRoomFor) {
  Shell("ip link set near0 mtu 3000");
  const absl::StatusOr<std::unique_ptr<EthPort>> port =
      EthPort::Open(*ParseDeviceSpec("veth:far0").spec, NearEnd());
  ASSERT_FALSE(port.ok());
  EXPECT_THAT(std::string(port.status().message()),
              HasSubstr("MTU 3000 of interface near0"));
}

TEST_F(VethTest, IsAlsoAPacketSocketThatSeesNothingOutgoing) {
  std::unique_ptr<EthPort> port = OpenStarted("afpacket:near0", Options());
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->driver(), "net_af_packet");
  EXPECT_TRUE(port->LinkUp());
  ExpectBothWays(*port, 3);
  PacketSocket kernel("near0");
  kernel.Send(TestFrame(9));
  EXPECT_EQ(Receive(*port, 200), Frame());
}

// A datagram of 16 bytes in two fragments, of which `number` is the second or
// the first.
Frame Fragment(uint8_t number) {
  Frame frame = TestFrame(0, 14 + 20 + 8);
  const uint8_t more = number == 0 ? 0x20 : 0;
  const uint8_t ip[20] = {0x45, 0, 0,   28, 0x12, 0x34, more, number, 64, 17,
                          0,    0, 192, 0,  2,    1,    192,  0,      2,  2};
  frame[12] = 0x08;
  frame[13] = 0x00;
  std::copy(std::begin(ip), std::end(ip), frame.begin() + 14);
  return frame;
}

TEST_F(VethTest, IsAPacketSocketThatGetsFragmentsAsTheyWereSent) {
  std::unique_ptr<EthPort> port = OpenStarted("afpacket:near0", Options());
  ASSERT_NE(port, nullptr);
  PacketSocket far("far0");
  std::vector<Frame> got;
  for (const int number : {1, 0}) {
    far.Send(Fragment(static_cast<uint8_t>(number)));
  }
  for (int wait_ms = 0; wait_ms < 10000 && got.size() < 2; ++wait_ms) {
    rte_mbuf* buffer = nullptr;
    const EthQueue lane = port->rxqs()[0];
    if (rte_eth_rx_burst(lane.eth_port, lane.index, &buffer, 1) == 0) {
      usleep(1000);
      continue;
    }
    const auto* bytes = rte_pktmbuf_mtod(buffer, const uint8_t*);
    got.emplace_back(bytes, bytes + rte_pktmbuf_data_len(buffer));
    rte_pktmbuf_free(buffer);
  }
  EXPECT_EQ(got, (std::vector<Frame>{Fragment(1), Fragment(0)}));
}

TEST_F(VethTest, ComesAndGoesAsAPacketSocket) {
  for (int i = 0; i < kRounds; ++i) {
    std::unique_ptr<EthPort> port = OpenStarted("afpacket:near0", Options());
    ASSERT_NE(port, nullptr) << "round " << i;
    ExpectBothWays(*port, static_cast<uint8_t>(i));
  }
}

}  // namespace
}  // namespace godwit
