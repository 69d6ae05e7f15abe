// SPDX-License-Identifier: BSD-3-Clause
// A worker that is offered more than it can take: what it costs those who were
// there before (conformance tables, 4.2, W10).
//
// Time is the worker's own: a turn lasts as long as it had the CPU, whatever
// else this machine does. Frames come at their rates meanwhile and wait in a
// ring of 1,024, as a NIC's do; what finds it full is lost. So half of what the
// worker can take is known to a frame, and so is what a flood costs. What is
// for the kernel costs what a system call does: the ring that stands for the
// TAP is made to take that long.
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>

#include "dataplane/net/check.h"
#include "tests/support/lanes.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

constexpr uint32_t kFlows = 256;  // of each kind
constexpr size_t kDifferent = 4096;
constexpr uint32_t kTable = 32768;
constexpr double kKernel_s = 2e-6;  // a frame
constexpr double kRun_s = 0.03;
constexpr size_t kLegalSize = 61;
constexpr double kLeastGoodput = 0.95;
constexpr int kTries = 10;

double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) / 1e9;
}

// A system call for each frame.
uint16_t TakeTime(uint16_t, uint16_t, rte_mbuf**, uint16_t count, void*) {
  const uint64_t end = rte_rdtsc() + static_cast<uint64_t>(
                                         count * kKernel_s *
                                         static_cast<double>(rte_get_tsc_hz()));
  while (rte_rdtsc() < end) rte_pause();
  return count;
}

// Frames again and again, so many a second.
struct Stream {
  std::vector<Bytes> frames;
  double rate = 0;
  size_t next = 0;
  double due = 0;
  uint64_t sent = 0;
};

class Overload : public WalkTest {
 protected:
  void SetUp() override {
    Lanes& lanes = Lanes::Get();
    snapshot_ = World().Build(1, 1);
    for (DeviceId id = 1; id < snapshot_->devices.size(); ++id) {
      Device& device = snapshot_->devices[id];
      const uint16_t eth_port = lanes.eth_port(id - 1U);
      device.rx.assign(1, {{eth_port, 0}});
      device.tx.push_back({eth_port, 0});
      device.tx_owner.push_back(0);
      if (device.side == Side::kUplink) uplink_ = id;
      if (device.side == Side::kKernel) {
        kernel_port_ = eth_port;
        callback_ = rte_eth_add_tx_callback(eth_port, 0, TakeTime, nullptr);
        GODWIT_CHECK(callback_ != nullptr);
      }
      if (device.name == "crawl0") crawl_ = id;
    }
    handoff_ = Handoff::Create(1, "overload_");
    FlowTable::Options table;
    table.max_flows = kTable;
    table.seed[0] = 7;
    table.now = clock_.Now();
    table.huge_pages = HugePages::kOff;
    table.queue_use = use_;
    flows_ = std::make_unique<FlowTable>(table);
    counters_->Bind(&asked_);
    Worker::Options worker;
    worker.ownership = &ownership_;
    worker.flows = flows_.get();
    worker.counters = counters_.get();
    worker.handoff = handoff_.get();
    worker.events = events_.get();
    worker.pool = lanes.pool();
    worker.queue_use = use_;
    worker.publisher = &publisher_;
    worker.clock = &clock_;
    worker_ = std::make_unique<Worker>(worker);
    publisher_.Publish(std::move(snapshot_));
    Establish();
  }
  void TearDown() override {
    worker_->Turn();
    Drain();
    rte_eth_remove_tx_callback(kernel_port_, 0, callback_);
    void* left = nullptr;
    while (rte_ring_dequeue(Lanes::Get().rx(uplink_ - 1U, 0), &left) == 0) {
      rte_pktmbuf_free(static_cast<rte_mbuf*>(left));
    }
    // What waits for its first fragment is the worker's, and goes with it.
    while (worker_->context().fragments.waiting() != 0) {
      worker_->context().fragments.Expire(
          clock_.Now() + 2 * Fragments::kPatience, rte_pktmbuf_free);
    }
    EXPECT_EQ(Lanes::Get().buffers_in_use(), 0u);
  }

  // Flows to a service, answered, and mappings; what comes for either is legal.
  void Establish() {
    for (uint32_t i = 0; i < kFlows; ++i) {
      const std::string client = at.At(at.client, 2000 + i);
      legal_.frames.push_back(Legal(Udp(client, at.At(at.dns, 53))));
      Pass(uplink_, legal_.frames.back());
      Pass(crawl_,
           Legal(Udp(at.At(at.internal, 2000 + i), at.At(at.remote, 53))));
      GODWIT_CHECK(last_.size() > 40);
      const size_t l4 = at.v4 ? 34 : 54;
      const unsigned given = last_[l4] * 256U + last_[l4 + 1];
      legal_.frames.push_back(
          Legal(Udp(at.At(at.remote, 53), at.At(at.unicast, given))));
    }
  }
  // Frames of one length, which no other has.
  Bytes Legal(PacketBuilder packet) const {
    const Bytes bare = packet.Frame();
    return packet
        .PayloadSize(std::max(kLegalSize, bare.size() + 1) - bare.size())
        .Frame();
  }
  size_t LegalSize() const { return legal_.frames[0].size(); }

