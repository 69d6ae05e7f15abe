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
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

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
  // A program of two instructions, under a name.
  static int LoadPass(bpf_prog_type type, const char* name, int verdict) {
    const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K,
                              .dst_reg = 0,
                              .src_reg = 0,
                              .off = 0,
                              .imm = verdict},
                             {.code = BPF_JMP | BPF_EXIT,
                              .dst_reg = 0,
                              .src_reg = 0,
                              .off = 0,
                              .imm = 0}};
    const int fd = bpf_prog_load(type, name, "GPL", pass, 2, nullptr);
    EXPECT_GE(fd, 0);
    return fd;
  }
  static int IfIndex() { return static_cast<int>(if_nametoindex(kUplink)); }
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

// As earlier versions held it: it goes with its owner, and so some time after
// it.
TEST_F(AttachTest, WaitsForALinkAndRefusesOneThatStays) {
  auto first = Load();
  bpf_link_create_opts options = {};
  options.sz = sizeof(options);
  options.flags = XDP_FLAGS_DRV_MODE;
  const int link =
      bpf_link_create(first->steer_fd(), IfIndex(), BPF_XDP, &options);
  ASSERT_GE(link, 0);
  const uint32_t id = XdpProgramId(kUplink);
  auto second = Load();
  const absl::Status status = second->Attach(kUplink);
  EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
  EXPECT_EQ(id, XdpProgramId(kUplink));
  std::thread closer([link] {
    usleep(200'000);
    close(link);
  });
  EXPECT_TRUE(second->Attach(kUplink).ok());
  closer.join();
  EXPECT_NE(id, XdpProgramId(kUplink));
}

TEST_F(AttachTest, RefusesSomebodyElsesProgram) {
  const int other = LoadPass(BPF_PROG_TYPE_XDP, "operators", XDP_PASS);
  ASSERT_EQ(0, bpf_xdp_attach(IfIndex(), other, 0, nullptr));
  close(other);
  const uint32_t id = XdpProgramId(kUplink);
  auto program = Load();
  const absl::Status status = program->Attach(kUplink);
  EXPECT_EQ(absl::StatusCode::kFailedPrecondition, status.code()) << status;
  EXPECT_THAT(status.message(), HasSubstr("operators"));
  program.reset();
  EXPECT_EQ(nullptr, XdpAttachment::FindLeftover(IfIndex()));
  EXPECT_EQ(id, XdpProgramId(kUplink));
}

TEST_F(AttachTest, ReplacesWhatACrashedLibxdpLeft) {
  const int other = LoadPass(BPF_PROG_TYPE_XDP, "xsk_def_prog", XDP_PASS);
  ASSERT_EQ(0, bpf_xdp_attach(IfIndex(), other, XDP_FLAGS_SKB_MODE, nullptr));
  close(other);
  EXPECT_EQ(nullptr, XdpAttachment::FindLeftover(IfIndex()))
      << "it may be that of a program that lives";
  auto program = Load();
  const absl::Status status = program->Attach(kUplink);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(XdpMode::kNative, program->mode());
  EXPECT_FALSE(program->predecessor().has_value());
  program.reset();
  ExpectNothingIsLeft();
}

TEST_F(AttachTest, LeavesWhatSomebodyHasPutInItsPlace) {
  auto program = Load();
  ASSERT_TRUE(program->Attach(kUplink).ok());
  const int other = LoadPass(BPF_PROG_TYPE_XDP, "operators", XDP_PASS);
  ASSERT_EQ(0, bpf_xdp_attach(IfIndex(), other, 0, nullptr));
  close(other);
  const uint32_t id = XdpProgramId(kUplink);
  program.reset();
  EXPECT_EQ(id, XdpProgramId(kUplink));
}

TEST_F(AttachTest, OutlivesAKilledOwnerAndDropsWhatIsOurs) {
  AttachAndCrash();
  usleep(200'000);
  const uint32_t orphan = XdpProgramId(kUplink);
  EXPECT_NE(0U, orphan);
  EXPECT_THAT(Filters("egress"), HasSubstr("godwit_egress"));
  const PacketSocket wire(kPeer);
  const PacketSocket kernel(kUplink);
  wire.Send(UdpFrame("203.0.113.1", "192.0.2.53", 53, Payload(1)));
  EXPECT_FALSE(kernel.Receives(Payload(1)));
  wire.Send(UdpFrame("203.0.113.1", "198.51.100.7", 40000, Payload(2)));
  EXPECT_FALSE(kernel.Receives(Payload(2)));
  wire.Send(UdpFrame("203.0.113.1", "198.51.100.7", 22, Payload(3)));
  EXPECT_TRUE(kernel.Receives(Payload(3)));

  auto successor = Load();
  const absl::Status status = successor->Attach(kUplink);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(XdpMode::kNative, successor->mode());
  EXPECT_NE(orphan, XdpProgramId(kUplink));
  ASSERT_TRUE(successor->predecessor().has_value());
  EXPECT_EQ(2U, successor->predecessor()->dropped);
  EXPECT_EQ(0U, successor->predecessor()->redirected);
  const std::string filters = Filters("egress");
  EXPECT_EQ(filters.find("handle"), filters.rfind("handle"))
      << "one filter: " << filters;
  successor.reset();
  ExpectNothingIsLeft();
}

TEST_F(AttachTest, KeepsTheModeOfWhatItReplaces) {
  {
    const auto crashed = Load();
    ASSERT_EQ(0, bpf_xdp_attach(IfIndex(), crashed->steer_fd(),
                                XDP_FLAGS_SKB_MODE, nullptr));
  }
  auto program = Load();
  const absl::Status status = program->Attach(kUplink);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(XdpMode::kGeneric, program->mode());
  program.reset();
  ExpectNothingIsLeft();
}

// Looked at all the time while one follows another.
TEST_F(AttachTest, IsExchangedInOneStep) {
  AttachAndCrash();
  std::atomic<bool> over = false;
  std::atomic<int> looks = 0;
  std::atomic<int> missing = 0;
  std::thread watcher([&] {
    while (!over) {
      ++looks;
      if (XdpProgramId(kUplink) == 0) ++missing;
    }
  });
  for (int i = 0; i < 5; ++i) {
    const uint32_t before = XdpProgramId(kUplink);
    AttachAndCrash();
    EXPECT_NE(before, XdpProgramId(kUplink));
  }
  over = true;
  watcher.join();
  EXPECT_GT(looks, 100);
  EXPECT_EQ(0, missing);
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
  const int other = LoadPass(BPF_PROG_TYPE_SCHED_CLS, "operators", 0);
  const int ifindex = IfIndex();
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
  AttachAndCrash();
  Shell("tc filter add dev up0 egress prio 5 u32 match u32 0 0 flowid 1:1");
  EXPECT_THAT(TcAttachment::RemoveLeftovers(IfIndex()),
              testing::ElementsAre("godwit_egress"));
  EXPECT_THAT(Filters("egress"), Not(HasSubstr("godwit")));
  EXPECT_THAT(Filters("egress"), HasSubstr("pref 5"));
  EXPECT_NE(0U, XdpProgramId(kUplink));
  auto left = XdpAttachment::FindLeftover(IfIndex());
  ASSERT_NE(nullptr, left);
  left.reset();
  EXPECT_EQ(0U, XdpProgramId(kUplink));
}

TEST_F(AttachTest, WhatLivesIsNoLeftover) {
  auto program = Load();
  ASSERT_TRUE(program->Attach(kUplink).ok());
  EXPECT_EQ(nullptr, XdpAttachment::FindLeftover(IfIndex()));
}

// Between the look and the removal a successor has come.
TEST_F(AttachTest, ALeftoverThatWasReplacedIsNotRemoved) {
  AttachAndCrash();
  auto left = XdpAttachment::FindLeftover(IfIndex());
  ASSERT_NE(nullptr, left);
  auto successor = Load();
  ASSERT_TRUE(successor->Attach(kUplink).ok());
  const uint32_t id = XdpProgramId(kUplink);
  left.reset();
  EXPECT_EQ(id, XdpProgramId(kUplink));
}

TEST_F(AttachTest, AnInterfaceThatIsMadeAnewHasNoneOfTheOld) {
  AttachAndCrash();
  Shell("ip link del up0");
  Shell("ip link add up0 type veth peer name peer0");
  auto program = Load();
  const absl::Status status = program->Attach(kUplink);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_FALSE(program->predecessor().has_value());
  program.reset();
  ExpectNothingIsLeft();
}

}  // namespace
}  // namespace godwit
