// SPDX-License-Identifier: BSD-3-Clause
// Attaching to a real interface: modes, what is left of crashed runs, and what
// stays of us afterwards (nothing).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/unit/bpf/veth_fixture.h"

namespace godwit {
namespace {

using testing::HasSubstr;
using testing::Not;

class AttachTest : public VethTest {
 protected:
  static std::string Filters(const std::string& side) {
    return Shell("tc filter show dev up0 " + side);
  }
  static void ExpectNothingIsLeft() {
    EXPECT_EQ(0U, XdpProgramId(kUplink));
    EXPECT_THAT(Shell("tc qdisc show dev up0"), Not(HasSubstr("clsact")));
  }
  // The links of dead owners are freed a little later.
  static bool ComesToHaveNoProgram() {
    for (int i = 0; i < 1000 && XdpProgramId(kUplink) != 0; ++i) usleep(10'000);
    return XdpProgramId(kUplink) == 0;
  }
};

TEST_F(AttachTest, IsNativeOnAVethAndLeavesNothing) {
  auto program = Load();
  const absl::Status status = program->Attach(kUplink);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(XdpMode::kNative, program->mode());
  EXPECT_NE(0U, XdpProgramId(kUplink));
  EXPECT_THAT(Filters("egress"), HasSubstr("godwit_egress"));
  program.reset();
  ExpectNothingIsLeft();
}

TEST_F(AttachTest, IsGenericWhereTheDriverHasNoXdp) {
  auto program = Load();
  const absl::Status status = program->Attach("lo");
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(XdpMode::kGeneric, program->mode());
}

TEST_F(AttachTest, NeedsTablesAndAnInterface) {
  auto program = SteeringProgram::Load();
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(absl::StatusCode::kFailedPrecondition,
            (*program)->Attach(kUplink).code());
  ASSERT_TRUE((*program)->Publish(Tables()).ok());
  EXPECT_THAT((*program)->Attach("nosuch0").message(), HasSubstr("nosuch0"));
  EXPECT_FALSE((*program)->attached());
  ExpectNothingIsLeft();
}

TEST_F(AttachTest, RefusesASecondOwnerAndDoesNotDisturbTheFirst) {
  auto first = Load();
  ASSERT_TRUE(first->Attach(kUplink).ok());
  const uint32_t id = XdpProgramId(kUplink);
  auto second = Load();
  const absl::Status status = second->Attach(kUplink);
  EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
  EXPECT_EQ(id, XdpProgramId(kUplink));
  EXPECT_THAT(Filters("egress"), HasSubstr("godwit_egress"));
}

TEST_F(AttachTest, RefusesSomebodyElsesProgram) {
  const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K,
                            .dst_reg = 0,
                            .src_reg = 0,
                            .off = 0,
                            .imm = XDP_PASS},
                           {.code = BPF_JMP | BPF_EXIT,
                            .dst_reg = 0,
                            .src_reg = 0,
                            .off = 0,
                            .imm = 0}};
  const int other =
      bpf_prog_load(BPF_PROG_TYPE_XDP, "operators", "GPL", pass, 2, nullptr);
  ASSERT_GE(other, 0);
  const int ifindex = static_cast<int>(if_nametoindex(kUplink));
  ASSERT_EQ(0, bpf_xdp_attach(ifindex, other, 0, nullptr));
  const uint32_t id = XdpProgramId(kUplink);
  auto program = Load();
  const absl::Status status = program->Attach(kUplink);
  EXPECT_EQ(absl::StatusCode::kFailedPrecondition, status.code()) << status;
  EXPECT_THAT(status.message(), HasSubstr("operators"));
  EXPECT_EQ(id, XdpProgramId(kUplink));
  close(other);
}

TEST_F(AttachTest, ReplacesWhatWasLeftWithoutALink) {
  const int ifindex = static_cast<int>(if_nametoindex(kUplink));
  for (const uint32_t mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
    auto crashed = Load();
    ASSERT_EQ(0, bpf_xdp_attach(ifindex, crashed->steer_fd(), mode, nullptr));
    crashed.reset();
    const uint32_t left = XdpProgramId(kUplink);
    ASSERT_NE(0U, left);
    auto program = Load();
    const absl::Status status = program->Attach(kUplink);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(XdpMode::kNative, program->mode());
    EXPECT_NE(left, XdpProgramId(kUplink));
    program.reset();
    ExpectNothingIsLeft();
  }
}

TEST_F(AttachTest, GoesWithAKilledOwnerSaveForTheSourceRule) {
  AttachAndCrash("");
  EXPECT_TRUE(ComesToHaveNoProgram());
  EXPECT_THAT(Filters("egress"), HasSubstr("godwit_egress"));
  auto program = Load();
  const absl::Status status = program->Attach(kUplink);
  ASSERT_TRUE(status.ok()) << status;
  const std::string filters = Filters("egress");
  EXPECT_EQ(filters.find("handle"), filters.rfind("handle"))
      << "one filter: " << filters;
  program.reset();
  ExpectNothingIsLeft();
}

TEST_F(AttachTest, CanFollowAKilledOwnerAtOnce) {
  for (int i = 0; i < 5; ++i) {
    AttachAndCrash("");
    auto program = Load();
    const absl::Status status = program->Attach(kUplink);
    ASSERT_TRUE(status.ok()) << status;
  }
}

TEST_F(AttachTest, KeepsTheOperatorsFilters) {
  Shell("tc qdisc add dev up0 clsact");
  Shell("tc filter add dev up0 ingress prio 5 u32 match u32 0 0 flowid 1:1");
  auto program = Load();
  ASSERT_TRUE(program->Attach(kUplink).ok());
  program.reset();
  EXPECT_THAT(Filters("ingress"), HasSubstr("pref 5"));
  EXPECT_THAT(Filters("egress"), Not(HasSubstr("godwit")));
}

// At the very place of ours.
TEST_F(AttachTest, RefusesSomebodyElsesFilterAndLeavesIt) {
  const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K,
                            .dst_reg = 0,
                            .src_reg = 0,
                            .off = 0,
                            .imm = 0},
                           {.code = BPF_JMP | BPF_EXIT,
                            .dst_reg = 0,
                            .src_reg = 0,
                            .off = 0,
                            .imm = 0}};
  const int other = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "operators", "GPL",
                                  pass, 2, nullptr);
  ASSERT_GE(other, 0);
  const int ifindex = static_cast<int>(if_nametoindex(kUplink));
  bpf_tc_hook hook = {};
  hook.sz = sizeof(hook);
  hook.ifindex = ifindex;
  hook.attach_point = BPF_TC_EGRESS;
  ASSERT_EQ(0, bpf_tc_hook_create(&hook));
  bpf_tc_opts options = {};
  options.sz = sizeof(options);
  options.prog_fd = other;
  options.handle = 0x6764;
  options.priority = 1;
  ASSERT_EQ(0, bpf_tc_attach(&hook, &options));
  close(other);
  auto program = Load();
  const absl::Status status = program->Attach(kUplink);
  EXPECT_EQ(absl::StatusCode::kFailedPrecondition, status.code()) << status;
  EXPECT_THAT(status.message(), HasSubstr("operators"));
  program.reset();
  EXPECT_THAT(TcAttachment::RemoveLeftovers(ifindex), testing::IsEmpty());
  EXPECT_THAT(Filters("egress"), HasSubstr("operators"));
}

