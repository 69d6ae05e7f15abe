// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/packet_builder.h"

#include <algorithm>

#include "dataplane/net/check.h"

namespace godwit {
namespace {

constexpr uint8_t kIcmpV4 = 1;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmpV6 = 58;
constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kAuth = 51;

void AppendAddress(Bytes& out, const IpAddress& address) {
  const size_t skip = address.IsV4() ? 12 : 0;
  out.insert(out.end(), address.bytes.begin() + static_cast<ptrdiff_t>(skip),
             address.bytes.end());
}

IpAddress AddressOf(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  GODWIT_CHECK(address.has_value());
  return *address;
}

Bytes PseudoHeader(const IpAddress& source, const IpAddress& destination,
                   uint8_t protocol, size_t l4_size) {
  Bytes pseudo;
  AppendAddress(pseudo, source);
  AppendAddress(pseudo, destination);
  Put32(pseudo, l4_size);
  Put32(pseudo, protocol);
  return pseudo;
}

// Where the checksum stands; nullopt for protocols we know none of.
std::optional<size_t> ChecksumAt(uint8_t protocol) {
  switch (protocol) {
    case kTcp:
      return 16;
    case kUdp:
      return 6;
    case kIcmpV4:
    case kIcmpV6:
      return 2;
    default:
      return std::nullopt;
  }
}

// The sum of an l4 message as a receiver forms it: 0xffff when all is well.
uint16_t L4Sum(const IpAddress& source, const IpAddress& destination,
               uint8_t protocol, const Bytes& l4) {
  Bytes summed;
  if (protocol != kIcmpV4) {
    summed = PseudoHeader(source, destination, protocol, l4.size());
  }
  Append(summed, l4);
  return PlainSum(summed);
}

// An extension header of `type` in front of `rest`.
Bytes ExtensionBytes(uint8_t type, const Bytes& body, uint8_t next,
                     const Bytes& rest) {
  Bytes bytes = {next, 0};
  Append(bytes, body);
  const size_t at = bytes.size();
  PadTo(bytes, 8);
  const size_t zeros = bytes.size() - at;
  if (type != kAuth && type != kRouting && type != kFragment && zeros >= 2) {
    bytes[at] = 1;  // PadN
    bytes[at + 1] = static_cast<uint8_t>(zeros - 2);
  }
  if (type != kFragment) {
    bytes[1] = static_cast<uint8_t>(type == kAuth ? bytes.size() / 4 - 2
                                                  : bytes.size() / 8 - 1);
  }
  Append(bytes, rest);
  return bytes;
}

enum class Place : uint8_t { kBeforeCut, kBehindCut };

PacketBuilder::Extensions Select(const PacketBuilder::Extensions& all,
                                 Place place) {
  PacketBuilder::Extensions chosen;
  for (const auto& extension : all) {
    const bool before =
        extension.first == kHopByHop || extension.first == kRouting;
    if (before == (place == Place::kBeforeCut)) chosen.push_back(extension);
  }
  return chosen;
}

PacketBuilder::Part Wrap(const PacketBuilder::Extensions& extensions,
                         PacketBuilder::Part part) {
  for (size_t i = extensions.size(); i-- > 0;) {
    const auto& [type, body] = extensions[i];
    part = {type, ExtensionBytes(type, body, part.protocol, part.bytes)};
  }
  return part;
}

}  // namespace

PacketBuilder::PacketBuilder(const IpAddress& source,
                             const IpAddress& destination, uint8_t protocol)
    : source_(source), destination_(destination), protocol_(protocol) {
  GODWIT_CHECK(source.IsV4() == destination.IsV4());
}

PacketBuilder& PacketBuilder::Vlan(uint16_t tci, uint16_t ether_type) {
  tags_.emplace_back(ether_type, tci);
  return *this;
}

PacketBuilder& PacketBuilder::FromMac(const MacAddress& mac) {
  source_mac_ = mac;
  return *this;
}

PacketBuilder& PacketBuilder::ToMac(const MacAddress& mac) {
  destination_mac_ = mac;
  return *this;
}

PacketBuilder& PacketBuilder::EtherType(uint16_t type) {
  ether_type_ = type;
  return *this;
}

PacketBuilder& PacketBuilder::Trailer(size_t size) {
  trailer_ = size;
  return *this;
}

PacketBuilder& PacketBuilder::From(std::string_view address) {
  source_ = AddressOf(address);
  return *this;
}

PacketBuilder& PacketBuilder::To(std::string_view address) {
  destination_ = AddressOf(address);
  return *this;
}

PacketBuilder& PacketBuilder::Ttl(uint8_t ttl) {
  ttl_ = ttl;
  return *this;
}

PacketBuilder& PacketBuilder::TrafficClass(uint8_t value) {
  traffic_class_ = value;
  return *this;
}

PacketBuilder& PacketBuilder::FlowLabel(uint32_t label) {
  flow_label_ = label & 0xfffff;
  return *this;
}

PacketBuilder& PacketBuilder::IpId(uint16_t id) {
  id_ = id;
  return *this;
}

PacketBuilder& PacketBuilder::DontFragment() {
  dont_fragment_ = true;
  return *this;
}

PacketBuilder& PacketBuilder::Options(Bytes options) {
  options_ = std::move(options);
  PadTo(options_, 4);
  GODWIT_CHECK(options_.size() <= 40);
  return *this;
}

PacketBuilder& PacketBuilder::Extension(uint8_t type, Bytes body) {
  extensions_.emplace_back(type, std::move(body));
  return *this;
}

PacketBuilder& PacketBuilder::Fragment(size_t offset, More more, uint32_t id) {
  GODWIT_CHECK(offset % 8 == 0);
  cut_ = Cut{offset, more, id};
  return *this;
}

PacketBuilder& PacketBuilder::Payload(std::string_view text) {
  payload_.assign(text.begin(), text.end());
  return *this;
}

PacketBuilder& PacketBuilder::Payload(Bytes bytes) {
  payload_ = std::move(bytes);
  return *this;
}

PacketBuilder& PacketBuilder::PayloadSize(size_t size) {
  payload_.resize(size);
  for (size_t i = 0; i < size; ++i) payload_[i] = static_cast<uint8_t>(i);
  return *this;
}

PacketBuilder& PacketBuilder::Flags(std::string_view letters) {
  GODWIT_CHECK(protocol_ == kTcp);
  constexpr std::string_view kLetters = "FSRPAU";
  l4_header_[13] = 0;
  for (const char letter : letters) {
    const size_t bit = kLetters.find(letter);
    GODWIT_CHECK(bit != std::string_view::npos);
    l4_header_[13] = static_cast<uint8_t>(l4_header_[13] | 1U << bit);
  }
  return *this;
}

PacketBuilder& PacketBuilder::Sequence(uint32_t value) {
  GODWIT_CHECK(protocol_ == kTcp);
  Set32(l4_header_, 4, value);
  return *this;
}

PacketBuilder& PacketBuilder::Acknowledgment(uint32_t value) {
  GODWIT_CHECK(protocol_ == kTcp);
  Set32(l4_header_, 8, value);
  return *this;
}

PacketBuilder& PacketBuilder::TcpOptions(Bytes options) {
  GODWIT_CHECK(protocol_ == kTcp);
  PadTo(options, 4);
  GODWIT_CHECK(options.size() <= 40);
  l4_header_.resize(20);
  Append(l4_header_, options);
  l4_header_[12] = static_cast<uint8_t>(l4_header_.size() / 4 << 4);
  return *this;
}

PacketBuilder& PacketBuilder::UdpLength(uint16_t length) {
  udp_length_ = length;
  return *this;
}

PacketBuilder& PacketBuilder::Mtu(uint32_t mtu) {
  Set32(l4_header_, 4, mtu);
  return *this;
}

PacketBuilder& PacketBuilder::IcmpSequence(uint16_t sequence) {
  Set16(l4_header_, 6, sequence);
  return *this;
}

PacketBuilder& PacketBuilder::NoUdpChecksum() { return L4Checksum(0); }

PacketBuilder& PacketBuilder::L4Checksum(uint16_t value) {
  checksum_ = value;
  return *this;
}

PacketBuilder& PacketBuilder::BadL4Checksum() {
  checksum_error_ = 1;
  return *this;
}

Bytes PacketBuilder::L4() const {
  Bytes l4 = l4_header_;
  Append(l4, payload_);
  const auto at = ChecksumAt(protocol_);
  if (l4_header_.empty() || !at) return l4;
  if (protocol_ == kUdp) Set16(l4, 4, udp_length_.value_or(l4.size()));
  uint16_t checksum =
      static_cast<uint16_t>(~L4Sum(source_, destination_, protocol_, l4));
  if (protocol_ == kUdp && checksum == 0) checksum = 0xffff;
  Set16(l4, *at, checksum_.value_or(checksum) ^ checksum_error_);
  return l4;
}

Bytes PacketBuilder::Ipv4Of(const Bytes& payload,
                            const std::optional<Cut>& cut) const {
  const size_t header_size = 20 + options_.size();
  size_t flags = dont_fragment_ ? 0x4000 : 0;
  if (cut) flags |= cut->offset / 8;
  if (cut && cut->more == More::kYes) flags |= 0x2000;
  Bytes ip;
  ip.push_back(static_cast<uint8_t>(0x40 | header_size / 4));
  ip.push_back(traffic_class_);
  Put16(ip, header_size + payload.size());
  Put16(ip, cut ? cut->id : id_);
  Put16(ip, flags);
  ip.push_back(ttl_);
  ip.push_back(protocol_);
  Put16(ip, 0);
  AppendAddress(ip, source_);
  AppendAddress(ip, destination_);
  Append(ip, options_);
  Set16(ip, 10, static_cast<uint16_t>(~PlainSum(ip)));
  Append(ip, payload);
  return ip;
}

// The fragment header stands behind what every router on the way reads
// (RFC 8200 4.5); without one all extension headers are in the order given.
Bytes PacketBuilder::Ipv6Of(const Part& part,
                            const std::optional<Cut>& cut) const {
  Part body = part;
  if (cut) {
    Bytes header = {part.protocol, 0};
    Put16(header, cut->offset | (cut->more == More::kYes ? 1 : 0));
    Put32(header, cut->id);
    Append(header, part.bytes);
    body = Wrap(Select(extensions_, Place::kBeforeCut),
                {kFragment, std::move(header)});
  }
  Bytes ip;
  Put32(ip, size_t{6} << 28 | size_t{traffic_class_} << 20 | flow_label_);
  Put16(ip, body.bytes.size());
  ip.push_back(body.protocol);
  ip.push_back(ttl_);
  AppendAddress(ip, source_);
  AppendAddress(ip, destination_);
  Append(ip, body.bytes);
  return ip;
}

PacketBuilder::Part PacketBuilder::Whole() const {
  return Wrap(extensions_, {protocol_, L4()});
}

PacketBuilder::Part PacketBuilder::Fragmentable() const {
  return Wrap(Select(extensions_, Place::kBehindCut), {protocol_, L4()});
}

Bytes PacketBuilder::PacketOf(const Part& part,
                              const std::optional<Cut>& cut) const {
  return source_.IsV4() ? Ipv4Of(part.bytes, cut) : Ipv6Of(part, cut);
}

Bytes PacketBuilder::FrameOf(const Bytes& packet) const {
  Bytes frame(destination_mac_.begin(), destination_mac_.end());
  frame.insert(frame.end(), source_mac_.begin(), source_mac_.end());
  for (const auto& [type, tci] : tags_) {
    Put16(frame, type);
    Put16(frame, tci);
  }
  Put16(frame, ether_type_.value_or(source_.IsV4() ? 0x0800 : 0x86dd));
  Append(frame, packet);
  frame.resize(frame.size() + trailer_, 0x5a);
  return frame;
}

Bytes PacketBuilder::Packet() const {
  return PacketOf(cut_ ? Fragmentable() : Whole(), cut_);
}

Bytes PacketBuilder::Frame() const { return FrameOf(Packet()); }

std::vector<Bytes> PacketBuilder::Fragments(size_t size) const {
  GODWIT_CHECK(size > 0 && size % 8 == 0);
  const Part all = Fragmentable();
  const uint32_t id = cut_ ? cut_->id : id_;
  std::vector<Bytes> frames;
  for (size_t at = 0; at < all.bytes.size(); at += size) {
    const size_t end = std::min(at + size, all.bytes.size());
    const Part part = {all.protocol,
                       Bytes(all.bytes.begin() + static_cast<ptrdiff_t>(at),
                             all.bytes.begin() + static_cast<ptrdiff_t>(end))};
    const More more = end < all.bytes.size() ? More::kYes : More::kNo;
    frames.push_back(FrameOf(PacketOf(part, Cut{at, more, id})));
  }
  return frames;
}

bool ChecksumsHold(const Bytes& packet) {
  const bool v4 = packet[0] >> 4 == 4;
  const size_t header_size = v4 ? (packet[0] & 15U) * 4U : 40U;
  const auto l4_begin = packet.begin() + static_cast<ptrdiff_t>(header_size);
  if (v4 && PlainSum(Bytes(packet.begin(), l4_begin)) != 0xffff) return false;
  const uint8_t protocol = v4 ? packet[9] : packet[6];
  const IpAddress source =
      v4 ? IpAddress::FromV4(&packet[12]) : IpAddress::FromV6(&packet[8]);
  const IpAddress destination =
      v4 ? IpAddress::FromV4(&packet[16]) : IpAddress::FromV6(&packet[24]);
  const size_t size = v4 ? size_t{packet[2]} << 8 | packet[3]
                         : header_size + (size_t{packet[4]} << 8 | packet[5]);
  const Bytes l4(l4_begin, packet.begin() + static_cast<ptrdiff_t>(size));
  if (protocol == kUdp && l4[6] == 0 && l4[7] == 0) return true;
  if (!ChecksumAt(protocol)) return true;
  return L4Sum(source, destination, protocol, l4) == 0xffff;
}

}  // namespace godwit
