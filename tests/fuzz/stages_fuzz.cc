// SPDX-License-Identifier: BSD-3-Clause
// F3: any frames, from anywhere, through the whole pipeline, in a world that
// changes. What must hold is what every walk checks (walk.h): the books
// balance, no buffer is lost, no foreign source on an uplink; and
//   P1, P2  no two flows share what comes back, and it comes back to its own,
//   P8, P9  what is translated is changed in nothing else (oracle.h),
//   P17     what comes in makes no mapping,
//   P18     an ICMP error neither makes nor ends a flow.
// The input is in stages_input.h.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/fuzz/stages_input.h"
#include "tests/fuzz/support/input.h"
#include "tests/fuzz/support/oracle.h"
#include "tests/fuzz/support/stages_world.h"
#include "tests/support/lanes.h"
#include "tests/support/walk.h"

namespace godwit {
namespace {

constexpr size_t kMaxFrame = 2048;
constexpr size_t kMostTimes = 900;  // of one rxq

bool IsUplink(const std::string& device) { return device.starts_with("wan"); }

// Source, destination and l4ports of a packet of TCP or UDP; empty: of another.
struct Ends {
  Bytes from;
  Bytes to;
  bool known() const { return !from.empty(); }
};
Ends EndsOf(const Bytes& packet) {
  const auto ip = ReadIp(packet);
  if (!ip || ip->fragment || (ip->protocol != 6 && ip->protocol != 17)) {
    return {};
  }
  const auto take = [&packet](size_t at, size_t size) {
    return Bytes(packet.begin() + static_cast<ptrdiff_t>(at),
                 packet.begin() + static_cast<ptrdiff_t>(at + size));
  };
  const size_t size = ip->v4 ? 4 : 16;
  const size_t at = ip->v4 ? 12 : 8;
  Ends ends = {take(at, size), take(at + size, size)};
  Append(ends.from, take(ip->l4, 2));
  Append(ends.to, take(ip->l4 + 2, 2));
  ends.from.push_back(ip->protocol);
  return ends;
}

// Who has an address: the packet itself waits.
bool IsQuestion(const Bytes& packet) {
  const auto ip = ReadIp(packet);
  return !ip || (ip->protocol == 58 && packet[ip->l4] == 135);
}

class Run {
 public:
  Run(Input input, uint16_t setup)
      : input_(input),
        setup_(setup),
        world_(setup),
        walk_(world_.builder(),
              {.workers = WorkersOf(setup), .max_flows = kMaxFlows}) {
    for (const auto& [device, packet] : FlowsThere()) {
      Send(device, packet.Frame(), 0);
    }
  }
  ~Run() { HoldBuffers(false, 0); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  void Go() {
    while (input_.left() >= 3) {
      const uint8_t step = input_.Byte();
      const uint16_t word = input_.Word();
      const uint8_t kind = step & Step::kDevice;
      if (kind == Step::kTrouble) {
        trouble_ ^= word;
        Change(0);
      } else if (kind == Step::kFlood) {
        times_ = std::min<size_t>(word, kMostTimes * WorkersOf(setup_));
      } else if ((step & Step::kChange) != 0) {
        Change(word);
      } else {
        TakeStep(step, input_.Take(std::min<size_t>(word, kMaxFrame)));
      }
    }
  }

 private:
  void Change(uint16_t word) {
    setup_ ^= word & static_cast<uint16_t>(~Setup::kWorkers);
    HoldBuffers(false, 0);
    world_.Become(setup_, trouble_);
    walk_.Publish(world_.builder());
    came_back_to_.clear();
    steady_ = false;
  }
  void TakeStep(uint8_t step, Bytes frame) {
    if ((step & Step::kFixSums) != 0) FixSums(frame);
    if ((step & Step::kWait) != 0) {
      walk_.Wait(frame.empty() ? 1 : frame[0]);
      came_back_to_.clear();
      steady_ = false;
    }
    Send(kDevices[step & Step::kDevice], frame, step);
  }
  // All of the pool but `left`, which is what a step needs.
  void HoldBuffers(bool hold, unsigned left) {
    rte_mempool* pool = Lanes::Get().pool();
    for (rte_mbuf* mbuf : held_) rte_pktmbuf_free(mbuf);
    held_.clear();
    while (hold && rte_mempool_avail_count(pool) > left) {
      held_.push_back(rte_pktmbuf_alloc(pool));
      if (held_.back() == nullptr) held_.pop_back();
    }
    walk_.CallerHolds(static_cast<unsigned>(held_.size()));
  }
  // More than a txq takes, or a waiting room.
  bool Flood(const std::string& device, const Bytes& frame) {
    if (times_ == 0) return false;
    HoldBuffers(false, 0);
    walk_.SendAll(device, std::vector<Bytes>(std::exchange(times_, 0), frame));
    came_back_to_.clear();
    return true;
  }
  void Send(const std::string& device, const Bytes& frame, uint8_t step) {
    if (Flood(device, frame)) return;
    if ((trouble_ & Trouble::kNoBuffers) != 0) {
      const unsigned own = (step & Step::kCut) != 0     ? 3
                           : (step & Step::kBurst) != 0 ? 2
                                                        : 1;
      HoldBuffers(true,
                  own + ((trouble_ & Trouble::kOneBuffer) != 0 ? 1U : 0U));
    }
    const uint64_t mappings = walk_.mappings();
    const uint64_t inbound = walk_.inbound();
    std::vector<Arrival> out;
    if ((step & Step::kCut) != 0) {
      out = walk_.SendCut(device, frame, {frame.size() / 3, frame.size() / 2});
    } else {
      out = walk_.SendAll(
          device,
          std::vector<Bytes>((step & Step::kBurst) != 0 ? 2 : 1, frame));
    }
    const Bytes in = PacketOf(frame);
    const auto ip = ReadIp(in);
    const bool error = ip && IsError(in, *ip);
    if (IsUplink(device)) GODWIT_CHECK(walk_.mappings() <= mappings);
    if (error) {
      GODWIT_CHECK(walk_.mappings() <= mappings && walk_.inbound() <= inbound);
      // Else it may be what finds a flow that time or a change has ended.
      GODWIT_CHECK(!steady_ || (walk_.mappings() == mappings &&
                                walk_.inbound() == inbound));
    }
    if (out.size() != 1 || !ip) return;
    if (IsQuestion(out[0].Packet())) return;
    if (walk_.ending() != "sent" && walk_.ending() != "delivered") return;
    Judge(device, in, error, out[0]);
  }
  // Of one packet that went on.
  void Judge(const std::string& device, const Bytes& in, bool error,
             const Arrival& arrival) {
    const Bytes out = arrival.Packet();
    const bool outward = IsUplink(arrival.device);
    if (!outward) ++reached.delivered;
    if (error) {
      reached.error_in += !outward && IsUplink(device) && in != out ? 1U : 0U;
      return;
    }
    CheckOnlyTranslated(in, out);
    const Ends before = EndsOf(in);
    const Ends after = EndsOf(out);
    if (!before.known()) return;
    if (outward && !IsUplink(device)) {
      reached.translated_out += before.from != after.from ? 1U : 0U;
      if (device.starts_with("gw")) return;
      Ends back = {after.from, before.from};
      back.from.insert(back.from.end(), after.to.begin(), after.to.end());
      back.to.insert(back.to.end(), device.begin(), device.end());
      const auto known = came_back_to_.emplace(back.from, back.to).first;
      GODWIT_CHECK(known->second == back.to);
    } else if (!outward && IsUplink(device)) {
      reached.translated_in += before.to != after.to ? 1U : 0U;
      // As it left: from our end to theirs.
      Bytes left = before.to;
      left.push_back(before.from.back());
      left.insert(left.end(), before.from.begin(), before.from.end() - 1);
      const auto known = came_back_to_.find(left);
      if (known == came_back_to_.end()) return;
      Bytes to = after.to;
      to.push_back(before.from.back());
      to.insert(to.end(), arrival.device.begin(), arrival.device.end());
      GODWIT_CHECK(known->second == to);
    }
  }

  Input input_;
  uint16_t setup_;
  StagesWorld world_;
  Walk walk_;
  uint16_t trouble_ = 0;
  size_t times_ = 0;  // the next frame, if not once
  std::vector<rte_mbuf*> held_;
  // While no time passes and nothing changes, no flow ends.
  std::map<Bytes, Bytes> came_back_to_;
  bool steady_ = true;
};

}  // namespace
}  // namespace godwit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  godwit::Input input(data, size);
  const uint16_t setup = input.Word();
  godwit::Run(input, setup).Go();
  return 0;
}
