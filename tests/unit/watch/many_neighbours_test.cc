// SPDX-License-Identifier: BSD-3-Clause
// With a neighbour table so large that its list is read only now and then.
#include <net/if.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "control/watch/kernel_tables.h"
#include "control/watch/kernel_watch.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/plumb/scratch_netns.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr int kBatch = 20'000;
constexpr int kMost = 20;  // batches
// The list is then read every 800 ms at most; kept neighbours that do not
// answer are asked for every 200 ms, for 3 s.
constexpr milliseconds kSlowEnough(80);

class ManyNeighboursTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
    node_.Ip("link add up0 type veth peer name up1 netns " + far_.name());
    far_.Ip("link set up1 up");
    node_.Ip("addr add 192.0.2.1/24 dev up0");
    node_.Ip("addr add 2001:db8::1/64 dev up0 nodad");
    node_.Ip("link set up0 up");
    for (int batch = 0; batch < kMost && TimeToRead() < kSlowEnough; ++batch) {
      AddPermanent(batch);
    }
    node_.Enter([this] {
      up0_ = static_cast<int>(if_nametoindex("up0"));
      auto watch = KernelWatch::Start([](const Observation&) {});
      ASSERT_TRUE(watch.ok()) << watch.status();
      watch_ = *std::move(watch);
    });
  }

  // Those that nobody's garbage collection takes.
  void AddPermanent(int batch) const {
    const std::string filename =
        testing::TempDir() + "/neighbours-" + node_.name();
    std::ofstream file(filename);
    for (int i = 0; i < kBatch; ++i) {
      char line[100];
      snprintf(line, sizeof(line),
               "neigh add 2001:db8::1:%x:%x lladdr 02:00:00:00:00:09 dev up0\n",
               batch, i);
      file << line;
    }
    file.close();
    node_.Ip("-batch " + filename);
    std::remove(filename.c_str());
  }

  milliseconds TimeToRead() const {
    milliseconds took{};
    node_.Enter([&took] {
      auto socket = NetlinkSocket::Open();
      ASSERT_TRUE(socket.ok());
      const auto begin = steady_clock::now();
      EXPECT_TRUE(ReadNeighbours(*socket).ok());
      took =
          std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    });
    return took;
  }

  const NeighbourEntry* Gateway(const Observation& seen) const {
    return FindNeighbour(seen, up0_, gateway_.address);
  }

  ScratchNetns node_;
  ScratchNetns far_;
  int up0_ = 0;
  NeighbourKey gateway_{0, *IpAddress::Parse("192.0.2.9")};
  std::unique_ptr<KernelWatch> watch_;
};

TEST_F(ManyNeighboursTest, LeavesOneAloneThatWasResolvedSinceItLooked) {
  gateway_.ifindex = up0_;
  ASSERT_TRUE(watch_->KeepAlive({gateway_}).ok());
  const auto deadline = steady_clock::now() + std::chrono::seconds(20);
  std::shared_ptr<const Observation> seen = watch_->Current();
  while (Gateway(*seen) == nullptr && steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(5));
    seen = watch_->Current();
  }
  ASSERT_NE(Gateway(*seen), nullptr);
  EXPECT_FALSE(Gateway(*seen)->usable());  // nobody answers
  std::string said;
  std::thread monitor([this, &said] {
    said = node_.Exec("sh -c 'timeout 2 ip monitor neigh dev up0; true'");
  });
  std::this_thread::sleep_for(milliseconds(100));
  far_.Ip("addr add 192.0.2.9/24 dev up1");
  monitor.join();
  const size_t once = said.find("REACHABLE");
  EXPECT_THAT(node_.Ip("neigh show 192.0.2.9 dev up0"), HasSubstr("lladdr"));
  EXPECT_TRUE(once == said.npos ||
              said.find("REACHABLE", once + 1) == said.npos)
      << "resolved more than once:\n"
      << said;
}

}  // namespace
}  // namespace godwit