TEST_F(AttachTest, RemovesWhatAKilledOwnerLeft) {
  AttachAndCrash("");
  Shell("tc filter add dev up0 egress prio 5 u32 match u32 0 0 flowid 1:1");
  const int ifindex = static_cast<int>(if_nametoindex(kUplink));
  EXPECT_THAT(TcAttachment::RemoveLeftovers(ifindex),
              testing::ElementsAre("godwit_egress"));
  EXPECT_THAT(Filters("egress"), Not(HasSubstr("godwit")));
  EXPECT_THAT(Filters("egress"), HasSubstr("pref 5"));
}

class PinTest : public AttachTest {
 protected:
  void SetUp() override {
    AttachTest::SetUp();
    char folder[] = "/tmp/godwit-pin-XXXXXX";
    ASSERT_NE(nullptr, mkdtemp(folder));
    folder_ = folder;
  }
  void TearDown() override {
    // The bpffs is gone, so that only an empty folder is left.
    EXPECT_TRUE(std::filesystem::remove(folder_));
  }
  std::string folder_;
};

TEST_F(PinTest, OutlivesACrashAndDropsWhatIsOurs) {
  AttachAndCrash(folder_);
  usleep(200'000);
  const uint32_t orphan = XdpProgramId(kUplink);
  EXPECT_NE(0U, orphan);
  const PacketSocket wire(kPeer);
  const PacketSocket kernel(kUplink);
  wire.Send(UdpFrame("203.0.113.1", "192.0.2.53", 53, Payload(1)));
  wire.Send(UdpFrame("203.0.113.1", "198.51.100.7", 40000, Payload(2)));
  wire.Send(UdpFrame("203.0.113.1", "198.51.100.7", 22, Payload(3)));
  EXPECT_TRUE(kernel.Receives(Payload(3)));
  wire.Send(UdpFrame("203.0.113.1", "192.0.2.53", 53, Payload(1)));
  EXPECT_FALSE(kernel.Receives(Payload(1)));
  wire.Send(UdpFrame("203.0.113.1", "198.51.100.7", 40000, Payload(2)));
  EXPECT_FALSE(kernel.Receives(Payload(2)));

  auto successor = Load();
  const absl::Status status = successor->Attach(kUplink, folder_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(XdpMode::kNative, successor->mode());
  EXPECT_NE(orphan, XdpProgramId(kUplink));
  successor.reset();
  ExpectNothingIsLeft();
}

TEST_F(PinTest, IsLeftToASuccessorOnRequest) {
  auto program = Load();
  ASSERT_TRUE(program->Attach(kUplink, folder_).ok());
  const uint32_t id = XdpProgramId(kUplink);
  program->LeaveAttached();
  program.reset();
  usleep(200'000);
  EXPECT_EQ(id, XdpProgramId(kUplink));
  EXPECT_THAT(Filters("egress"), HasSubstr("godwit_egress"));
  auto successor = Load();
  ASSERT_TRUE(successor->Attach(kUplink, folder_).ok());
  successor.reset();
  ExpectNothingIsLeft();
}

TEST_F(PinTest, OfAnInterfaceThatIsGoneIsReplaced) {
  AttachAndCrash(folder_);
  Shell("ip link del up0");
  Shell("ip link add up0 type veth peer name peer0");
  auto program = Load();
  const absl::Status status = program->Attach(kUplink, folder_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(0U, XdpProgramId(kUplink));
  program.reset();
  ExpectNothingIsLeft();
}

TEST_F(PinTest, OfAnInterfaceThatWasRenamedIsReplaced) {
  AttachAndCrash(folder_);
  Shell("ip link set up0 down");
  Shell("ip link set up0 name old0");
  Shell("ip link add up0 type veth peer name peer9");
  auto program = Load();
  const absl::Status status = program->Attach(kUplink, folder_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(0U, XdpProgramId(kUplink));
  for (int i = 0; i < 1000 && XdpProgramId("old0") != 0; ++i) usleep(10'000);
  EXPECT_EQ(0U, XdpProgramId("old0"));
}

TEST_F(PinTest, TakesAnInterfaceWithADotInItsName) {
  Shell("ip link add up.7 type veth peer name peer7");
  auto program = Load();
  const absl::Status status = program->Attach("up.7", folder_);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace godwit
