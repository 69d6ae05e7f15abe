// SPDX-License-Identifier: BSD-3-Clause
// Generations: refused whole or seen whole.
#include "bpf/map_sync.h"

#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "bpf/loader.h"
#include "tests/unit/bpf/frames.h"

namespace godwit {
namespace {

using testing::HasSubstr;

IpAddress Numbered(uint32_t number) {
  const uint8_t wire[] = {10, static_cast<uint8_t>(number >> 16),
                          static_cast<uint8_t>(number >> 8),
                          static_cast<uint8_t>(number)};
  return IpAddress::FromV4(wire);
}

class MapSyncTest : public testing::Test {
 protected:
  void SetUp() override {
    auto program = SteeringProgram::Load();
    ASSERT_TRUE(program.ok()) << program.status();
    program_ = *std::move(program);
  }

  // Without a socket: ours is dropped, all else is passed.
  int Run(const Bytes& frame, int repeat = 1) const {
    bpf_test_run_opts options = {};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    options.repeat = repeat;
    EXPECT_EQ(0, bpf_prog_test_run_opts(program_->steer_fd(), &options));
    return static_cast<int>(options.retval);
  }
  bool IsOurs(const IpAddress& destination) const {
    return Run(Frame(V4("203.0.113.1", destination.ToString(), kUdp,
                        L4(4000, 53)))) == XDP_DROP;
  }

  std::unique_ptr<SteeringProgram> program_;
};

TEST_F(MapSyncTest, ReplacesTheWholeGeneration) {
  SteeringTables tables;
  tables.generation = 7;
  tables.service_addresses = {{Numbered(1)}, {Numbered(2)}};
  ASSERT_TRUE(program_->Publish(tables).ok());
  EXPECT_EQ(7U, program_->generation());
  EXPECT_TRUE(IsOurs(Numbered(1)));
  EXPECT_TRUE(IsOurs(Numbered(2)));
  EXPECT_FALSE(IsOurs(Numbered(3)));
  tables.generation = 8;
  tables.service_addresses = {{Numbered(3)}};
  ASSERT_TRUE(program_->Publish(tables).ok());
  EXPECT_EQ(8U, program_->generation());
  EXPECT_FALSE(IsOurs(Numbered(1)));
  EXPECT_FALSE(IsOurs(Numbered(2)));
  EXPECT_TRUE(IsOurs(Numbered(3)));
  tables.generation = 9;
  tables.service_addresses = {};
  ASSERT_TRUE(program_->Publish(tables).ok());
  EXPECT_FALSE(IsOurs(Numbered(3)));
}

TEST_F(MapSyncTest, HoldsAHundredThousandAddresses) {
  constexpr uint32_t kCount = 100'000;
  SteeringTables tables;
  for (uint32_t i = 0; i < kCount; ++i) {
    tables.service_addresses.push_back({Numbered(i)});
  }
  for (tables.generation = 1; tables.generation <= 3; ++tables.generation) {
    ASSERT_TRUE(program_->Publish(tables).ok());
  }
  for (uint32_t i = 0; i < kCount; i += 997) {
    ASSERT_TRUE(IsOurs(Numbered(i))) << i;
  }
  EXPECT_TRUE(IsOurs(Numbered(kCount - 1)));
  EXPECT_FALSE(IsOurs(Numbered(kCount)));
}

TEST_F(MapSyncTest, RefusesBadTablesAndKeepsTheOldOnes) {
  SteeringTables good;
  good.generation = 1;
  good.service_addresses = {{Numbered(1)}};
  ASSERT_TRUE(program_->Publish(good).ok());

  SteeringTables twice = good;
  twice.generation = 2;
  twice.service_addresses = {{Numbered(5)}, {Numbered(6)}, {Numbered(5)}};
  EXPECT_THAT(program_->Publish(twice).message(), HasSubstr("10.0.0.5"));

  SteeringTables both = good;
  both.generation = 2;
  both.unicast_addresses = {Numbered(1)};
  EXPECT_THAT(program_->Publish(both).message(), HasSubstr("10.0.0.1"));

  SteeringTables tag = good;
  tag.generation = 2;
  tag.vlan = 4095;
  EXPECT_THAT(program_->Publish(tag).message(), HasSubstr("4095"));

  SteeringTables many = good;
  many.generation = 2;
  many.unicast_addresses.resize(kSteerMaxAddresses, Numbered(9));
  EXPECT_THAT(program_->Publish(many).message(), HasSubstr("131073"));

  EXPECT_EQ(1U, program_->generation());
  EXPECT_TRUE(IsOurs(Numbered(1)));
  EXPECT_FALSE(IsOurs(Numbered(5)));
}

// In each generation both frames are ours: one by a service address, the other
// by an l4port of a unicast address, in turns. The configuration of one with
// the addresses of the other would pass one of them, whichever is which.
TEST_F(MapSyncTest, ShowsNoFrameTwoGenerations) {
  const IpAddress first = Numbered(77);
  const IpAddress second = Numbered(78);
  SteeringTables tables[2];
  tables[0].service_addresses = {{first}};
  tables[0].unicast_addresses = {second};
  tables[0].egress_tcp.set(53);
  tables[1].service_addresses = {{second}};
  tables[1].unicast_addresses = {first};
  tables[1].egress_udp.set(53);
  ASSERT_TRUE(program_->Publish(tables[0]).ok());
  const Bytes udp =
      Frame(V4("203.0.113.1", first.ToString(), kUdp, L4(4000, 53)));
  const Bytes tcp =
      Frame(V4("203.0.113.1", second.ToString(), kTcp, L4(4000, 53)));
  std::atomic<bool> stop = false;
  std::thread load([&] {
    while (!stop) {
      Run(udp, 20'000);
      Run(tcp, 20'000);
    }
  });
  for (int i = 1; i <= 60; ++i) {
    tables[i % 2].generation = static_cast<uint64_t>(i);
    ASSERT_TRUE(program_->Publish(tables[i % 2]).ok());
  }
  stop = true;
  load.join();
  const auto counters = program_->steer_counters();
  ASSERT_TRUE(counters.ok());
  EXPECT_EQ(0U, counters->passed);
  EXPECT_GT(counters->dropped, 100'000U);
}

TEST(LoaderTest, SaysWhyItCouldNotLoad) {
  int report[2];
  ASSERT_EQ(0, pipe(report));
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65534) != 0) _exit(2);
    const auto program = SteeringProgram::Load();
    const std::string text = program.status().ToString();
    if (write(report[1], text.data(), text.size()) < 0) _exit(2);
    _exit(program.ok() ? 1 : 0);
  }
  close(report[1]);
  char text[4096] = {};
  EXPECT_GT(read(report[0], text, sizeof(text) - 1), 0);
  close(report[0]);
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  EXPECT_THAT(text, HasSubstr("steer.bpf.c"));
  EXPECT_THAT(text, HasSubstr("PERMISSION_DENIED"));
}

}  // namespace
}  // namespace godwit
