// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/walk.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cstring>

#include "dataplane/net/check.h"
#include "tests/support/lanes.h"

namespace godwit {
namespace {

// A tick of 24 minutes at 3 GHz: a walk is over before the clock moves by
// itself, and five days of ticks fit.
constexpr uint64_t kCyclesPerTick = uint64_t{1} << 42;
constexpr uint64_t kOwnerSecret = 0x5eed5eed5eed5eed;
constexpr int kMostTurns = 1000;

FlowHashSeed FixedSeed() {
  FlowHashSeed seed{};
  for (size_t i = 0; i < seed.size(); ++i) {
    seed[i] = static_cast<uint8_t>(i * 37 + 11);
  }
  return seed;
}

rte_mbuf* BufferOf(const Bytes& bytes, size_t from, size_t to) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(Lanes::Get().pool());
  GODWIT_CHECK(mbuf != nullptr);
  char* room = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(to - from));
  GODWIT_CHECK(room != nullptr);
  std::copy(bytes.begin() + static_cast<ptrdiff_t>(from),
            bytes.begin() + static_cast<ptrdiff_t>(to), room);
  return mbuf;
}

Bytes BytesOf(const rte_mbuf* mbuf) {
  Bytes bytes(rte_pktmbuf_pkt_len(mbuf));
  size_t at = 0;
  for (const rte_mbuf* part = mbuf; part != nullptr; part = part->next) {
    std::memcpy(bytes.data() + at, rte_pktmbuf_mtod(part, const void*),
                rte_pktmbuf_data_len(part));
    at += rte_pktmbuf_data_len(part);
  }
  GODWIT_CHECK(at == bytes.size());
  return bytes;
}

}  // namespace

size_t Arrival::L3() const {
  return frame.size() >= 18 && frame[12] == 0x81 && frame[13] == 0 ? 18 : 14;
}

Bytes Arrival::Packet() const {
  const auto l3 = static_cast<ptrdiff_t>(L3());
  return Bytes(frame.begin() + l3, frame.end());
}

void PrintTo(const Arrival& arrival, std::ostream* out) {
  *out << arrival.device << ": " << ToHex(arrival.frame);
}

Walk::Walk(const SnapshotBuilder& world, const Options& options)
    : clock_(rte_get_tsc_cycles(), kCyclesPerTick),
      publisher_(options.workers),
      ownership_(options.workers, kOwnerSecret),
      queue_use_(std::make_unique<QueueUse[]>(kQueueIds)) {
  GODWIT_CHECK(options.workers >= 1 && options.workers <= Lanes::kLanes);
  GODWIT_CHECK(Lanes::Get().buffers_in_use() == 0);
  SetClock();
  handoff_ = Handoff::Create(options.workers, "walk_");
  GODWIT_CHECK(handoff_ != nullptr);
  for (unsigned i = 0; i < options.workers; ++i) {
    AddWorker(i, options.max_flows);
  }
  Publish(world);
}

Walk::~Walk() {
  // Patience ends: fragments without a first, neighbours that never answer.
  for (int i = 0; i < kMostTurns && Held() != 0; ++i) Wait(10);
  GODWIT_CHECK(Held() == 0);
  GODWIT_CHECK(Lanes::Get().buffers_in_use() == callers_);
}

void Walk::AddWorker(unsigned index, uint32_t max_flows) {
  FlowTable::Options table;
  table.max_flows = max_flows;
  table.seed = FixedSeed();
  table.l4port_seed = FixedSeed();
  table.now = clock_.Now();
  table.huge_pages = HugePages::kOff;
  table.queue_use = {queue_use_.get(), kQueueIds};
  tables_.push_back(std::make_unique<FlowTable>(table));
  counters_.push_back(std::make_unique<Counters>());
  counters_.back()->Bind(&asked_);
  events_.push_back(std::make_unique<EventSink>());
  mapping_logs_.push_back(std::make_unique<MappingLog>());
  Worker::Options options;
  options.index = index;
  options.ownership = &ownership_;
  options.flows = tables_.back().get();
  options.counters = counters_.back().get();
  options.handoff = handoff_.get();
  options.events = events_.back().get();
  options.mappings = mapping_logs_.back().get();
  options.pool = Lanes::Get().pool();
  options.queue_use = table.queue_use;
  options.publisher = &publisher_;
  options.clock = &clock_;
  workers_.push_back(std::make_unique<Worker>(options));
}

