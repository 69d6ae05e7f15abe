// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/kernel_mtu.h"

#include <memory>
#include <string>

#include "control/plumb/link.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/plumb/scratch_netns.h"

namespace godwit {
namespace {

class KernelMtuTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
    netns_.Ip("link add eth1 type veth peer name far1");
    // Not of type vlan: not every kernel has that.
    netns_.Ip("link add eth1.100 type veth peer name far2");
  }
  // Never in the namespace of the test itself.
  void TearDown() override { End(); }
  // What eth1 and its VLAN interface have, "1500 1500".
  std::string Mtus() {
    std::string text;
    netns_.Enter([&text] {
      text = std::to_string(GetLink("eth1")->mtu) + " " +
             std::to_string(GetLink("eth1.100")->mtu);
    });
    return text;
  }
  absl::Status Set(uint32_t mtu, const std::string& tagged = "eth1.100") {
    absl::Status status;
    netns_.Enter([&] {
      auto set = KernelMtu::Set("eth1", tagged, mtu);
      status = set.status();
      if (set.ok()) set_ = *std::move(set);
    });
    return status;
  }
  void End() {
    netns_.Enter([this] { set_.reset(); });
  }

  ScratchNetns netns_;
  std::unique_ptr<KernelMtu> set_;
};

TEST_F(KernelMtuTest, GivesBackWhatItHasRaised) {
  ASSERT_TRUE(Set(2000).ok());
  EXPECT_EQ(Mtus(), "2000 2000");
  End();
  EXPECT_EQ(Mtus(), "1500 1500");
}

TEST_F(KernelMtuTest, GivesBackWhatItHasLowered) {
  netns_.Ip("link set eth1.100 mtu 1450");
  ASSERT_TRUE(Set(1280).ok());
  EXPECT_EQ(Mtus(), "1280 1280");
  End();
  EXPECT_EQ(Mtus(), "1500 1450");
}

TEST_F(KernelMtuTest, LeavesWhatSomebodyHasChangedSince) {
  ASSERT_TRUE(Set(2000, "").ok());
  netns_.Ip("link set eth1 mtu 1900");
  End();
  EXPECT_EQ(Mtus(), "1900 1500");
}

TEST_F(KernelMtuTest, NamesTheInterfaceThatRefusesAndTakesTheRestBack) {
  netns_.Ip("link set eth1.100 mtu 1400");
  const absl::Status status = Set(20);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("eth1"));
  EXPECT_EQ(Mtus(), "1500 1400");
  EXPECT_TRUE(absl::IsNotFound(KernelMtu::Set("none0", "", 1500).status()));
}

}  // namespace
}  // namespace godwit
