// SPDX-License-Identifier: BSD-3-Clause
// Any frames, from anywhere, through the whole pipeline. What must hold is
// what every walk checks (walk.h): the books balance, no buffer is lost, no
// foreign source on an uplink; and the sanitizers.
//
// Input: one byte of Setup, then steps. A step is a byte of Step, the size of
// its frame (16 bits, high byte first) and as many bytes, or what is left.
#include <algorithm>
#include <cstdint>

#include "tests/fuzz/stages_input.h"
#include "tests/support/walk.h"

namespace godwit {
namespace {

SnapshotBuilder WorldOf(uint8_t setup) {
  SnapshotBuilder world;
  world.Uplink("wan1", "gw1");
  for (const char* queue : {"dns0", "mail0", "quiet0", "crawl0"}) {
    world.Queue(queue);
  }
  world.Service("dns", {"192.0.2.53", "2001:db8:53::53"},
                {"udp/53", "tcp/53", "icmp"}, {"dns0"});
  world.Service("mail", {"192.0.2.25", "2001:db8:53::25"}, {"tcp/25"},
                {"mail0"});
  world.Service("quiet", {"192.0.2.99"}, {"udp/99"}, {"quiet0"});
  world.Service("web", {"192.0.2.80", "2001:db8:53::80"}, {"tcp/80"},
                {"kernel"});
  world.Service("crawler", {}, {}, {"crawl0"});
  world.queue("mail0").originate = Originate::kVip;
  world.queue("quiet0").originate = Originate::kDeny;
  world.Direct("203.0.113.192/26").Direct("2001:db8:d::/64");
  world.device("wan1").vlan = 100;
  world.device("wan1").martians = Martians::kStrict;
  if ((setup & Setup::kIndependent) != 0) {
    world.nat().mapping = Mapping::kEndpointIndependent;
  }
  if ((setup & Setup::kTracked) != 0) {
    world.service("dns").replies = Replies::kTracked;
  }
  if ((setup & Setup::kRouter) != 0) {
    world.device("wan0").hop = Hop::kRouter;
    world.device("crawl0").hop = Hop::kRouter;
  }
  if ((setup & Setup::kSmallMtu) != 0) {
    world.device("wan0").mtu = 576;
    world.device("dns0").mtu = 576;
  }
  if ((setup & Setup::kNobodyThere) != 0) {
    world.Unresolved("wan0").Unresolved("mail0");
  }
  return world;
}

// Sums that a mutation has made wrong, made right again: the IPv4 header's
// and that of ICMP, which errors are refused without.
void FixSums(Bytes& frame) {
  const auto type_at = [&frame](size_t at) {
    return frame[at] * 256U + frame[at + 1];
  };
  if (frame.size() < 38) return;
  const size_t l3 = type_at(12) == 0x8100 ? 18 : 14;
  if (type_at(l3 - 2) != 0x0800 || frame.size() < l3 + 20) return;
  const size_t header = (frame[l3] & 0xfU) * 4U;
  if (header < 20 || frame.size() < l3 + header) return;
  const auto part = [&frame](size_t from, size_t to) {
    return Bytes(frame.begin() + static_cast<ptrdiff_t>(from),
                 frame.begin() + static_cast<ptrdiff_t>(to));
  };
  Set16(frame, l3 + 10, 0);
  Set16(frame, l3 + 10, ~PlainSum(part(l3, l3 + header)) & 0xffffU);
  const size_t end = std::min(frame.size(), l3 + type_at(l3 + 2));
  const size_t l4 = l3 + header;
  if (frame[l3 + 9] != 1 || end < l4 + 8) return;
  Set16(frame, l4 + 2, 0);
  Set16(frame, l4 + 2, ~PlainSum(part(l4, end)) & 0xffffU);
}

}  // namespace
}  // namespace godwit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace godwit;
  constexpr size_t kMaxFrame = 2048;
  const uint8_t* const end = data + size;
  if (data == end) return 0;
  const uint8_t setup = *data++;
  Walk walk(WorldOf(setup),
            {.workers = 1U + (setup & Setup::kWorkers) % 3U, .max_flows = 64});
  while (end - data >= 3) {
    const uint8_t step = data[0];
    const size_t wanted = std::min<size_t>(data[1] * 256U + data[2], kMaxFrame);
    data += 3;
    const size_t there = std::min(wanted, static_cast<size_t>(end - data));
    Bytes frame(data, data + there);
    data += there;
    if ((step & Step::kFixSums) != 0) FixSums(frame);
    if ((step & Step::kWait) != 0) walk.Wait(frame.empty() ? 1 : frame[0]);
    const char* device = kDevices[(step & Step::kDevice) % kDevices.size()];
    if ((step & Step::kCut) != 0) {
      walk.SendCut(device, frame, {there / 3, there / 2});
    } else {
      walk.Send(device, frame);
    }
  }
  return 0;
}
