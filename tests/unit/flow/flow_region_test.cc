// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/flow_region.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "dataplane/flow/flow_table.h"

namespace godwit {
namespace {

constexpr uint32_t kCapacity = 4096;
constexpr uint32_t kNow = 5000;
constexpr uint32_t kLongest = 74400;

IpAddress Address(const char* text) { return *IpAddress::Parse(text); }

Flow Base(FlowKind kind, uint16_t number) {
  Flow flow;
  flow.kind = kind;
  flow.protocol = 6;
  flow.queue = 7;
  flow.remote = Address("192.0.2.100");
  flow.remote_l4port = 443;
  flow.local = Address("10.64.0.2");
  flow.local_l4port = number;
  flow.external_l4port = number;
  flow.deadline = kNow + 100;
  flow.created = kNow;
  flow.tcp_state = TcpState::kEstablished;
  flow.originator = {2, 0, 0, 0, 1, 9};
  return flow;
}

// A table whose entries are in a region, as the daemon has it.
class Node {
 public:
  Node() : bytes_(FlowRegionBytes(kCapacity) + 64) {
    void* start = bytes_.data();
    size_t room = bytes_.size();
    std::align(64, FlowRegionBytes(kCapacity), start, room);
    FlowRegionHeader header;
    header.capacity = kCapacity;
    options_.max_flows = kCapacity;
    options_.now = kNow;
    options_.huge_pages = HugePages::kOff;
    options_.entries = BeginFlowRegion(
        {static_cast<std::byte*>(start), FlowRegionBytes(kCapacity)}, header);
    table_ = std::make_unique<FlowTable>(options_);
    nat_.unicast = {Address("203.0.113.7")};
    std::vector<uint16_t> l4ports;
    for (uint16_t l4port = 2000; l4port < 3000; ++l4port) {
      l4ports.push_back(l4port);
    }
    nat_.l4ports = L4PortPlan(l4ports, 1);
    table_->UsePlan(nat_, 0);
  }
  void UseMapping(Mapping mapping) { nat_.mapping = mapping; }
  Flow* Inbound(uint16_t number) {
    Flow flow = Base(FlowKind::kInbound, number);
    flow.service = 3;
    Flow* made = nullptr;
    EXPECT_EQ(table_->MakeInbound(flow, made), FlowTable::Made::kYes);
    table_->Settle();
    return made;
  }
  Flow* Originated(uint16_t number, uint16_t to = 443) {
    Flow flow = Base(FlowKind::kOriginated, number);
    flow.remote_l4port = to;
    return Make(flow);
  }
  Flow* Make(const Flow& flow) {
    Flow* made = nullptr;
    EXPECT_EQ(table_->MakeOriginated(flow, nat_, {}, made),
              FlowTable::Made::kYes);
    table_->Settle();
    return made;
  }
  std::span<const std::byte> entries() const {
    return std::as_bytes(options_.entries);
  }
  FlowTable& table() { return *table_; }
  Flow* Find(const FlowKey& key) {
    return table_->Find(table_->HashOf(key), key, kNow);
  }

