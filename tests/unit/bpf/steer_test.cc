// SPDX-License-Identifier: BSD-3-Clause
// The steering program's limits, its counters, and what is not IP.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "tests/unit/bpf/steer_fixture.h"

namespace godwit {
namespace {

Bytes ManyExtensions(int count) {
  Bytes packet = L4(53, kKernelL4Port);
  uint8_t next = kUdp;
  for (int i = 0; i < count; ++i) {
    packet = Ext(next, 8, packet);
    next = kDestOptions;
  }
  return V6(kClient6, kUnicast6, next, packet);
}

TEST_F(SteerTest, WalksEightExtensionHeadersAndLeavesMoreToTheWorker) {
  SetSocket(true);
  EXPECT_EQ(XDP_PASS, Run(Frame(ManyExtensions(8))));
  EXPECT_EQ(XDP_REDIRECT, Run(Frame(ManyExtensions(9))));
}

TEST_F(SteerTest, WalksHalfAKilobyteOfExtensionsAndLeavesMoreToTheWorker) {
  SetSocket(true);
  const Bytes udp = L4(53, kKernelL4Port);
  EXPECT_EQ(
      XDP_PASS,
      Run(Frame(V6(kClient6, kUnicast6, kDestOptions, Ext(kUdp, 512, udp)))));
  EXPECT_EQ(
      XDP_REDIRECT,
      Run(Frame(V6(kClient6, kUnicast6, kDestOptions, Ext(kUdp, 520, udp)))));
  EXPECT_EQ(
      XDP_REDIRECT,
      Run(Frame(V6(kClient6, kUnicast6, kDestOptions, Ext(kUdp, 2048, udp)))));
}

TEST_F(SteerTest, PassesWhatIsNotIp) {
  SetSocket(true);
  EXPECT_EQ(XDP_PASS, Run(FrameOfType(0x0806, Bytes(46))));
  EXPECT_EQ(XDP_PASS, Run(FrameOfType(0x88cc, Bytes(46))));
  // An address of ours where IPv4 would have it, in a frame that is not IPv4.
  EXPECT_EQ(XDP_PASS,
            Run(FrameOfType(0x8847, V4(kClient, kService, kUdp, Bytes(8)))));
}

TEST_F(SteerTest, PassesNeighbourDiscoveryToAServiceAddress) {
  SetSocket(true);
  const auto message = [](uint8_t type) {
    return Frame(V6(kClient6, kService6, kIcmp6, IcmpMessage(type, 0, 0), 255));
  };
  for (uint8_t type = 133; type <= 137; ++type) {
    EXPECT_EQ(XDP_PASS, Run(message(type))) << int{type};
  }
  EXPECT_EQ(XDP_REDIRECT, Run(message(132)));
  EXPECT_EQ(XDP_REDIRECT, Run(message(138)));
}

TEST_F(SteerTest, CountsEachFrameOnce) {
  const auto before = program_->steer_counters();
  ASSERT_TRUE(before.ok());
  const Bytes ours = Frame(V4(kClient, kService, kUdp, L4(4000, 53)));
  const Bytes kernels = Frame(V4(kClient, kOther, kUdp, L4(4000, 53)));
  for (int i = 0; i < 5; ++i) Run(kernels);
  for (int i = 0; i < 3; ++i) Run(ours);
  SetSocket(true);
  for (int i = 0; i < 7; ++i) Run(ours);
  const auto after = program_->steer_counters();
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(5U, after->passed - before->passed);
  EXPECT_EQ(3U, after->dropped - before->dropped);
  EXPECT_EQ(7U, after->redirected - before->redirected);
}

TEST(SteerWithoutTablesTest, PassesEverything) {
  auto program = SteeringProgram::Load();
  ASSERT_TRUE(program.ok()) << program.status();
  const Bytes frame = Frame(V4(kClient, kService, kUdp, L4(4000, 53)));
  bpf_test_run_opts options = {};
  options.sz = sizeof(options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<uint32_t>(frame.size());
  ASSERT_EQ(0, bpf_prog_test_run_opts((*program)->steer_fd(), &options));
  EXPECT_EQ(XDP_PASS, static_cast<int>(options.retval));
}

}  // namespace
}  // namespace godwit
