// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/veth.h"

#include <string>

#include "control/plumb/ethtool.h"
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

TEST(NearNameTest, IsStableShortAndTellsNamespacesApart) {
  EXPECT_EQ(NearName("dns0", "dns"), NearName("dns0", "dns"));
  EXPECT_NE(NearName("eth0", "dns"), NearName("eth0", "web"));
  EXPECT_NE(NearName("longlong-name1", ""), NearName("longlong-name2", ""));
  EXPECT_EQ(NearName("longlong-name1", "x").size(), 15U);
  EXPECT_THAT(NearName("dns0", "dns"), testing::StartsWith("gw-dns0-"));
}

// A daemon's namespace and a queue's.
class VethTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
  }
  // As the daemon would, from inside its namespace.
  absl::StatusOr<VethPair> Create(const VethSpec& spec) {
    absl::StatusOr<VethPair> pair = absl::UnknownError("not run");
    node_.Enter([&] { pair = CreateVethPair(spec); });
    return pair;
  }
  VethSpec Spec(const std::string& far_name) {
    return VethSpec{.far_name = far_name, .netns = queue_.name()};
  }

  ScratchNetns node_;
  ScratchNetns queue_;
};

TEST_F(VethTest, PutsTheFarEndIntoItsNamespaceAndBringsBothUp) {
  VethSpec spec = Spec("dns0");
  spec.rxqs = 2;
  spec.mtu = 1400;
  const auto pair = Create(spec);
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_THAT(queue_.Ip("-d link show dns0"),
              AllOf(HasSubstr("state UP"), HasSubstr("mtu 1400"),
                    HasSubstr("numtxqueues 2 numrxqueues 2"),
                    HasSubstr(MacToString(pair->far_mac))));
  EXPECT_THAT(node_.Ip("-d link show " + pair->near_name),
              AllOf(HasSubstr("state UP"), HasSubstr("mtu 1400"),
                    HasSubstr("addrgenmode none"),
                    HasSubstr(MacToString(pair->near_mac))));
  EXPECT_NE(pair->near_mac, pair->far_mac);
  EXPECT_EQ(pair->near_mac[0] & 0x03, 0x02);
  node_.Enter([&] {
    EXPECT_EQ(*RxQueueCount(pair->near_name), 2U);
    EXPECT_EQ(*IfIndex(pair->near_name), pair->near_ifindex);
  });
}

TEST_F(VethTest, TheNearEndHasNoIpv6) {
  const auto pair = Create(Spec("dns0"));
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_EQ(node_.Ip("-6 addr show dev " + pair->near_name), "");
  EXPECT_EQ(node_.Exec("cat /proc/sys/net/ipv6/conf/" + pair->near_name +
                       "/disable_ipv6"),
            "1\n");
}

TEST_F(VethTest, TheFarEndSendsCompletePackets) {
  ASSERT_TRUE(Create(Spec("dns0")).ok());
  EXPECT_THAT(queue_.Exec("ethtool -k dns0"),
              AllOf(HasSubstr("\ntx-checksumming: off"),
                    HasSubstr("\ttx-tcp-segmentation: off"),
                    HasSubstr("\ngeneric-segmentation-offload: off"),
                    HasSubstr("\ngeneric-receive-offload: off")));
}

TEST_F(VethTest, TakesUpThePairOfAnEarlierRun) {
  const auto first = Create(Spec("dns0"));
  ASSERT_TRUE(first.ok()) << first.status();
  queue_.Ip("addr add 192.0.2.1/24 dev dns0");
  node_.Ip("link set " + first->near_name + " down");
  const auto second = Create(Spec("dns0"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->near_ifindex, second->near_ifindex);
  EXPECT_EQ(first->far_mac, second->far_mac);
  EXPECT_THAT(queue_.Ip("addr show dns0"),
              AllOf(HasSubstr("192.0.2.1/24"), HasSubstr("state UP")));
}

TEST_F(VethTest, MakesAPairThatDoesNotFitAnew) {
  const auto first = Create(Spec("dns0"));
  ASSERT_TRUE(first.ok()) << first.status();
  VethSpec wider = Spec("dns0");
  wider.rxqs = 3;
  const auto second = Create(wider);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(first->near_ifindex, second->near_ifindex);
  EXPECT_EQ(first->near_mac, second->near_mac);
  EXPECT_EQ(first->far_mac, second->far_mac);
  node_.Enter([&] { EXPECT_EQ(*RxQueueCount(second->near_name), 3U); });
}

TEST_F(VethTest, TheSameNameInTwoNamespacesIsTwoPairs) {
  const ScratchNetns other;
  VethSpec elsewhere = Spec("eth0");
  elsewhere.netns = other.name();
  ASSERT_TRUE(Create(Spec("eth0")).ok());
  ASSERT_TRUE(Create(elsewhere).ok());
  EXPECT_THAT(queue_.Ip("link show eth0"), HasSubstr("state UP"));
  EXPECT_THAT(other.Ip("link show eth0"), HasSubstr("state UP"));
}

TEST_F(VethTest, WithoutANamespaceBothEndsAreHere) {
  const auto pair = Create(VethSpec{.far_name = "dns0"});
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_THAT(node_.Ip("link show dns0"), HasSubstr("state UP"));
}

TEST_F(VethTest, AFarEndThatTheOperatorMovedIsTakenUpAndLeftAlone) {
  const auto first = Create(VethSpec{.far_name = "dns0"});
  ASSERT_TRUE(first.ok()) << first.status();
  node_.Ip("link set dns0 netns " + queue_.name() + " name eth7");
  queue_.Ip("addr add 192.0.2.1/24 dev eth7");
  const auto second = Create(VethSpec{.far_name = "dns0"});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->near_ifindex, second->near_ifindex);
  EXPECT_EQ(second->far_mac, MacAddress{});
  EXPECT_THAT(queue_.Ip("addr show eth7"), HasSubstr("192.0.2.1/24"));
}

