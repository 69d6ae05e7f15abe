// SPDX-License-Identifier: BSD-3-Clause
// What the source rule says about a frame of the kernel's, by
// BPF_PROG_TEST_RUN. Tags beside the frame can't be had there: traffic_test.cc.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <cstring>
#include <memory>
#include <ostream>
#include <string>

#include "bpf/loader.h"
#include "tests/unit/bpf/frames.h"

namespace godwit {
namespace {

constexpr char kService[] = "192.0.2.53";
constexpr char kByKernel[] = "192.0.2.54";
constexpr char kUnicast[] = "198.51.100.7";
constexpr char kService6[] = "2001:db8:53::53";
constexpr char kUnicast6[] = "2001:db8:7::7";
constexpr char kPeer[] = "203.0.113.9";
constexpr char kPeer6[] = "2001:db8:99::9";
constexpr uint32_t kKernelQueue = 1;  // lo: a test run only names it
constexpr uint32_t kMark = 0x676f;
// What the program returns for a frame that may go on.
constexpr int kGoesOn = TC_ACT_UNSPEC;

SteeringTables Tables() {
  SteeringTables tables;
  tables.generation = 1;
  tables.service_addresses = {
      {*IpAddress::Parse(kService)},
      {*IpAddress::Parse(kByKernel), ServedBy::kKernelOnly},
      {*IpAddress::Parse(kService6)}};
  tables.unicast_addresses = {*IpAddress::Parse(kUnicast),
                              *IpAddress::Parse(kUnicast6)};
  tables.kernel_queue_ifindex = kKernelQueue;
  tables.kernel_queue_mark = kMark;
  return tables;
}

struct Outcome {
  int action;
  uint32_t mark;
};

class EgressTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto program = SteeringProgram::Load();
    ASSERT_TRUE(program.ok()) << program.status();
    program_ = *std::move(program);
  }
  static void TearDownTestSuite() { program_.reset(); }
  void SetUp() override { ASSERT_TRUE(program_->Publish(Tables()).ok()); }

  static Outcome RunWithMark(const Bytes& frame) {
    Bytes out(frame.size() + 256);
    __sk_buff in = {};
    __sk_buff after = {};
    bpf_test_run_opts options = {};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<uint32_t>(out.size());
    options.ctx_in = &in;
    options.ctx_size_in = sizeof(in);
    options.ctx_out = &after;
    options.ctx_size_out = sizeof(after);
    const int error = bpf_prog_test_run_opts(program_->egress_fd(), &options);
    EXPECT_EQ(0, error) << frame.size() << " bytes";
    out.resize(options.data_size_out);
    const bool tagged = frame[12] == 0x81 && frame[13] == 0;
    Bytes expected = frame;
    if (tagged && options.retval == TC_ACT_REDIRECT) {
      expected.erase(expected.begin() + 12, expected.begin() + 16);
    }
    EXPECT_EQ(expected, out) << "but for the tag, of which a TAP has none";
    return {static_cast<int>(options.retval), after.mark};
  }
  static int Run(const Bytes& frame) { return RunWithMark(frame).action; }

  static std::unique_ptr<SteeringProgram> program_;
};
std::unique_ptr<SteeringProgram> EgressTest::program_;

