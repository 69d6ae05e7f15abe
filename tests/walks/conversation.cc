// SPDX-License-Identifier: BSD-3-Clause
#include "tests/walks/conversation.h"

#include <algorithm>

namespace godwit {
namespace {

std::string AtL4Port(const AddressAndPort& end) { return end.ToString(); }

PacketBuilder Build(uint8_t protocol, const AddressAndPort& from,
                    const AddressAndPort& to, std::string_view flags) {
  if (protocol == kProtoUdp) return Udp(AtL4Port(from), AtL4Port(to));
  return Tcp(AtL4Port(from), AtL4Port(to)).Flags(flags);
}

// Who sent `packet`, from the IP header up: the identifier, if it is an echo.
AddressAndPort SourceOf(const Bytes& packet) {
  const bool v4 = packet[0] >> 4 == 4;
  const uint8_t protocol = v4 ? packet[9] : packet[6];
  const size_t l4 = (v4 ? 20U : 40U) + (IsIcmp(protocol) ? 4U : 0U);
  AddressAndPort source;
  source.address =
      v4 ? IpAddress::FromV4(&packet[12]) : IpAddress::FromV6(&packet[8]);
  source.l4port = static_cast<uint16_t>(packet[l4] * 256 + packet[l4 + 1]);
  return source;
}

std::string Seen(const std::vector<Arrival>& arrivals, const Walk& walk) {
  std::string text = walk.ending();
  for (const Arrival& arrival : arrivals) {
    text += "; " + arrival.device + ' ' + ToHex(arrival.Packet());
  }
  return text;
}

}  // namespace

Conversation::Conversation(Walk& walk, uint8_t protocol,
                           const std::string& device, const Ends& ends)
    : protocol_(protocol), device_(device), ends_(ends) {
  if (!Do(walk, device_, Forward("S"), forward_)) return;
  outside_ = SourceOf(forward_.arrival.Packet());
  far_device_ = forward_.arrival.device;
  if (!Do(walk, far_device_, Back("SA"), back_)) return;
  opened_ = Do(walk, device_, Forward("A"), forward_) &&
            Do(walk, far_device_, Back("A"), back_);
}

PacketBuilder Conversation::Forward(std::string_view flags) const {
  if (IsIcmp(protocol_)) {
    return Echo(ends_.from.address.ToString(), ends_.to.address.ToString(),
                ends_.from.l4port);
  }
  return Build(protocol_, ends_.from, ends_.to, flags);
}

PacketBuilder Conversation::Back(std::string_view flags) const {
  if (IsIcmp(protocol_)) {
    return EchoReply(ends_.to.address.ToString(), outside_.address.ToString(),
                     outside_.l4port);
  }
  return Build(protocol_, ends_.to, outside_, flags);
}

bool Conversation::Do(Walk& walk, const std::string& device,
                      const PacketBuilder& packet, Step& step) const {
  step.device = device;
  step.frame = packet.Frame();
  const auto arrivals = walk.Send(device, step.frame);
  if (arrivals.size() != 1) return false;
  step.arrival = arrivals[0];
  return true;
}

std::string Conversation::ToString() const {
  return device_ + ' ' + std::to_string(protocol_) + ' ' +
         ends_.from.ToString() + " as " + outside_.ToString() + " to " +
         ends_.to.ToString() + " at " + far_device_;
}

std::string Conversation::Repeat(Walk& walk, const char* what,
                                 const Step& step) const {
  const auto arrivals = walk.Send(step.device, step.frame);
  const bool same = arrivals.size() == 1 &&
                    arrivals[0].device == step.arrival.device &&
                    arrivals[0].Packet() == step.arrival.Packet();
  if (same) return "";
  return ToString() + ": " + what + ": " + Seen(arrivals, walk) + "\n";
}

std::string Conversation::Differs(Walk& walk) const {
  if (!opened_) return ToString() + " was never opened\n";
  return Repeat(walk, "there", forward_) + Repeat(walk, "back", back_);
}

std::string Conversation::Tell(Walk& walk, const std::string& from,
                               const std::string& to, const std::string& sender,
                               const Bytes& about, const Bytes& arrives) const {
  const bool v4 = ends_.to.address.IsV4();
  const auto error = IcmpError(sender, v4 ? 3 : 1, v4 ? 3 : 4, about);
  const auto arrivals = walk.Send(from, error);
  const bool same =
      arrivals.size() == 1 && arrivals[0].device == to &&
      arrivals[0].frame.size() > arrives.size() &&
      std::equal(arrives.rbegin(), arrives.rend(), arrivals[0].frame.rbegin());
  if (same) return "";
  return ToString() + ": error at " + from + ": " + Seen(arrivals, walk) + "\n";
}

std::string Conversation::ErrorsDiffer(Walk& walk,
                                       const std::string& router) const {
  if (!opened_) return ToString() + " was never opened\n";
  const auto packet_of = [](const Bytes& frame) {
    return Bytes(frame.begin() + 14, frame.end());
  };
  const std::string far =
      far_device_ == "wan0" ? router : ends_.to.address.ToString();
  return Tell(walk, far_device_, device_, far, forward_.arrival.Packet(),
              packet_of(forward_.frame)) +
         Tell(walk, device_, far_device_,
              device_ == "wan0" ? router : ends_.from.address.ToString(),
              back_.arrival.Packet(), packet_of(back_.frame));
}

std::string Conversation::PiecesDiffer(Walk& walk, uint16_t id) const {
  if (!opened_) return ToString() + " was never opened\n";
  std::string differs;
  const auto pieces = Forward("A").PayloadSize(600).IpId(id).Fragments(304);
  for (const Bytes& piece : pieces) {
    const auto arrivals = walk.Send(device_, piece);
    bool same = arrivals.size() == 1 && arrivals[0].device == far_device_;
    if (same && &piece == &pieces[0] && ends_.to.address.IsV4()) {
      same = SourceOf(arrivals[0].Packet()) == outside_;
    }
    if (!same) {
      differs += ToString() + ": piece: " + Seen(arrivals, walk) + "\n";
    }
  }
  return differs;
}

}  // namespace godwit
