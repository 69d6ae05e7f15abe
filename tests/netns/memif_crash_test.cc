// SPDX-License-Identifier: BSD-3-Clause
// A memif peer that is killed under load takes nobody with it.
//
//   dpdk-testpmd (txonly, as fast as it can)
//        | memif, killed with -9 and started again
//   our worker: rx, tx back         + another queue, polled in the same turns
//
// The first test is the reproduction: without the guard (memif_guard.h) the
// driver of DPDK 22.11 unmaps the rings under the worker. The window is some
// microseconds wide; it is hit within a few kills because the worker here
// shares its CPU with the EAL's interrupt thread, which therefore begins to
// unmap while the worker stands still in the middle of a burst. That is how
// godwit runs on small machines, so nothing is staged.
//
// `memif_crash_test --plain`: the part of the reproduction that crashes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/device/eal.h"
#include "dataplane/device/eth_port.h"
#include "dataplane/device/mbuf_pool.h"
#include "dataplane/device/memif_guard.h"

extern char** environ;

namespace godwit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kKills = 50;
constexpr int kClientKills = 10, kVhostKills = 10;
// The reproduction has this many kills to crash in; seen: one to some twenty.
constexpr int kPlainKills = 150;
constexpr uint64_t kMinFramesPerSecond = 10'000;  // beside other work
constexpr uint16_t kBurst = 256;
constexpr useconds_t kSettle_us = 100'000;  // from the first to the full load

rte_rcu_qsbr* qsbr = nullptr;
void WaitForWorkers() {
  rte_rcu_qsbr_synchronize(qsbr, RTE_QSBR_THRID_INVALID);
}

// What the worker polls, and what it saw. Written by: the worker, but for
// `memif` and `stop`, which are the control thread's.
struct Shared {
  std::atomic<const EthPort*> memif = nullptr;
  const EthPort* other = nullptr;
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> memif_frames = 0;
  std::atomic<uint64_t> other_frames = 0;
};

void Echo(const EthPort& port, std::atomic<uint64_t>& frames) {
  rte_mbuf* burst[kBurst];
  const EthQueue rxq = port.rxqs().front();
  const EthQueue txq = port.txqs().front();
  const uint16_t count =
      rte_eth_rx_burst(rxq.eth_port, rxq.index, burst, kBurst);
  frames.fetch_add(count, std::memory_order_relaxed);
  const uint16_t sent = rte_eth_tx_burst(txq.eth_port, txq.index, burst, count);
  if (sent < count) rte_pktmbuf_free_bulk(burst + sent, count - sent);
}

void Discard(const EthPort& port, std::atomic<uint64_t>& frames) {
  rte_mbuf* burst[kBurst];
  const EthQueue rxq = port.rxqs().front();
  const uint16_t count =
      rte_eth_rx_burst(rxq.eth_port, rxq.index, burst, kBurst);
  frames.fetch_add(count, std::memory_order_relaxed);
  rte_pktmbuf_free_bulk(burst, count);
}

int Work(void* argument) {
  Shared& shared = *static_cast<Shared*>(argument);
  rte_rcu_qsbr_thread_register(qsbr, 0);
  rte_rcu_qsbr_thread_online(qsbr, 0);
  while (!shared.stop.load(std::memory_order_relaxed)) {
    const EthPort* memif = shared.memif.load(std::memory_order_acquire);
    if (memif != nullptr) Echo(*memif, shared.memif_frames);
    Discard(*shared.other, shared.other_frames);
    rte_rcu_qsbr_quiescent(qsbr, 0);
  }
  rte_rcu_qsbr_thread_offline(qsbr, 0);
  rte_rcu_qsbr_thread_unregister(qsbr, 0);
  return 0;
}

// The first and the last of the CPUs that we may use.
std::pair<uint32_t, uint32_t> Cpus() {
  cpu_set_t set = {};
  if (sched_getaffinity(0, sizeof(set), &set) != 0) std::abort();
  uint32_t first = 0, last = CPU_SETSIZE - 1;
  while (!CPU_ISSET(first, &set)) ++first;
  while (!CPU_ISSET(last, &set)) --last;
  return {first, last};
}

bool WaitUntil(const std::function<bool()>& condition, int timeout_ms) {
  const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  while (Clock::now() < end) {
    if (condition()) return true;
    usleep(1000);
  }
  return condition();
}

