// SPDX-License-Identifier: BSD-3-Clause
// Which ARP frames the kernel gets to see, by BPF_PROG_TEST_RUN.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>

#include <memory>
#include <string>
#include <utility>

#include "bpf/arp_guard.h"
#include "tests/unit/bpf/veth_fixture.h"

namespace godwit {
namespace {

using std::chrono::hours;
using std::chrono::steady_clock;
using testing::IsEmpty;

constexpr int kPassed = TC_ACT_UNSPEC;
constexpr int kRefused = TC_ACT_SHOT;
constexpr char kGateway[] = "198.51.100.1";
constexpr char kUnicast[] = "198.51.100.7";
constexpr char kService[] = "192.0.2.53";
constexpr char kStranger[] = "198.51.100.99";
constexpr MacAddress kGatewayMac = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kOwnMac = {2, 0, 0, 0, 0, 7};
constexpr MacAddress kOther = {2, 0, 0, 0, 0x66, 0x66};

IpAddress At(const char* text) { return *IpAddress::Parse(text); }

class ArpTest : public VethTest {
 protected:
  void SetUp() override {
    VethTest::SetUp();
    auto guard = ArpGuard::Attach(kUplink);
    ASSERT_TRUE(guard.ok()) << guard.status();
    guard_ = *std::move(guard);
    Publish({{At(kGateway), {kGatewayMac, kArpNeighbour}},
             {At(kUnicast), {kOwnMac, kArpUnicast}},
             {At(kService), {kOwnMac, kArpService}}});
    HoldFor(hours(1));
  }
  void Publish(const ArpGuard::Holders& holders) {
    const absl::Status published = guard_->Publish(holders);
    EXPECT_TRUE(published.ok()) << published;
  }
  void HoldFor(steady_clock::duration time) {
    const absl::Status held = guard_->HoldUntil(steady_clock::now() + time);
    EXPECT_TRUE(held.ok()) << held;
  }
  // What becomes of `mac` saying that it has `address`.
  int Run(uint8_t operation, const char* address, const MacAddress& mac) {
    Bytes arp = {0, 1, 8, 0, 6, 4, 0, operation};
    arp.insert(arp.end(), mac.begin(), mac.end());
    const IpAddress sender = At(address);
    arp.insert(arp.end(), sender.V4Bytes(), sender.V4Bytes() + 4);
    const IpAddress target = At(kUnicast);
    arp = arp + Bytes(6) + Bytes(target.V4Bytes(), target.V4Bytes() + 4);
    return RunFrame(FrameOfType(0x0806, arp + Bytes(18)));
  }
  int RunFrame(const Bytes& frame) {
    bpf_test_run_opts options = {};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    EXPECT_EQ(0, bpf_prog_test_run_opts(guard_->program_fd(), &options));
    return static_cast<int>(options.retval);
  }
  std::unique_ptr<ArpGuard> guard_;
};

// conformance L2-05
TEST_F(ArpTest, ANeighbourKeepsItsAddress) {
  for (const uint8_t operation : {uint8_t{1}, uint8_t{2}}) {
    EXPECT_EQ(kPassed, Run(operation, kGateway, kGatewayMac));
    EXPECT_EQ(kRefused, Run(operation, kGateway, kOther));
  }
  const auto claims = guard_->Take();
  ASSERT_EQ(1u, claims.size());
  EXPECT_EQ(At(kGateway), claims[0].address);
  EXPECT_EQ(kOther, claims[0].mac);
  EXPECT_EQ(2u, claims[0].frames);
  EXPECT_THAT(guard_->Take(), IsEmpty());
}

TEST_F(ArpTest, WhoIsNotKnownIsBelieved) {
  EXPECT_EQ(kPassed, Run(1, kStranger, kOther));
  Publish({{At(kUnicast), {kOwnMac, kArpUnicast}}});
  EXPECT_EQ(kPassed, Run(2, kGateway, kOther));  // it was forgotten
  EXPECT_THAT(guard_->Take(), IsEmpty());
}

// L2-06: the kernel keeps its own by itself.
TEST_F(ArpTest, ClaimsOfOwnAddressesPassAndAreTold) {
  EXPECT_EQ(kPassed, Run(1, kUnicast, kOther));
  EXPECT_EQ(kPassed, Run(1, kService, kOther));
  EXPECT_EQ(kPassed, Run(1, kUnicast, kOwnMac));
  EXPECT_EQ(2u, guard_->Take().size());
}

// A daemon that died leaves the program, and nobody who follows the kernel.
TEST_F(ArpTest, AllAreBelievedWhenNobodyFollowsTheKernel) {
  HoldFor(-std::chrono::milliseconds(1));
  EXPECT_EQ(kPassed, Run(2, kGateway, kOther));
  EXPECT_THAT(guard_->Take(), IsEmpty());
  HoldFor(hours(1));
  EXPECT_EQ(kRefused, Run(2, kGateway, kOther));
}

TEST_F(ArpTest, OtherFramesPass) {
  EXPECT_EQ(kPassed, RunFrame(FrameOfType(0x0806, Bytes(27))));
  EXPECT_EQ(kPassed, RunFrame(Frame(V4(kGateway, kUnicast, kUdp, L4(1, 2)))));
  EXPECT_THAT(guard_->Take(), IsEmpty());
}

}  // namespace
}  // namespace godwit