struct Case {
  const char* name;
  Bytes frame;
  int action;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class EgressCaseTest : public EgressTest,
                       public testing::WithParamInterface<Case> {};

TEST_P(EgressCaseTest, IsHeldToTheSourceRule) {
  EXPECT_EQ(GetParam().action, Run(GetParam().frame));
}

TEST_P(EgressCaseTest, IsHeldToItOnItsVlanAndOnNoOther) {
  const Bytes& frame = GetParam().frame;
  EXPECT_EQ(kGoesOn, Run(Tagged(0x8100, 100, frame)));
  SteeringTables tables = Tables();
  tables.vlan = 100;
  ASSERT_TRUE(program_->Publish(tables).ok());
  EXPECT_EQ(GetParam().action, Run(Tagged(0x8100, 100, frame)));
  EXPECT_EQ(GetParam().action, Run(Tagged(0x8100, 0x2064, frame)));
  EXPECT_EQ(kGoesOn, Run(Tagged(0x8100, 101, frame)));
  EXPECT_EQ(kGoesOn, Run(Tagged(0x88a8, 100, frame)));
  EXPECT_EQ(kGoesOn, Run(frame));
}

std::string NameOf(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

Bytes From4(const char* source) {
  return Frame(V4(source, kPeer, kTcp, L4(22, 4000)));
}
Bytes From6(const char* source) {
  return Frame(V6(source, kPeer6, kTcp, L4(22, 4000)));
}
Bytes Icmp6(const char* source, uint8_t type, uint8_t hop_limit) {
  return Frame(
      V6(source, "ff02::1", kIcmp6, IcmpMessage(type, 0, 0), hop_limit));
}
Bytes Mld(const char* source, uint8_t type, uint8_t hop_limit) {
  return Frame(V6(source, "ff02::16", kHopByHop,
                  Ext(kIcmp6, 8, IcmpMessage(type, 0, 0)), hop_limit));
}

// What the node itself sends to a service of its own.
Bytes Within4(const char* source, const char* destination) {
  return Frame(V4(source, destination, kTcp, L4(40000, 53)));
}
Bytes Within6(const char* source, const char* destination) {
  return Frame(V6(source, destination, kTcp, L4(40000, 53)));
}

INSTANTIATE_TEST_SUITE_P(
    Ipv4, EgressCaseTest,
    testing::Values(
        Case{"Unicast", From4(kUnicast), kGoesOn},
        Case{"UnicastToItself", Within4(kUnicast, kUnicast), kGoesOn},
        Case{"UnicastToAService", Within4(kUnicast, kService), TC_ACT_REDIRECT},
        Case{"UnicastToTheKernelsService", Within4(kUnicast, kByKernel),
             TC_ACT_REDIRECT},
        Case{"LaterFragmentToAService",
             Frame(V4(kUnicast, kService, kUdp, Bytes(8), {.fragment = 9})),
             TC_ACT_REDIRECT},
        Case{"AnotherToAService", Within4("198.51.100.8", kService),
             TC_ACT_SHOT},
        Case{"ServiceToAService", Within4(kService, kByKernel),
             TC_ACT_REDIRECT},
        Case{"LinkLocal", From4("169.254.1.1"), kGoesOn},
        Case{"Service", From4(kService), TC_ACT_REDIRECT},
        Case{"ServiceByTheKernelAlone", From4(kByKernel), TC_ACT_REDIRECT},
        Case{"Another", From4("198.51.100.8"), TC_ACT_SHOT},
        Case{"BelowLinkLocal", From4("169.253.255.255"), TC_ACT_SHOT},
        Case{"Private", From4("10.0.0.1"), TC_ACT_SHOT},
        Case{"Loopback", From4("127.0.0.1"), TC_ACT_SHOT},
        Case{"Unspecified", From4("0.0.0.0"), TC_ACT_SHOT},
        Case{"Multicast", From4("224.0.0.5"), TC_ACT_SHOT},
        Case{"Fragment",
             Frame(V4("10.0.0.1", kPeer, kUdp, Bytes(8), {.fragment = 9})),
             TC_ACT_SHOT},
        Case{"Options",
             Frame(V4(kUnicast, kPeer, kUdp, L4(1, 2), {.options = 10})),
             kGoesOn}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Ipv6, EgressCaseTest,
    testing::Values(
        Case{"Unicast", From6(kUnicast6), kGoesOn},
        Case{"UnicastToItself", Within6(kUnicast6, kUnicast6), kGoesOn},
        Case{"UnicastToAService", Within6(kUnicast6, kService6),
             TC_ACT_REDIRECT},
        Case{"AnotherToAService", Within6("2001:db8:7::8", kService6),
             TC_ACT_SHOT},
        Case{"LinkLocalToAService", Within6("fe80::1", kService6), kGoesOn},
        Case{"UnicastToAMappedService", Within6(kUnicast6, "::ffff:192.0.2.53"),
             kGoesOn},
        Case{"UnicastLooksForAServicesNeighbour",
             Frame(V6(kUnicast6, kService6, kIcmp6, IcmpMessage(135, 0, 0),
                      255)),
             kGoesOn},
        Case{"LinkLocal", From6("fe80::1"), kGoesOn},
        Case{"LinkLocalLast", From6("febf::1"), kGoesOn},
        Case{"AboveLinkLocal", From6("fec0::1"), TC_ACT_SHOT},
        Case{"Service", From6(kService6), TC_ACT_REDIRECT},
        Case{"Another", From6("2001:db8:7::8"), TC_ACT_SHOT},
        Case{"Loopback", From6("::1"), TC_ACT_SHOT},
        Case{"Unspecified", From6("::"), TC_ACT_SHOT},
        Case{"MappedUnicast", From6("::ffff:198.51.100.7"), TC_ACT_SHOT},
        Case{"MappedService", From6("::ffff:192.0.2.53"), TC_ACT_SHOT},
        Case{"UniqueLocal", From6("fd00::1"), TC_ACT_SHOT},
        Case{"AddressDetection", Icmp6("::", 135, 255), kGoesOn},
        Case{"SolicitationOfAService", Icmp6(kService6, 135, 255), kGoesOn},
        Case{"RouterSolicitation", Icmp6("2001:db8:7::8", 133, 255), kGoesOn},
        Case{"Ipv6Redirect", Icmp6("2001:db8:7::8", 137, 255), kGoesOn},
        Case{"BelowDiscovery", Icmp6("2001:db8:7::8", 132, 255), TC_ACT_SHOT},
        Case{"AboveDiscovery", Icmp6("2001:db8:7::8", 138, 255), TC_ACT_SHOT},
        Case{"DiscoveryThatIsForwarded", Icmp6("2001:db8:7::8", 135, 64),
             TC_ACT_SHOT},
        Case{"ListenerReport", Mld("::", 143, 1), kGoesOn},
        Case{"ListenerReportV1", Mld("2001:db8:7::8", 131, 1), kGoesOn},
        Case{"ListenerReportThatIsForwarded", Mld("::", 143, 64), TC_ACT_SHOT},
        Case{"EchoLikeAListener", Mld("::", 128, 1), TC_ACT_SHOT},
        Case{"DiscoveryInAService",
             Frame(V6(kService6, kPeer6, kUdp, Bytes{135, 0, 0, 0}, 255)),
             TC_ACT_REDIRECT}),
    NameOf);

Bytes To(const Bytes& mac, Bytes frame) {
  std::copy(mac.begin(), mac.end(), frame.begin());
  return frame;
}

Bytes Arp(uint8_t operation, const char* sender, const char* target) {
  Bytes arp = {0, 1, 8, 0, 6, 4, 0, operation, 2, 0, 0, 0, 0, 7};
  const auto add = [&arp](const char* text) {
    const IpAddress address = *IpAddress::Parse(text);
    arp.insert(arp.end(), address.V4Bytes(), address.V4Bytes() + 4);
  };
  add(sender);
  arp.insert(arp.end(), 6, 0);
  add(target);
  arp.resize(46);
  return FrameOfType(0x0806, arp);
}

INSTANTIATE_TEST_SUITE_P(
    ArpMessages, EgressCaseTest,
    testing::Values(
        Case{"Request", Arp(1, kUnicast, kPeer), kGoesOn},
        Case{"Reply", Arp(2, kUnicast, kPeer), kGoesOn},
        Case{"Announcement", Arp(1, kUnicast, kUnicast), kGoesOn},
        Case{"Probe", Arp(1, "0.0.0.0", kService), kGoesOn},
        Case{"RequestOfAService", Arp(1, kService, kPeer), kGoesOn},
        Case{"ReplyOfAService", Arp(2, kService, kPeer), TC_ACT_SHOT},
        Case{"ReplyOfTheKernelsService", Arp(2, kByKernel, kPeer), TC_ACT_SHOT},
        Case{"AnnouncementOfAService", Arp(1, kService, kService), TC_ACT_SHOT},
        Case{"UnaskedReplyOfAService", Arp(2, kService, kService),
             TC_ACT_SHOT}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Others, EgressCaseTest,
    testing::Values(
        Case{"Arp", FrameOfType(0x0806, Bytes(46)), kGoesOn},
        Case{"Lldp",
             To({0x01, 0x80, 0xc2, 0, 0, 0x0e}, FrameOfType(0x88cc, Bytes(46))),
             kGoesOn},
        Case{"LldpToAHost", FrameOfType(0x88cc, Bytes(46)), TC_ACT_SHOT},
        Case{"AboveLinkControl",
             To({0x01, 0x80, 0xc2, 0, 0, 0x10}, FrameOfType(0x88cc, Bytes(46))),
             TC_ACT_SHOT},
        Case{"Mpls", FrameOfType(0x8847, Bytes(46)), TC_ACT_SHOT}),
    NameOf);

TEST_F(EgressTest, MarksWhatItRedirectsAndNothingElse) {
  EXPECT_EQ(kMark, RunWithMark(From4(kService)).mark);
  EXPECT_EQ(0U, RunWithMark(From4(kUnicast)).mark);
}

TEST_F(EgressTest, DropsAServiceSourceWhereNoWorkerCanDecide) {
  SteeringTables tables = Tables();
  tables.kernel_queue_ifindex = 0;
  ASSERT_TRUE(program_->Publish(tables).ok());
  EXPECT_EQ(TC_ACT_SHOT, Run(From4(kService)));
  EXPECT_EQ(TC_ACT_SHOT, Run(From6(kService6)));
  EXPECT_EQ(TC_ACT_SHOT, Run(Within4(kUnicast, kService)));
  EXPECT_EQ(TC_ACT_SHOT, Run(Within6(kUnicast6, kService6)));
  EXPECT_EQ(kGoesOn, Run(From4(kUnicast)));
}

TEST_F(EgressTest, NeedsNoMoreThanTheAddresses) {
  const Bytes frames[] = {From4(kUnicast), From6(kUnicast6)};
  for (const Bytes& frame : frames) {
    const size_t decided_at = 14 + (frame[14] >> 4 == 6 ? 40 : 20);
    // Shorter ones can't be had in a test run: traffic_test.cc.
    for (size_t size = decided_at; size < frame.size(); ++size) {
      SCOPED_TRACE(size);
      const Bytes cut(frame.begin(), frame.begin() + static_cast<long>(size));
      EXPECT_EQ(kGoesOn, Run(cut));
    }
  }
}

TEST_F(EgressTest, CountsEachFrameOnce) {
  const auto before = program_->egress_counters();
  ASSERT_TRUE(before.ok());
  for (int i = 0; i < 5; ++i) Run(From4(kUnicast));
  for (int i = 0; i < 3; ++i) Run(From6(kService6));
  for (int i = 0; i < 7; ++i) Run(From4("10.0.0.1"));
  const auto after = program_->egress_counters();
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(5U, after->passed - before->passed);
  EXPECT_EQ(3U, after->redirected - before->redirected);
  EXPECT_EQ(7U, after->leak_prevented - before->leak_prevented);
}

}  // namespace
}  // namespace godwit
