// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/uplink.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cstring>
#include <string>

#include "control/plumb/link.h"
#include "control/plumb/netns.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/plumb/scratch_netns.h"

namespace godwit {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class UplinkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
  }
  absl::Status MakeTap(const char* name, TapMode mode = TapMode::kMultiQueue) {
    absl::Status status;
    node_.Enter([&] { status = CreatePersistentTap(name, mode); });
    return status;
  }
  absl::Status Plumb(const KernelUplink& uplink) {
    absl::Status status;
    node_.Enter([&] { status = PlumbUplink(uplink); });
    return status;
  }
  KernelUplink Gw0() {
    return KernelUplink{.ifname = "gw0",
                        .mac = ParseMac("02:00:00:00:00:07"),
                        .mtu = 1400,
                        .addresses = {*Prefix::Parse("198.51.100.7/24"),
                                      *Prefix::Parse("2001:db8:7::7/64")},
                        .gateways = {*IpAddress::Parse("198.51.100.1"),
                                     *IpAddress::Parse("2001:db8:7::1")}};
  }
  std::string World() {
    return node_.Ip("-d link show") + node_.Ip("-o addr show scope global") +
           node_.Ip("route show table all") + node_.Ip("-6 route show default");
  }

  ScratchNetns node_;
};

TEST_F(UplinkTest, ATapStaysWhenNobodyHasItOpen) {
  ASSERT_TRUE(MakeTap("gw0").ok());
  EXPECT_THAT(node_.Ip("-d link show gw0"),
              AllOf(HasSubstr("tun type tap"), HasSubstr("multi_queue"),
                    HasSubstr("persist on")));
  EXPECT_TRUE(MakeTap("gw0").ok());
  ASSERT_TRUE(MakeTap("gw1", TapMode::kSingleQueue).ok());
  EXPECT_THAT(node_.Ip("-d link show gw1"), Not(HasSubstr("multi_queue")));
}

TEST_F(UplinkTest, ATapIsNotMadeOfSomethingElse) {
  node_.Ip("link add gw0 type veth peer name gw0-far");
  EXPECT_TRUE(absl::IsAlreadyExists(MakeTap("gw0")));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeTap("")));
}

TEST_F(UplinkTest, TheTapGetsWhatTheConfigSays) {
  ASSERT_TRUE(MakeTap("gw0").ok());
  node_.Exec("sysctl -qw net.ipv4.conf.gw0.rp_filter=1");
  const absl::Status status = Plumb(Gw0());
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(node_.Ip("link show gw0"),
              AllOf(HasSubstr("02:00:00:00:00:07"), HasSubstr("mtu 1400"),
                    HasSubstr(",UP")));
  EXPECT_THAT(node_.Ip("addr show dev gw0"),
              AllOf(HasSubstr("198.51.100.7/24"), HasSubstr("2001:db8:7::7/64"),
                    Not(HasSubstr("127."))));
  EXPECT_THAT(node_.Ip("route show default"),
              HasSubstr("via 198.51.100.1 dev gw0 proto 74 metric 74"));
  EXPECT_THAT(node_.Ip("-6 route show default"),
              HasSubstr("via 2001:db8:7::1 dev gw0 proto 74 metric 74"));
  EXPECT_EQ(node_.Exec("cat /proc/sys/net/ipv4/conf/gw0/rp_filter"), "2\n");
  EXPECT_EQ(node_.Exec("cat /proc/sys/net/ipv4/conf/gw0/accept_local"), "1\n");
}

TEST_F(UplinkTest, ATapWithoutAnIpv4AddressGetsOneThatOnlyThisHostCanUse) {
  ASSERT_TRUE(MakeTap("gw0").ok());
  for (int i = 0; i < 2; ++i) {
    const absl::Status status =
        Plumb({.ifname = "gw0", .addresses = {*Prefix::Parse("fd00::7/64")}});
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_THAT(node_.Ip("-4 -o addr show dev gw0"),
                HasSubstr("inet 127.103.119.1/32 scope host"));
  }
  EXPECT_EQ(node_.Exec("cat /proc/sys/net/ipv4/conf/gw0/rp_filter"), "2\n");
  node_.Enter([] { EXPECT_TRUE(UnplumbUplink("gw0").ok()); });
  EXPECT_EQ(node_.Ip("-4 addr show dev gw0"), "");
}

bool HasLinkLocal(const std::string& name) {
  return Shell("ip -6 addr show dev " + name).find("fe80") != std::string::npos;
}

