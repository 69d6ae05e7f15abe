// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/support/stages_world.h"

#include <algorithm>

#include "tests/fuzz/support/oracle.h"

namespace godwit {

Reached reached;

StagesWorld::StagesWorld(uint16_t setup) {
  world_.Uplink("wan1", "gw1");
  for (const char* queue : {"dns0", "mail0", "quiet0", "crawl0", "dns1"}) {
    world_.Queue(queue);
  }
  world_.Service("dns", {"192.0.2.53", "2001:db8:53::53"},
                 {"udp/53", "tcp/53", "icmp"}, {"dns0", "dns1"});
  AddMail();
  world_.Service("quiet", {"192.0.2.99"}, {"udp/99"}, {"quiet0"});
  world_.Service("web", {"192.0.2.80", "2001:db8:53::80"},
                 {"tcp/80", "udp/8080"}, {"kernel"});
  world_.Service("crawler", {}, {}, {"crawl0"});
  world_.Silent("quiet");
  world_.queue("mail0").originate = Originate::kVip;
  world_.queue("quiet0").originate = Originate::kDeny;
  world_.Direct("203.0.113.192/26").Direct("2001:db8:d::/64");
  world_.device("wan1").vlan = 100;
  world_.device("wan1").martians = Martians::kStrict;
  Apply(setup);
}

void StagesWorld::AddMail() {
  world_.Service("mail", {"192.0.2.25", "2001:db8:53::25"}, {"tcp/25"},
                 {"mail0"});
}

void StagesWorld::Become(uint16_t setup, uint16_t trouble) {
  Apply(setup);
  Upset(trouble);
  world_.Change();
}

void StagesWorld::Upset(uint16_t trouble) {
  const auto is = [trouble](uint16_t bit) { return (trouble & bit) != 0; };
  const auto turned = [this, trouble](uint16_t bit) {
    return ((trouble ^ trouble_) & bit) != 0;
  };
  for (const char* queue : {"dns0", "crawl0"}) {
    world_.queue(queue).device =
        is(Trouble::kQueueOpens) ? kNoDevice : world_.device_id(queue);
  }
  for (const char* queue : {"dns0", "quiet0"}) {
    if (is(Trouble::kQueueAway)) world_.Unresolved(queue);
    if (turned(Trouble::kQueueAway) && !is(Trouble::kQueueAway)) {
      world_.Resolved(queue);
    }
  }
  // Apply has said them anew.
  if (is(Trouble::kTinyMtu)) world_.device("wan0").mtu = 60;
  if (is(Trouble::kSmallQueue)) world_.device("crawl0").mtu = 576;
  if (turned(Trouble::kNoUnicast4)) {
    world_.nat().unicast[0] = is(Trouble::kNoUnicast4)
                                  ? IpAddress{}
                                  : *IpAddress::Parse("198.51.100.7");
    ++world_.nat().plan_version;
  }
  if (turned(Trouble::kOtherL4Ports)) {
    const bool other = is(Trouble::kOtherL4Ports);
    world_.EgressL4Ports(other ? 50002 : 50000, other ? 50007 : 50003);
  }
  if (turned(Trouble::kNoDirect | Trouble::kOtherDirect)) {
    world_.nat().direct.clear();
    if (!is(Trouble::kNoDirect)) {
      world_.Direct("203.0.113.192/26").Direct("2001:db8:d::/64");
    }
    if (is(Trouble::kOtherDirect)) {
      world_.Direct("203.0.113.80/32").Direct("2001:db8:c::80/128");
    }
  }
  for (const char* device : {"wan1", "mail0"}) {
    world_.device(device).martians = is(Trouble::kNoMartians) ? Martians::kOff
                                     : device[0] == 'w' ? Martians::kStrict
                                                        : Martians::kBasic;
  }
  for (const char* uplink : {"wan0", "wan1"}) {
    const bool dead =
        is(uplink[3] == '0' ? Trouble::kWan0Silent : Trouble::kWan1Silent);
    if (dead) world_.Dead(uplink);
    if (!dead) world_.Alive(uplink);
  }
  // One that no input sends from: what comes in must be taken.
  world_.device("dns1").side =
      is(Trouble::kDeviceGone) ? Side::kNone : Side::kQueue;
  trouble_ = trouble;
}

void StagesWorld::Apply(uint16_t setup) {
  const auto is = [setup](uint16_t bit) { return (setup & bit) != 0; };
  const auto turned = [this, setup](uint16_t bit) {
    return ((setup ^ setup_) & bit) != 0;
  };
  world_.nat().mapping = is(Setup::kIndependent) ? Mapping::kEndpointIndependent
                                                 : Mapping::kPerDestination;
  world_.service("dns").replies =
      is(Setup::kTracked) ? Replies::kTracked : Replies::kTuple;
  world_.service("dns").affinity =
      is(Setup::kByClient) ? Affinity::kClient : Affinity::kFlow;
  for (const char* device : {"wan0", "crawl0"}) {
    world_.device(device).hop = is(Setup::kRouter) ? Hop::kRouter : Hop::kHost;
  }
  for (const char* device : {"wan0", "dns0", "crawl0"}) {
    world_.device(device).mtu = is(Setup::kSmallMtu) ? 576 : 1500;
  }
  for (const char* device : {"wan0", "mail0"}) {
    if (is(Setup::kNobodyThere)) world_.Unresolved(device);
    if (!is(Setup::kNobodyThere)) world_.Resolved(device);
  }
  if (turned(Setup::kFewL4Ports)) {
    world_.EgressL4Ports(50000, is(Setup::kFewL4Ports) ? 50003 : 50999);
    ++world_.nat().plan_version;
  }
  world_.queue("crawl0").flow_limit = is(Setup::kLimits) ? 6 : 0;
  world_.queue("mail0").rate_limit = is(Setup::kLimits) ? 2 : 0;
  if (is(Setup::kNoRoutes)) world_.NoRoutes();
  for (const char* queue : {"dns0", "quiet0"}) {
    world_.queue(queue).alive = !is(Setup::kDrained);
  }
  if (turned(Setup::kNoMail) && is(Setup::kNoMail))
    world_.RemoveService("mail");
  if (turned(Setup::kNoMail) && !is(Setup::kNoMail)) AddMail();
  if (turned(Setup::kSecondUnicast)) {
    world_.nat().unicast.resize(3);
    world_.nat().unicast[2] = is(Setup::kSecondUnicast)
                                  ? *IpAddress::Parse("198.51.100.8")
                                  : IpAddress{};
    ++world_.nat().plan_version;
  }
  if (is(Setup::kOnLink) && turned(Setup::kOnLink)) {
    world_.OnLink("203.0.113.0/24");
  }
  world_.device("wan1").keeps_interface = is(Setup::kKeepsInterface);
  setup_ = setup;
}

const FirstPackets& FlowsThere() {
  static const FirstPackets flows = {
      {"crawl0", Udp("10.0.0.5:5000", "203.0.113.80:53").Payload("who?")},
      {"crawl0", Udp("[fd00::5]:5000", "[2001:db8:c::80]:53").Payload("who?")},
      {"crawl0", Tcp("10.0.0.5:5001", "203.0.113.80:80").Flags("S")},
      {"crawl0", Tcp("[fd00::5]:5001", "[2001:db8:c::80]:80").Flags("S")},
      {"crawl0", Echo("10.0.0.5", "203.0.113.80", 77)},
      {"mail0", Tcp("192.0.2.25:4000", "203.0.113.80:25").Flags("S")},
      {"wan0", Udp("203.0.113.9:4000", "192.0.2.53:53").Payload("who?")},
      {"wan0", Tcp("[2001:db8:c::9]:4000", "[2001:db8:53::53]:53").Flags("S")}};
  return flows;
}

void FixSums(Bytes& frame) {
  if (frame.size() < 38) return;
  const size_t l3 = frame[12] == 0x81 && frame[13] == 0 ? 18 : 14;
  Bytes packet(frame.begin() + static_cast<ptrdiff_t>(l3), frame.end());
  const auto ip = ReadIp(packet);
  if (!ip) return;
  if (ip->v4) {
    Set16(packet, 10, 0);
    const Bytes header(packet.begin(),
                       packet.begin() + static_cast<ptrdiff_t>(ip->l4));
    Set16(packet, 10, ~PlainSum(header) & 0xffffU);
  }
  if (ip->IsIcmp() && !ip->fragment && ip->end >= ip->l4 + 4) {
    Set16(packet, ip->l4 + 2, 0);
    Set16(packet, ip->l4 + 2, *L4Residue(packet, *ip));
  }
  std::copy(packet.begin(), packet.end(),
            frame.begin() + static_cast<ptrdiff_t>(l3));
}

}  // namespace godwit
