// SPDX-License-Identifier: BSD-3-Clause
// What translation leaves as it is: all but addresses, l4ports and checksums
// (RFC 3022 4.1).
#include "tests/walks/world.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class UntouchedWalk : public WalkTest {
 protected:
  size_t L4() const { return at.v4 ? 20 : 40; }
  // Sets 16 bits of a TCP segment and moves its checksum along (RFC 1624, by
  // other code than dataplane/net/checksum.h).
  void Put(Bytes& packet, size_t offset, uint16_t value) const {
    const size_t field = L4() + offset;
    const size_t sum = L4() + 16;
    const unsigned old = packet[field] * 256U + packet[field + 1];
    unsigned fresh = 0xffffU - (packet[sum] * 256U + packet[sum + 1]);
    fresh += 0xffffU - old + value;
    while (fresh > 0xffff) fresh = (fresh >> 16) + (fresh & 0xffff);
    Set16(packet, field, value);
    Set16(packet, sum, 0xffffU - fresh);
  }
  // All that TCP has besides l4ports: numbers, options of kinds nobody knows,
  // reserved bits, CWR and ECE, window, urgent pointer.
  Bytes Loaded(const std::string& from, const std::string& to,
               const char* flags) const {
    Bytes packet =
        Tcp(from, to)
            .Flags(flags)
            .Sequence(0xdeadbeef)
            .Acknowledgment(0x01020304)
            .TcpOptions(FromHex("0101 080a 01020304 05060708"
                                "1e04 0102 fd04 f989 0304 05b4 02 04 05b4"))
            .Payload("data")
            .Packet();
    const unsigned bits = packet[L4() + 12] * 256U + packet[L4() + 13];
    Put(packet, 12, static_cast<uint16_t>(bits | 0x0ec0));
    Put(packet, 14, 0xabcd);
    Put(packet, 18, 0x1234);
    return packet;
  }
  Bytes Framed(const Bytes& packet) const {
    Bytes frame = Ip(at.internal, at.remote, 6).Frame();
    frame.resize(14);
    Append(frame, packet);
    return frame;
  }
};
GODWIT_BOTH_FAMILIES(UntouchedWalk);

TEST_P(UntouchedWalk, Tcp09KeepsAllOfASegment) {
  Walk walk(World());
  const std::string inside = at.At(at.internal, 5000);
  const std::string remote = at.At(at.remote, 80);
  const auto syn = walk.Send("crawl0", Framed(Loaded(inside, remote, "S")));
  ASSERT_THAT(syn, ElementsAre(ArrivesAt("wan0")));
  const std::string outside =
      at.At(at.unicast, at.SourceL4PortOf(syn[0].Packet()));
  EXPECT_EQ(ToHex(syn[0].Packet()), ToHex(Loaded(outside, remote, "S")));
  EXPECT_TRUE(ChecksumsHold(syn[0].Packet()));
  EXPECT_THAT(walk.Send("wan0", Framed(Loaded(remote, outside, "SA"))),
              ElementsAre(Arrives("crawl0", Loaded(remote, inside, "SA"))));
  for (const char* flags : {"A", "PAU", "FA", "R"}) {
    EXPECT_THAT(walk.Send("crawl0", Framed(Loaded(inside, remote, flags))),
                ElementsAre(Arrives("wan0", Loaded(outside, remote, flags))));
  }
}

// RFC 7413: Fast Open.
TEST_P(UntouchedWalk, Tcp11DataOnASynPasses) {
  Walk walk(World());
  auto syn = Tcp(at.At(at.internal, 5000), at.At(at.remote, 80)).Flags("S");
  syn.TcpOptions(FromHex("2206 01020304")).Payload("GET /");
  const Bytes left = Leave(walk, "crawl0", syn);
  auto sent = Tcp(at.At(at.unicast, given_), at.At(at.remote, 80)).Flags("S");
  sent.TcpOptions(FromHex("2206 01020304")).Payload("GET /");
  EXPECT_EQ(left, sent.Packet());
  walk.Wait(241);  // it has opened no more than any SYN does
  EXPECT_EQ(walk.mappings(), 0u);
}