 private:
  std::vector<std::byte> bytes_;
  FlowTable::Options options_;
  std::unique_ptr<FlowTable> table_;
  NatConfig nat_;
};

FlowReader ReadAll(std::span<const std::byte> entries) {
  FlowReader reader(kNow, kLongest);
  reader.Read(entries);
  return reader;
}

// What a packet of the flow would become.
bool SameTranslation(const Flow& a, const Flow& b) {
  return a.remote == b.remote && a.local == b.local &&
         a.remote_l4port == b.remote_l4port &&
         a.local_l4port == b.local_l4port &&
         a.external_l4port == b.external_l4port && a.queue == b.queue &&
         a.protocol == b.protocol && a.kind == b.kind &&
         a.unicast == b.unicast && a.service == b.service &&
         a.source_rule == b.source_rule && a.originator == b.originator;
}

TEST(FlowRegionTest, WhatIsInUseIsRead) {
  Node node;
  node.Inbound(10);
  node.Originated(11);
  Flow* ended = node.Originated(12);
  node.table().End(*ended);
  const FlowReader reader = ReadAll(node.entries());
  EXPECT_EQ(reader.counts().taken, 2u);
  EXPECT_EQ(reader.counts().damaged, 0u);
}

TEST(FlowRegionTest, AFlowWhoseTimeHasPassedIsNot) {
  Node node;
  node.Inbound(10)->deadline = kNow - 1;
  node.Inbound(11)->deadline = kNow;
  const FlowReader reader = ReadAll(node.entries());
  EXPECT_EQ(reader.counts().taken, 1u);
  EXPECT_EQ(reader.counts().ended, 1u);
}

// Every bit of an entry, of each kind, and of one that has ended.
TEST(FlowRegionTest, ADamagedEntryNeverMeansAnotherTranslation) {
  for (const int which : {0, 1, 2}) {
    Node node;
    Flow* flow = which == 0 ? node.Inbound(10) : node.Originated(10);
    const Flow original = *flow;
    if (which == 2) node.table().End(*flow);
    const auto all = node.entries();
    const size_t at = static_cast<size_t>(
        reinterpret_cast<const std::byte*>(flow) - all.data());
    for (size_t bit = 0; bit < sizeof(Flow) * 8; ++bit) {
      std::vector<std::byte> entry(
          all.begin() + static_cast<long>(at),
          all.begin() + static_cast<long>(at + sizeof(Flow)));
      entry[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      const FlowReader reader = ReadAll(entry);
      ASSERT_LE(reader.flows().size(), which == 2 ? 0u : 1u) << bit;
      if (reader.flows().empty()) continue;
      const Flow& read = reader.flows()[0];
      EXPECT_TRUE(SameTranslation(read, original)) << "bit " << bit;
      EXPECT_LE(read.deadline - kNow, kLongest) << "bit " << bit;
      EXPECT_LE(read.timeout, kLongest) << "bit " << bit;
    }
  }
}

TEST(FlowRegionTest, AnEntryThatWasHalfWrittenIsLeftOut) {
  Node node;
  const Flow before = *node.Originated(10);
  const Flow after = *node.Originated(11);
  for (size_t cut = 1; cut < sizeof(Flow); ++cut) {
    std::byte entry[sizeof(Flow)];
    std::memcpy(entry, &before, sizeof(entry));
    std::memcpy(entry, &after, cut);
    const FlowReader reader = ReadAll(entry);
    for (const Flow& flow : reader.flows()) {
      EXPECT_TRUE(SameTranslation(flow, before) || SameTranslation(flow, after))
          << "cut at " << cut;
    }
  }
}

TEST(FlowRegionTest, ASuccessorHasTheSameFlowsAndL4Ports) {
  for (const Mapping mapping :
       {Mapping::kPerDestination, Mapping::kEndpointIndependent}) {
    Node first;
    first.UseMapping(mapping);
    for (uint16_t i = 0; i < 200; ++i) first.Inbound(i);
    for (uint16_t i = 200; i < 700; ++i) {
      first.Originated(i);
      first.Originated(i, 80);
    }
    const FlowReader reader = ReadAll(first.entries());
    ASSERT_EQ(reader.counts().taken, 1200u);
    Node second;
    second.UseMapping(mapping);
    std::set<uint16_t> taken;
    for (const Flow& flow : reader.flows()) {
      ASSERT_TRUE(second.table().Adopt(flow));
      const Flow* inside = second.Find(FlowTable::QueueSideKey(flow));
      ASSERT_NE(inside, nullptr);
      EXPECT_TRUE(SameTranslation(*inside, flow));
      EXPECT_TRUE(inside->IsSealed());
      EXPECT_EQ(second.Find(second.table().UplinkSideKey(flow)), inside);
      const bool counts =
          flow.kind == FlowKind::kOriginated && flow.remote_l4port == 443;
      if (counts) taken.insert(flow.external_l4port);
    }
    second.table().Settle();
    EXPECT_EQ(second.table().inbound(), 200u);
    EXPECT_EQ(second.table().mappings(), 1000u);
    EXPECT_EQ(taken.size(), 500u);
    // The other half of the l4ports, and no more.
    for (uint16_t i = 0; i < 500; ++i) {
      const Flow* made = second.Originated(static_cast<uint16_t>(5000 + i));
      ASSERT_NE(made, nullptr);
      EXPECT_TRUE(taken.insert(made->external_l4port).second);
    }
    // All of it ends, and all of it can be had again.
    for (FlowNumber number = 0; number < second.table().capacity(); ++number) {
      Flow& flow = second.table().At(number);
      if (flow.kind != FlowKind::kBinding) second.table().End(flow);
    }
    second.table().Settle();
    EXPECT_EQ(second.table().mappings(), 0u);
    for (uint16_t i = 0; i < 1000; ++i) {
      ASSERT_NE(second.Originated(static_cast<uint16_t>(9000 + i)), nullptr);
    }
  }
}

// MAP-15: it rests in the next process, too.
TEST(FlowRegionTest, AnL4PortThatRestsRestsOn) {
  Node first;
  first.UseMapping(Mapping::kEndpointIndependent);
  first.table().UseRest(1200);
  first.table().Expire(kNow, 1);
  Flow udp = Base(FlowKind::kOriginated, 10);
  udp.protocol = 17;
  Flow* made = first.Make(udp);
  const uint16_t resting = made->external_l4port;
  first.table().End(*made);
  const FlowReader reader = ReadAll(first.entries());
  ASSERT_EQ(reader.counts().taken, 1u);
  EXPECT_EQ(reader.flows()[0].kind, FlowKind::kResting);
  Node second;
  second.UseMapping(Mapping::kEndpointIndependent);
  ASSERT_TRUE(second.table().Adopt(reader.flows()[0]));
  EXPECT_FALSE(second.table().Adopt(reader.flows()[0]));
  second.table().Settle();
  for (uint16_t i = 0; i < 999; ++i) {
    udp.local_l4port = static_cast<uint16_t>(5000 + i);
    made = second.Make(udp);
    ASSERT_NE(made, nullptr) << i;
    EXPECT_NE(made->external_l4port, resting);
  }
  // Until its time is over.
  while (second.table().Expire(kNow + 1300, 64) == 64) {
  }
  second.table().Settle();
  std::set<uint16_t> again;
  for (uint16_t i = 0; i < 1000; ++i) {
    udp.local_l4port = static_cast<uint16_t>(8000 + i);
    udp.deadline = kNow + 2000;
    made = second.Make(udp);
    ASSERT_NE(made, nullptr) << i;
    again.insert(made->external_l4port);
  }
  EXPECT_TRUE(again.contains(resting));
}

TEST(FlowRegionTest, OneThatIsThereAlreadyIsNotTakenTwice) {
  Node first;
  first.Originated(10);
  first.Inbound(11);
  const FlowReader reader = ReadAll(first.entries());
  Node second;
  for (const Flow& flow : reader.flows()) {
    EXPECT_TRUE(second.table().Adopt(flow));
    EXPECT_FALSE(second.table().Adopt(flow));
  }
  EXPECT_EQ(second.table().mappings(), 1u);
  EXPECT_EQ(second.table().inbound(), 1u);
}

}  // namespace
}  // namespace godwit
