// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/flow_region.h"

#include <algorithm>
#include <cstring>

#include "dataplane/net/check.h"
#include "dataplane/table/timer_wheel.h"

namespace godwit {
namespace {

static_assert(std::is_trivially_copyable_v<Flow>);

uint8_t ByteAt(const std::byte* entry, size_t offset) {
  return static_cast<uint8_t>(entry[offset]);
}

}  // namespace

std::span<Flow> BeginFlowRegion(std::span<std::byte> memory,
                                const FlowRegionHeader& header) {
  GODWIT_CHECK(memory.size() >= FlowRegionBytes(header.capacity));
  std::memcpy(memory.data(), &header, sizeof(header));
  auto* first = reinterpret_cast<Flow*>(memory.data() + kFlowRegionStart);
  return {first, header.capacity};
}

void FlowReader::Read(std::span<const std::byte> entries) {
  for (size_t at = 0; at + sizeof(Flow) <= entries.size(); at += sizeof(Flow)) {
    const std::byte* entry = &entries[at];
    // Looked at as bytes until it is known to be what its type says.
    const uint8_t kind = ByteAt(entry, offsetof(Flow, kind));
    if (kind == static_cast<uint8_t>(FlowKind::kFree) ||
        kind == static_cast<uint8_t>(FlowKind::kBinding) ||
        kind == static_cast<uint8_t>(FlowKind::kLent)) {
      continue;
    }
    alignas(Flow) std::byte copy[sizeof(Flow)];
    std::memcpy(copy, entry, sizeof(copy));
    const bool answered = copy[offsetof(Flow, answered)] != std::byte{0};
    copy[offsetof(Flow, answered)] = std::byte{0};
    const bool in_range =
        kind <= static_cast<uint8_t>(FlowKind::kResting) &&
        ByteAt(copy, offsetof(Flow, tcp_state)) < kTcpStates &&
        ByteAt(copy, offsetof(Flow, source_rule)) <=
            static_cast<uint8_t>(SourceRule::kAsIs);
    Flow flow;
    if (in_range) std::memcpy(static_cast<void*>(&flow), copy, sizeof(flow));
    if (!in_range || !flow.IsSealed()) {
      ++counts_.damaged;
    } else if (TickAfter(now_, flow.deadline)) {
      ++counts_.ended;
    } else {
      Take(flow, answered);
    }
  }
}

void FlowReader::Take(const Flow& from, bool answered) {
  ++counts_.taken;
  Flow& flow = flows_.emplace_back(from);
  flow.answered = answered;
  flow.deadline = now_ + std::min(flow.deadline - now_, longest_);
  flow.timeout = std::min(flow.timeout, longest_);
  flow.epoch = 0;
  if (flow.to_uplink != kLoopAdjacency) flow.to_uplink = kNoAdjacency;
  flow.to_queue = kNoAdjacency;
  flow.uplink = kNoDevice;
  flow.l3_delta = 0;
  flow.l4_delta = 0;
  flow.destination = 0;
  if (flow.binding != kNoFlow) flow.binding = 0;
  flow.sessions = 0;
}

bool AnyInUse(std::span<const std::byte> entries) {
  for (size_t at = 0; at + sizeof(Flow) <= entries.size(); at += sizeof(Flow)) {
    if (ByteAt(&entries[at], offsetof(Flow, kind)) != 0) return true;
  }
  return false;
}

}  // namespace godwit
