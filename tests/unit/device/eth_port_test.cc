// SPDX-License-Identifier: BSD-3-Clause
// Every kind of device, opened on this machine in a namespace of the test's
// own: frames in and out, and out of and into the daemon while it runs.
#include "dataplane/device/eth_port.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/device/kernel_interface.h"
#include "dataplane/device/mbuf_pool.h"
#include "tests/unit/device/device_fixture.h"

namespace godwit {
namespace {

using ::testing::HasSubstr;

// `eth_port_test --die-with DEVICE [MS]`: opens it and is killed, later.
constexpr char kDieWith[] = "--die-with";

// Hot removal and re-addition, as often as the contract of this folder says.
constexpr int kRounds = 20;

std::string SelfPath() {
  char path[4096] = {};
  return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 ? path : "";
}

std::string SocketPath(const char* name) {
  return "/tmp/godwit-test-" + std::to_string(getpid()) + "-" + name;
}

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

TEST_F(VethTest, ComesAndGoesAsAPacketSocket) {
  for (int i = 0; i < kRounds; ++i) {
    std::unique_ptr<EthPort> port = OpenStarted("afpacket:near0", Options());
    ASSERT_NE(port, nullptr) << "round " << i;
    ExpectBothWays(*port, static_cast<uint8_t>(i));
  }
}

class TapTest : public DeviceTest {
 protected:
  static constexpr MacAddress kMac = {0x02, 0, 0, 0, 0, 0x77};
  EthPortOptions WithMac() const {
    EthPortOptions options = Options();
    options.mac = kMac;
    return options;
  }
  void ExpectBothWays(const EthPort& port, uint8_t number) {
    PacketSocket kernel("gw0");
    kernel.Send(TestFrame(number));
    EXPECT_EQ(Receive(port), TestFrame(number));
    Send(port, TestFrame(number, 1514));
    EXPECT_EQ(kernel.Receive(), TestFrame(number, 1514));
  }
};

TEST_F(TapTest, IsTheKernelsSideAndOutlivesThePort) {
  for (int i = 0; i < kRounds; ++i) {
    std::unique_ptr<EthPort> port = OpenStarted("tap:gw0", WithMac());
    ASSERT_NE(port, nullptr) << "round " << i;
    EXPECT_EQ(InterfaceMac("gw0"), kMac);
    EXPECT_TRUE(InterfaceRuns("gw0"));
    if (i == 0) Shell("ip addr add 198.51.100.7/24 dev gw0");
    ExpectBothWays(*port, static_cast<uint8_t>(i));
    port.reset();
    Shell("ip addr show dev gw0 | grep -q 198.51.100.7");
  }
  EXPECT_TRUE(DeleteTap("gw0").ok());
  EXPECT_EQ(InterfaceIndex("gw0"), 0U);
}

TEST_F(TapTest, LivesInAnotherNamespaceAndIsFoundThereAgain) {
  const std::string name = "godwit-test-" + std::to_string(getpid());
  Shell("ip netns add " + name);
  EthPortOptions options = WithMac();
  options.netns = "/run/netns/" + name;
  for (int i = 0; i < 2; ++i) {
    std::unique_ptr<EthPort> port = OpenStarted("tap:gw0", options);
    ASSERT_NE(port, nullptr) << "round " << i;
    EXPECT_EQ(InterfaceIndex("gw0"), 0U) << "not in our namespace";
    {
      absl::StatusOr<NetnsScope> inside = NetnsScope::Enter(options.netns);
      ASSERT_TRUE(inside.ok()) << inside.status();
      ExpectBothWays(*port, static_cast<uint8_t>(i));
    }
  }
  Shell("ip netns del " + name);
}

TEST_F(TapTest, StillWorksWhenItIsMovedAfterTheStart) {
  const std::string name = "godwit-test-" + std::to_string(getpid());
  Shell("ip netns add " + name);
  std::unique_ptr<EthPort> port = OpenStarted("tap:gw0", WithMac());
  ASSERT_NE(port, nullptr);
  Shell("ip link set gw0 netns " + name);
  Shell("ip -n " + name + " link set gw0 up");
  {
    absl::StatusOr<NetnsScope> inside = NetnsScope::Enter("/run/netns/" + name);
    ASSERT_TRUE(inside.ok()) << inside.status();
    ExpectBothWays(*port, 5);
  }
  port.reset();
  Shell("ip netns del " + name);
}

TEST_F(DeviceTest, MemifServerAndClientCarryFramesBothWays) {
  const std::string path = SocketPath("memif");
  for (int i = 0; i < kRounds; ++i) {
    std::unique_ptr<EthPort> server =
        OpenStarted("memif:" + path + ",id=3", Options());
    ASSERT_NE(server, nullptr) << "round " << i;
    EXPECT_FALSE(server->LinkUp());
    std::unique_ptr<EthPort> client =
        OpenStarted("memif:" + path + ",role=client,id=3", Options());
    ASSERT_NE(client, nullptr) << "round " << i;
    for (int n = 0; n < 100 && !(server->LinkUp() && client->LinkUp()); ++n) {
      usleep(10'000);
    }
    ASSERT_TRUE(server->LinkUp() && client->LinkUp());
    Receive(*client, 1);  // its first poll gives the server its buffers
    Send(*server, TestFrame(1));
    EXPECT_EQ(Receive(*client), TestFrame(1));
    Send(*client, TestFrame(2, 1514));
    EXPECT_EQ(Receive(*server), TestFrame(2, 1514));
    client.reset();
    for (int n = 0; n < 100 && server->LinkUp(); ++n) usleep(10'000);
    EXPECT_FALSE(server->LinkUp());
  }
}

TEST_F(DeviceTest, MemifClientConnectsWhenItsServerComes) {
  const std::string path = SocketPath("late");
  // The driver takes two devices of one name in one process for one socket,
  // and a client's does not listen: the same file by another name.
  const std::string server_path = "/tmp/." + path.substr(4);
  absl::StatusOr<std::unique_ptr<EthPort>> client = EthPort::Open(
      *ParseDeviceSpec("memif:" + path + ",role=client").spec, Options());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->Start().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE((*client)->running());
  for (int i = 0; i < 2; ++i) {
    std::unique_ptr<EthPort> server =
        OpenStarted("memif:" + server_path, Options());
    ASSERT_NE(server, nullptr);
    EXPECT_TRUE((*client)->Start().ok());
    for (int n = 0; n < 100 && !(*client)->LinkUp(); ++n) usleep(10'000);
    EXPECT_TRUE((*client)->LinkUp());
    EXPECT_FALSE((*client)->NeedsRestart());
    server.reset();
    for (int n = 0; n < 100 && !(*client)->NeedsRestart(); ++n) usleep(10'000);
    EXPECT_TRUE((*client)->NeedsRestart());
    (*client)->Stop();
  }
}

// A stale socket file of a crashed run must not block a restart, a living
// server's must.
TEST_F(DeviceTest, ServersTakeOverTheSocketOfADeadOneOnly) {
  for (const auto& [kind, type] : {std::pair("memif:", SOCK_SEQPACKET),
                                   std::pair("vhost:", SOCK_STREAM)}) {
    const std::string path = SocketPath("stale");
    const int fd = socket(AF_UNIX, type, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    ASSERT_EQ(listen(fd, 1), 0);
    const DeviceSpec spec = *ParseDeviceSpec(kind + path).spec;
    const absl::StatusOr<std::unique_ptr<EthPort>> refused =
        EthPort::Open(spec, Options());
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr("another process listens there"));
    close(fd);
    EXPECT_NE(OpenStarted(kind + path, Options()), nullptr);
  }
}

TEST_F(DeviceTest, VhostServerWaitsForItsPeer) {
  const std::string path = SocketPath("vhost");
  for (int i = 0; i < kRounds; ++i) {
    std::unique_ptr<EthPort> port = OpenStarted("vhost:" + path, Options());
    ASSERT_NE(port, nullptr) << "round " << i;
    struct stat info;
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_TRUE(S_ISSOCK(info.st_mode));
    EXPECT_FALSE(port->LinkUp());
    EXPECT_EQ(Receive(*port, 5), Frame());
  }
}

TEST_F(DeviceTest, VhostCarriesFramesToAVirtioUser) {
  const std::string path = SocketPath("virtio");
  std::unique_ptr<EthPort> server = OpenStarted("vhost:" + path, Options());
  ASSERT_NE(server, nullptr);
  std::unique_ptr<EthPort> guest =
      OpenStarted("dpdk:net_virtio_user0,path=" + path, Options());
  ASSERT_NE(guest, nullptr);
  for (int n = 0; n < 200 && !server->LinkUp(); ++n) usleep(10'000);
  ASSERT_TRUE(server->LinkUp());
  Send(*guest, TestFrame(1));
  EXPECT_EQ(Receive(*server), TestFrame(1));
  Send(*server, TestFrame(2, 1514));
  EXPECT_EQ(Receive(*guest), TestFrame(2, 1514));
  guest.reset();
  for (int n = 0; n < 200 && server->LinkUp(); ++n) usleep(10'000);
  EXPECT_FALSE(server->LinkUp());
}

TEST_F(DeviceTest, AnyVirtualDeviceComesAndGoes) {
  for (int i = 0; i < kRounds; ++i) {
    std::unique_ptr<EthPort> ring = OpenStarted("dpdk:net_ring0", Options());
    ASSERT_NE(ring, nullptr) << "round " << i;
    Send(*ring, TestFrame(4));
    EXPECT_EQ(Receive(*ring), TestFrame(4));
    std::unique_ptr<EthPort> null =
        OpenStarted("dpdk:net_null0,size=60", Options());
    ASSERT_NE(null, nullptr) << "round " << i;
    Send(*null, TestFrame(4));
  }
}

TEST_F(DeviceTest, SaysWhatIsMissing) {
  const std::pair<const char*, const char*> cases[] = {
      {"xdp:nosuch0", "device xdp:nosuch0: no network interface nosuch0"},
      {"afpacket:nosuch0", "no network interface nosuch0"},
      {"dpdk:net_nosuch0", "device dpdk:net_nosuch0: can't be attached"},
      {"0000:3b:00.0", "device 0000:3b:00.0: can't be attached"},
      {"memif:/nosuch/m", "device memif:/nosuch/m: can't be attached"},
      {"vhost:/nosuch/v", "device vhost:/nosuch/v: can't be"},
  };
  for (const auto& [device, expected] : cases) {
    const absl::StatusOr<std::unique_ptr<EthPort>> port =
        EthPort::Open(*ParseDeviceSpec(device).spec, Options());
    EXPECT_FALSE(port.ok()) << device;
    EXPECT_THAT(std::string(port.status().message()), HasSubstr(expected));
  }
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  if (argc >= 3 && std::string_view(argv[1]) == godwit::kDieWith) {
    godwit::DieWith(argv[2], argc > 3 ? atoi(argv[3]) : 0);
  }
  ::testing::InitGoogleTest(&argc, argv);
  godwit::EnterNamespace();
  godwit::StartTestEal();
  return RUN_ALL_TESTS();
}
