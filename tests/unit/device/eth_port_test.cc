// SPDX-License-Identifier: BSD-3-Clause
// Every kind of device, opened on this machine in a namespace of the test's
// own: frames in and out, and out of and into the daemon while it runs.
#include "dataplane/device/eth_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "dataplane/device/kernel_interface.h"
#include "tests/unit/device/device_fixture.h"

namespace godwit {
namespace {

using ::testing::HasSubstr;

// The same file by another name. The driver takes two devices of one name in
// one process for one socket, and a client's does not listen.
std::string OtherNameOf(const std::string& path) {
  return "/tmp/." + path.substr(4);
}

// Another process that listens at `path`; it ends with this one.
pid_t StartListener(const std::string& path, int type) {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int fd = socket(AF_UNIX, type, 0);
  const sockaddr_un address = AddressOf(path + ".new");
  bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  listen(fd, 1);
  rename((path + ".new").c_str(), path.c_str());  // there, and listening
  while (true) pause();
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

TEST_F(TapTest, CanBeMadeToOutliveADriverThatOnlyAttaches) {
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(MakePersistentTap("gw1").ok());
  EXPECT_NE(InterfaceIndex("gw1"), 0U);
  EXPECT_TRUE(DeleteTap("gw1").ok());
  EXPECT_EQ(InterfaceIndex("gw1"), 0U);
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

TEST_F(TapTest, SaysWhetherItsInterfaceIsUpOrGone) {
  std::unique_ptr<EthPort> port = OpenStarted("tap:gw0", WithMac());
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(port->LinkUp());
  Shell("ip link set gw0 down");
  EXPECT_FALSE(port->LinkUp());
  EXPECT_TRUE(port->InterfaceExists());
  Shell("ip link set gw0 up");
  EXPECT_TRUE(port->LinkUp());
  Shell("ip link del gw0");
  EXPECT_FALSE(port->LinkUp());
  EXPECT_FALSE(port->InterfaceExists());
  Shell("ip tuntap add gw0 mode tap");
  EXPECT_FALSE(port->InterfaceExists()) << "that is another";
  Shell("ip link del gw0");
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
    for (int n = 0; n < 1000 && !(server->LinkUp() && client->LinkUp()); ++n) {
      usleep(10'000);
    }
    ASSERT_TRUE(server->LinkUp() && client->LinkUp());
    Receive(*client, 1);  // its first poll gives the server its buffers
    Send(*server, TestFrame(1));
    EXPECT_EQ(Receive(*client), TestFrame(1));
    Send(*client, TestFrame(2, 1514));
    EXPECT_EQ(Receive(*server), TestFrame(2, 1514));
    client.reset();
    for (int n = 0; n < 1000 && server->LinkUp(); ++n) usleep(10'000);
    EXPECT_FALSE(server->LinkUp());
  }
}

TEST_F(DeviceTest, MemifClientConnectsWhenItsServerComes) {
  const std::string path = SocketPath("late");
  const std::string server_path = OtherNameOf(path);
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
    for (int n = 0; n < 1000 && !(*client)->LinkUp(); ++n) usleep(10'000);
    EXPECT_TRUE((*client)->LinkUp());
    EXPECT_FALSE((*client)->NeedsRestart());
    server.reset();
    for (int n = 0; n < 1000 && !(*client)->NeedsRestart(); ++n) usleep(10'000);
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
    const pid_t other = StartListener(path, type);
    struct stat there;
    while (stat(path.c_str(), &there) != 0) usleep(1000);
    const DeviceSpec spec = *ParseDeviceSpec(kind + path).spec;
    const absl::StatusOr<std::unique_ptr<EthPort>> refused =
        EthPort::Open(spec, Options());
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr("another process listens there"));
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
    EXPECT_NE(OpenStarted(kind + path, Options()), nullptr);
  }
}

TEST_F(DeviceTest, MemifInterfacesShareASocketByTheirIds) {
  const std::string path = SocketPath("shared");
  const std::string server = "memif:" + path + ",role=server,id=";
  const auto first = OpenStarted(server + "0", Options());
  const auto second = OpenStarted(server + "1", Options());
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  for (const char* id : {"1", "0"}) {
    const auto client = OpenStarted(
        "memif:" + OtherNameOf(path) + ",role=client,id=" + id, Options());
    ASSERT_NE(client, nullptr);
    for (int n = 0; n < 1000 && !client->LinkUp(); ++n) usleep(10'000);
    EXPECT_TRUE(client->LinkUp()) << id;
  }
}

// The plain driver takes the process down at the second of these.
TEST_F(DeviceTest, MemifOutlivesPeersThatComeAndGoAtOnce) {
  const std::string path = SocketPath("brief");
  const auto server = OpenStarted("memif:" + path, Options());
  ASSERT_NE(server, nullptr);
  for (int i = 0; i < 300; ++i) {
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    const sockaddr_un address = AddressOf(path);
    ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address),
                      sizeof(address)),
              0);
    close(fd);
  }
  const auto client = EthPort::Open(
      *ParseDeviceSpec("memif:" + OtherNameOf(path) + ",role=client").spec,
      Options());
  ASSERT_TRUE(client.ok()) << client.status();
  for (int n = 0; n < 1000 && !(*client)->LinkUp(); ++n) {
    // The last of those may still stand in its way.
    if (!(*client)->running()) (*client)->Start().IgnoreError();
    usleep(10'000);
  }
  EXPECT_TRUE((*client)->LinkUp());
}

// With frames for it in the rings: TearDown counts the buffers.
TEST_F(DeviceTest, Mbf07AConsumerThatIsKilledReturnsItsBuffers) {
  const std::string path = SocketPath("consumer");
  for (const auto& [server_device, client_device] :
       {std::pair("memif:" + path,
                  "memif:" + OtherNameOf(path) + ",role=client"),
        std::pair("vhost:" + path + "-v",
                  "dpdk:net_virtio_user0,path=" + path + "-v")}) {
    const auto server = OpenStarted(server_device, Options());
    ASSERT_NE(server, nullptr);
    const EthQueue txq = server->txqs().front();
    for (int round = 0; round < 3; ++round) {
      const std::string consumer = SelfPath() + " " + std::string(kDieWith) +
                                   " " + client_device + " 300";
      std::thread killed([&consumer] { Shell(consumer + "; test $? = 137"); });
      for (int n = 0; n < 1000 && !server->LinkUp(); ++n) usleep(10'000);
      EXPECT_TRUE(server->LinkUp()) << server_device;
      // More than any ring holds, while it lives and after.
      for (int n = 0; n < 1000 && server->LinkUp(); ++n) {
        for (int i = 0; i < 50; ++i) {
          rte_mbuf* frame = rte_pktmbuf_alloc(pool_);
          if (frame == nullptr) break;
          rte_pktmbuf_append(frame, 1000);
          if (rte_eth_tx_burst(txq.eth_port, txq.index, &frame, 1) != 1) {
            rte_pktmbuf_free(frame);
          }
        }
        usleep(1000);
      }
      killed.join();
      for (int n = 0; n < 500 && server->LinkUp(); ++n) usleep(10'000);
      EXPECT_FALSE(server->LinkUp()) << server_device;
    }
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
  for (int n = 0; n < 1000 && !server->LinkUp(); ++n) usleep(10'000);
  ASSERT_TRUE(server->LinkUp());
  Send(*guest, TestFrame(1));
  EXPECT_EQ(Receive(*server), TestFrame(1));
  Send(*server, TestFrame(2, 1514));
  EXPECT_EQ(Receive(*guest), TestFrame(2, 1514));
  guest.reset();
  for (int n = 0; n < 1000 && server->LinkUp(); ++n) usleep(10'000);
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
