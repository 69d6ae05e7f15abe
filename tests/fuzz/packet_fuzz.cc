// SPDX-License-Identifier: BSD-3-Clause
// F2: one packet from anywhere into a world with flows of every kind. It goes
// three ways through three walks that are otherwise alike:
//   in one buffer, and what leaves is what oracle.h allows (P8-P10);
//   in a chain of up to four, cut anywhere: the same leaves (P13);
//   with another payload: it takes the same way (P25).
// The books and the buffers are the walk's own to check (P6, P7).
//
// Input: which setup, the device and Step::kFixSums, three cuts, the frame.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "tests/fuzz/stages_input.h"
#include "tests/fuzz/support/input.h"
#include "tests/fuzz/support/lasting_walk.h"
#include "tests/fuzz/support/oracle.h"
#include "tests/fuzz/support/stages_world.h"

namespace godwit {
namespace {

constexpr size_t kMaxFrame = 2048;
constexpr std::array<uint16_t, 8> kSetups = {
    0,
    Setup::kIndependent,
    Setup::kTracked | Setup::kByClient,
    Setup::kRouter | Setup::kOnLink,
    Setup::kSmallMtu,
    Setup::kDrained | Setup::kNoMail | Setup::kKeepsInterface,
    Setup::kNobodyThere,
    Setup::kNoRoutes | Setup::kSecondUnicast};

// One world, three times; each has seen the same packets, so all give the same
// l4ports.
struct Triplet {
  explicit Triplet(const SnapshotBuilder& world)
      : whole(world, {.max_flows = 64}),
        cut(world, {.max_flows = 64}),
        other(world, {.max_flows = 64}) {}
  LastingWalk whole;
  LastingWalk cut;
  LastingWalk other;
};

Triplet& TripletOf(size_t number) {
  // Kept for good: a walk that ends asks for every buffer of the process.
  static auto& all = *new std::map<size_t, Triplet>;
  return all.try_emplace(number, StagesWorld(kSetups[number]).builder())
      .first->second;
}

Walk& WithFlows(LastingWalk& lasting) {
  Walk& walk = lasting.Fresh();
  for (const auto& [device, packet] : FlowsThere()) walk.Send(device, packet);
  return walk;
}

// Of a whole packet of TCP or UDP, other bytes behind the l4 header. Nothing
// that decides is there, and no checksum is asked for.
Bytes WithOtherPayload(const Bytes& frame) {
  const Bytes packet = PacketOf(frame);
  const auto ip = ReadIp(packet);
  if (!ip || ip->later || (ip->protocol != 6 && ip->protocol != 17)) return {};
  const size_t l3 = frame[12] == 0x81 && frame[13] == 0 ? 18 : 14;
  size_t payload = ip->l4 + 8;
  if (ip->protocol == 6) {
    if (ip->end < ip->l4 + 20) return {};
    payload = ip->l4 + (packet[ip->l4 + 12] >> 4) * 4U;
  }
  const size_t least = ip->l4 + (ip->protocol == 6 ? 20 : 8);
  if (payload < least || payload >= ip->end) return {};
  Bytes other = frame;
  for (size_t at = l3 + payload; at < l3 + ip->end; ++at) {
    other[at] = static_cast<uint8_t>(~other[at]);
  }
  return other;
}

std::vector<std::string> Ways(const std::vector<Arrival>& arrivals) {
  std::vector<std::string> ways;
  for (const Arrival& arrival : arrivals) {
    ways.push_back(arrival.device + std::to_string(arrival.frame.size()));
  }
  return ways;
}

void CheckWhole(const Bytes& frame, const std::string& ending,
                const std::vector<Arrival>& out) {
  const Bytes in = PacketOf(frame);
  const auto ip = ReadIp(in);
  if (!ip || IsError(in, *ip) || out.size() != 1) return;
  if (ending == "sent" || ending == "delivered") {
    CheckOnlyTranslated(in, out[0].Packet());
  } else if (ending == "punted") {
    GODWIT_CHECK(out[0].Packet() == in);
  }
}

void RunOne(size_t setup, const char* device, const Bytes& frame,
            std::vector<size_t> cuts) {
  Triplet& triplet = TripletOf(setup);
  Walk& whole = WithFlows(triplet.whole);
  const auto out = whole.Send(device, frame);
  const std::string ending = whole.ending();
  CheckWhole(frame, ending, out);

  for (size_t& cut : cuts) cut = std::min(cut, frame.size());
  std::sort(cuts.begin(), cuts.end());
  // Without the other's fragments: a pool is everybody's.
  triplet.whole.Fresh();
  Walk& cut = WithFlows(triplet.cut);
  GODWIT_CHECK(cut.SendCut(device, frame, cuts) == out);
  GODWIT_CHECK(cut.ending() == ending);
  triplet.cut.Fresh();

  Walk& other = WithFlows(triplet.other);
  const Bytes changed = WithOtherPayload(frame);
  if (changed.empty()) {
    // Still the same history.
    GODWIT_CHECK(other.Send(device, frame) == out);
  } else {
    GODWIT_CHECK(Ways(other.Send(device, changed)) == Ways(out));
  }
  triplet.other.Fresh();
}

}  // namespace
}  // namespace godwit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace godwit;
  Input input(data, size);
  const size_t setup = input.Below(kSetups.size());
  const uint8_t step = input.Byte();
  std::vector<size_t> cuts;
  for (int i = 0; i < 3; ++i) {
    cuts.push_back(input.Word() % (kMaxFrame + 1));
  }
  Bytes frame = input.Take(kMaxFrame);
  if ((step & Step::kFixSums) != 0) FixSums(frame);
  RunOne(setup, kDevices[(step & Step::kDevice) % kDevices.size()], frame,
         cuts);
  return 0;
}
