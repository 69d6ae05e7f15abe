// SPDX-License-Identifier: BSD-3-Clause
// The kinds of packet that packet_builder.h begins with.
#include "dataplane/net/check.h"
#include "tests/support/packet_builder.h"

namespace godwit {
namespace {

constexpr uint8_t kIcmpV4 = 1;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmpV6 = 58;

IpAddress AddressOf(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  GODWIT_CHECK(address.has_value());
  return *address;
}

AddressAndPort EndpointOf(std::string_view text) {
  const auto endpoint = AddressAndPort::Parse(text);
  GODWIT_CHECK(endpoint.has_value());
  return *endpoint;
}

}  // namespace

PacketBuilder Udp(std::string_view source, std::string_view destination) {
  const AddressAndPort from = EndpointOf(source);
  const AddressAndPort to = EndpointOf(destination);
  PacketBuilder builder(from.address, to.address, kUdp);
  Put16(builder.l4_header_, from.l4port);
  Put16(builder.l4_header_, to.l4port);
  builder.l4_header_.resize(8);
  return builder;
}

PacketBuilder Tcp(std::string_view source, std::string_view destination) {
  const AddressAndPort from = EndpointOf(source);
  const AddressAndPort to = EndpointOf(destination);
  PacketBuilder builder(from.address, to.address, kTcp);
  Bytes& header = builder.l4_header_;
  Put16(header, from.l4port);
  Put16(header, to.l4port);
  header.resize(20);
  header[12] = 5 << 4;
  Set16(header, 14, 0xfaf0);  // window
  return builder.Sequence(0x01020304).Flags("A");
}

PacketBuilder Icmp(std::string_view source, std::string_view destination,
                   uint8_t type, uint8_t code) {
  const IpAddress from = AddressOf(source);
  PacketBuilder builder(from, AddressOf(destination),
                        from.IsV4() ? kIcmpV4 : kIcmpV6);
  builder.l4_header_ = {type, code, 0, 0, 0, 0, 0, 0};
  return builder;
}

PacketBuilder Echo(std::string_view source, std::string_view destination,
                   uint16_t id) {
  const bool v4 = AddressOf(source).IsV4();
  return Icmp(source, destination, v4 ? 8 : 128, 0).Mtu(uint32_t{id} << 16 | 1);
}

PacketBuilder EchoReply(std::string_view source, std::string_view destination,
                        uint16_t id) {
  const bool v4 = AddressOf(source).IsV4();
  return Icmp(source, destination, v4 ? 0 : 129, 0).Mtu(uint32_t{id} << 16 | 1);
}

PacketBuilder IcmpError(std::string_view router, uint8_t type, uint8_t code,
                        Bytes quoted) {
  const bool v4 = AddressOf(router).IsV4();
  GODWIT_CHECK(quoted.size() >= (v4 ? 20U : 40U));
  const IpAddress sender =
      v4 ? IpAddress::FromV4(&quoted[12]) : IpAddress::FromV6(&quoted[8]);
  return Icmp(router, sender.ToString(), type, code).Payload(std::move(quoted));
}

PacketBuilder Ip(std::string_view source, std::string_view destination,
                 uint8_t protocol) {
  return PacketBuilder(AddressOf(source), AddressOf(destination), protocol);
}

}  // namespace godwit
