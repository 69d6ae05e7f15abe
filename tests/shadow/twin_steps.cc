// SPDX-License-Identifier: BSD-3-Clause
// The steps that send something.
#include <algorithm>
#include <iterator>

#include "tests/shadow/twin.h"

namespace godwit::shadow {
namespace {

const char* const kClients[2][2] = {{"203.0.113.9", "203.0.113.10"},
                                    {"2001:db8:c::9", "2001:db8:c::10"}};
const char* const kRemotes[2][3] = {
    {"203.0.113.80", "203.0.113.81", "203.0.113.200"},
    {"2001:db8:c::80", "2001:db8:c::81", "2001:db8:d::200"}};
const char* const kRouters[2] = {"203.0.113.254", "2001:db8:c::254"};
const char* const kServices[2][5] = {
    {"192.0.2.53", "192.0.2.80", "192.0.2.25", "192.0.2.99", "192.0.2.66"},
    {"2001:db8:53::53", "2001:db8:53::80", "2001:db8:53::25", "2001:db8:53::99",
     "2001:db8:53::66"}};
const char* const kInside[2][2] = {{"10.0.0.5", "10.0.0.6"},
                                   {"fd00::5", "fd00::6"}};
const char* const kUnicast[2] = {"198.51.100.7", "2001:db8:7::7"};
// Of the services, and one that they do not have.
constexpr unsigned kL4ports[] = {53, 80, 25, 99, 66, 7, 8001};
const char* const kQueues[] = {"crawl0", "dns0",  "dns1",  "web0",
                               "web1",   "mail0", "quiet0"};
// What a TCP end says, the likely more often.
const char* const kFlags[] = {"S",  "SA", "A", "A",  "FA", "FA", "R",
                              "RA", "S",  "A", "PA", "",   "SF", "F"};

const char* FlagsOf(const Op& op) { return kFlags[op.how % std::size(kFlags)]; }
godwit::Bytes Data(unsigned how) {
  return godwit::Bytes(how % 7 * 3, static_cast<uint8_t>(how));
}
unsigned ProtocolOf(unsigned what, bool v6) {
  const unsigned kinds[] = {kUdp, kTcp, kTcp, v6 ? kIcmp6 : kIcmp4};
  return kinds[what % 4];
}

}  // namespace

// A packet of a conversation; an echo from the end that has an identifier is
// a request, to it a reply.
PacketBuilder Twin::Segment(unsigned protocol, bool v6, const shadow::End& from,
                            const shadow::End& to, const Op& op) const {
  if (protocol == kUdp || protocol == kTcp) {
    PacketBuilder packet = protocol == kUdp
                               ? Udp(from.ToString(), to.ToString())
                               : Tcp(from.ToString(), to.ToString());
    packet.Payload(Data(op.how));
    if (protocol == kTcp) packet.Flags(FlagsOf(op)).Sequence(op.how * 12345);
    if (protocol == kUdp && op.how % 16 == 5) packet.NoUdpChecksum();
    if (op.how % 16 == 7) packet.BadL4Checksum();
    if (op.how % 16 == 9) packet.DontFragment();
    if (!v6 && op.how % 16 == 11) packet.Options({1, 1, 148, 4, 0, 0});
    if (v6 && op.how % 16 == 11) packet.Extension(0);
    if (v6 && op.how % 16 == 12) packet.Extension(60);
    if (v6 && op.how % 16 == 13) packet.Fragment(0, More::kNo);
    if (op.how % 16 == 14) packet.Trailer(9);
    return packet;
  }
  const bool reply = to.l4port != 0;
  const auto id = static_cast<uint16_t>(reply ? to.l4port : from.l4port);
  PacketBuilder packet =
      reply ? EchoReply(from.address.ToString(), to.address.ToString(), id)
            : Echo(from.address.ToString(), to.address.ToString(), id);
  packet.Payload(Data(op.how)).IcmpSequence(static_cast<uint16_t>(op.how));
  if (op.how % 16 == 7) packet.BadL4Checksum();
  return packet;
}

std::string Twin::Client(const Op& op) {
  const bool v6 = op.who % 2 != 0;
  const unsigned protocol = ProtocolOf(op.how / 16, v6);
  const bool icmp = protocol != kUdp && protocol != kTcp;
  const unsigned service = op.what % 5;
  const unsigned l4port = kL4ports[op.what % 8 == 7 ? 5 : service];
  const shadow::End from = {Address::Of(kClients[v6][op.who / 2 % 2]),
                            4000 + op.who / 4 % 4};
  const shadow::End to = {Address::Of(kServices[v6][service]),
                          icmp                               ? 0
                          : service == 1 && protocol == kUdp ? 8001
                                                             : l4port};
  return Try("wan0", Segment(protocol, v6, from, to, op));
}

// From a client's flow that there is, or as if there were one.
std::string Twin::ServiceAnswers(const Op& op) {
  const auto& flows = model_.all_inbound();
  if (flows.empty() || op.who % 8 == 7) {
    const bool v6 = op.what % 2 != 0;
    const unsigned service = op.what / 2 % 5;
    const shadow::End from = {Address::Of(kServices[v6][service]),
                              kL4ports[service]};
    const shadow::End to = {Address::Of(kClients[v6][0]), 4000 + op.what % 4};
    const unsigned protocol = op.how % 3 == 0 ? kUdp : kTcp;
    return Try(kQueues[op.who / 8 % 7], Segment(protocol, v6, from, to, op));
  }
  const auto& [key, flow] =
      *std::next(flows.begin(), static_cast<int>(op.what % flows.size()));
  const auto& [protocol, client, end] = key;
  const std::string queue =
      op.who % 8 == 6 ? std::string(kQueues[op.who / 8 % 7]) : flow.queue;
  return Try(queue, Segment(protocol, client.address.v6, end, client, op));
}

std::string Twin::Originate(const Op& op) {
  const bool v6 = op.who % 2 != 0;
  const unsigned protocol = ProtocolOf(op.how / 16, v6);
  const bool icmp = protocol != kUdp && protocol != kTcp;
  const unsigned queue = op.who / 2 % 7;
  const auto& sessions = model_.all_sessions();
  if (!sessions.empty() && op.who % 3 == 0) {
    const auto& [key, session] = *std::next(
        sessions.begin(), static_cast<int>(op.what % sessions.size()));
    const auto& [name, proto, inside, remote] = key;
    return Try(name, Segment(proto, inside.address.v6, inside, remote, op));
  }
  shadow::End from = {Address::Of(kInside[v6][op.what % 2]),
                      4000 + op.what / 2 % 3};
  if (op.what / 8 % 4 == 3) {
    from.address = Address::Of(kServices[v6][op.what / 32 % 5]);
  }
  if (op.what / 8 % 8 == 6) from.l4port = kL4ports[op.what / 32 % 5];
  shadow::End to = {
      Address::Of(kRemotes[v6][op.what / 128 % 8 == 7 ? 2 : op.what / 128 % 2]),
      icmp ? 0U : 443U};
  if (op.what / 1024 % 4 == 3) {
    to = {Address::Of(kServices[v6][op.what / 128 % 5]),
          icmp ? 0 : kL4ports[op.what / 128 % 5]};
  }
  Op opens = op;
  if (op.what / 4096 % 4 != 3) opens.how = op.how / 16 * 16;  // as a rule, SYN
  if (protocol == kTcp && op.what / 4096 % 4 != 3) opens.how = 0;
  return Try(kQueues[queue], Segment(protocol, v6, from, to, opens));
}

// The far end of a session that there is.
std::string Twin::Remote(const Op& op) {
  const auto& sessions = model_.all_sessions();
  if (sessions.empty()) return Stranger(op);
  const auto& [key, session] =
      *std::next(sessions.begin(), static_cast<int>(op.what % sessions.size()));
  const auto& [queue, protocol, inside, remote] = key;
  shadow::End from = remote;
  if (op.who % 8 == 7) from.l4port += protocol == kUdp || protocol == kTcp;
  if (session.local) return "";
  return Try("wan0",
             Segment(protocol, inside.address.v6, from, session.outside, op));
}

std::string Twin::Stranger(const Op& op) {
  const bool v6 = op.who % 2 != 0;
  const unsigned protocol = ProtocolOf(op.how / 16, v6);
  const bool icmp = protocol != kUdp && protocol != kTcp;
  const unsigned l4ports[] = {50000, 50001, 50004, 50008, 179, 22, 3784};
  const shadow::End from = {Address::Of(kRemotes[v6][op.what % 2]),
                            icmp ? 0U : 443U};
  const shadow::End to = {Address::Of(kUnicast[v6]), l4ports[op.what / 2 % 7]};
  return Try("wan0", Segment(protocol, v6, from, to, op));
}

std::string Twin::ErrorFromOutside(const Op& op) {
  std::vector<const Got*> left;
  for (const Got& got : got_) {
    if (got.arrival.device == "wan0") left.push_back(&got);
  }
  if (left.empty()) return "";
  const Got& got = *left[left.size() - 1 - op.what % left.size()];
  godwit::Bytes quoted = got.arrival.Packet();
  const size_t cut = op.who % 64;
  if (op.who % 3 != 0) {
    quoted.resize(std::min(quoted.size(), (got.v6 ? 40U : 20U) + cut));
  }
  const uint8_t types[2][6] = {{3, 11, 12, 3, 4, 5}, {1, 3, 4, 2, 1, 99}};
  const uint8_t type = types[got.v6][op.how % 6];
  const uint8_t code = !got.v6 && op.how % 6 == 3 ? 4 : 0;
  const char* router = kRouters[got.v6];
  PacketBuilder error = IcmpError(router, type, code, quoted);
  if (op.how % 6 == 3) error.Mtu(op.how / 6 % 4 == 3 ? 60 : 1400);
  if (op.how / 6 % 16 == 7) error.BadL4Checksum();
  return Try("wan0", error);
}

std::string Twin::ErrorFromInside(const Op& op) {
  std::vector<const Got*> left;
  for (const Got& got : got_) {
    if (got.arrival.device != "wan0" && got.arrival.device != "gw0") {
      left.push_back(&got);
    }
  }
  if (left.empty()) return "";
  const Got& got = *left[left.size() - 1 - op.what % left.size()];
  const godwit::Bytes quoted = got.arrival.Packet();
  const Address own = Address::At(quoted, got.v6 ? 24 : 16, got.v6);
  const uint8_t type = got.v6 ? 1 : 3;
  const auto code = static_cast<uint8_t>(got.v6 ? 4 : 3);
  return Try(got.arrival.device, IcmpError(own.ToString(), type, code, quoted));
}

// What was really sent, with a byte or two changed; with right sums, or not.
std::string Twin::Mutate(const Op& op) {
  if (sent_.empty()) return "";
  const Sent sent = sent_[sent_.size() - 1 - op.what % sent_.size()];
  godwit::Bytes frame = sent.frame;
  const size_t room = std::min<size_t>(frame.size() - 14, 64);
  frame[14 + op.who % room] ^= static_cast<uint8_t>(1U << op.how % 8);
  if (op.how / 8 % 4 == 1 && frame.size() > 34) {
    frame.resize(frame.size() - op.who % 20);
  }
  if (!sent.v6 && op.how / 32 % 4 != 0) {
    const size_t header = (frame[14] & 0xfU) * 4U;
    if (header >= 20 && 14 + header <= frame.size()) {
      frame[24] = frame[25] = 0;
      const unsigned sum = Sum().Add(Slice(frame, 14, 14 + header)).value();
      Write16(frame, 24, 65535 - sum == 65535 ? 0 : 65535 - sum);
    }
  }
  return Try(sent.device, frame, !sent.v6);
}

// A datagram in pieces, in some order, some of them twice or overlapping.
std::string Twin::Fragments(const Op& op) {
  const bool v6 = op.who % 2 != 0;
  const shadow::End client = {Address::Of(kClients[v6][0]), 4000};
  const shadow::End service = {Address::Of(kServices[v6][0]), 53};
  const shadow::End inside = {Address::Of(kInside[v6][0]), 4001};
  const shadow::End remote = {Address::Of(kRemotes[v6][0]), 443};
  const bool out = op.who / 2 % 2 != 0;
  const auto& [from, to] =
      out ? std::pair(inside, remote) : std::pair(client, service);
  PacketBuilder packet = Udp(from.ToString(), to.ToString());
  packet.PayloadSize(40 + op.who / 4 % 64)
      .IpId(static_cast<uint16_t>(sent_.size()));
  if (op.how % 8 == 5) packet.NoUdpChecksum();
  if (op.how % 8 == 6) packet.BadL4Checksum();
  std::vector<godwit::Bytes> pieces = packet.Fragments(16 + op.what % 4 * 8);
  // One of all orders, by its number.
  unsigned order = op.what / 4;
  std::vector<godwit::Bytes> sequence;
  while (!pieces.empty()) {
    const auto next = static_cast<std::ptrdiff_t>(order % pieces.size());
    order = order / static_cast<unsigned>(pieces.size()) + op.how / 16;
    sequence.push_back(pieces[static_cast<size_t>(next)]);
    pieces.erase(pieces.begin() + next);
  }
  if (op.how % 16 == 3) sequence.push_back(sequence.front());
  if (op.how % 16 == 4) {
    for (const auto& one : packet.Fragments(24)) sequence.push_back(one);
  }
  if (op.how % 16 == 5) sequence.erase(sequence.begin());
  for (const godwit::Bytes& frame : sequence) {
    const std::string wrong = Try(out ? "crawl0" : "wan0", frame, !v6);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

// More flows to one remote end than there are l4ports.
std::string Twin::Fill(const Op& op) {
  const bool v6 = op.who % 2 != 0;
  const shadow::End to = {Address::Of(kRemotes[v6][op.who / 2 % 2]), 443};
  const unsigned protocol = op.what % 2 == 0 ? kUdp : kTcp;
  for (unsigned i = 0; i < 7; ++i) {
    const shadow::End from = {Address::Of(kInside[v6][0]), 4100 + i};
    const std::string wrong =
        Try("crawl0", Segment(protocol, v6, from, to, Op{}));
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string Twin::Kernel(const Op& op) {
  const bool v6 = op.who % 2 != 0;
  const shadow::End from = {Address::Of(kUnicast[v6]), 179};
  const shadow::End to = {Address::Of(kRemotes[v6][op.what % 3]), 179};
  return Try("gw0", Segment(op.how % 2 == 0 ? kTcp : kUdp, v6, from, to, op)
                        .FromMac({2, 0, 0, 0, 1, 2}));
}

}  // namespace godwit::shadow
