// SPDX-License-Identifier: BSD-3-Clause
// F7: ARP and neighbour discovery, made well and then changed. From a queue:
// one answer, the very bytes that RFC 826 and RFC 4861 want, and one word to
// the control side about who was heard; or neither. An uplink's are the
// kernel's, as they came, and what the kernel says leaves as it says it: the
// node itself answers on no wire (ANY-25).
//
// Input: kind, device, tag, whether the sum is made right, then changes: where
// and to what; a frame may end early.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/fuzz/support/input.h"
#include "tests/fuzz/support/lasting_walk.h"
#include "tests/fuzz/support/oracle.h"
#include "tests/fuzz/support/stages_world.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

constexpr std::array<const char*, 5> kHere = {"crawl0", "dns0", "mail0", "wan0",
                                              "gw0"};

Bytes Part(const Bytes& bytes, size_t from, size_t size) {
  return Bytes(bytes.begin() + static_cast<ptrdiff_t>(from),
               bytes.begin() + static_cast<ptrdiff_t>(from + size));
}
bool IsZero(const Bytes& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](auto b) { return b == 0; });
}
Bytes OurMac() {
  return Bytes(kTestDestinationMac.begin(), kTestDestinationMac.end());
}

// What is to come of a frame from a queue.
struct Outcome {
  Bytes answer;      // empty: none
  Bytes address;     // heard; empty: nobody
  Bytes mac;         // where
  bool good = true;  // else it is dropped
};

// RFC 826, RFC 5227.
Outcome OfArp(const Bytes& arp) {
  Outcome outcome;
  const bool request = arp.size() >= 28 && arp[6] == 0 && arp[7] == 1;
  const bool reply = arp.size() >= 28 && arp[6] == 0 && arp[7] == 2;
  outcome.good = (request || reply) &&
                 Part(arp, 0, 6) == FromHex("0001 0800 06 04") &&
                 (arp[8] & 1) == 0;
  if (!outcome.good) return outcome;
  const Bytes mac = Part(arp, 8, 6);
  const Bytes sender = Part(arp, 14, 4);
  const Bytes target = Part(arp, 24, 4);
  if (IsZero(sender)) return outcome;
  outcome.address = sender;
  outcome.mac = mac;
  if (!request || sender == target) return outcome;
  Bytes& answer = outcome.answer;
  answer = mac;
  Append(answer, OurMac());
  Append(answer, FromHex("0806 0001 0800 06 04 0002"));
  Append(answer, OurMac());
  Append(answer, target);
  Append(answer, mac);
  Append(answer, sender);
  return outcome;
}

// The option of `type`; nothing: one is broken. Empty: there is none.
std::optional<Bytes> MacOf(const Bytes& packet, const PlainIp& ip,
                           uint8_t type) {
  Bytes mac;
  for (size_t at = ip.l4 + 24; at < ip.end;) {
    if (at + 2 > ip.end || packet[at + 1] == 0) return std::nullopt;
    const size_t next = at + packet[at + 1] * 8U;
    if (next > ip.end) return std::nullopt;
    if (packet[at] == type) mac = Part(packet, at + 2, 6);
    at = next;
  }
  return mac;
}

// RFC 4861 4.4, 7.2.4: we are a router, and asked.
Bytes AdvertTo(const Bytes& mac, const Bytes& address, const Bytes& target) {
  const auto text = [](const Bytes& bytes) {
    return IpAddress::FromV6(bytes.data()).ToString();
  };
  Bytes body = target;
  Append(body, FromHex("0201"));
  Append(body, OurMac());
  Bytes packet = Icmp(text(target), text(address), 136, 0)
                     .Mtu(0xe0000000)
                     .Payload(body)
                     .Ttl(255)
                     .Packet();
  Bytes frame = mac;
  Append(frame, OurMac());
  Append(frame, FromHex("86dd"));
  Append(frame, packet);
  return frame;
}

// RFC 4861 7.1.1, 7.1.2. Nothing: it is no such message.
std::optional<Outcome> OfNd(const Bytes& frame, const Bytes& packet) {
  const auto ip = ReadIp(packet);
  if (!ip || ip->v4 || !ip->IsIcmp() || ip->later || ip->l4 != 40 ||
      ip->end < 48 || (packet[40] != 135 && packet[40] != 136)) {
    return std::nullopt;
  }
  Outcome outcome;
  const bool solicit = packet[40] == 135;
  const Bytes source = Part(packet, 8, 16);
  const bool to_group = packet[24] == 0xff;
  outcome.good = packet[7] == 255 && packet[41] == 0 && ip->end >= 64 &&
                 L4Residue(packet, *ip) == 0 && (frame[6] & 1) == 0;
  if (!outcome.good) return outcome;
  const Bytes target = Part(packet, 48, 16);
  const auto mac = MacOf(packet, *ip, solicit ? 1 : 2);
  const bool to_node =
      Part(packet, 24, 13) == FromHex("ff02 000000000000000000 01ff");
  outcome.good = mac && source[0] != 0xff && target[0] != 0xff;
  if (solicit && IsZero(source)) {
    outcome.good = outcome.good && mac->empty() && to_node;
  }
  if (!solicit && to_group && (packet[44] & 0x40) != 0) outcome.good = false;
  if (!outcome.good) return outcome;
  const Bytes& heard = solicit ? source : target;
  if (!mac->empty() && ((*mac)[0] & 1) == 0 && !IsZero(heard)) {
    outcome.address = heard;
    outcome.mac = *mac;
  }
  if (solicit && !IsZero(source) && source != target) {
    outcome.answer = AdvertTo(Part(frame, 6, 6), source, target);
  }
  return outcome;
}

