// SPDX-License-Identifier: BSD-3-Clause
// Frames for tests, said the way one says them:
//
//   Udp("192.0.2.100:5353", "198.51.100.53:53").Payload("hello").Vlan(100)
//       .Ttl(3).Frame()
//   Tcp("[2001:db8::1]:4000", "[2001:db8::2]:80").Flags("SA").Frame()
//   Echo("192.0.2.100", "198.51.100.53", 77).Fragments(1024)
//   IcmpError("192.0.2.254", 3, 4, sent.Packet()).Mtu(1400).Frame()
//
// Lengths and checksums are right unless something else is asked for. The sums
// are computed here in full, by other code than dataplane/net/checksum.h, so
// that the two can be held against each other.
#ifndef GODWIT_TESTS_SUPPORT_PACKET_BUILDER_H_
#define GODWIT_TESTS_SUPPORT_PACKET_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/net/address.h"
#include "tests/support/bytes.h"

namespace godwit {

inline constexpr MacAddress kTestSourceMac = {2, 0, 0, 0, 0, 0xaa};
inline constexpr MacAddress kTestDestinationMac = {2, 0, 0, 0, 0, 1};

enum class More : uint8_t { kNo, kYes };

// Copied freely; every setter returns the builder itself.
class PacketBuilder {
 public:
  using Extensions = std::vector<std::pair<uint8_t, Bytes>>;  // type, body
  // Bytes and the protocol of what they begin with.
  struct Part {
    uint8_t protocol;
    Bytes bytes;
  };

  // `protocol` is that of the l4 bytes, whatever they are.
  PacketBuilder(const IpAddress& source, const IpAddress& destination,
                uint8_t protocol);

  // --- The link. Tags go on from the outside in.
  PacketBuilder& Vlan(uint16_t tci, uint16_t ether_type = 0x8100);
  PacketBuilder& FromMac(const MacAddress& mac);
  PacketBuilder& ToMac(const MacAddress& mac);
  PacketBuilder& EtherType(uint16_t type);  // else told from the family
  PacketBuilder& Trailer(size_t size);      // bytes behind the IP packet

  // --- IP
  PacketBuilder& From(std::string_view address);
  PacketBuilder& To(std::string_view address);
  PacketBuilder& Ttl(uint8_t ttl);             // 64; IPv6: hop limit
  PacketBuilder& TrafficClass(uint8_t value);  // DSCP and ECN
  PacketBuilder& FlowLabel(uint32_t label);
  PacketBuilder& IpId(uint16_t id);  // 0x1234
  PacketBuilder& DontFragment();
  PacketBuilder& Options(Bytes options);  // padded with end-of-list
  // An IPv6 extension header, in the order given. `body` follows its next
  // header and length bytes and is padded with zeros, to PadN where those
  // would not be options. The length is as it must be.
  PacketBuilder& Extension(uint8_t type, Bytes body = {});
  // This packet is a fragment: `offset` in bytes, a multiple of 8. The header
  // of IPv6 comes behind hop-by-hop and routing headers. {0, kNo} is atomic.
  PacketBuilder& Fragment(size_t offset, More more, uint32_t id = 0x1234);

  // --- l4
  PacketBuilder& Payload(std::string_view text);
  PacketBuilder& Payload(Bytes bytes);
  PacketBuilder& PayloadSize(size_t size);         // 0, 1, 2, ... 255, 0, ...
  PacketBuilder& Flags(std::string_view letters);  // of "FSRPAU"
  PacketBuilder& Sequence(uint32_t value);         // TCP
  PacketBuilder& Acknowledgment(uint32_t value);   // TCP
  PacketBuilder& TcpOptions(Bytes options);        // padded with end-of-list
  PacketBuilder& UdpLength(uint16_t length);       // a lie
  PacketBuilder& Mtu(uint32_t mtu);                // of an ICMP error
  PacketBuilder& IcmpSequence(uint16_t sequence);  // of an echo
  PacketBuilder& NoUdpChecksum();                  // 0: none
  PacketBuilder& L4Checksum(uint16_t value);  // as written, high byte first
  PacketBuilder& BadL4Checksum();             // off by one

  const IpAddress& source() const { return source_; }
  const IpAddress& destination() const { return destination_; }
  Bytes L4() const;      // header, payload, right checksum
  Bytes Packet() const;  // from the IP header up
  Bytes Frame() const;
  // The same as frames of fragments in order, each with `size` bytes (a
  // multiple of 8) of what is fragmented.
  std::vector<Bytes> Fragments(size_t size) const;

 private:
  friend PacketBuilder Udp(std::string_view, std::string_view);
  friend PacketBuilder Tcp(std::string_view, std::string_view);
  friend PacketBuilder Icmp(std::string_view, std::string_view, uint8_t,
                            uint8_t);

  struct Cut {
    size_t offset;
    More more;
    uint32_t id;
  };
  Part Whole() const;         // behind the IP header
  Part Fragmentable() const;  // of it what a fragmenting sender cuts up
  Bytes PacketOf(const Part& part, const std::optional<Cut>& cut) const;
  Bytes Ipv4Of(const Bytes& payload, const std::optional<Cut>& cut) const;
  Bytes Ipv6Of(const Part& part, const std::optional<Cut>& cut) const;
  Bytes FrameOf(const Bytes& packet) const;

  IpAddress source_;
  IpAddress destination_;
  uint8_t protocol_;
  MacAddress source_mac_ = kTestSourceMac;
  MacAddress destination_mac_ = kTestDestinationMac;
  std::vector<std::pair<uint16_t, uint16_t>> tags_;  // ether type, TCI
  std::optional<uint16_t> ether_type_;
  size_t trailer_ = 0;
  uint8_t ttl_ = 64;
  uint8_t traffic_class_ = 0;
  uint32_t flow_label_ = 0;
  uint16_t id_ = 0x1234;
  bool dont_fragment_ = false;
  Bytes options_;
  Extensions extensions_;
  std::optional<Cut> cut_;
  Bytes l4_header_;  // checksum and lengths still 0
  Bytes payload_;
  std::optional<uint16_t> udp_length_;
  std::optional<uint16_t> checksum_;
  uint16_t checksum_error_ = 0;
};

// "192.0.2.100:5353" or "[2001:db8::1]:53".
PacketBuilder Udp(std::string_view source, std::string_view destination);
PacketBuilder Tcp(std::string_view source, std::string_view destination);
// Bare addresses from here on. The family of ICMP is theirs.
PacketBuilder Icmp(std::string_view source, std::string_view destination,
                   uint8_t type, uint8_t code);
PacketBuilder Echo(std::string_view source, std::string_view destination,
                   uint16_t id);
PacketBuilder EchoReply(std::string_view source, std::string_view destination,
                        uint16_t id);
// From `router` to the source of the packet it quotes; cut `quoted` as you
// like.
PacketBuilder IcmpError(std::string_view router, uint8_t type, uint8_t code,
                        Bytes quoted);
// Any protocol, the payload being all of its l4 bytes.
PacketBuilder Ip(std::string_view source, std::string_view destination,
                 uint8_t protocol);

// Whether the IP header's checksum and the l4 one of a whole packet without
// extension headers hold; UDP without a checksum does.
bool ChecksumsHold(const Bytes& packet);

}  // namespace godwit

#endif  // GODWIT_TESTS_SUPPORT_PACKET_BUILDER_H_
