// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/bpf/veth_fixture.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "dataplane/net/check.h"

namespace godwit {

std::string Shell(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  GODWIT_CHECK(pipe != nullptr);
  std::string output;
  std::array<char, 256> line;
  while (fgets(line.data(), line.size(), pipe) != nullptr) {
    output += line.data();
  }
  EXPECT_EQ(0, pclose(pipe)) << command << ": " << output;
  return output;
}

PacketSocket::PacketSocket(const std::string& interface_name)
    : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex =
      static_cast<int>(if_nametoindex(interface_name.c_str()));
  GODWIT_CHECK(bind(fd_, reinterpret_cast<const sockaddr*>(&address),
                    sizeof(address)) == 0);
}

PacketSocket::~PacketSocket() { close(fd_); }

void PacketSocket::Send(const Bytes& frame) const {
  // ENOBUFS: a filter has dropped it on its way out.
  const ssize_t sent = send(fd_, frame.data(), frame.size(), 0);
  EXPECT_TRUE(sent == static_cast<ssize_t>(frame.size()) || errno == ENOBUFS);
}

bool PacketSocket::Receives(const Bytes& tail) const {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  pollfd wait = {fd_, POLLIN, 0};
  // Once more when the time is over: what is there counts, however late.
  for (bool late = false; !late;) {
    late = std::chrono::steady_clock::now() >= deadline;
    while (poll(&wait, 1, late ? 0 : 50) > 0) {
      Bytes frame(4096);
      sockaddr_ll from = {};
      socklen_t from_size = sizeof(from);
      const ssize_t size =
          recvfrom(fd_, frame.data(), frame.size(), 0,
                   reinterpret_cast<sockaddr*>(&from), &from_size);
      if (size < 0) break;
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      frame.resize(static_cast<size_t>(size));
      if (frame.size() >= tail.size() &&
          std::equal(tail.rbegin(), tail.rend(), frame.rbegin())) {
        return true;
      }
    }
  }
  return false;
}

uint32_t XdpProgramId(const std::string& interface_name) {
  uint32_t id = 0;
  EXPECT_EQ(
      0, bpf_xdp_query_id(
             static_cast<int>(if_nametoindex(interface_name.c_str())), 0, &id));
  return id;
}

void VethTest::SetUp() {
  ASSERT_EQ(0, unshare(CLONE_NEWNET)) << "needs root";
  Shell("ip link set lo up");
  Shell("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
  Shell(
      "ip link add up0 address 02:00:00:00:00:01 type veth peer name peer0"
      " address 02:00:00:00:00:02");
  Shell("ip link set up0 up");
  Shell("ip link set peer0 up");
}

SteeringTables VethTest::Tables() {
  SteeringTables tables;
  tables.generation = 1;
  tables.service_addresses = {{*IpAddress::Parse("192.0.2.53")}};
  tables.unicast_addresses = {*IpAddress::Parse("198.51.100.7")};
  tables.egress_tcp.set(40000);
  tables.egress_udp.set(40000);
  return tables;
}

std::unique_ptr<SteeringProgram> VethTest::Load() {
  auto program = SteeringProgram::Load();
  EXPECT_TRUE(program.ok()) << program.status();
  if (!program.ok()) return nullptr;
  const absl::Status published = (*program)->Publish(Tables());
  EXPECT_TRUE(published.ok()) << published;
  return *std::move(program);
}

void VethTest::AttachAndCrash() {
  int ready[2];
  ASSERT_EQ(0, pipe(ready));
  const pid_t child = fork();
  if (child == 0) {
    auto program = Load();
    const char ok = program->Attach(kUplink).ok() ? 'y' : 'n';
    if (write(ready[1], &ok, 1) == 1) pause();
    _exit(1);
  }
  char ok = '?';
  ASSERT_EQ(1, read(ready[0], &ok, 1));
  EXPECT_EQ('y', ok);
  close(ready[0]);
  close(ready[1]);
  EXPECT_NE(0U, XdpProgramId(kUplink));
  ASSERT_EQ(0, kill(child, SIGKILL));
  ASSERT_EQ(child, waitpid(child, nullptr, 0));
}

Bytes Payload(uint8_t kind) {
  Bytes payload(24, kind);
  payload[0] = 'g';
  payload[1] = 'o';
  return payload;
}

Bytes UdpFrame(const std::string& source, const std::string& destination,
               uint16_t l4port, const Bytes& payload) {
  Bytes udp = L4(4000, l4port);
  udp.resize(8);
  udp[5] = static_cast<uint8_t>(8 + payload.size());
  return Frame(V4(source, destination, kUdp, udp + payload));
}

}  // namespace godwit
