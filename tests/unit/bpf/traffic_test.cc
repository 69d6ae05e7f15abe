// SPDX-License-Identifier: BSD-3-Clause
// Real frames on a veth: an AF_XDP socket of libxdp's that takes our program
// for its own, the kernel's traffic under the source rule, the ingress drop.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>

#include "tests/unit/bpf/veth_fixture.h"

namespace godwit {
namespace {

constexpr uint32_t kFrames = 64;
constexpr uint32_t kFrameSize = 4096;

// An AF_XDP socket on one receive queue, made as DPDK's driver makes it: by
// libxdp, with default flags.
class XskSocket {
 public:
  XskSocket(const std::string& interface_name, uint32_t rxq) {
    area_ = mmap(nullptr, size_t{kFrames} * kFrameSize, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(MAP_FAILED, area_);
    xsk_umem_config umem_config = {};
    umem_config.fill_size = kFrames;
    umem_config.comp_size = kFrames;
    umem_config.frame_size = kFrameSize;
    EXPECT_EQ(0, xsk_umem__create(&umem_, area_, uint64_t{kFrames} * kFrameSize,
                                  &fill_, &completion_, &umem_config));
    xsk_socket_config config = {};
    config.rx_size = kFrames;
    config.tx_size = kFrames;
    error_ = xsk_socket__create(&socket_, interface_name.c_str(), rxq, umem_,
                                &rx_, &tx_, &config);
    if (error_ != 0) return;
    uint32_t at = 0;
    EXPECT_EQ(kFrames, xsk_ring_prod__reserve(&fill_, kFrames, &at));
    for (uint32_t i = 0; i < kFrames; ++i) {
      *xsk_ring_prod__fill_addr(&fill_, at + i) = uint64_t{i} * kFrameSize;
    }
    xsk_ring_prod__submit(&fill_, kFrames);
  }
  ~XskSocket() {
    xsk_socket__delete(socket_);
    xsk_umem__delete(umem_);
    munmap(area_, size_t{kFrames} * kFrameSize);
  }
  XskSocket(const XskSocket&) = delete;
  XskSocket& operator=(const XskSocket&) = delete;

  int error() const { return error_; }

  // The next frame within 500 ms; empty: none.
  Bytes Receive() {
    pollfd wait = {xsk_socket__fd(socket_), POLLIN, 0};
    if (poll(&wait, 1, 500) <= 0) return {};
    uint32_t at = 0;
    if (xsk_ring_cons__peek(&rx_, 1, &at) != 1) return {};
    const xdp_desc* desc = xsk_ring_cons__rx_desc(&rx_, at);
    const auto* data =
        static_cast<const uint8_t*>(xsk_umem__get_data(area_, desc->addr));
    Bytes frame(data, data + desc->len);
    xsk_ring_cons__release(&rx_, 1);
    return frame;
  }

  void Send(const Bytes& frame) {
    uint32_t at = 0;
    ASSERT_EQ(1U, xsk_ring_prod__reserve(&tx_, 1, &at));
    xdp_desc* desc = xsk_ring_prod__tx_desc(&tx_, at);
    // The last frame of the area: rings start filling from the first.
    desc->addr = uint64_t{kFrames - 1} * kFrameSize;
    desc->len = static_cast<uint32_t>(frame.size());
    std::memcpy(xsk_umem__get_data(area_, desc->addr), frame.data(),
                frame.size());
    xsk_ring_prod__submit(&tx_, 1);
    EXPECT_EQ(0, sendto(xsk_socket__fd(socket_), nullptr, 0, MSG_DONTWAIT,
                        nullptr, 0));
  }

 private:
  void* area_ = nullptr;
  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
  xsk_ring_prod fill_ = {};
  xsk_ring_cons completion_ = {};
  xsk_ring_cons rx_ = {};
  xsk_ring_prod tx_ = {};
  int error_ = 0;
};

// A queue that was closed a moment ago is busy: the kernel frees sockets late.
std::unique_ptr<XskSocket> OpenXsk(const std::string& interface_name,
                                   uint32_t rxq) {
  for (int i = 0;; ++i) {
    auto socket = std::make_unique<XskSocket>(interface_name, rxq);
    if (socket->error() != -EBUSY || i == 1000) {
      EXPECT_EQ(0, socket->error()) << std::strerror(-socket->error());
      return socket;
    }
    usleep(10'000);
  }
}

Bytes ToService(uint8_t kind) {
  return UdpFrame("203.0.113.1", "192.0.2.53", 53, Payload(kind));
}
Bytes ToKernel(uint8_t kind) {
  return UdpFrame("203.0.113.1", "198.51.100.7", 22, Payload(kind));
}

// A classifier that tags a frame and sends it out by another interface.
int LoadTagger(uint16_t vlan, unsigned ifindex) {
  const auto move = [](unsigned to, unsigned value) {
    bpf_insn insn = {};
    insn.code = BPF_ALU64 | BPF_MOV | BPF_K;
    insn.dst_reg = to & 0xf;
    insn.imm = static_cast<int32_t>(value);
    return insn;
  };
  const auto call = [](bpf_func_id function) {
    return bpf_insn{BPF_JMP | BPF_CALL, 0, 0, 0, function};
  };
  const bpf_insn program[] = {move(BPF_REG_2, htons(0x8100)),
                              move(BPF_REG_3, vlan),
                              call(BPF_FUNC_skb_vlan_push),
                              move(BPF_REG_1, ifindex),
                              move(BPF_REG_2, 0),
                              call(BPF_FUNC_redirect),
                              {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "tagger", "GPL", program,
                       std::size(program), nullptr);
}

class TrafficTest : public VethTest {
 protected:
  static std::unique_ptr<SteeringProgram> Attached(
      const std::string& interface_name) {
    auto program = Load();
    const absl::Status status = program->Attach(interface_name);
    EXPECT_TRUE(status.ok()) << status;
    return program;
  }
};

TEST_F(TrafficTest, LibxdpTakesTheProgramAsItsOwn) {
  auto program = Attached(kUplink);
  const uint32_t id = XdpProgramId(kUplink);
  const PacketSocket wire(kPeer);
  const PacketSocket kernel(kUplink);
  for (uint8_t round = 1; round < 4; ++round) {
    const auto socket = OpenXsk(kUplink, 0);
    EXPECT_EQ(id, XdpProgramId(kUplink)) << "still ours, not libxdp's";
    wire.Send(ToService(round));
    EXPECT_EQ(ToService(round), socket->Receive());
    wire.Send(ToKernel(round));
    EXPECT_TRUE(kernel.Receives(Payload(round)));
    EXPECT_EQ(Bytes(), socket->Receive());
  }
  EXPECT_EQ(id, XdpProgramId(kUplink)) << "stays when the socket is closed";
  wire.Send(ToService(9));
  EXPECT_FALSE(kernel.Receives(Payload(9))) << "no socket: dropped";
}

TEST_F(TrafficTest, ServesEachReceiveQueueThatHasASocket) {
  Shell("ip link del up0");
  Shell(
      "ip link add up0 address 02:00:00:00:00:01 numrxqueues 2 numtxqueues 2"
      " type veth peer name peer0 numrxqueues 2 numtxqueues 2");
  Shell("ip link set up0 up");
  Shell("ip link set peer0 up");
  auto program = Attached(kUplink);
  const auto first = OpenXsk(kUplink, 0);
  const auto second = OpenXsk(kUplink, 1);
  const PacketSocket wire(kPeer);
  // The flow's hash chooses the queue.
  for (uint8_t i = 0; i < 16; ++i) {
    wire.Send(UdpFrame("203.0.113.1", "192.0.2.53", i, Payload(i)));
  }
  int by_first = 0;
  int by_second = 0;
  while (!first->Receive().empty()) ++by_first;
  while (!second->Receive().empty()) ++by_second;
  EXPECT_EQ(16, by_first + by_second);
  EXPECT_GT(by_first, 0);
  EXPECT_GT(by_second, 0);
}

TEST_F(TrafficTest, WhatAWorkerSendsIsNotHeldToTheKernelsRule) {
  auto program = Attached(kUplink);
  const auto socket = OpenXsk(kUplink, 0);
  const PacketSocket wire(kPeer);
  socket->Send(UdpFrame("192.0.2.53", "203.0.113.1", 4000, Payload(1)));
  EXPECT_TRUE(wire.Receives(Payload(1)));
  const auto counters = program->egress_counters();
  ASSERT_TRUE(counters.ok());
  EXPECT_EQ(0U,
            counters->passed + counters->redirected + counters->leak_prevented);
}

// The kernel sends from whatever address it has.
void SendFrom(const std::string& source) {
  Shell("ip addr replace " + source + "/32 dev lo");
  Shell("ip route replace 203.0.113.0/24 dev up0 src " + source);
  Shell("ip neigh replace 203.0.113.1 lladdr 02:00:00:00:00:02 dev up0");
  Shell("bash -c 'echo -n " + source + "-payload > /dev/udp/203.0.113.1/4000'");
}

Bytes PayloadFrom(const std::string& source) {
  const std::string text = source + "-payload";
  return Bytes(text.begin(), text.end());
}

TEST_F(TrafficTest, TheKernelSendsFromTheUnicastAddressOnly) {
  auto program = Attached(kUplink);
  const PacketSocket wire(kPeer);
  SendFrom("198.51.100.7");
  EXPECT_TRUE(wire.Receives(PayloadFrom("198.51.100.7")));
  SendFrom("10.0.0.1");
  EXPECT_FALSE(wire.Receives(PayloadFrom("10.0.0.1")));
  SendFrom("192.0.2.53");
  EXPECT_FALSE(wire.Receives(PayloadFrom("192.0.2.53")));
  const auto counters = program->egress_counters();
  ASSERT_TRUE(counters.ok());
  EXPECT_EQ(2U, counters->leak_prevented);
}

TEST_F(TrafficTest, AServiceSourceGoesToTheKernelQueue) {
  Shell("ip link add tap0 type veth peer name tap1");
  Shell("ip link set tap0 up");
  Shell("ip link set tap1 up");
  auto program = Attached(kUplink);
  SteeringTables tables = Tables();
  tables.generation = 2;
  tables.kernel_queue_ifindex = if_nametoindex("tap0");
  ASSERT_TRUE(program->Publish(tables).ok());
  const PacketSocket wire(kPeer);
  const PacketSocket worker("tap1");
  SendFrom("192.0.2.53");
  EXPECT_TRUE(worker.Receives(PayloadFrom("192.0.2.53")));
  EXPECT_FALSE(wire.Receives(PayloadFrom("192.0.2.53")));
}

TEST_F(TrafficTest, WhatIsCutOffBeforeItsSourceDoesNotLeave) {
  auto program = Attached(kUplink);
  const Bytes frames[] = {
      Frame(V4("198.51.100.7", "203.0.113.1", kUdp, L4(1, 2))),
      Frame(V6("fe80::1", "2001:db8::1", kUdp, L4(1, 2)))};
  const PacketSocket kernel(kUplink);
  for (const Bytes& frame : frames) {
    const size_t whole = frame[14] >> 4 == 6 ? 54 : 34;
    const auto before = program->egress_counters();
    for (size_t size = 15; size <= whole; ++size) {
      kernel.Send(
          Bytes(frame.begin(), frame.begin() + static_cast<long>(size)));
    }
    const auto after = program->egress_counters();
    ASSERT_TRUE(before.ok() && after.ok());
    EXPECT_EQ(whole - 15, after->leak_prevented - before->leak_prevented);
    EXPECT_EQ(1U, after->passed - before->passed);
  }
}

// Where a NIC would put the tag in, it is beside the frame when the rule sees
// it. Frames are given one on the way out of another interface.
TEST_F(TrafficTest, HoldsItsVlanToTheRuleAndNoOther) {
  Shell("ip link add tagger0 type veth peer name tagger1");
  Shell("ip link set tagger0 up");
  Shell("ip link set tagger1 up");
  auto program = Attached(kUplink);
  SteeringTables tables = Tables();
  tables.generation = 2;
  tables.vlan = 100;
  ASSERT_TRUE(program->Publish(tables).ok());
  const PacketSocket wire(kPeer);
  const PacketSocket tagger("tagger0");
  const Bytes leak = UdpFrame("10.0.0.1", "203.0.113.1", 53, Payload(1));
  for (const uint16_t vlan : {uint16_t{101}, uint16_t{100}}) {
    const int fd = LoadTagger(vlan, if_nametoindex(kUplink));
    ASSERT_GE(fd, 0);
    const auto tc = TcAttachment::Attach("tagger0", TcSide::kEgress, fd);
    ASSERT_TRUE(tc.ok()) << tc.status();
    tagger.Send(leak);
    EXPECT_EQ(vlan != 100, wire.Receives(Payload(1))) << vlan;
    close(fd);
  }
  const auto counters = program->egress_counters();
  ASSERT_TRUE(counters.ok());
  EXPECT_EQ(1U, counters->leak_prevented);
  EXPECT_EQ(1U, counters->passed);
}

TEST_F(TrafficTest, IngressDropLeavesFramesToPacketSockets) {
  Shell("ip addr add 198.51.100.7/24 dev up0");
  Shell("sysctl -qw net.ipv4.conf.all.rp_filter=0");
  const PacketSocket wire(kPeer);
  const PacketSocket worker(kUplink);
  const Bytes request = FrameOfType(
      0x0806, Bytes{0,   1,  8,   0, 6, 4, 0, 1, 2, 0, 0,   0,  0,   2,
                    198, 51, 100, 1, 0, 0, 0, 0, 0, 0, 198, 51, 100, 7});
  const Bytes target(request.end() - 4, request.end());
  const Bytes answer{2, 0, 0, 0, 0, 2, 198, 51, 100, 1};
  wire.Send(request);
  EXPECT_TRUE(wire.Receives(answer)) << "the kernel answers";
  {
    const auto drop = IngressDrop::Attach(kUplink);
    ASSERT_TRUE(drop.ok()) << drop.status();
    wire.Send(request);
    EXPECT_FALSE(wire.Receives(answer)) << "the kernel does not";
    EXPECT_TRUE(worker.Receives(target)) << "the packet socket sees it";
  }
  wire.Send(request);
  EXPECT_TRUE(wire.Receives(answer)) << "the kernel answers again";
  EXPECT_THAT(Shell("tc qdisc show dev up0"),
              testing::Not(testing::HasSubstr("clsact")));
}

}  // namespace
}  // namespace godwit
