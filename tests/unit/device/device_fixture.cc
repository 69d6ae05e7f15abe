// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/device/device_fixture.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "dataplane/device/eal.h"
#include "dataplane/device/mbuf_pool.h"
#include "dataplane/net/check.h"

namespace godwit {
namespace {

constexpr uint16_t kEtherType = 0x88b5;
constexpr uint16_t kMetaSize = 128;
constexpr uint32_t kPoolSize = 16384;

rte_mempool* SharedPool() {
  static rte_mempool* const pool = [] {
    MbufPoolOptions options;
    options.name = "shared";
    options.count = kPoolSize;
    options.meta_size = kMetaSize;
    absl::StatusOr<rte_mempool*> made = CreateMbufPool(options);
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.status().ToString().c_str());
      std::abort();
    }
    return *made;
  }();
  return pool;
}

bool IsTestFrame(const Frame& frame) {
  return frame.size() >= 60 && frame[12] == kEtherType >> 8 &&
         frame[13] == (kEtherType & 0xff);
}

using Clock = std::chrono::steady_clock;

// Those that a container or a cpuset leaves us; CPU 0 may not be among them.
std::vector<uint32_t> AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  GODWIT_CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
  std::vector<uint32_t> cpus;
  for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

Frame TestFrame(uint8_t number, size_t size) {
  Frame frame(size, number);
  const uint8_t header[14] = {0x02,
                              0,
                              0,
                              0,
                              0,
                              0x01,
                              0x02,
                              0,
                              0,
                              0,
                              0,
                              0x02,
                              kEtherType >> 8,
                              kEtherType & 0xff};
  memcpy(frame.data(), header, sizeof(header));
  return frame;
}

PacketSocket::PacketSocket(const std::string& interface)
    : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0)
      << interface << ": " << strerror(errno);
}

PacketSocket::~PacketSocket() { close(fd_); }

void PacketSocket::Send(const Frame& frame) {
  EXPECT_EQ(send(fd_, frame.data(), frame.size(), 0),
            static_cast<ssize_t>(frame.size()))
      << strerror(errno);
}

Frame PacketSocket::Receive(int timeout_ms) {
  const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  pollfd wait = {fd_, POLLIN, 0};
  // Once more when the time is over: what is there counts, however late.
  for (bool late = false; !late;) {
    late = Clock::now() >= end;
    while (poll(&wait, 1, late ? 0 : 10) > 0) {
      Frame frame(65536);
      sockaddr_ll from = {};
      socklen_t size = sizeof(from);
      const ssize_t length =
          recvfrom(fd_, frame.data(), frame.size(), 0,
                   reinterpret_cast<sockaddr*>(&from), &size);
      if (length < 0) break;
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      frame.resize(static_cast<size_t>(length));
      if (IsTestFrame(frame)) return frame;
    }
  }
  return {};
}

void EnterNamespace() {
  if (unshare(CLONE_NEWNET) != 0) {
    std::fprintf(stderr, "needs root: no network namespace\n");
    std::exit(77);
  }
}

void StartTestEal() {
  EalOptions options;
  // The processes that a test starts inherit them, and start an EAL as well.
  options.control_cpus = AllowedCpus();
  options.worker_cpus = {options.control_cpus.front()};
  options.workers = 2;
  options.memory_mib = 512;
  // For the test's own virtio-user guest, which shares at most eight files.
  options.extra_args = {"--single-file-segments"};
  const absl::StatusOr<EalMode> mode = StartEal(options);
  if (!mode.ok()) {
    std::fprintf(stderr, "%s\n", mode.status().ToString().c_str());
    std::exit(1);
  }
  std::fprintf(stderr, "%s\n", mode->note.c_str());
  SharedPool();
}

void DieWith(std::string_view device, int delay_ms) {
  StartTestEal();
  EthPortOptions options;
  options.pool = SharedPool();
  absl::StatusOr<std::unique_ptr<EthPort>> port =
      EthPort::Open(*ParseDeviceSpec(device).spec, options);
  const absl::Status status = port.ok() ? (*port)->Start() : port.status();
  if (status.ok()) {
    usleep(static_cast<useconds_t>(delay_ms) * 1000);
    raise(SIGKILL);
  }
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

std::string SelfPath() {
  char path[4096] = {};
  return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 ? path : "";
}

std::string SocketPath(const char* name) {
  return "/tmp/godwit-test-" + std::to_string(getpid()) + "-" + name;
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

void Shell(const std::string& command) {
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

void DeviceTest::SetUp() {
  pool_ = SharedPool();
  free_before_ = rte_mempool_avail_count(pool_);
}

void DeviceTest::TearDown() {
  EXPECT_EQ(rte_mempool_avail_count(pool_), free_before_)
      << "buffers of the shared pool are lost";
}

EthPortOptions DeviceTest::Options() const {
  EthPortOptions options;
  options.pool = pool_;
  return options;
}

std::unique_ptr<EthPort> DeviceTest::OpenStarted(
    std::string_view device, const EthPortOptions& options) {
  const DeviceSpecResult spec = ParseDeviceSpec(device);
  EXPECT_TRUE(spec.spec.has_value()) << spec.error;
  if (!spec.spec.has_value()) return nullptr;
  absl::StatusOr<std::unique_ptr<EthPort>> port =
      EthPort::Open(*spec.spec, options);
  EXPECT_TRUE(port.ok()) << port.status();
  if (!port.ok()) return nullptr;
  const absl::Status started = (*port)->Start();
  EXPECT_TRUE(started.ok()) << started;
  return *std::move(port);
}

void DeviceTest::Send(const EthPort& port, const Frame& frame) {
  rte_mbuf* buffer = rte_pktmbuf_alloc(pool_);
  ASSERT_NE(buffer, nullptr);
  char* data = rte_pktmbuf_append(buffer, static_cast<uint16_t>(frame.size()));
  ASSERT_NE(data, nullptr);
  memcpy(data, frame.data(), frame.size());
  const EthQueue txq = port.txqs().front();
  if (rte_eth_tx_burst(txq.eth_port, txq.index, &buffer, 1) != 1) {
    rte_pktmbuf_free(buffer);
    ADD_FAILURE() << "not sent";
  }
}

Frame DeviceTest::Receive(const EthPort& port, int timeout_ms) {
  const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  Frame found;
  // At least once, however long this process was off its CPU.
  do {
    for (const EthQueue rxq : port.rxqs()) {
      rte_mbuf* burst[32];
      const uint16_t count =
          rte_eth_rx_burst(rxq.eth_port, rxq.index, burst, 32);
      for (uint16_t i = 0; i < count; ++i) {
        const auto* data = rte_pktmbuf_mtod(burst[i], const uint8_t*);
        Frame frame(data, data + rte_pktmbuf_data_len(burst[i]));
        rte_pktmbuf_free(burst[i]);
        if (found.empty() && IsTestFrame(frame)) found = std::move(frame);
      }
    }
  } while (found.empty() && Clock::now() < end);
  return found;
}

}  // namespace godwit