TEST_F(VethTest, LeavesSomebodyElsesInterfaceAlone) {
  queue_.Ip("tuntap add dns0 mode tap");
  EXPECT_TRUE(absl::IsAlreadyExists(Create(Spec("dns0")).status()));
  const std::string near = NearName("web0", queue_.name());
  node_.Ip("tuntap add " + near + " mode tap");
  const auto refused = Create(Spec("web0"));
  EXPECT_TRUE(absl::IsAlreadyExists(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(near));
  EXPECT_THAT(node_.Ip("-d link show " + near), HasSubstr("type tap"));
  const std::string web1 = NearName("web1", queue_.name());
  node_.Ip("link add " + web1 + " type veth peer name other");
  node_.Ip("link set " + web1 + " alias mine");
  EXPECT_TRUE(absl::IsAlreadyExists(Create(Spec("web1")).status()));
}

TEST_F(VethTest, RefusesWhatCannotBe) {
  EXPECT_TRUE(absl::IsNotFound(
      Create(VethSpec{.far_name = "dns0", .netns = "plumb-none"}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Create(Spec("a/b")).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(Create(Spec("sixteen-bytes-xx")).status()));
  VethSpec spec = Spec("dns0");
  spec.mtu = 9000;
  EXPECT_THAT(std::string(Create(spec).status().message()),
              HasSubstr("68 to 3506"));
  spec.mtu = 1500;
  spec.rxqs = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(Create(spec).status()));
}

TEST_F(VethTest, DeletingTheNearEndUndoesIt) {
  const auto pair = Create(Spec("dns0"));
  ASSERT_TRUE(pair.ok()) << pair.status();
  node_.Enter([&] {
    EXPECT_TRUE(DeleteLink(pair->near_name).ok());
    EXPECT_TRUE(DeleteLink(pair->near_name).ok());
    EXPECT_FALSE(LinkExists(pair->near_name));
  });
  queue_.Enter([] { EXPECT_FALSE(LinkExists("dns0")); });
}

TEST_F(VethTest, ChannelsCanBeChangedWithinWhatThereIs) {
  VethSpec spec = Spec("dns0");
  spec.rxqs = 4;
  const auto pair = Create(spec);
  ASSERT_TRUE(pair.ok()) << pair.status();
  node_.Enter([&] {
    EXPECT_TRUE(SetChannels(pair->near_name, 2, 2).ok());
    EXPECT_EQ(*RxQueueCount(pair->near_name), 2U);
    EXPECT_TRUE(absl::IsInvalidArgument(SetChannels(pair->near_name, 5, 4)));
  });
}

TEST_F(VethTest, EnteringANamespaceMovesNoOtherThread) {
  ASSERT_TRUE(Create(Spec("dns0")).ok());
  queue_.Enter([] { EXPECT_TRUE(LinkExists("dns0")); });
  EXPECT_FALSE(LinkExists("dns0"));
}

TEST_F(VethTest, MovesAnInterfaceIntoItsNamespaceOnce) {
  node_.Ip("tuntap add tap0 mode tap");
  node_.Enter([&] {
    EXPECT_TRUE(MoveToNetns("tap0", queue_.name()).ok());
    EXPECT_TRUE(MoveToNetns("tap0", queue_.name()).ok());
    EXPECT_TRUE(absl::IsNotFound(MoveToNetns("tap1", queue_.name())));
  });
  EXPECT_THAT(queue_.Ip("link show tap0"), HasSubstr("tap0"));
}

TEST(NetnsTest, AFileIsNoNamespace) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  const ScratchNetns node;
  EXPECT_TRUE(NetnsExists(node.name()));
  Shell("umount /run/netns/" + node.name());
  EXPECT_FALSE(NetnsExists(node.name()));
  EXPECT_FALSE(NetnsExists(""));
  EXPECT_FALSE(NetnsExists("../netns"));
  EXPECT_FALSE(NetnsExists("plumb-none"));
  EXPECT_THAT(std::string(OpenNetns("plumb-none").status().message()),
              AllOf(HasSubstr("\"plumb-none\""), Not(HasSubstr("errno"))));
}

}  // namespace
}  // namespace godwit
