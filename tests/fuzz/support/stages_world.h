// SPDX-License-Identifier: BSD-3-Clause
// The world of the fuzzers that send any frames (stages_fuzz.cc,
// packet_fuzz.cc): two uplinks, services of every kind, and what a Setup makes
// of it. Flows of every kind are there already.
#ifndef GODWIT_TESTS_FUZZ_SUPPORT_STAGES_WORLD_H_
#define GODWIT_TESTS_FUZZ_SUPPORT_STAGES_WORLD_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/packet_builder.h"
#include "tests/support/snapshot_builder.h"

namespace godwit {

// Bits of an input's first word.
struct Setup {
  static constexpr uint16_t kWorkers = 0x0003;  // less one; 3 is 0
  static constexpr uint16_t kIndependent = 0x0004;
  static constexpr uint16_t kTracked = 0x0008;
  static constexpr uint16_t kRouter = 0x0010;
  static constexpr uint16_t kSmallMtu = 0x0020;
  static constexpr uint16_t kNobodyThere = 0x0040;
  static constexpr uint16_t kFewL4Ports = 0x0080;
  static constexpr uint16_t kLimits = 0x0100;
  static constexpr uint16_t kByClient = 0x0200;
  static constexpr uint16_t kNoRoutes = 0x0400;  // once and for all
  static constexpr uint16_t kDrained = 0x0800;
  static constexpr uint16_t kNoMail = 0x1000;
  static constexpr uint16_t kSecondUnicast = 0x2000;
  static constexpr uint16_t kOnLink = 0x4000;  // once and for all
  static constexpr uint16_t kKeepsInterface = 0x8000;
};

// What goes wrong around the packets; nothing of it is there at the start.
struct Trouble {
  static constexpr uint16_t kNoBuffers = 0x0001;  // but for the frame itself
  static constexpr uint16_t kOneBuffer = 0x0002;  // with kNoBuffers: one more
  static constexpr uint16_t kQueueOpens = 0x0004;
  static constexpr uint16_t kQueueAway = 0x0008;  // nobody answers for dns0
  static constexpr uint16_t kTinyMtu = 0x0010;
  static constexpr uint16_t kNoUnicast4 = 0x0020;
  static constexpr uint16_t kOtherL4Ports = 0x0040;
  static constexpr uint16_t kOtherDirect = 0x0080;
  static constexpr uint16_t kNoMartians = 0x0100;
  static constexpr uint16_t kDeviceGone = 0x0200;  // of dns1
  static constexpr uint16_t kNoDirect = 0x0400;
  static constexpr uint16_t kSmallQueue = 0x0800;  // crawl0, and no other
  static constexpr uint16_t kWan0Silent = 0x1000;  // its gateway is dead
  static constexpr uint16_t kWan1Silent = 0x2000;
};

class StagesWorld {
 public:
  explicit StagesWorld(uint16_t setup);
  // All but kWorkers; what flows were decided by is looked at again.
  void Become(uint16_t setup, uint16_t trouble = 0);
  const SnapshotBuilder& builder() const { return world_; }

 private:
  void AddMail();
  void Apply(uint16_t setup);
  void Upset(uint16_t trouble);

  SnapshotBuilder world_;
  uint16_t setup_ = 0;
  uint16_t trouble_ = 0;
};

inline unsigned WorkersOf(uint16_t setup) {
  return 1U + (setup & Setup::kWorkers) % 3U;
}

// Numbered for inputs.
inline constexpr std::array<const char*, 8> kDevices = {
    "wan0", "gw0", "wan1", "gw1", "dns0", "mail0", "quiet0", "crawl0"};

// The first packets of flows that an input finds there: device, packet.
using FirstPackets = std::vector<std::pair<const char*, PacketBuilder>>;
const FirstPackets& FlowsThere();

// Sums that a mutation has made wrong, made right again: the IPv4 header's
// and that of ICMP and ICMPv6, which errors are refused without.
void FixSums(Bytes& frame);

// What a program has seen of the stages; fuzzers that only ever reach drops
// test next to nothing.
struct Reached {
  uint64_t delivered = 0;
  uint64_t translated_out = 0;
  uint64_t translated_in = 0;
  uint64_t error_in = 0;  // to a queue, other than it came
};
extern Reached reached;

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_SUPPORT_STAGES_WORLD_H_