// Every worker has an rxq of every device. Of the txqs, too, where the
// device's number is odd; else one worker sends for all.
std::unique_ptr<Snapshot> Walk::Furnish(const SnapshotBuilder& world) {
  const unsigned workers = ownership_.workers();
  auto snapshot = world.Build(workers, ++generation_);
  GODWIT_CHECK(snapshot->devices.size() <= Lanes::kDevices + 1);
  GODWIT_CHECK(snapshot->queues.size() <= kQueueIds);
  for (DeviceId id = 1; id < snapshot->devices.size(); ++id) {
    Device& device = snapshot->devices[id];
    if (device.side == Side::kNone) continue;
    const uint16_t eth_port = Lanes::Get().eth_port(id - 1U);
    device.rx.assign(workers, {});
    for (unsigned worker = 0; worker < workers; ++worker) {
      const bool own = id % 2 == 1;
      const auto owner = static_cast<uint8_t>(own ? worker : id % workers);
      device.rx[worker].push_back({eth_port, static_cast<uint16_t>(worker)});
      device.tx.push_back({eth_port, owner});
      device.tx_owner.push_back(owner);
    }
  }
  return snapshot;
}

DeviceId Walk::IdOf(std::string_view device) const {
  for (DeviceId id = 1; id < devices_.size(); ++id) {
    if (devices_[id].name == device) return id;
  }
  GODWIT_CHECK(false && "a device of this name");
}

std::vector<Arrival> Walk::Publish(const SnapshotBuilder& world) {
  std::unique_ptr<Snapshot> snapshot = Furnish(world);
  devices_ = snapshot->devices;
  nat_ = snapshot->nat;
  service_table_ = snapshot->service_table;
  static uint64_t worlds = 0;
  world_ = ++worlds;
  // The workers are between two turns, so nobody holds the old one.
  publisher_.Publish(std::move(snapshot));
  kernel_speaks_ = false;
  return TakeTurns();
}

void Walk::SetClock() {
  clock_ = TickClock(
      rte_get_tsc_cycles() - now_ * kCyclesPerTick - kCyclesPerTick / 4,
      kCyclesPerTick);
}

void Walk::Later(double seconds) {
  // Half a tick of it is rounding.
  now_ += static_cast<uint32_t>(seconds * TokenBucket::kTicksPerSecond + 0.5);
  SetClock();
}

std::vector<Arrival> Walk::Wait(double seconds) {
  Later(seconds);
  kernel_speaks_ = false;
  return TakeTurns();
}

