// SPDX-License-Identifier: BSD-3-Clause
// Which of the frames that the kernel sends to itself are answers to queues of
// this node, by BPF_PROG_TEST_RUN; and how the program comes to lo and goes.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "bpf/loopback_return.h"
#include "tests/unit/bpf/veth_fixture.h"

namespace godwit {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kService[] = "192.0.2.53";
constexpr char kUnicast[] = "198.51.100.7";
constexpr char kService6[] = "2001:db8:53::53";
constexpr char kUnicast6[] = "2001:db8:7::7";
constexpr char kOther[] = "203.0.113.9";
constexpr char kOther6[] = "2001:db8:99::9";
constexpr uint16_t kEgressL4Port = 40000;
constexpr uint16_t kKernelL4Port = 22;
constexpr int kStays = TC_ACT_UNSPEC;
constexpr int kGoes = TC_ACT_REDIRECT;

SteeringTables AddressesAndL4Ports() {
  SteeringTables tables;
  tables.generation = 1;
  tables.service_addresses = {{*IpAddress::Parse(kService)},
                              {*IpAddress::Parse(kService6)}};
  tables.unicast_addresses = {*IpAddress::Parse(kUnicast),
                              *IpAddress::Parse(kUnicast6)};
  tables.egress_tcp.set(kEgressL4Port);
  tables.egress_udp.set(kEgressL4Port);
  tables.egress_icmp.reset();
  tables.egress_icmp.set(kEgressL4Port);
  tables.kernel_queue_ifindex = 1;  // a test run only names it
  return tables;
}

// In a namespace of its own: lo is everybody's.
class LoopbackTest : public VethTest {
 protected:
  void SetUp() override {
    VethTest::SetUp();
    auto attached = LoopbackReturn::Attach(AddressesAndL4Ports());
    ASSERT_TRUE(attached.ok()) << attached.status();
    loopback_ = *std::move(attached);
  }
  int Run(const Bytes& frame) const {
    Bytes out(frame.size() + 256);
    bpf_test_run_opts options = {};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<uint32_t>(out.size());
    const int error = bpf_prog_test_run_opts(loopback_->program_fd(), &options);
    EXPECT_EQ(0, error) << frame.size() << " bytes";
    out.resize(options.data_size_out);
    EXPECT_EQ(frame, out) << "a frame is never changed";
    return static_cast<int>(options.retval);
  }
  std::unique_ptr<LoopbackReturn> loopback_;
};

struct Case {
  const char* name;
  Bytes packet;  // from the IP header up
  int action;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }
std::string NameOf(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

class LoopbackCaseTest : public LoopbackTest,
                         public testing::WithParamInterface<Case> {};

TEST_P(LoopbackCaseTest, IsAnAnswerOrStays) {
  EXPECT_EQ(GetParam().action, Run(Frame(GetParam().packet)));
}

Bytes Answer(uint8_t protocol, uint16_t l4port = kEgressL4Port) {
  return V4(kService, kUnicast, protocol, L4(80, l4port));
}
Bytes Answer6(uint8_t protocol, uint16_t l4port = kEgressL4Port) {
  return V6(kService6, kUnicast6, protocol, L4(80, l4port));
}
// What the kernel says about a packet that came from a queue.
Bytes Error(uint16_t l4port) {
  return V4(kService, kUnicast, kIcmp4,
            IcmpMessage(3, 3, 0, V4(kUnicast, kService, kUdp, L4(l4port, 53))));
}
Bytes Error6(uint16_t l4port) {
  return V6(
      kService6, kUnicast6, kIcmp6,
      IcmpMessage(1, 4, 0, V6(kUnicast6, kService6, kUdp, L4(l4port, 53))));
}

INSTANTIATE_TEST_SUITE_P(
    Ipv4, LoopbackCaseTest,
    testing::Values(
        Case{"Tcp", Answer(kTcp), kGoes}, Case{"Udp", Answer(kUdp), kGoes},
        Case{"ToTheKernelsOwnL4Port", Answer(kTcp, kKernelL4Port), kStays},
        Case{"Echo",
             V4(kService, kUnicast, kIcmp4, IcmpMessage(0, 0, kEgressL4Port)),
             kGoes},
        Case{"EchoOfTheKernels",
             V4(kService, kUnicast, kIcmp4, IcmpMessage(0, 0, kKernelL4Port)),
             kStays},
        Case{"AnError", Error(kEgressL4Port), kGoes},
        Case{"AnErrorOfTheKernels", Error(kKernelL4Port), kStays},
        Case{"LaterFragment",
             V4(kService, kUnicast, kUdp, Bytes(8), {.fragment = 9}), kGoes},
        Case{"FromTheUnicastAddress",
             V4(kUnicast, kUnicast, kTcp, L4(80, kEgressL4Port)), kStays},
        Case{"FromAnother", V4(kOther, kUnicast, kTcp, L4(80, kEgressL4Port)),
             kStays},
        Case{"ToAService", V4(kService, kService, kTcp, L4(80, kEgressL4Port)),
             kStays},
        Case{"ToAnother", V4(kService, kOther, kTcp, L4(80, kEgressL4Port)),
             kStays},
        Case{"AQuestion", V4(kUnicast, kService, kTcp, L4(kEgressL4Port, 80)),
             kStays},
        Case{"Localhost", V4("127.0.0.1", "127.0.0.1", kTcp, L4(1, 2)),
             kStays}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Ipv6, LoopbackCaseTest,
    testing::Values(
        Case{"Tcp", Answer6(kTcp), kGoes}, Case{"Udp", Answer6(kUdp), kGoes},
        Case{"ToTheKernelsOwnL4Port", Answer6(kTcp, kKernelL4Port), kStays},
        Case{"Echo",
             V6(kService6, kUnicast6, kIcmp6,
                IcmpMessage(129, 0, kEgressL4Port)),
             kGoes},
        Case{"AnError", Error6(kEgressL4Port), kGoes},
        Case{"AnErrorOfTheKernels", Error6(kKernelL4Port), kStays},
        Case{"LaterFragment",
             V6(kService6, kUnicast6, kFragment,
                FragmentExt(kUdp, 0x0100, Bytes(8))),
             kGoes},
        Case{"FromTheUnicastAddress",
             V6(kUnicast6, kUnicast6, kTcp, L4(80, kEgressL4Port)), kStays},
        Case{"FromAnother", V6(kOther6, kUnicast6, kTcp, L4(80, kEgressL4Port)),
             kStays},
        Case{"ToAnother", V6(kService6, kOther6, kTcp, L4(80, kEgressL4Port)),
             kStays},
        Case{"Localhost", V6("::1", "::1", kTcp, L4(1, 2)), kStays}),
    NameOf);

TEST_F(LoopbackTest, FollowsItsTables) {
  SteeringTables tables = AddressesAndL4Ports();
  tables.egress_tcp.reset();
  ASSERT_TRUE(loopback_->Publish(tables).ok());
  EXPECT_EQ(kStays, Run(Frame(Answer(kTcp))));
  EXPECT_EQ(kGoes, Run(Frame(Answer(kUdp))));
  tables.kernel_queue_ifindex = 0;
  ASSERT_TRUE(loopback_->Publish(tables).ok());
  EXPECT_EQ(kStays, Run(Frame(Answer(kUdp))));
}

TEST_F(LoopbackTest, LeavesNothing) {
  EXPECT_THAT(Shell("tc filter show dev lo egress"),
              HasSubstr("godwit_loopback"));
  loopback_.reset();
  EXPECT_THAT(Shell("tc qdisc show dev lo"), Not(HasSubstr("clsact")));
}

}  // namespace
}  // namespace godwit
