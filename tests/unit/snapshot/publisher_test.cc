// SPDX-License-Identifier: BSD-3-Clause
// Publication under threads: what a reader holds is whole and stays whole
// until it says so. Run plain, under ASan (use after free) and under TSan.
#include "dataplane/snapshot/publisher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace godwit {
namespace {

constexpr unsigned kReaders = 2;
constexpr uint64_t kGenerations = 1000;

// Every part of a snapshot says its generation.
std::unique_ptr<Snapshot> Make(uint64_t generation) {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->generation = generation;
  snapshot->epoch = static_cast<uint16_t>(generation);
  snapshot->workers = kReaders;
  snapshot->queues.resize(3);
  snapshot->queues[2].flow_limit = static_cast<uint32_t>(generation);
  auto nat = std::make_shared<NatConfig>();
  nat->plan_version = static_cast<uint32_t>(generation);
  snapshot->nat = std::move(nat);
  return snapshot;
}

// What a reader found wrong, and how often it looked.
struct Seen {
  uint64_t turns = 0;
  uint64_t torn = 0;
  uint64_t backwards = 0;
  uint64_t generations = 0;
};

void Read(Publisher& publisher, unsigned reader, const std::atomic<bool>& stop,
          Seen& seen) {
  publisher.Join(reader);
  uint64_t last = 0;
  while (!stop.load(std::memory_order_acquire)) {
    const Snapshot& snapshot = publisher.Acquire();
    const uint64_t generation = snapshot.generation;
    for (int i = 0; i < 8; ++i) {
      const bool whole = snapshot.epoch == static_cast<uint16_t>(generation) &&
                         snapshot.queues[2].flow_limit == generation &&
                         snapshot.nat->plan_version == generation;
      if (!whole) ++seen.torn;
    }
    if (generation < last) ++seen.backwards;
    if (generation != last) ++seen.generations;
    last = generation;
    ++seen.turns;
    publisher.Quiescent(reader);
    if (seen.turns % 64 == 0) std::this_thread::yield();
  }
  publisher.Leave(reader);
}

TEST(PublisherTest, EveryReaderSeesWholeGenerationsInOrder) {
  Publisher publisher(kReaders);
  publisher.Publish(Make(1));
  std::atomic<bool> stop{false};
  std::vector<Seen> seen(kReaders);
  std::vector<std::thread> readers;
  for (unsigned i = 0; i < kReaders; ++i) {
    readers.emplace_back(
        [&publisher, &stop, &seen, i] { Read(publisher, i, stop, seen[i]); });
  }
  for (uint64_t generation = 2; generation <= kGenerations; ++generation) {
    publisher.Publish(Make(generation));
  }
  stop.store(true, std::memory_order_release);
  for (std::thread& reader : readers) reader.join();
  for (const Seen& one : seen) {
    EXPECT_EQ(one.torn, 0u);
    EXPECT_EQ(one.backwards, 0u);
    EXPECT_GT(one.generations, 10u) << "in " << one.turns << " turns";
  }
}

TEST(PublisherTest, WaitsForAReaderThatHolds) {
  Publisher publisher(1);
  publisher.Publish(Make(1));
  publisher.Join(0);
  const Snapshot& held = publisher.Acquire();
  std::atomic<bool> published{false};
  std::thread writer([&publisher, &published] {
    publisher.Publish(Make(2));
    published.store(true, std::memory_order_release);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(published.load(std::memory_order_acquire));
  EXPECT_EQ(held.nat->plan_version, 1u);  // not freed under the reader
  publisher.Quiescent(0);
  writer.join();
  EXPECT_TRUE(published.load(std::memory_order_acquire));
  EXPECT_EQ(publisher.Acquire().generation, 2u);
  publisher.Leave(0);
}

}  // namespace
}  // namespace godwit
