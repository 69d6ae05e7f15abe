// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/packet_samples.h"

namespace godwit {
namespace {

void AddIpv4(std::vector<PacketSample>& all) {
  const auto udp = Udp("192.0.2.100:5353", "198.51.100.53:53").Payload("hello");
  auto tagged = udp;
  auto padded = udp;
  auto optioned = udp;
  auto first = udp;
  auto router_alert = udp;
  all.push_back({"udp4", udp});
  all.push_back({"udp4_tagged", tagged.Vlan(100)});
  all.push_back({"udp4_padded", padded.Trailer(13)});
  all.push_back({"udp4_nops", optioned.Options(Bytes(40, 1))});
  all.push_back(
      {"udp4_router_alert", router_alert.Options(FromHex("94040000 00"))});
  all.push_back({"udp4_first", first.PayloadSize(16).Fragment(0, More::kYes)});
  all.push_back({"udp4_later", Ip("192.0.2.100", "198.51.100.53", 17)
                                   .PayloadSize(24)
                                   .Fragment(24, More::kNo)});
  all.push_back({"tcp4_syn", Tcp("192.0.2.100:40000", "198.51.100.80:443")
                                 .Flags("S")
                                 .TcpOptions(FromHex("020405b4 0402 030307"))});
  all.push_back({"tcp4_data", Tcp("192.0.2.100:40000", "198.51.100.80:443")
                                  .Flags("PA")
                                  .Payload("GET /")});
  all.push_back({"echo4", Echo("192.0.2.100", "198.51.100.53", 77)});
  all.push_back({"echo_reply4", EchoReply("192.0.2.100", "203.0.113.7", 77)});
  all.push_back(
      {"error4", IcmpError("192.0.2.254", 3, 4, udp.Packet()).Mtu(1400)});
  all.push_back(
      {"gre4", Ip("192.0.2.100", "198.51.100.53", 47).Payload("anything")});
}

void AddIpv6(std::vector<PacketSample>& all) {
  const auto udp =
      Udp("[2001:db8:c::100]:5353", "[2001:db8:53::53]:53").Payload("hello");
  auto tagged = udp;
  auto padded = udp;
  auto first = udp;
  auto atomic = udp;
  auto chain = udp;
  all.push_back({"udp6", udp});
  all.push_back({"udp6_tagged", tagged.Vlan(100)});
  all.push_back({"udp6_padded", padded.Trailer(7)});
  for (const ExtensionSample& extension : ExtensionSamples()) {
    auto one = udp;
    all.push_back({"udp6_" + extension.name,
                   one.Extension(extension.type, extension.body)});
    chain.Extension(extension.type, extension.body);
  }
  all.push_back({"udp6_chain", chain});
  all.push_back({"udp6_first", first.PayloadSize(16).Fragment(0, More::kYes)});
  all.push_back({"udp6_atomic", atomic.Fragment(0, More::kNo)});
  all.push_back({"udp6_later", Ip("2001:db8:c::100", "2001:db8:53::53", 17)
                                   .PayloadSize(24)
                                   .Extension(0)
                                   .Fragment(24, More::kNo)});
  all.push_back(
      {"tcp6_syn", Tcp("[2001:db8:c::100]:40000", "[2001:db8:53::80]:443")
                       .Flags("S")
                       .TcpOptions(FromHex("020405a0"))});
  all.push_back({"echo6", Echo("2001:db8:c::100", "2001:db8:53::53", 77)});
  all.push_back(
      {"echo_reply6", EchoReply("2001:db8:c::100", "2001:db8:7::7", 77)});
  all.push_back(
      {"error6", IcmpError("2001:db8:ffff::9", 2, 0, udp.Packet()).Mtu(1400)});
  all.push_back(
      {"error6_chain", IcmpError("2001:db8:ffff::9", 1, 4, chain.Packet())});
  all.push_back(
      {"esp6",
       Ip("2001:db8:c::100", "2001:db8:53::53", 50).Payload("anything")});
}

}  // namespace

std::vector<ExtensionSample> ExtensionSamples() {
  return {
      {"hop_by_hop", 0, FromHex("0502 0000")},
      {"destination", 60, {}},
      {"routing", 43, FromHex("0400 00000000")},
      {"auth", 51, FromHex("0000 00000001 00000001 000000000000000000000000")}};
}

std::vector<PacketSample> PacketSamples() {
  std::vector<PacketSample> all;
  AddIpv4(all);
  AddIpv6(all);
  return all;
}

}  // namespace godwit