Bytes Template(size_t kind) {
  switch (kind) {
    case 0: {
      Bytes frame = FromHex(
          "ffffffffffff 0200000000aa 0806 0001 0800 06 04 0001 0200000000aa");
      Append(frame, FromHex("0a000005 000000000000 c0000201"));
      return frame;
    }
    case 1:
    case 2: {
      Bytes body = FromHex("fe800000000000000000000000000009");
      Append(body, FromHex(kind == 1 ? "0101" : "0201"));
      Append(body, FromHex("0200000000aa 0e01 000000000000"));
      return Icmp("fe80::5", kind == 1 ? "ff02::1:ff00:9" : "fe80::1",
                  kind == 1 ? 135 : 136, 0)
          .Mtu(kind == 1 ? 0 : 0x60000000)
          .Payload(body)
          .Ttl(255)
          .ToMac({2, 0, 0, 0, 0, 1})
          .Frame();
    }
    default:  // router solicitation, and what it is changed into
      return Icmp("fe80::5", "ff02::2", 133, 0)
          .PayloadSize(24)
          .Ttl(255)
          .ToMac({0x33, 0x33, 0, 0, 0, 2})
          .Frame();
  }
}

void CheckQueue(const std::string& device, const Bytes& frame, size_t l3,
                Walk& walk, const std::vector<Arrival>& out) {
  std::optional<Outcome> outcome;
  if (frame[l3 - 2] == 8 && frame[l3 - 1] == 6) {
    outcome = OfArp(Part(frame, l3, frame.size() - l3));
  } else {
    outcome = OfNd(frame, PacketOf(frame));
  }
  const auto events = walk.TakeEvents();
  if (!outcome) {
    for (const Event& event : events) {
      GODWIT_CHECK(event.kind != EventKind::kNeighbour);
    }
    return;
  }
  const bool arp = frame[l3 - 1] == 6;
  // With ether type and addresses as they are it may be no ND any more, but
  // never is it heard.
  if (!outcome->good) {
    GODWIT_CHECK(out.empty() && events.empty());
    GODWIT_CHECK(walk.ending() != "consumed");
    return;
  }
  if (outcome->answer.empty()) {
    GODWIT_CHECK(out.empty() && walk.ending() == "consumed");
  } else {
    GODWIT_CHECK(out.size() == 1 && out[0].device == device);
    GODWIT_CHECK(out[0].frame == outcome->answer);
  }
  GODWIT_CHECK(events.size() == (outcome->address.empty() ? 0U : 1U));
  if (events.empty()) return;
  GODWIT_CHECK(events[0].kind == EventKind::kNeighbour);
  GODWIT_CHECK(Bytes(events[0].mac.begin(), events[0].mac.end()) ==
               outcome->mac);
  const uint8_t* address = outcome->address.data();
  GODWIT_CHECK(events[0].address ==
               (arp ? IpAddress::FromV4(address) : IpAddress::FromV6(address)));
}

void RunOne(Input input) {
  static auto& stage = *new LastingWalk(World(), Walk::Options{});
  Bytes frame = Template(input.Below(4));
  const std::string device = kHere[input.Below(kHere.size())];
  const size_t tag = input.Below(3);  // none, of no VLAN, of another
  const bool fix = input.Flag();
  while (input.left() >= 2) {
    const size_t at = input.Byte();
    const uint8_t value = input.Byte();
    if (at == 255) frame.resize(std::min<size_t>(frame.size(), value));
    if (at < frame.size()) frame[at] = value;
  }
  if (fix) FixSums(frame);
  if (tag != 0 && frame.size() >= 14) {
    const Bytes bytes = FromHex(tag == 1 ? "81000000" : "81000005");
    frame.insert(frame.begin() + 12, bytes.begin(), bytes.end());
  }
  const size_t l3 =
      frame.size() >= 18 && frame[12] == 0x81 && frame[13] == 0 ? 18 : 14;
  Walk& walk = stage.Fresh();
  const auto out = walk.Send(device, frame);
  const bool of_link = walk.mappings() + walk.inbound() == 0;
  GODWIT_CHECK(out.size() <= 1 || !of_link);
  const bool readable = frame.size() >= l3;
  if (l3 == 18 && ((frame[14] & 15) != 0 || frame[15] != 0)) {
    GODWIT_CHECK(out.empty() && walk.TakeEvents().empty());
    return;
  }
  if (device != "wan0" && device != "gw0") {
    if (readable) CheckQueue(device, frame, l3, walk, out);
    return;
  }
  // What a wire or the kernel says of the link stays what it is.
  const std::string other = device == "wan0" ? "gw0" : "wan0";
  if (walk.ending() == "punted" || walk.ending() == "sent") {
    GODWIT_CHECK(out.size() == 1 && out[0].device == other);
    const Bytes in = Part(frame, l3, frame.size() - l3);
    const Bytes packet = PacketOf(frame);
    GODWIT_CHECK(out[0].Packet() == in || out[0].Packet() == packet);
  }
}

}  // namespace
}  // namespace godwit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  godwit::RunOne(godwit::Input(data, size));
  return 0;
}