// RFC 5382 REQ-2a: both ends open at once.
TEST_P(UntouchedWalk, Flt07ASynThatMeetsASynPasses) {
  Walk walk(World());
  const std::string inside = at.At(at.internal, 5000);
  const std::string remote = at.At(at.remote, 80);
  Leave(walk, "crawl0", Tcp(inside, remote).Flags("S"));
  const std::string outside = at.At(at.unicast, given_);
  EXPECT_THAT(
      walk.Send("wan0", Tcp(remote, outside).Flags("S")),
      ElementsAre(Arrives("crawl0", Tcp(remote, inside).Flags("S").Packet())));
  EXPECT_THAT(
      walk.Send("crawl0", Tcp(inside, remote).Flags("SA")),
      ElementsAre(Arrives("wan0", Tcp(outside, remote).Flags("SA").Packet())));
  EXPECT_THAT(walk.Send("wan0", Tcp(remote, outside).Flags("SA")),
              ElementsAre(ArrivesAt("crawl0")));
  // From another l4port it is nobody's.
  walk.Send("wan0", Tcp(at.At(at.remote, 81), outside).Flags("S"));
  EXPECT_EQ(walk.ending(), "nat_filtered");
}

TEST_P(UntouchedWalk, Oth07ReadsNoProgramsWords) {
  Walk walk(World());
  const std::string inside = at.At(at.internal, 5000);
  const std::string remote = at.At(at.remote, 21);
  Leave(walk, "crawl0", Tcp(inside, remote).Flags("S"));
  const std::string outside = at.At(at.unicast, given_);
  walk.Send("wan0", Tcp(remote, outside).Flags("SA"));
  const std::string words =
      at.v4 ? "PORT 10,0,0,5,19,136\r\n" : "EPRT |2|fd00::5|5000|\r\n";
  EXPECT_THAT(
      walk.Send("crawl0", Tcp(inside, remote).Flags("PA").Payload(words)),
      ElementsAre(Arrives(
          "wan0", Tcp(outside, remote).Flags("PA").Payload(words).Packet())));
  EXPECT_EQ(walk.mappings(), 1u);
}

// The contract's four ways between uplink and queue, with `change` made to
// each packet: it must be there when it leaves.
template <class Change>
void ExpectKept(const Family& at, Change&& change) {
  Walk walk(World());
  const std::string client = at.At(at.client, 4000);
  const std::string dns = at.At(at.dns, 53);
  const auto asked = walk.Send("wan0", change(Udp(client, dns)));
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].Packet(), change(Udp(client, dns)).Packet());
  EXPECT_THAT(walk.Send(asked[0].device, change(Udp(dns, client))),
              ElementsAre(Arrives("wan0", change(Udp(dns, client)).Packet())));
  const std::string inside = at.At(at.internal, 5000);
  const std::string remote = at.At(at.remote, 53);
  const auto left = walk.Send("crawl0", change(Udp(inside, remote)));
  ASSERT_THAT(left, ElementsAre(ArrivesAt("wan0")));
  const std::string outside =
      at.At(at.unicast, at.SourceL4PortOf(left[0].Packet()));
  EXPECT_EQ(left[0].Packet(), change(Udp(outside, remote)).Packet());
  EXPECT_THAT(
      walk.Send("wan0", change(Udp(remote, outside))),
      ElementsAre(Arrives("crawl0", change(Udp(remote, inside)).Packet())));
}

// Flow label, V6-06; identification of what is no fragment, IPH-10.
TEST_P(UntouchedWalk, V606Iph10KeepsLabelsAndIdentifications) {
  ExpectKept(at, [this](PacketBuilder packet) {
    return at.v4 ? packet.IpId(0xbeef) : packet.FlowLabel(0xabcde);
  });
  ExpectKept(at, [this](PacketBuilder packet) {
    return at.v4 ? packet.IpId(0xbeef).DontFragment() : packet.FlowLabel(1);
  });
}

TEST_P(UntouchedWalk, Frg10DontFragmentStays) {
  ExpectKept(at, [](PacketBuilder packet) {
    return packet.DontFragment().PayloadSize(1000);
  });
}

