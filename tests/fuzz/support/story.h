// SPDX-License-Identifier: BSD-3-Clause
// Inputs of stages_fuzz.cc, told as what happens.
#ifndef GODWIT_TESTS_FUZZ_SUPPORT_STORY_H_
#define GODWIT_TESTS_FUZZ_SUPPORT_STORY_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/net/check.h"
#include "tests/fuzz/stages_input.h"
#include "tests/fuzz/support/stages_world.h"
#include "tests/support/walk.h"

namespace godwit {

// The names of one family.
struct Side4Or6 {
  bool v4;
  const char* unicast;
  const char* dns;
  const char* mail;
  const char* web;
  const char* client;
  const char* remote;
  const char* inside;

  std::string At(const char* address, unsigned l4port) const {
    return (v4 ? address : "[" + std::string(address) + "]") + ":" +
           std::to_string(l4port);
  }
};
inline constexpr Side4Or6 kFamilies[] = {
    {true, "198.51.100.7", "192.0.2.53", "192.0.2.25", "192.0.2.80",
     "203.0.113.9", "203.0.113.80", "10.0.0.5"},
    {false, "2001:db8:7::7", "2001:db8:53::53", "2001:db8:53::25",
     "2001:db8:53::80", "2001:db8:c::9", "2001:db8:c::80", "fd00::5"}};

// Writes an input down while it does the same (stages_fuzz.cc).
class Story {
 public:
  explicit Story(uint16_t setup)
      : setup_(setup),
        world_(setup),
        walk_(world_.builder(),
              {.workers = WorkersOf(setup), .max_flows = kMaxFlows}) {
    Put16(input_, setup);
    for (const auto& [device, packet] : FlowsThere()) {
      walk_.Send(device, packet);
    }
  }
  std::vector<Arrival> Send(std::string_view device, const Bytes& frame,
                            uint8_t how = 0) {
    const auto at = std::find(kDevices.begin(), kDevices.end(), device);
    GODWIT_CHECK(at != kDevices.end());
    Note(static_cast<uint8_t>(how | (at - kDevices.begin())),
         static_cast<uint16_t>(frame.size()));
    Append(input_, frame);
    if ((how & Step::kWait) != 0) walk_.Wait(frame[0]);
    return walk_.Send(device, frame);
  }
  std::vector<Arrival> Send(std::string_view device,
                            const PacketBuilder& packet) {
    return Send(device, packet.Frame());
  }
  // So many at once; nothing is known of them.
  void Flood(uint16_t times, std::string_view device,
             const PacketBuilder& packet) {
    Note(Step::kFlood, times);
    Send(device, packet);
  }
  void Change(uint16_t setup) {
    Note(Step::kChange, setup);
    setup_ ^= setup;
    Publish();
  }
  void Upset(uint16_t trouble) {
    Note(Step::kTrouble, trouble);
    trouble_ ^= trouble;
    Publish();
  }
  void Wait(uint8_t seconds) { Send("gw1", Bytes(20, seconds), Step::kWait); }
  const Bytes& input() const { return input_; }

 private:
  void Note(uint8_t step, uint16_t word) {
    input_.push_back(step);
    Put16(input_, word);
  }
  void Publish() {
    world_.Become(setup_, trouble_);
    walk_.Publish(world_.builder());
  }

  uint16_t setup_;
  uint16_t trouble_ = 0;
  StagesWorld world_;
  Walk walk_;
  Bytes input_;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_FUZZ_SUPPORT_STORY_H_