void Walk::Inject(DeviceId device, rte_mbuf* mbuf) {
  const unsigned lane = next_lane_++ % ownership_.workers();
  GODWIT_CHECK(rte_ring_enqueue(Lanes::Get().rx(device - 1U, lane), mbuf) == 0);
  kernel_speaks_ = devices_[device].side == Side::kKernel;
  const bool stripped = (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
  bytes_in_[device] += mbuf->pkt_len + (stripped ? 4 : 0);
  // With AddressSanitizer nobody may touch what is behind a frame's bytes. The
  // pool gives a freed buffer out last, so not before the turns are over; but
  // one that the caller has emptied gives it out at once.
  for (; mbuf != nullptr && callers_ == 0; mbuf = mbuf->next) {
    const char* end =
        rte_pktmbuf_mtod_offset(mbuf, const char*, mbuf->data_len);
    const std::span<const char> tail = {end, rte_pktmbuf_tailroom(mbuf)};
    ASAN_POISON_MEMORY_REGION(tail.data(), tail.size());
    forbidden_.push_back(tail);
  }
}

std::vector<Arrival> Walk::SendAll(std::string_view device,
                                   const std::vector<Bytes>& frames) {
  const DeviceId id = IdOf(device);
  for (const Bytes& frame : frames) {
    Inject(id, BufferOf(frame, 0, frame.size()));
  }
  std::vector<Arrival> arrivals = TakeTurns();
  Testify(id, frames);
  return arrivals;
}

std::vector<Arrival> Walk::SendCut(std::string_view device, const Bytes& frame,
                                   const std::vector<size_t>& cuts) {
  std::vector<size_t> edges = cuts;
  edges.push_back(frame.size());
  rte_mbuf* head = BufferOf(frame, 0, edges[0]);
  for (size_t i = 1; i < edges.size(); ++i) {
    rte_mbuf* part = BufferOf(frame, edges[i - 1], edges[i]);
    GODWIT_CHECK(rte_pktmbuf_chain(head, part) == 0);
  }
  Inject(IdOf(device), head);
  return TakeTurns();
}

std::vector<Arrival> Walk::SendBuffers(std::string_view device,
                                       const std::vector<rte_mbuf*>& buffers) {
  for (rte_mbuf* mbuf : buffers) Inject(IdOf(device), mbuf);
  return TakeTurns();
}

std::vector<Arrival> Walk::TakeTurns() {
  const auto before = last_;
  std::vector<Arrival> arrivals;
  int quiet = 0;
  for (int i = 0; quiet < 2; ++i) {
    GODWIT_CHECK(i < kMostTurns);
    uint32_t taken = 0;
    bool behind = false;
    for (const auto& worker : workers_) {
      taken += worker->Turn();
      behind = behind || worker->behind();
    }
    quiet = taken == 0 && !behind ? quiet + 1 : 0;
  }
  for (const std::span<const char> tail : forbidden_) {
    ASAN_UNPOISON_MEMORY_REGION(tail.data(), tail.size());
  }
  forbidden_.clear();
  Collect(arrivals);
  CheckBooks();
  ending_.clear();
  for (size_t i = 0; i < kVerdicts; ++i) {
    for (uint64_t n = before[i]; n < last_[i]; ++n) {
      if (!ending_.empty()) ending_ += ' ';
      ending_ += VerdictName(static_cast<Verdict>(i));
    }
  }
  return arrivals;
}

void Walk::Collect(std::vector<Arrival>& arrivals) {
  Lanes& lanes = Lanes::Get();
  for (DeviceId id = 1; id < devices_.size(); ++id) {
    for (unsigned lane = 0; lane < Lanes::kLanes; ++lane) {
      void* out = nullptr;
      while (rte_ring_dequeue(lanes.tx(id - 1U, lane), &out) == 0) {
        auto* mbuf = static_cast<rte_mbuf*>(out);
        // Ours alone and sound: a driver would put it on a wire.
        rte_mbuf_sanity_check(mbuf, 1);
        GODWIT_CHECK(rte_mbuf_refcnt_read(mbuf) == 1);
        GODWIT_CHECK(mbuf->ol_flags == 0);  // MBF-04
        arrivals.push_back({devices_[id].name, BytesOf(mbuf)});
        bytes_out_[id] += arrivals.back().frame.size();
        rte_pktmbuf_free(mbuf);
        CheckHeader(arrivals.back());
        if (devices_[id].side == Side::kUplink) {
          CheckSource(devices_[id], arrivals.back());
        }
      }
    }
  }
}

uint64_t Walk::Held() const {
  uint64_t held = 0;
  for (const auto& worker : workers_) held += Holding(worker->context());
  return held;
}

Counts Walk::Sum() const {
  Counts sum;
  for (const auto& counters : counters_) sum.Add(counters->counts);
  sum.waiting = Held();
  return sum;
}

std::map<std::string, uint64_t> Walk::counters() const {
  const Counts sum = Sum();
  std::map<std::string, uint64_t> named = {{"received", sum.received},
                                           {"generated", sum.generated},
                                           {"held", sum.Held()}};
  for (size_t i = 0; i < kVerdicts; ++i) {
    named.emplace(VerdictName(static_cast<Verdict>(i)), sum.verdicts[i]);
  }
  std::erase_if(named, [](const auto& entry) { return entry.second == 0; });
  return named;
}

uint64_t Walk::ExhaustedAt(std::string_view unicast) const {
  const auto& all = nat_->unicast;
  const auto id = std::find(all.begin(), all.end(), *IpAddress::Parse(unicast));
  GODWIT_CHECK(id != all.end());
  return Sum().no_l4port[static_cast<size_t>(id - all.begin())];
}

uint64_t Walk::mappings() const {
  uint64_t sum = 0;
  for (const auto& table : tables_) sum += table->mappings();
  return sum;
}

uint64_t Walk::inbound() const {
  uint64_t sum = 0;
  for (const auto& table : tables_) sum += table->inbound();
  return sum;
}

uint64_t Walk::InboundOf(std::string_view queue) const {
  const QueueId id = devices_[IdOf(queue)].queue;
  uint64_t sum = 0;
  for (const auto& table : tables_) sum += table->InboundOf(id);
  return sum;
}

uint64_t Walk::judged() const {
  uint64_t judged = generation_;
  for (const auto& worker : workers_) {
    judged = std::min(judged, worker->judged_generation());
  }
  return judged;
}

uint64_t Walk::DroppedAt(std::string_view device) const {
  return Sum().devices[IdOf(device)].dropped;
}

uint64_t Walk::lost_events() const {
  uint64_t lost = 0;
  for (const auto& sink : events_) lost += sink->lost();
  return lost;
}

std::vector<MappingRecord> Walk::TakeMappings() {
  std::vector<MappingRecord> records;
  MappingRecord record;
  for (const auto& log : mapping_logs_) {
    while (log->Take(record)) records.push_back(record);
  }
  return records;
}

uint64_t Walk::resting() const {
  uint64_t sum = 0;
  for (const auto& table : tables_) sum += table->resting();
  return sum;
}

std::vector<Event> Walk::TakeEvents() {
  std::vector<Event> events;
  Event event;
  for (const auto& sink : events_) {
    while (sink->Take(event)) events.push_back(event);
  }
  return events;
}

}  // namespace godwit
