// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/link_answer.h"

#include <array>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/answer.h"

namespace godwit {
namespace {

constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kArpReply = 2;
constexpr uint32_t kNdSolicited = 0x40000000;
constexpr uint32_t kNdSolicitedOverride = 0x60000000;
constexpr size_t kNdOptions = 24;  // where they begin (RFC 4861 4.3, 4.4)
constexpr std::array<uint8_t, 13> kSolicitedNode = {0xff, 2, 0, 0, 0, 0,   0,
                                                    0,    0, 0, 0, 1, 0xff};
constexpr MacAddress kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct [[gnu::packed]] ArpFrame {
  EthHeader eth;
  ArpPacket arp;
};
struct [[gnu::packed]] NdFrame {
  EthHeader eth;
  Ipv6Header ip;
  NeighborMessage nd;
};

bool IsGroup(const MacAddress& mac) { return (mac[0] & 1) != 0; }

ArpPacket MakeArp(uint16_t operation) {
  ArpPacket arp{};
  arp.hardware_type = Be16(1);
  arp.protocol_type = Be16(kEtherTypeIpv4);
  arp.hardware_size = 6;
  arp.protocol_size = 4;
  arp.operation = Be16(operation);
  return arp;
}

void Tell(DeviceId device, const IpAddress& address, const MacAddress& mac,
          Context& context) {
  if (IsGroup(mac) || address.IsUnspecified()) return;
  Event event;
  event.kind = EventKind::kNeighbour;
  event.device = device;
  event.address = address;
  event.mac = mac;
  context.events->Post(event);
}

bool NdSumHolds(const IpAddress& source, const IpAddress& destination,
                const uint8_t* message, uint16_t size) {
  const uint64_t sum = PseudoHeaderSum(source, destination, kProtoIcmpv6, size);
  return FoldSum(AddBytes(sum, message, size)) == 0xffff;
}

// `mac`: of the option of `type`, if there is one. False: one is of length
// zero, or is not all there.
bool ReadNdOptions(const uint8_t* message, size_t size, uint8_t type,
                   const uint8_t*& mac) {
  for (size_t at = kNdOptions; at < size;) {
    const size_t length = at + 1 < size ? message[at + 1] * 8U : 0;
    if (length == 0 || at + length > size) return false;
    if (message[at] == type) mac = message + at + 2;
    at += length;
  }
  return true;
}

// RFC 4291 2.7.1: ff02::1:ff00:0/104.
bool IsSolicitedNode(const IpAddress& address) {
  return std::memcmp(address.bytes.data(), kSolicitedNode.data(),
                     kSolicitedNode.size()) == 0;
}

void FinishNd(NdFrame& frame) {
  frame.eth.ether_type = Be16(kEtherTypeIpv6);
  frame.ip.version_class_label = Be32(0x60000000);
  frame.ip.payload_length = Be16(sizeof(NeighborMessage));
  frame.ip.next_header = kProtoIcmpv6;
  frame.ip.hop_limit = 255;
  frame.nd.checksum = 0;
  frame.nd.checksum =
      Checksum(&frame.nd, sizeof(frame.nd),
               PseudoHeaderSum(IpAddress::FromV6(frame.ip.source),
                               IpAddress::FromV6(frame.ip.destination),
                               kProtoIcmpv6, sizeof(NeighborMessage)));
}

// fe80::/64 and the interface identifier of a MAC (RFC 4291 A).
void LinkLocalOf(const MacAddress& mac, uint8_t* address) {
  const uint8_t bytes[16] = {0xfe,   0x80,   0,
                             0,      0,      0,
                             0,      0,      static_cast<uint8_t>(mac[0] ^ 2),
                             mac[1], mac[2], 0xff,
                             0xfe,   mac[3], mac[4],
                             mac[5]};
  std::memcpy(address, bytes, 16);
}

void AnswerSolicit(const Device& device, Context& context,
                   const uint8_t* request, const Meta& meta) {
  const auto* eth = reinterpret_cast<const EthHeader*>(request);
  const auto* ip =
      reinterpret_cast<const Ipv6Header*>(request + meta.view.l3_offset);
  const auto* nd =
      reinterpret_cast<const NeighborMessage*>(request + meta.view.l4_offset);
  NdFrame answer{};
  answer.eth.destination = eth->source;
  answer.eth.source = device.mac;
  std::memcpy(answer.ip.source, nd->target, 16);
  std::memcpy(answer.ip.destination, ip->source, 16);
  answer.nd.type = kIcmpv6NeighborAdvert;
  answer.nd.flags = Be32(kNdSolicitedOverride | 0x80000000);  // a router
  std::memcpy(answer.nd.target, nd->target, 16);
  answer.nd.option_type = 2;
  answer.nd.option_length = 1;
  answer.nd.mac = device.mac;
  FinishNd(answer);
  SendGenerated(meta.in, &answer, sizeof(answer), Verdict::kDelivered, context);
}

}  // namespace

Verdict AnswerArp(const Device& device, Context& context, rte_mbuf* mbuf,
                  const Meta& meta) {
  const size_t offset = meta.view.l3_offset;
  if (rte_pktmbuf_data_len(mbuf) < offset + sizeof(ArpPacket)) {
    return Verdict::kDropArpBad;
  }
  ArpPacket arp;
  std::memcpy(&arp, FrameOf(mbuf) + offset, sizeof(arp));
  const uint16_t operation = arp.operation.host();
  if (arp.hardware_type.host() != 1 ||
      arp.protocol_type.host() != kEtherTypeIpv4 || arp.hardware_size != 6 ||
      arp.protocol_size != 4 || IsGroup(arp.sender_mac) ||
      (operation != kArpRequest && operation != kArpReply)) {
    return Verdict::kDropArpBad;
  }
  const IpAddress sender = IpAddress::FromV4(arp.sender_ip);
  const IpAddress target = IpAddress::FromV4(arp.target_ip);
  Tell(meta.in, sender, arp.sender_mac, context);
  // A probe (RFC 5227) or an announcement wants no answer: the address is its
  // own.
  if (operation != kArpRequest || sender == target || sender.IsUnspecified()) {
    return Verdict::kConsumed;
  }
  ArpFrame answer{};
  answer.eth.destination = arp.sender_mac;
  answer.eth.source = device.mac;
  answer.eth.ether_type = Be16(kEtherTypeArp);
  answer.arp = MakeArp(kArpReply);
  answer.arp.sender_mac = device.mac;
  std::memcpy(answer.arp.sender_ip, arp.target_ip, 4);
  answer.arp.target_mac = arp.sender_mac;
  std::memcpy(answer.arp.target_ip, arp.sender_ip, 4);
  SendGenerated(meta.in, &answer, sizeof(answer), Verdict::kDelivered, context);
  return Verdict::kConsumed;
}

Verdict AnswerNd(const Device& device, Context& context, rte_mbuf* mbuf,
                 const Meta& meta) {
  const uint8_t* frame = FrameOf(mbuf);
  const auto* ip =
      reinterpret_cast<const Ipv6Header*>(frame + meta.view.l3_offset);
  const uint8_t type = meta.view.l4_flags;
  const bool solicit = type == kIcmpv6NeighborSolicit;
  const bool advert = type == kIcmpv6NeighborAdvert;
  if (!solicit && !advert) return Verdict::kConsumed;  // RS, MLD: no answer
  // V6-09, RFC 6980 5: one that hides behind a fragment header is not heard.
  if (meta.view.fragment_field != 0) return Verdict::kDropNdBad;
  // V6-08, RFC 4861 7.1: never from off the link, and whole.
  if (ip->hop_limit != 255) return Verdict::kDropNdHopLimit;
  const size_t end = size_t{meta.view.l4_offset} + meta.view.l4_size();
  if (meta.view.icmp_code != 0 || meta.view.l4_size() < kNdOptions ||
      end > rte_pktmbuf_data_len(mbuf)) {
    return Verdict::kDropNdBad;
  }
  const uint8_t* message = frame + meta.view.l4_offset;
  const auto* nd = reinterpret_cast<const NeighborMessage*>(message);
  const IpAddress source = IpAddress::FromV6(ip->source);
  const IpAddress destination = IpAddress::FromV6(ip->destination);
  const IpAddress target = IpAddress::FromV6(nd->target);
  const uint8_t* mac = nullptr;
  if (!NdSumHolds(source, destination, message, meta.view.l4_size()) ||
      !ReadNdOptions(message, meta.view.l4_size(), solicit ? 1 : 2, mac) ||
      IsGroup(reinterpret_cast<const EthHeader*>(frame)->source) ||
      source.IsMulticast() || target.IsMulticast()) {
    return Verdict::kDropNdBad;
  }
  const bool odd =
      solicit
          ? source.IsUnspecified() &&
                (mac != nullptr || !IsSolicitedNode(destination))
          : destination.IsMulticast() && (nd->flags.host() & kNdSolicited) != 0;
  if (odd) return Verdict::kDropNdBad;
  if (mac != nullptr) {
    MacAddress heard;
    std::memcpy(heard.data(), mac, heard.size());
    Tell(meta.in, solicit ? source : target, heard, context);
  }
  // A duplicate check (RFC 4862 5.4) has no source and wants silence.
  if (solicit && !source.IsUnspecified() && source != target) {
    AnswerSolicit(device, context, frame, meta);
  }
  return Verdict::kConsumed;
}

void AskQueue(const Snapshot& snapshot, DeviceId id, const IpAddress& address,
              Context& context) {
  const Device& device = snapshot.devices[id];
  if (address.IsV4()) {
    ArpFrame request{};
    request.eth.destination = kBroadcast;
    request.eth.source = device.mac;
    request.eth.ether_type = Be16(kEtherTypeArp);
    request.arp = MakeArp(kArpRequest);
    request.arp.sender_mac = device.mac;
    // Link-local, and never the address asked for: the far end must answer,
    // whatever networks it knows.
    const uint8_t sender[4] = {169, 254, 0, 1};
    std::memcpy(request.arp.sender_ip, sender, 4);
    std::memcpy(request.arp.target_ip, address.V4Bytes(), 4);
    SendGenerated(id, &request, sizeof(request), Verdict::kDelivered, context);
    return;
  }
  NdFrame request{};
  std::memcpy(request.ip.destination, kSolicitedNode.data(),
              kSolicitedNode.size());
  std::memcpy(&request.ip.destination[13], &address.bytes[13], 3);
  request.eth.destination = {0x33,
                             0x33,
                             0xff,
                             address.bytes[13],
                             address.bytes[14],
                             address.bytes[15]};
  request.eth.source = device.mac;
  LinkLocalOf(device.mac, request.ip.source);
  request.nd.type = kIcmpv6NeighborSolicit;
  std::memcpy(request.nd.target, address.bytes.data(), 16);
  request.nd.option_type = 1;
  request.nd.option_length = 1;
  request.nd.mac = device.mac;
  FinishNd(request);
  SendGenerated(id, &request, sizeof(request), Verdict::kDelivered, context);
}

}  // namespace godwit