TEST_P(UntouchedWalk, Frg10WhatMustNotBeCutIsNot) {
  SnapshotBuilder world = World();
  world.device("wan0").mtu = 1280;
  world.device("crawl0").mtu = 1280;
  Walk walk(world);
  const auto big = [](PacketBuilder packet) {
    return packet.DontFragment().PayloadSize(1300);
  };
  const auto query = Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  Leave(walk, "crawl0", query);
  const std::map<std::string, PacketBuilder> ways = {
      {"crawl0", big(query)},
      {"dns0", big(Udp(at.At(at.dns, 53), at.At(at.client, 4000)))},
      {"wan0", big(Udp(at.At(at.remote, 53), at.At(at.unicast, given_)))}};
  for (const auto& [device, packet] : ways) {
    EXPECT_THAT(walk.Send(device, packet), ElementsAre(ArrivesAt(device)));
    EXPECT_THAT(walk.ending(), testing::HasSubstr("mtu_exceeded"));
  }
}

// IPv4: a fragment with DF is passed on with it, by its new name.
TEST(UntouchedFragmentWalk, Frg10FragmentsKeepIt) {
  Walk walk(World());
  for (const Bytes& piece : Udp("10.0.0.5:5000", "203.0.113.80:53")
                                .DontFragment()
                                .PayloadSize(900)
                                .Fragments(304)) {
    const auto out = walk.Send("crawl0", piece);
    ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
    EXPECT_EQ(out[0].Packet()[6] & 0x40, 0x40);
  }
}

// RFC 5508 4.2.1: who says it stays who says it.
TEST_P(UntouchedWalk, Ice13KeepsTheSourceOfAnError) {
  Walk walk(World());
  const auto query = Udp(at.At(at.internal, 5000), at.At(at.remote, 53));
  const Bytes left = Leave(walk, "crawl0", query);
  for (const std::string& router : {at.router, at.remote, at.client}) {
    const auto says = [this, &router](const Bytes& quoted) {
      return IcmpError(router, at.v4 ? 11 : 3, 0, quoted);
    };
    EXPECT_THAT(walk.Send("wan0", says(left)),
                ElementsAre(Arrives("crawl0", says(query.Packet()).Packet())));
  }
}

// An l4port of 0 names nobody who could be answered.
TEST_P(UntouchedWalk, Map22NothingHasL4Port0) {
  Walk walk(World());
  for (const auto& packet :
       {Udp(at.At(at.internal, 0), at.At(at.remote, 9)),
        Tcp(at.At(at.internal, 0), at.At(at.remote, 9)).Flags("S"),
        Udp(at.At(at.internal, 9), at.At(at.remote, 0))}) {
    EXPECT_THAT(walk.Send("crawl0", packet), IsEmpty());
    EXPECT_EQ(walk.ending(), "port_zero");
  }
  EXPECT_EQ(walk.mappings(), 0u);
}

// Addresses of one link or one site are no addresses on the wire.
TEST(UntouchedScopeWalk, V607ScopedAddressesDoNotCross) {
  const Family& at = V6();
  Walk walk(World());
  const std::string remote = at.At(at.remote, 53);
  for (const char* inside : {"[fd00::5]:5000", "[fec0::5]:5000"}) {
    const auto out = walk.Send("crawl0", Udp(inside, remote));
    ASSERT_THAT(out, ElementsAre(ArrivesAt("wan0")));
    const unsigned given = at.SourceL4PortOf(out[0].Packet());
    EXPECT_EQ(out[0].Packet(), Udp(at.At(at.unicast, given), remote).Packet());
  }
  walk.Send("crawl0", Udp("[fe80::5]:5000", remote));
  EXPECT_EQ(walk.ending(), "martian_src");
  for (const char* outside : {"[fe80::5]:53", "[fec0::5]:53"}) {
    EXPECT_THAT(walk.Send("crawl0", Udp("[fd00::5]:5000", outside)), IsEmpty());
    EXPECT_EQ(walk.ending(), "martian_dst");
    EXPECT_THAT(walk.Send("wan0", Udp(outside, at.At(at.dns, 53))), IsEmpty());
    EXPECT_EQ(walk.ending(), "martian_src");
  }
  EXPECT_THAT(walk.Send("wan0", Echo("fe80::5", at.mail, 1)), IsEmpty());
  EXPECT_EQ(walk.ending(), "martian_src");
  // On its own link it is the kernel's.
  EXPECT_THAT(walk.Send("wan0", Udp("[fe80::5]:179", "[fe80::1]:179")),
              ElementsAre(ArrivesAt("gw0")));
}

}  // namespace
}  // namespace godwit