  static rte_mbuf* BufferOf(const Bytes& frame) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(Lanes::Get().pool());
    GODWIT_CHECK(mbuf != nullptr);
    std::memcpy(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size())),
                frame.data(), frame.size());
    return mbuf;
  }
  void Pass(DeviceId device, const Bytes& frame) {
    GODWIT_CHECK(rte_ring_enqueue(Lanes::Get().rx(device - 1U, 0),
                                  BufferOf(frame)) == 0);
    worker_->Turn();
    Drain();
  }
  // What came out, of legal frames.
  uint64_t Drain() {
    uint64_t legal = 0;
    for (unsigned device = 0; device < Lanes::kDevices; ++device) {
      std::array<void*, 256> out;
      while (const unsigned count = rte_ring_dequeue_burst(
                 Lanes::Get().tx(device, 0), out.data(), out.size(), nullptr)) {
        for (unsigned i = 0; i < count; ++i) {
          auto* mbuf = static_cast<rte_mbuf*>(out[i]);
          legal += !legal_.frames.empty() && mbuf->pkt_len == LegalSize();
          const auto* begin = rte_pktmbuf_mtod(mbuf, const uint8_t*);
          if (count == 1) last_.assign(begin, begin + mbuf->data_len);
          rte_pktmbuf_free(mbuf);
        }
      }
    }
    return legal;
  }
  // What of `stream` comes in `seconds`, as far as there is room.
  void Come(Stream& stream, double seconds) {
    stream.due += stream.rate * seconds;
    for (; stream.due >= 1; stream.due -= 1) {
      ++stream.sent;
      const Bytes& frame = stream.frames[stream.next];
      stream.next = (stream.next + 1) % stream.frames.size();
      rte_ring* ring = Lanes::Get().rx(uplink_ - 1U, 0);
      if (rte_ring_full(ring) != 0) continue;
      GODWIT_CHECK(rte_ring_enqueue(ring, BufferOf(frame)) == 0);
    }
  }
  // The share of legal frames that came through.
  double Goodput(double legal_rate, Stream* flood, double seconds = kRun_s) {
    legal_.rate = legal_rate;
    legal_.due = 0;
    const uint64_t before = legal_.sent;
    uint64_t arrived = 0;
    double last = 1e-6;
    for (double time = 0; time < seconds; time += last) {
      // In slices: they come side by side.
      constexpr int kSlices = 16;
      for (int i = 0; i < kSlices; ++i) {
        Come(legal_, last / kSlices);
        if (flood != nullptr) Come(*flood, last / kSlices);
      }
      const double begin = ThreadSeconds();
      worker_->Turn();
      last = ThreadSeconds() - begin;
      arrived += Drain();
    }
    legal_.rate = 0;
    while (rte_ring_count(Lanes::Get().rx(uplink_ - 1U, 0)) != 0) {
      worker_->Turn();
      arrived += Drain();
    }
    return static_cast<double>(arrived) /
           static_cast<double>(legal_.sent - before);
  }
  // Frames a second that a worker with nothing else to do takes: the best of
  // some tries, since a neighbour's cache is not ours.
  double Capacity(Stream& stream) {
    double best = 1e9;
    for (int i = 0; i < 60; ++i) {
      stream.rate = 1;
      Come(stream, 15.0 * Burst::kMax);
      stream.rate = 0;
      const double begin = ThreadSeconds();
      for (int turn = 0; turn < 15; ++turn) worker_->Turn();
      best = std::min(best, ThreadSeconds() - begin);
      Drain();
    }
    return 15.0 * Burst::kMax / best;
  }
  unsigned Draw(unsigned count) {
    return static_cast<unsigned>(random_() % count);
  }
  std::string Stranger() {
    const auto a = static_cast<unsigned>(random_());
    const std::string host = at.v4 ? "8." + std::to_string(a >> 16 & 255) +
                                         '.' + std::to_string(a >> 8 & 255) +
                                         '.' + std::to_string(a & 255)
                                   : "2001:db8:c::" + std::to_string(a % 9999);
    return at.At(host, 1024 + a % 60000);
  }
  static Stream Flood(const std::function<PacketBuilder()>& one,
                      size_t different = kDifferent) {
    Stream stream;
    for (size_t i = 0; i < different; ++i) {
      stream.frames.push_back(one().Frame());
    }
    return stream;
  }
  // At half of what the worker can take, with `times` as many frames of `flood`
  // as it can take legal ones: the best of some tries, since who has the caches
  // meanwhile is not the flood.
  void ExpectNobodyNotices(const char* kind, Stream flood, double times) {
    double best = 0;
    for (int i = 0; i < kTries && best < kLeastGoodput; ++i) {
      const double legal = Capacity(legal_);
      if (std::getenv("GODWIT_FULL") != nullptr && i == 0) {
        Tell(kind, flood, legal);
      }
      flood.rate = times * legal;
      const double with = Goodput(legal / 2, &flood);
      flood.rate = 0;
      const double without = Goodput(legal / 2, nullptr);
      best = std::max(best, with / without);
    }
    EXPECT_GE(best, kLeastGoodput) << kind << " at " << times;
  }
  void Tell(const char* kind, Stream flood, double legal) {
    std::printf("%s %-10s %5.2f of a legal frame's time; goodput",
                at.name.c_str(), kind, legal / Capacity(flood));
    for (const double times : {0.1, 0.25, 0.5, 1.0, 2.0}) {
      flood.rate = times * legal;
      std::printf("  %.2fx: %.3f", times, Goodput(legal / 2, &flood));
    }
    std::printf("\n");
  }

  // First: starts the EAL, which knows the TSC.
  Lanes& lanes_ = Lanes::Get();
  std::mt19937_64 random_{10};
  Stream legal_;
  Bytes last_;
  DeviceId uplink_ = kNoDevice;
  DeviceId crawl_ = kNoDevice;
  uint16_t kernel_port_ = 0;
  const rte_eth_rxtx_callback* callback_ = nullptr;
  TickClock clock_;
  std::unique_ptr<Snapshot> snapshot_;
  Publisher publisher_{1};
  Ownership ownership_{1, 0x5eed};
  std::vector<QueueUse> use_{std::vector<QueueUse>(64)};
  std::unique_ptr<Handoff> handoff_;
  std::atomic<uint64_t> asked_{0};
  std::unique_ptr<FlowTable> flows_;
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  std::unique_ptr<EventSink> events_ = std::make_unique<EventSink>();
  std::unique_ptr<Worker> worker_;
};
GODWIT_BOTH_FAMILIES(Overload);

