// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/support/stages_limits.h"

#include "dataplane/net/headers.h"

namespace godwit {
namespace {

constexpr uint16_t kVlanOfWan1 = 100;

// More new flows a second, and at once, than a queue may have.
Bytes Limited(const Side4Or6& at) {
  Story story(Setup::kLimits);
  for (int round = 0; round < 2; ++round) {
    for (unsigned i = 0; i < 9; ++i) {
      story.Send(
          "mail0",
          Tcp(at.At(at.mail, 4000 + i), at.At(at.remote, 25)).Flags("S"));
      story.Send("crawl0",
                 Udp(at.At(at.inside, 6000 + i), at.At(at.remote, 53)));
      // As it is, by `direct`; and taken already from elsewhere.
      story.Send("crawl0",
                 Udp(at.At(at.unicast, 50000 + i),
                     at.At(at.v4 ? "203.0.113.200" : "2001:db8:d::1", 53)));
      story.Send("mail0",
                 Udp(at.At(at.unicast, 50000 + i),
                     at.At(at.v4 ? "203.0.113.200" : "2001:db8:d::1", 53)));
    }
    story.Wait(20);
  }
  return story.input();
}

// More answers than godwit gives in a second: of each kind of its own.
Bytes Chatty(const Side4Or6& at, uint16_t setup) {
  Story story(setup);
  const auto closed = Udp(at.At(at.client, 4000), at.At(at.dns, 7));
  const auto reset = Tcp(at.At(at.client, 4000), at.At(at.dns, 7)).Flags("S");
  story.Flood(150, "wan0", closed);
  story.Send("wan0", closed);
  story.Wait(20);
  story.Flood(150, "wan0", reset);
  story.Wait(20);
  // Who answers is godwit: "mail" has no `icmp`.
  for (int i = 0; i < 3; ++i) {
    story.Flood(500, "wan0", Echo(at.client, at.mail, 9));
  }
  story.Wait(20);
  auto last = Udp(at.At(at.client, 4000), at.At(at.dns, 53));
  story.Flood(150, "wan0", last.Ttl(1));
  auto prohibited = Udp("192.0.2.99:4000", "203.0.113.9:53");
  story.Flood(150, "quiet0", prohibited);
  return story.input();
}

// What the kernel is sent while a worker is behind, of every class.
Bytes Punted(const Side4Or6& at) {
  Story story(0);
  std::vector<PacketBuilder> kinds;
  const auto to_kernel = [&at] {
    return Udp(at.At(at.client, 4000), at.At(at.unicast, 22));
  };
  kinds.push_back(to_kernel());
  kinds.push_back(to_kernel().Ttl(255));
  kinds.push_back(
      Tcp(at.At(at.client, 4000), at.At(at.unicast, 179)).Flags("A"));
  kinds.push_back(
      Tcp(at.At(at.client, 4000), at.At(at.unicast, 179)).Flags("S"));
  kinds.push_back(Echo(at.client, at.unicast, 9));
  kinds.push_back(
      Udp(at.At(at.client, 520), at.At(at.v4 ? "224.0.0.9" : "ff02::9", 520)));
  // The kernel's answer, by which a connection is known.
  story.Send("gw0",
             Tcp(at.At(at.unicast, 179), at.At(at.client, 4000)).Flags("SA"));
  for (const PacketBuilder& kind : kinds) story.Flood(200, "wan0", kind);
  auto pieces = to_kernel().PayloadSize(90).IpId(5).Fragments(48);
  for (const Bytes& piece : pieces) story.Send("wan0", piece);
  for (const PacketBuilder& kind : kinds) story.Send("wan0", kind);
  return story.input();
}

// From and to addresses that a wire never has, and their neighbours that it
// has.
Bytes Special(const Side4Or6& at) {
  Story story(0);
  const std::vector<const char*> v4 = {
      "127.0.0.1", "169.254.1.1", "169.1.1.1",       "224.0.0.1",
      "0.0.0.0",   "0.1.2.3",     "255.255.255.255", "240.0.0.1"};
  const std::vector<const char*> v6 = {"::1",     "fe80::1", "ff02::1", "::",
                                       "fec0::1", "fc00::1", "ff0e::1", "::2"};
  for (const uint16_t trouble : {uint16_t{0}, Trouble::kNoMartians}) {
    story.Upset(trouble);
    for (const char* address : at.v4 ? v4 : v6) {
      const std::string end = at.At(address, 53);
      for (const char* queue : {"crawl0", "dns0", "mail0"}) {
        story.Send(queue, Udp(end, at.At(at.remote, 53)));
        story.Send(queue, Udp(at.At(at.inside, 7000), end));
      }
      for (const unsigned l4port : {53U, 7U}) {
        const auto ask = Udp(end, at.At(at.dns, l4port));
        story.Send("wan0", ask);
        auto tagged = ask;
        story.Send("wan1", tagged.Vlan(kVlanOfWan1));
        auto last = ask;
        story.Send("wan1", last.Vlan(kVlanOfWan1).Ttl(1));
      }
      auto echo = Echo(address, at.mail, 9);
      story.Send("wan1", echo.Vlan(kVlanOfWan1));
      auto open = Tcp(end, at.At(at.dns, 7)).Flags("S");
      story.Send("wan1", open.Vlan(kVlanOfWan1));
      auto in = Udp(at.At(at.client, 4000), end);
      story.Send("wan0", in);
      story.Send("wan1", in.Vlan(kVlanOfWan1));
      story.Send("gw0", Udp(end, at.At(at.client, 53)));
      story.Send("gw0", Echo(address, at.client, 9));
    }
    story.Upset(trouble);
  }
  return story.input();
}

// Of two next hops one dies, then both; flows of every kind go on.
Bytes Ways(const Side4Or6& at, uint16_t setup) {
  Story story(setup);
  for (const uint16_t trouble : {Trouble::kWan0Silent, Trouble::kWan1Silent,
                                 Trouble::kWan0Silent, Trouble::kWan1Silent}) {
    for (unsigned i = 0; i < 8; ++i) {
      story.Send("crawl0",
                 Udp(at.At(at.inside, 7000 + i), at.At(at.remote, 53)));
      story.Send("dns0", Udp(at.At(at.dns, 53), at.At(at.client, 4000 + i)));
      story.Send(
          "mail0",
          Tcp(at.At(at.mail, 25), at.At(at.client, 4000 + i)).Flags("A"));
      story.Send("dns0", Udp(at.At(at.dns, 53),
                             at.At(at.v4 ? "203.0.113.255" : "ff02::5", 9)));
    }
    story.Upset(trouble);
  }
  return story.input();
}

// A program of the root namespace behind no uplink, and one whose uplink goes.
Bytes Kernel(const Side4Or6& at, uint16_t setup) {
  Story story(setup);
  const auto ask = Udp(at.At(at.client, 4000), at.At(at.web, 8080));
  for (const uint16_t change :
       {uint16_t{0}, Setup::kKeepsInterface, Setup::kNobodyThere,
        Setup::kDrained, Setup::kNoMail}) {
    story.Change(change);
    story.Send("wan0", ask);
    auto tagged = ask;
    story.Send("wan1", tagged.Vlan(kVlanOfWan1));
    story.Send("gw0", Udp(at.At(at.web, 8080), at.At(at.client, 4000)));
    story.Send("gw1", Udp(at.At(at.web, 8080), at.At(at.client, 4001)));
    story.Send("gw0", Udp(at.At(at.unicast, 5000), at.At(at.dns, 53)));
    story.Send("gw1", Udp(at.At(at.unicast, 5000), at.At(at.web, 8080)));
    story.Send("gw1", Udp(at.At(at.unicast, 5001), at.At(at.client, 53)));
    story.Send("crawl0", Udp(at.At(at.inside, 5000), at.At(at.web, 8080)));
    story.Send("gw0",
               IcmpError(at.web, at.v4 ? 3 : 1, at.v4 ? 3 : 4, ask.Packet()));
    story.Send("gw0", IcmpError(at.unicast, at.v4 ? 3 : 1, at.v4 ? 3 : 4,
                                ask.Packet()));
  }
  return story.input();
}

// What the kernel says of itself on a link, and what it may not.
Bytes OnTheLink(const Side4Or6& at) {
  Story story(0);
  for (const char* tap : {"gw0", "gw1"}) {
    for (const char* sender : {"c6336407", "c0000235", "00000000"}) {
      const std::string arp =
          "ffffffffffff 0200000000aa 0806 0001080006040001 0200000000aa";
      const Bytes frame = FromHex(arp + sender + "000000000000 c6336401");
      story.Send(tap, frame);
      for (const size_t size : {size_t{13}, size_t{20}, size_t{40}}) {
        story.Send(tap, Bytes(frame.begin(),
                              frame.begin() + static_cast<ptrdiff_t>(size)));
      }
    }
    for (const uint8_t type : Bytes{132, 133, 135, 136, 137, 138, 143, 128}) {
      for (const char* source : {"fe80::1", "::", "2001:db8:7::7",
                                 "2001:db8:53::53", "2001:db8:99::1"}) {
        for (const uint8_t limit : {uint8_t{255}, uint8_t{64}}) {
          PacketBuilder packet(*IpAddress::Parse(source),
                               *IpAddress::Parse("ff02::1"), kProtoIcmpv6);
          Bytes body(24, 0);
          body[0] = type;
          story.Send(tap, packet.Payload(body).Ttl(limit));
          story.Send("crawl0", packet);
        }
      }
    }
    story.Send(tap, Udp(at.At(at.unicast, 22), at.At(at.client, 4000)));
  }
  // Echoes in pieces, and one that is its own only piece, to who answers.
  uint16_t id = 300;
  for (const char* address : {at.mail, at.unicast}) {
    auto echo = Echo(at.client, address, 9).PayloadSize(200);
    for (const Bytes& piece : echo.IpId(id++).Fragments(96)) {
      story.Send("wan0", piece);
    }
    story.Send("wan0", Echo(at.client, address, 9).Fragment(0, More::kNo));
    story.Send("dns0", Echo(at.dns, address, 9).Fragment(0, More::kNo));
  }
  return story.input();
}

}  // namespace

void AddLimitStories(const Side4Or6& at,
                     std::vector<std::pair<std::string, Bytes>>& all) {
  const std::string family = at.v4 ? "4" : "6";
  all.emplace_back("limited" + family, Limited(at));
  all.emplace_back("punted" + family, Punted(at));
  all.emplace_back("onthelink" + family, OnTheLink(at));
  all.emplace_back("special" + family, Special(at));
  for (const uint16_t setup : {uint16_t{0}, Setup::kRouter, uint16_t{2}}) {
    const std::string name = family + "_" + std::to_string(setup);
    all.emplace_back("chatty" + name, Chatty(at, setup));
    all.emplace_back("ways" + name, Ways(at, setup));
    all.emplace_back("kernel" + name, Kernel(at, setup));
  }
}

}  // namespace godwit
