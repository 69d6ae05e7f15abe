// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/support/stages_stories.h"

#include <algorithm>

#include "dataplane/net/headers.h"
#include "tests/fuzz/stages_input.h"
#include "tests/fuzz/support/stages_limits.h"
#include "tests/fuzz/support/stages_world.h"
#include "tests/fuzz/support/story.h"

namespace godwit {
namespace {

constexpr uint16_t kSetups[] = {0, 1, 2, 0x44, 0x3a};
constexpr uint16_t kHunger[] = {Trouble::kNoBuffers,
                                Trouble::kNoBuffers | Trouble::kOneBuffer};

PacketBuilder Opening(const Side4Or6& at, uint8_t protocol, unsigned flow) {
  const std::string from = at.At(at.inside, 5000 + 60 * flow);
  if (protocol == kProtoUdp) {
    return Udp(from, at.At(at.remote, 53)).Payload("who?");
  }
  if (protocol == kProtoTcp) return Tcp(from, at.At(at.remote, 80)).Flags("S");
  return Echo(at.inside, at.remote, static_cast<uint16_t>(100 + 60 * flow));
}

// All that a queue originates, and what comes of it: answers, errors from
// either side, pieces.
void TalkOn(Story& story, const Side4Or6& at, uint8_t protocol, uint16_t id) {
  for (unsigned flow = 0; flow < 7; ++flow) {
    const PacketBuilder packet = Opening(at, protocol, flow);
    for (const Arrival& left : story.Send("crawl0", packet)) {
      if (left.device != "wan0") continue;
      for (const Arrival& in : story.Send("wan0", AnswerTo(left.Packet()))) {
        if (in.device != "crawl0" || flow % 2 == 0) continue;
        story.Send("crawl0", IcmpError(at.inside, at.v4 ? 3 : 1, at.v4 ? 3 : 4,
                                       in.Packet()));
      }
      if (flow % 3 != 0) continue;
      story.Send("wan0",
                 IcmpError(at.client, at.v4 ? 11 : 3, 0, left.Packet()));
      if (protocol != kProtoUdp) continue;
      auto whole = packet;
      const auto pieces = whole.IpId(id++).PayloadSize(24).Fragments(16);
      story.Send("crawl0", pieces[1]);
      story.Send("crawl0", pieces[0]);
    }
  }
}

// Fewer l4ports than flows; then what they were given by changes.
Bytes Borrowed(const Side4Or6& at, uint8_t protocol, uint16_t setup) {
  Story story(setup | Setup::kFewL4Ports);
  TalkOn(story, at, protocol, 100);
  story.Change(Setup::kIndependent);
  TalkOn(story, at, protocol, 200);
  story.Upset(Trouble::kOtherL4Ports);
  TalkOn(story, at, protocol, 300);
  story.Change(Setup::kIndependent);
  story.Upset(Trouble::kOtherDirect);
  TalkOn(story, at, protocol, 400);
  story.Upset(Trouble::kNoDirect);
  story.Wait(250);
  TalkOn(story, at, protocol, 500);
  return story.input();
}

// Between queues of this node, and the kernel.
Bytes Round(const Side4Or6& at, uint16_t setup) {
  Story story(setup);
  story.Upset(Trouble::kSmallQueue);
  for (const char* service : {at.web, at.dns}) {
    const bool web = service == at.web;
    const auto ask =
        Udp(at.At(at.inside, 5000), at.At(service, web ? 8080 : 53));
    for (const Arrival& in : story.Send("crawl0", ask)) {
      const std::string device = in.device == "dns1" ? "dns0" : in.device;
      const Bytes answer = AnswerTo(in.Packet());
      story.Send(device, answer);
      story.Send("wan0", in.frame);
      story.Send("wan0", answer);
      story.Send(device,
                 IcmpError(service, at.v4 ? 3 : 1, at.v4 ? 3 : 4, in.Packet()));
      // Longer than the asker's link.
      const Bytes packet = in.Packet();
      const size_t l4 = at.v4 ? 20 : 40;
      const unsigned l4port = packet[l4] * 256U + packet[l4 + 1];
      auto reply =
          Udp(at.At(service, web ? 8080 : 53), at.At(at.unicast, l4port))
              .PayloadSize(1200);
      story.Send(device, reply);
      story.Send(device, reply.DontFragment());
      for (const Bytes& piece : reply.IpId(77).Fragments(800)) {
        story.Send(device, piece);
      }
      if (!at.v4) story.Send(device, reply.Extension(kProtoDestOptions));
    }
    auto pieces = Udp(at.At(at.inside, 5002), at.At(service, web ? 8080 : 53))
                      .PayloadSize(900)
                      .Fragments(480);
    story.Send("crawl0", pieces[1]);
    story.Send("crawl0", pieces[0]);
    const auto open =
        Tcp(at.At(at.inside, 5001), at.At(service, web ? 80 : 53)).Flags("S");
    for (const Arrival& in : story.Send("crawl0", open)) {
      story.Send(in.device == "dns1" ? "dns0" : in.device,
                 AnswerTo(in.Packet()));
    }
  }
  return story.input();
}

// Every kind of segment, from either side, of either kind of flow.
Bytes Segments(const Side4Or6& at, uint16_t setup) {
  Story story(setup);
  unsigned l4port = 4000;  // of one whose queue an input may speak for
  const auto client = [&at, &l4port](const char* flags) {
    return Tcp(at.At(at.client, l4port), at.At(at.dns, 53)).Flags(flags);
  };
  const auto server = [&at, &l4port](const char* flags) {
    return Tcp(at.At(at.dns, 53), at.At(at.client, l4port)).Flags(flags);
  };
  for (; l4port < 4100; ++l4port) {
    const auto in = story.Send("wan0", client("S"));
    if (in.size() == 1 && in[0].device == "dns0") break;
  }
  for (const char* begin : {"S", "A"}) {
    for (const char* flags :
         {"SA", "A", "F", "FA", "S", "R", "RA", "SF", "SR", "U", ""}) {
      story.Send("wan0", client(begin));
      story.Send("dns0", server(flags));
      story.Send("wan0", client(flags));
      const auto open = Opening(at, kProtoTcp, 1);
      auto more = open;
      story.Send("crawl0", more.Flags(begin));
      story.Send("crawl0", more.Flags(flags));
      for (const Arrival& left : story.Send("crawl0", open)) {
        if (left.device != "wan0") continue;
        Bytes answer = AnswerTo(left.Packet());
        story.Send("wan0", answer);
        story.Send("wan0", answer);
      }
    }
  }
  story.Send("mail0", Tcp(at.At(at.mail, 25), at.At(at.client, 25)).Flags("S"));
  story.Send("wan0", Tcp(at.At(at.client, 25), at.At(at.mail, 25)).Flags("S"));
  story.Send("wan0", client("S").Fragments(16)[0]);
  for (const Bytes& piece : client("A").IpId(9).PayloadSize(30).Fragments(24)) {
    story.Send("wan0", piece);
  }
  return story.input();
}

// Nobody answers, links are narrow, devices are not there.
Bytes Troubled(const Side4Or6& at, uint16_t setup) {
  Story story(setup);
  const auto ask = [&at](unsigned l4port) {
    return Udp(at.At(at.client, l4port), at.At(at.dns, 53)).Payload("who?");
  };
  const auto reply = Udp(at.At(at.dns, 53), at.At(at.client, 4000));
  const auto out = Udp(at.At(at.inside, 6000), at.At(at.remote, 53));
  for (const uint16_t trouble :
       {Trouble::kQueueAway, Trouble::kQueueOpens, Trouble::kDeviceGone,
        Trouble::kTinyMtu, Trouble::kNoUnicast4, Trouble::kNoMartians}) {
    story.Upset(trouble);
    for (unsigned l4port = 4000; l4port < 4006; ++l4port) {
      story.Send("wan0", ask(l4port));
    }
    story.Flood(20, "wan0", ask(4000));
    story.Send("wan0", Udp(at.At(at.client, 99), at.At(at.dns, 7)));
    story.Send("dns0", reply);
    story.Send("crawl0", out);
    story.Send("crawl0", Udp(at.At(at.inside, 6000), at.At(at.dns, 53)));
    auto longer = reply;
    story.Send("dns0", longer.PayloadSize(300));
    story.Send("wan1",
               Udp(at.At(at.v4 ? "127.0.0.1" : "::1", 5), at.At(at.dns, 53)));
    story.Wait(4);
    story.Send("wan0", ask(4000));
    story.Upset(trouble);
    story.Send("wan0", ask(4000));
  }
  story.Change(Setup::kNobodyThere);
  story.Flood(20, "dns0", reply);
  story.Wait(4);
  story.Change(Setup::kNobodyThere);
  return story.input();
}

// Without buffers: for a copy, an answer, pieces.
Bytes Hungry(const Side4Or6& at, uint16_t setup) {
  Story story(setup | Setup::kSmallMtu);
  const Bytes ask =
      Udp(at.At(at.client, 4000), at.At(at.dns, 53)).Payload("who?").Frame();
  const Bytes out = Udp(at.At(at.inside, 6000), at.At(at.remote, 53)).Frame();
  const Bytes longer =
      Udp(at.At(at.dns, 53), at.At(at.client, 4000)).PayloadSize(1200).Frame();
  const Bytes miss = Udp(at.At(at.client, 4000), at.At(at.dns, 9)).Frame();
  const Bytes closed =
      Tcp(at.At(at.client, 4000), at.At(at.dns, 9)).Flags("S").Frame();
  const Bytes echo = Echo(at.client, at.dns, 9).PayloadSize(900).Frame();
  for (const uint16_t trouble : kHunger) {
    story.Upset(trouble);
    for (const uint8_t how : {uint8_t{0}, Step::kCut}) {
      for (const Bytes& frame : {ask, miss, closed, echo}) {
        story.Send("wan0", frame, how);
      }
      story.Send("dns0", longer, how);
      story.Send("crawl0", out, how);
    }
    story.Upset(trouble);
  }
  return story.input();
}

// Options that pieces have and have not, datagrams in pieces to who answers
// himself, without checksums.
Bytes Pieces(const Side4Or6& at, uint16_t setup) {
  Story story(setup | Setup::kSmallMtu);
  const auto reply = [&at] {
    return Udp(at.At(at.dns, 53), at.At(at.client, 4000)).PayloadSize(1200);
  };
  if (at.v4) {
    for (const Bytes& options :
         {Bytes{1, 1, 0x94, 4, 0, 0}, Bytes{0x19, 4, 0, 0, 0x94, 4, 0, 0},
          Bytes{0x94, 4, 0, 0, 0}, Bytes{1, 0, 9, 9}}) {
      story.Send("dns0", reply().Options(options));
      story.Send("dns0", reply().Options(options).DontFragment());
    }
  }
  for (const Bytes& piece : reply().IpId(1).Fragments(1000)) {
    story.Send("dns0", piece);
  }
  uint16_t id = 50;
  for (const size_t size : {size_t{32}, size_t{1000}}) {
    const auto echo = Echo(at.client, at.dns, 9).PayloadSize(size + 90);
    for (const Bytes& piece : PacketBuilder(echo).IpId(id++).Fragments(size)) {
      story.Send("wan0", piece);
    }
  }
  auto bare = Udp(at.At(at.client, 4001), at.At(at.dns, 53)).PayloadSize(90);
  const auto pieces = bare.NoUdpChecksum().IpId(id++).Fragments(48);
  for (const size_t i : {size_t{1}, size_t{0}, size_t{0}, size_t{2}}) {
    if (i < pieces.size()) story.Send("wan0", pieces[i]);
  }
  story.Send("wan0", Udp(at.At(at.client, 4001), at.At(at.dns, 53)));
  story.Send("wan0", bare);
  const auto error =
      IcmpError(at.client, at.v4 ? 3 : 1, at.v4 ? 3 : 4, reply().Packet());
  for (const Bytes& piece : PacketBuilder(error).IpId(id++).Fragments(48)) {
    story.Send("wan0", piece);
  }
  return story.input();
}

// More at once than a txq takes.
Bytes Full(const Side4Or6& at) {
  Story story(2);
  story.Flood(2700, "wan0", Udp("203.0.113.9:4000", "192.0.2.99:99"));
  story.Flood(2700, "wan0",
              Tcp(at.At(at.client, 1), at.At(at.unicast, 22)).Flags("S"));
  for (unsigned l4port = 4000;; ++l4port) {
    const auto reply = Udp(at.At(at.dns, 53), at.At(at.client, l4port));
    const auto out = story.Send("dns0", reply);
    if (out.size() != 1 || out[0].device != "wan1") continue;
    story.Flood(2700, "dns0", reply);
    return story.input();
  }
}
}  // namespace

Bytes AnswerTo(Bytes packet) {
  const bool v4 = packet[0] >> 4 == 4;
  const ptrdiff_t size = v4 ? 4 : 16;
  const auto source = packet.begin() + (v4 ? 12 : 8);
  std::swap_ranges(source, source + size, source + size);
  const size_t l4 = v4 ? 20 : 40;
  const uint8_t protocol = packet[v4 ? 9 : 6];
  if (protocol == kProtoTcp || protocol == kProtoUdp) {
    const auto l4port = packet.begin() + static_cast<ptrdiff_t>(l4);
    std::swap_ranges(l4port, l4port + 2, l4port + 2);
    if (protocol == kProtoTcp) packet[l4 + 13] = 0x12;  // SYN, ACK
  } else {
    packet[l4] = v4 ? 0 : 129;
  }
  Bytes frame = FromHex("020000000001 0200000000aa");
  Append(frame, FromHex(v4 ? "0800" : "86dd"));
  Append(frame, packet);
  return frame;
}

std::vector<std::pair<std::string, Bytes>> StagesStories() {
  std::vector<std::pair<std::string, Bytes>> all;
  for (const Side4Or6& at : kFamilies) {
    const std::string family = at.v4 ? "4" : "6";
    const uint8_t icmp = at.v4 ? kProtoIcmp : kProtoIcmpv6;
    for (const uint16_t setup : kSetups) {
      const std::string name = family + "_" + std::to_string(setup);
      all.emplace_back("round" + name, Round(at, setup));
      all.emplace_back("segments" + name, Segments(at, setup));
      all.emplace_back("trouble" + name, Troubled(at, setup));
      all.emplace_back("hungry" + name, Hungry(at, setup));
      all.emplace_back("pieces" + name, Pieces(at, setup));
      for (const uint8_t protocol : {kProtoUdp, kProtoTcp, icmp}) {
        all.emplace_back("borrowed" + std::to_string(protocol) + "_" + name,
                         Borrowed(at, protocol, setup));
      }
    }
    all.emplace_back("full" + family, Full(at));
    AddLimitStories(at, all);
  }
  return all;
}

}  // namespace godwit