TEST_P(Overload, HalfOfWhatItTakesIsNotLost) {
  double best = 0;
  for (int i = 0; i < kTries && best < 0.999; ++i) {
    best = std::max(best, Goodput(Capacity(legal_) / 2, nullptr));
  }
  EXPECT_GE(best, 0.999);
}

// More of them than the table has room for: each is new.
TEST_P(Overload, Adv49SynFlood) {
  const auto syn = [this] {
    return Tcp(Stranger(), at.At(at.dns, 53)).Flags("S").PayloadSize(30);
  };
  ExpectNobodyNotices("syn", Flood(syn, 2 * kTable), 0.05);
}

TEST_P(Overload, Adv55Misses) {
  ExpectNobodyNotices(
      "misses", Flood([this] {
        return Udp(Stranger(), at.At(at.dns, 60)).PayloadSize(30);
      }),
      0.1);
}

TEST_P(Overload, Adv51ScanOfTheRange) {
  ExpectNobodyNotices("scan", Flood([this] {
                        return Udp(Stranger(),
                                   at.At(at.unicast, 50000 + Draw(1000)))
                            .PayloadSize(30);
                      }),
                      0.1);
}

// Each of these is a system call.
TEST_P(Overload, Adv51ScanOfTheKernel) {
  ExpectNobodyNotices("kernel", Flood([this] {
                        return Udp(Stranger(),
                                   at.At(at.unicast, 1 + Draw(40000)))
                            .PayloadSize(30);
                      }),
                      0.1);
}

TEST_P(Overload, Adv33Fragments) {
  ExpectNobodyNotices("fragments", Flood([this] {
                        return Udp(Stranger(), at.At(at.dns, 53))
                            .PayloadSize(64)
                            .Fragment(1024, More::kNo,
                                      static_cast<uint32_t>(random_()));
                      }),
                      0.1);
}

TEST_P(Overload, Adv61Errors) {
  ExpectNobodyNotices("errors", Flood([this] {
                        return IcmpError(
                            at.router, at.v4 ? 3 : 1, 1,
                            Udp(at.At(at.dns, 53), Stranger()).Packet());
                      }),
                      0.1);
}

}  // namespace
}  // namespace godwit