TEST_F(UplinkTest, AQuietTapHasNoLinkLocalAddress) {
  for (const char* name : {"gw0", "gw1"}) ASSERT_TRUE(MakeTap(name).ok());
  node_.Enter([] { EXPECT_TRUE(KeepQuiet("gw0").ok()); });
  // A TAP has a carrier, and so its address, while somebody has it open.
  node_.Enter([&] {
    for (const char* name : {"gw0", "gw1"}) {
      const OwnedFd fd(open("/dev/net/tun", O_RDWR));
      ifreq request{};
      std::strcpy(request.ifr_name, name);
      request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
      ASSERT_EQ(ioctl(fd.get(), TUNSETIFF, &request), 0);
      ASSERT_TRUE(godwit::SetUp(name).ok());
      Shell("sleep 0.1");
      for (int i = 0; i < 100 && name[2] == '1' && !HasLinkLocal(name); ++i) {
        Shell("sleep 0.1");
      }
    }
  });
  EXPECT_THAT(node_.Ip("-6 addr show dev gw0"), Not(HasSubstr("fe80")));
  EXPECT_THAT(node_.Ip("-6 addr show dev gw1"), HasSubstr("fe80"));
}

TEST_F(UplinkTest, TheKernelSendsCompletePacketsThroughTheTap) {
  ASSERT_TRUE(MakeTap("gw0").ok());
  node_.Enter([&] {
    // As a driver that negotiates offloads would turn them on.
    const OwnedFd fd(open("/dev/net/tun", O_RDWR));
    ifreq request{};
    std::strcpy(request.ifr_name, "gw0");
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR;
    ASSERT_EQ(ioctl(fd.get(), TUNSETIFF, &request), 0);
    ASSERT_EQ(ioctl(fd.get(), TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4), 0);
    EXPECT_THAT(Shell("ethtool -k gw0"), HasSubstr("tx-checksumming: on"));
    ASSERT_TRUE(PlumbUplink(Gw0()).ok());
    EXPECT_THAT(Shell("ethtool -k gw0"),
                AllOf(HasSubstr("tx-checksumming: off"),
                      HasSubstr("tx-tcp-segmentation: off")));
  });
}

TEST_F(UplinkTest, RepeatingItDoesNoHarm) {
  ASSERT_TRUE(MakeTap("gw0").ok());
  ASSERT_TRUE(Plumb(Gw0()).ok());
  const std::string before = World();
  ASSERT_TRUE(MakeTap("gw0").ok());
  const absl::Status again = Plumb(Gw0());
  EXPECT_TRUE(again.ok()) << again;
  EXPECT_EQ(World(), before);
}

TEST_F(UplinkTest, WhatTheSystemConfiguredStays) {
  node_.Ip("link add eth1 type veth peer name eth1-far");
  node_.Ip("link set eth1 up");
  node_.Ip("addr add 198.51.100.7/24 dev eth1");
  node_.Ip("route add default via 198.51.100.1 dev eth1");
  node_.Exec("sysctl -qw net.ipv4.conf.eth1.rp_filter=1");
  const std::string before = World();
  const KernelUplink uplink{.ifname = "eth1",
                            .addresses = {*Prefix::Parse("198.51.100.7/24")},
                            .gateways = {*IpAddress::Parse("198.51.100.1")},
                            .reverse_path_filter = ReversePathFilter::kKeep};
  const absl::Status status = Plumb(uplink);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(World(), before);
  EXPECT_EQ(node_.Exec("cat /proc/sys/net/ipv4/conf/eth1/rp_filter"), "1\n");
  node_.Enter([] { EXPECT_TRUE(UnplumbUplink("eth1").ok()); });
  EXPECT_EQ(World(), before);
}

TEST_F(UplinkTest, UnplumbingTakesBackWhatIsOurs) {
  node_.Ip("link add eth1 type veth peer name eth1-far");
  node_.Ip("addr add 198.51.100.9/24 dev eth1");
  KernelUplink uplink = Gw0();
  uplink.ifname = "eth1";
  ASSERT_TRUE(Plumb(uplink).ok());
  node_.Enter([] {
    const absl::Status status = UnplumbUplink("eth1");
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_TRUE(UnplumbUplink("eth9").ok());
  });
  EXPECT_EQ(node_.Ip("route show default"), "");
  EXPECT_EQ(node_.Ip("-6 route show default"), "");
  EXPECT_THAT(node_.Ip("addr show dev eth1"),
              AllOf(HasSubstr("198.51.100.9"), Not(HasSubstr("198.51.100.7")),
                    Not(HasSubstr("2001:db8:7::7"))));
}

TEST_F(UplinkTest, SaysWhichInterfaceAndWhy) {
  const absl::Status missing = Plumb(KernelUplink{.ifname = "gw9"});
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("\"gw9\""));
  ASSERT_TRUE(MakeTap("gw0").ok());
  const absl::Status mtu = Plumb(KernelUplink{.ifname = "gw0", .mtu = 20});
  EXPECT_FALSE(mtu.ok());
  EXPECT_THAT(std::string(mtu.message()),
              AllOf(HasSubstr("\"gw0\""), HasSubstr("MTU to 20")));
}

}  // namespace
}  // namespace godwit
