// SPDX-License-Identifier: BSD-3-Clause
#include "bench/pipeline.h"

#include <rte_mbuf.h>
#include <x86intrin.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "bench/size.h"
#include "dataplane/net/check.h"
#include "dataplane/stage/egress_guard.h"
#include "dataplane/stage/find_flow.h"
#include "dataplane/stage/follow_first.h"
#include "dataplane/stage/make_flow.h"
#include "dataplane/stage/parse.h"
#include "dataplane/stage/rewrite.h"
#include "dataplane/stage/rx.h"
#include "dataplane/stage/tx.h"
#include "dataplane/table/flow_index.h"
#include "tests/support/snapshot_builder.h"

namespace godwit {
namespace {

constexpr char kUnicastV4[] = "198.51.100.7";
constexpr char kUnicastV6[] = "2001:db8:7::7";

std::string ServiceText(Family family, unsigned number) {
  char text[40];
  if (family == Family::kV4) {
    std::snprintf(text, sizeof(text), "203.%u.113.%u", (number + 1) >> 8,
                  (number + 1) & 0xff);
  } else {
    std::snprintf(text, sizeof(text), "2001:db8:53::%x", number + 1);
  }
  return text;
}

std::string Named(const char* prefix, unsigned number) {
  std::string name = prefix;
  name += std::to_string(number);
  return name;
}

FlowHashSeed FixedSeed() {
  FlowHashSeed seed{};
  for (size_t i = 0; i < seed.size(); ++i) {
    seed[i] = static_cast<uint8_t>(i * 37 + 11);
  }
  return seed;
}

std::unique_ptr<Snapshot> WorldOf(const Pipeline::Options& options) {
  SnapshotBuilder world;
  world.Unicast({kUnicastV4, kUnicastV6});
  world.EgressL4Ports(1024, 65535);
  SnapshotBuilder::Names queues;
  for (unsigned i = 0; i < options.queues; ++i) {
    queues.push_back(Named("q", i));
    world.Queue(queues.back());
  }
  for (unsigned i = 0; i < options.services; ++i) {
    world.Service(Named("s", i),
                  {ServiceText(Family::kV4, i), ServiceText(Family::kV6, i)},
                  {"udp/53"}, queues);
  }
  auto snapshot = world.Build(1, 1);
  // Resolved far ends are what an established node has.
  for (DeviceId id = 1; id < snapshot->devices.size(); ++id) {
    Device& device = snapshot->devices[id];
    const uint16_t eth_port = Lanes::Get().eth_port(id - 1U);
    device.rx.assign(1, {{eth_port, 0}});
    device.tx.push_back({eth_port, 0});
    device.tx_owner.push_back(0);
  }
  return snapshot;
}

}  // namespace

// callgrind can't start DPDK on huge pages.
Pipeline::Pipeline(const Options& options)
    : lanes_(Lanes::Get(SizeOfBench() == BenchSize::kCount
                            ? Lanes::Pages::kOrdinary
                            : Lanes::Pages::kHugeIfFree)),
      queue_use_(options.queues + 2),
      burst_(std::make_unique<Burst>()) {
  GODWIT_CHECK(kBatch < Lanes::kRingSize);
  auto snapshot = WorldOf(options);
  GODWIT_CHECK(snapshot->devices.size() <= Lanes::kDevices + 1);
  for (DeviceId id = 1; id < snapshot->devices.size(); ++id) {
    const Side side = snapshot->devices[id].side;
    if (side == Side::kUplink) uplink_ = id;
    if (side == Side::kQueue) queues_.push_back(id);
  }
  handoff_ = Handoff::Create(1, "bench_");
  GODWIT_CHECK(handoff_ != nullptr);
  FlowTable::Options table;
  table.max_flows = options.max_flows;
  table.seed = FixedSeed();
  table.now = clock_.Now();
  // Instructions are counted of one and the same run.
  if (SizeOfBench() == BenchSize::kCount) table.l4port_seed.emplace();
  table.queue_use = queue_use_;
  flows_ = std::make_unique<FlowTable>(table);
  counters_ = std::make_unique<Counters>();
  counters_->Bind(&asked_);
  Worker::Options worker;
  worker.ownership = &ownership_;
  worker.flows = flows_.get();
  worker.counters = counters_.get();
  worker.handoff = handoff_.get();
  worker.events = &events_;
  worker.pool = lanes_.pool();
  worker.queue_use = queue_use_;
  worker.publisher = &publisher_;
  worker.clock = &clock_;
  worker_ = std::make_unique<Worker>(worker);
  publisher_.Publish(std::move(snapshot));
  worker_->Turn();
}

Pipeline::~Pipeline() { GODWIT_CHECK(lanes_.buffers_in_use() == 0); }

void Pipeline::Fill(DeviceId device, std::span<const Frame> frames) {
  GODWIT_CHECK(frames.size() <= kBatch);
  const auto count = static_cast<unsigned>(frames.size());
  GODWIT_CHECK(rte_pktmbuf_alloc_bulk(lanes_.pool(), sent_.data(), count) == 0);
  for (unsigned i = 0; i < count; ++i) {
    char* room = rte_pktmbuf_append(sent_[i], frames[i].size);
    std::memcpy(room, frames[i].bytes.data(), frames[i].size);
  }
  const unsigned put = rte_ring_sp_enqueue_bulk(
      lanes_.rx(device - 1U, 0), reinterpret_cast<void**>(sent_.data()), count,
      nullptr);
  GODWIT_CHECK(put == count);
}

// A driver has just written a buffer's first line when it gives it out.
void Pipeline::TouchBuffers(size_t at, size_t end) {
  uint64_t sum = 0;
  for (; at < end; ++at) sum += sent_[at]->pkt_len;
  touched_ = sum;
  _mm_lfence();  // what is timed next does not wait for them
}

void Pipeline::Drain(uint32_t sent, const Arrived& arrived) {
  std::array<rte_mbuf*, kBatch> mbufs;
  uint32_t seen = 0;
  for (DeviceId id = 1; id - 1U < 2 + queues_.size(); ++id) {
    const unsigned count = rte_ring_sc_dequeue_burst(
        lanes_.tx(id - 1U, 0), reinterpret_cast<void**>(mbufs.data()), kBatch,
        nullptr);
    for (unsigned i = 0; i < count; ++i) {
      arrived(id, {FrameOf(mbufs[i]), rte_pktmbuf_pkt_len(mbufs[i])});
    }
    rte_pktmbuf_free_bulk(mbufs.data(), count);
    seen += count;
  }
  GODWIT_CHECK(seen == sent);
}

[[gnu::noinline]] uint32_t Pipeline::CountedTurn() { return worker_->Turn(); }

void Pipeline::Send(DeviceId device, std::span<const Frame> frames,
                    std::vector<uint32_t>& clocks, const Arrived& arrived) {
  Fill(device, frames);
  for (size_t left = frames.size(); left != 0;) {
    const size_t at = frames.size() - left;
    TouchBuffers(at, std::min(at + kBurst, frames.size()));
    const uint64_t start = __rdtsc();
    const uint32_t taken = counting_ ? CountedTurn() : worker_->Turn();
    const auto took = static_cast<uint32_t>(__rdtsc() - start);
    GODWIT_CHECK(taken != 0 && taken <= left);
    if (taken == kBurst) clocks.push_back(took);
    left -= taken;
  }
  Drain(static_cast<uint32_t>(frames.size()), arrived);
}

void Pipeline::TurnByStage(DeviceId device, StageClocks& clocks) {
  const Snapshot& snapshot = publisher_.Acquire();
  Context& context = worker_->context();
  context.snapshot = &snapshot;
  context.now = clock_.Now();
  Burst& burst = *burst_;
  uint64_t last = __rdtsc();
  size_t stage = 0;
  const auto lap = [&] {
    const uint64_t now = __rdtsc();
    clocks.bursts[stage++].push_back(static_cast<uint32_t>(now - last));
    last = now;
  };
  Rx(device, snapshot.devices[device].rx[0][0], context, burst);
  GODWIT_CHECK(burst.count == kBurst);
  lap();
  Parse(snapshot, context, burst);
  lap();
  if (!burst.all_plain) FollowFirst(snapshot, context, burst);
  SteerToOwner(snapshot, context, burst);
  FindFlow(snapshot, context, burst);
  lap();
  if (!burst.all_finished) MakeFlow(snapshot, context, burst);
  lap();
  if (!burst.all_finished) Rewrite(snapshot, context, burst);
  lap();
  GuardEgress(snapshot, burst);
  Tx(snapshot, context, burst);
  lap();
  context.flows->Settle();
}

void Pipeline::SendByStage(DeviceId device, std::span<const Frame> frames,
                           StageClocks& clocks, const Arrived& arrived) {
  GODWIT_CHECK(frames.size() % kBurst == 0);
  Fill(device, frames);
  for (size_t at = 0; at < frames.size(); at += kBurst) {
    TouchBuffers(at, at + kBurst);
    TurnByStage(device, clocks);
  }
  Drain(static_cast<uint32_t>(frames.size()), arrived);
}

void Pipeline::EndFlows(FlowKind kind, uint32_t count, uint32_t span) {
  // A step that is prime to any power of two and to most other spans.
  constexpr uint32_t kStep = 7919;
  uint64_t looked_at = 0;
  while (count != 0) {
    end_at_ = (end_at_ + kStep) % span;
    Flow& flow = flows_->At(end_at_);
    if (flow.kind == kind) {
      flows_->End(flow);
      --count;
    }
    GODWIT_CHECK(++looked_at < uint64_t{span} * 8);
  }
  flows_->Settle();
}

// The tick a flow was made at is only shown, nothing is decided by it.
void Pipeline::MarkFlows() {
  for (FlowNumber i = 0; i < flows_->capacity(); ++i) {
    flows_->At(i).created = UINT32_MAX;
  }
}

uint32_t Pipeline::MarkedFlows() {
  uint32_t count = 0;
  for (FlowNumber i = 0; i < flows_->capacity(); ++i) {
    const Flow& flow = flows_->At(i);
    count += flow.kind != FlowKind::kFree && flow.created == UINT32_MAX;
  }
  return count;
}

IpAddress Pipeline::Service(Family family, unsigned number) const {
  return *IpAddress::Parse(ServiceText(family, number));
}

IpAddress Pipeline::Unicast(Family family) const {
  return *IpAddress::Parse(family == Family::kV4 ? kUnicastV4 : kUnicastV6);
}

size_t Pipeline::LinesRead(uint32_t flows) const {
  const uint32_t capacity = flows_->capacity();
  return FlowIndex::BytesFor(FlowIndex::BucketsFor(uint64_t{2} * capacity)) /
             64 +
         flows;
}

}  // namespace godwit