// A testpmd on the last of our CPUs that sends as fast as it can.
class Peer {
 public:
  explicit Peer(const std::string& vdev) {
    const auto [first, last] = Cpus();
    const std::string lcores =
        "--lcores=0@" + std::to_string(first) + ",1@" + std::to_string(last);
    const std::vector<std::string> words = {// Ends with us, crash or not.
                                            "setpriv",
                                            "--pdeathsig",
                                            "KILL",
                                            "dpdk-testpmd",
                                            lcores,
                                            "--no-huge",
                                            "-m",
                                            "128",
                                            "--no-pci",
                                            "--no-telemetry",
                                            "--no-shconf",
                                            "--file-prefix=" + Prefix(),
                                            "--vdev=" + vdev,
                                            "--",
                                            "--forward-mode=txonly",
                                            "--auto-start",
                                            "--txpkts=1400",
                                            "--total-num-mbufs=4096",
                                            "--no-mlockall",
                                            "--disable-link-check",
                                            "--stats-period=60"};
    std::vector<char*> argv;
    for (const std::string& word : words) {
      argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int fd : {0, 1, 2}) {
      posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    if (posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ) !=
        0) {
      pid_ = -1;
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Peer() { Kill(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    rmdir(("/var/run/dpdk/" + Prefix()).c_str());
    pid_ = -1;
  }

 private:
  static std::string Prefix() {
    return "godwit-peer" + std::to_string(getpid());
  }

  pid_t pid_ = -1;
};

// The daemon in small: a pool, a worker, a port under test and another one.
class Node {
 public:
  Node() {
    EalOptions eal;
    eal.worker_cpus = {Cpus().first};
    eal.control_cpus = eal.worker_cpus;
    eal.memory_mib = 256;
    eal.hugepages = EalOptions::Hugepages::kOff;
    if (!StartEal(eal).ok()) std::abort();
    MbufPoolOptions pool;
    pool.name = "shared";
    pool.count = 16384;
    pool_ = *CreateMbufPool(pool);
    const size_t size = rte_rcu_qsbr_get_memsize(1);
    qsbr = static_cast<rte_rcu_qsbr*>(aligned_alloc(64, size));
    if (rte_rcu_qsbr_init(qsbr, 1) != 0) std::abort();
    other_ = Open("dpdk:net_ring0");
    shared_.other = other_.get();
    rte_eal_remote_launch(Work, &shared_, 1);
  }

  std::unique_ptr<EthPort> Open(const std::string& device) {
    EthPortOptions options;
    options.pool = pool_;
    auto opened = EthPort::Open(*ParseDeviceSpec(device).spec, options);
    if (!opened.ok()) {
      std::fprintf(stderr, "%s\n", opened.status().ToString().c_str());
      std::abort();
    }
    (*opened)->Start().IgnoreError();
    return *std::move(opened);
  }

  void Publish(const EthPort* memif) {
    shared_.memif.store(memif, std::memory_order_release);
    WaitForWorkers();
  }

  // True once the peer's frames come at the rate asked for.
  bool UnderLoad(const EthPort& port) {
    if (!WaitUntil([&] { return port.LinkUp(); }, 10'000)) return false;
    usleep(kSettle_us);
    constexpr int kSamples = 50;
    for (int i = 0; i < kSamples; ++i) {
      const uint64_t before = shared_.memif_frames;
      const auto begin = Clock::now();
      usleep(50'000);
      const double seconds =
          std::chrono::duration<double>(Clock::now() - begin).count();
      rate_ = static_cast<uint64_t>(
          static_cast<double>(shared_.memif_frames - before) / seconds);
      if (rate_ >= kMinFramesPerSecond) return true;
    }
    return false;
  }

  // Sends `count` frames into the other queue; the worker must see each.
  void FeedOther(int count) {
    for (int i = 0; i < count; ++i) {
      rte_mbuf* frame = rte_pktmbuf_alloc(pool_);
      if (frame == nullptr) continue;
      rte_pktmbuf_append(frame, 60);
      const EthQueue txq = other_->txqs().front();
      if (rte_eth_tx_burst(txq.eth_port, txq.index, &frame, 1) == 1) {
        ++other_sent_;
      } else {
        rte_pktmbuf_free(frame);
      }
    }
  }

  uint64_t other_sent() const { return other_sent_; }
  uint64_t other_received() const { return shared_.other_frames; }
  uint64_t rate() const { return rate_; }
  uint32_t BuffersInUse() const { return rte_mempool_in_use_count(pool_); }

 private:
  rte_mempool* pool_ = nullptr;
  std::unique_ptr<EthPort> other_;
  Shared shared_;
  uint64_t other_sent_ = 0;
  uint64_t rate_ = 0;
};

std::string SocketPath() {
  return "/tmp/godwit-memif-crash-" + std::to_string(getpid());
}

std::string MemifPeer(const std::string& role) {
  return "net_memif0,role=" + role + ",id=0,socket=" + SocketPath() +
         ",socket-abstract=no,bsize=2048,rsize=10";
}

Node& TheNode() {
  static Node& node = *new Node;
  return node;
}

// One life of a peer: connect, load, kill. False if it never got going.
bool KillOnePeer(Node& node, const EthPort& port, const std::string& vdev) {
  Peer peer(vdev);
  if (!node.UnderLoad(port)) return false;
  node.FeedOther(100);
  peer.Kill();
  node.FeedOther(100);
  return WaitUntil([&] { return !port.LinkUp(); }, 10'000);
}

// One try of a client's; a server that listens but is not ready yet hangs up.
bool Connect(EthPort& port) {
  if (!port.Start().ok()) return false;
  if (WaitUntil([&] { return port.LinkUp(); }, 200)) return true;
  port.Stop();
  return false;
}

int RunPlain() {
  Node& node = TheNode();
  SetMemifGraceHook(nullptr);
  std::unique_ptr<EthPort> port = node.Open("memif:" + SocketPath());
  node.Publish(port.get());
  for (int i = 1; i <= kPlainKills; ++i) {
    std::fprintf(stderr, "plain driver: kill %d\n", i);
    if (!KillOnePeer(node, *port, MemifPeer("client"))) return 3;
  }
  return 0;
}

TEST(MemifCrashTest, ThePlainDriverCrashes) {
  char path[4096] = {};
  ASSERT_GT(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
  char plain[] = "--plain";
  char* argv[] = {path, plain, nullptr};
  pid_t pid = -1;
  ASSERT_EQ(posix_spawn(&pid, path, nullptr, nullptr, argv, environ), 0);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  unlink(("/tmp/godwit-memif-crash-" + std::to_string(pid)).c_str());
  rmdir(("/var/run/dpdk/godwit-peer" + std::to_string(pid)).c_str());
  ASSERT_TRUE(WIFSIGNALED(status))
      << "no crash in " << kPlainKills
      << " kills: is the guard still needed? exit code " << WEXITSTATUS(status);
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
}

TEST(MemifCrashTest, TheGuardedServerOutlivesEveryKill) {
  Node& node = TheNode();
  SetMemifGraceHook(WaitForWorkers);
  std::unique_ptr<EthPort> port = node.Open("memif:" + SocketPath());
  node.Publish(port.get());
  const uint64_t waits_before = MemifGuardWaits();
  for (int i = 1; i <= kKills && !HasFailure(); ++i) {
    EXPECT_TRUE(KillOnePeer(node, *port, MemifPeer("client")))
        << "kill " << i << ", " << node.rate() << " frames/s";
  }
  EXPECT_GE(MemifGuardWaits() - waits_before, uint64_t{kKills});
  node.Publish(nullptr);
  port.reset();
  WaitUntil([&] { return node.other_received() == node.other_sent(); }, 10'000);
  EXPECT_EQ(node.other_received(), node.other_sent());
  EXPECT_EQ(node.BuffersInUse(), 0U) << "buffers are lost";
}

// The vhost library guards its rings itself; so it shall stay.
TEST(MemifCrashTest, TheVhostServerOutlivesEveryKill) {
  Node& node = TheNode();
  std::unique_ptr<EthPort> port = node.Open("vhost:" + SocketPath());
  node.Publish(port.get());
  for (int i = 1; i <= kVhostKills && !HasFailure(); ++i) {
    EXPECT_TRUE(KillOnePeer(
        node, *port, "net_virtio_user0,queue_size=1024,path=" + SocketPath()))
        << "kill " << i << ", " << node.rate() << " frames/s";
  }
  node.Publish(nullptr);
  port.reset();
  EXPECT_EQ(node.BuffersInUse(), 0U) << "buffers are lost";
}

TEST(MemifCrashTest, TheGuardedClientReconnectsAfterEveryKill) {
  Node& node = TheNode();
  SetMemifGraceHook(WaitForWorkers);
  std::unique_ptr<EthPort> port =
      node.Open("memif:" + SocketPath() + ",role=client");
  for (int i = 1; i <= kClientKills; ++i) {
    unlink(SocketPath().c_str());  // the killed server's
    Peer peer(MemifPeer("server"));
    ASSERT_TRUE(WaitUntil([&] { return Connect(*port); }, 10'000));
    node.Publish(port.get());
    const bool loaded = node.UnderLoad(*port);
    peer.Kill();
    EXPECT_TRUE(WaitUntil([&] { return port->NeedsRestart(); }, 5000));
    node.Publish(nullptr);
    port->Stop();
    ASSERT_TRUE(loaded) << "kill " << i << ", " << node.rate() << " frames/s";
  }
  port.reset();
  unlink(SocketPath().c_str());
  EXPECT_EQ(node.BuffersInUse(), 0U) << "buffers are lost";
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--plain") == 0) return godwit::RunPlain();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
