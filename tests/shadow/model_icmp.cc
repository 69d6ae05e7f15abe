// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors: whose they are by what they quote.
#include "tests/shadow/model.h"

namespace godwit::shadow {

// What any plane drops an error for. `live`: the quote is of a session.
Reasons Model::FaultsOfError(const Packet& packet, const Quote& quote,
                             bool live) const {
  Reasons faults;
  if (packet.fragment) faults.insert("icmp_frag");
  if (!packet.fragment && !packet.ChecksumHolds()) faults.insert("icmp_csum");
  if (!packet.v6 && packet.type == 4) faults.insert("icmp_type");
  if (!packet.v6 && packet.type == 5) faults.insert("icmp_redirect");
  if (!quote.readable && !quote.about_error) {
    faults.insert("icmp_short");
    faults.insert("icmp_unmatched");
  }
  if (quote.about_error) faults.insert("icmp_err_err");
  if (quote.later_fragment) faults.insert("icmp_in_frag");
  const bool too_big =
      packet.v6 ? packet.type == 2 : packet.type == 3 && packet.code == 4;
  // ICE-02: a packet too big is worth more than its quote's sum.
  if (!quote.header_sum_right && !(too_big && live)) {
    faults.insert("icmp_in_ipcsum");
  }
  // ICE-21.
  if (too_big) {
    const uint32_t mtu = packet.v6 ? Read32(packet.bytes, packet.l4 + 4)
                                   : Read16(packet.bytes, packet.l4 + 6);
    if (packet.v6 ? mtu < 1280 : mtu != 0 && mtu < 68) {
      faults.insert("ptb_small");
    }
  }
  return faults;
}

Fate Model::ErrorBack(const SessionKey& key, const Quote& quote) const {
  Fate fate = Fate::To(Fate::End::kDelivered, std::get<0>(key));
  const shadow::End& inside = std::get<2>(key);
  if (inside == quote.from) return fate;
  fate.destination = {inside.address, 0};
  fate.quoted_source = inside;
  return fate;
}

Fate Model::ErrorToUnicast(const Packet& packet) {
  if (!packet.l4_faults.empty()) {
    if (Saw(packet.l4_faults)) return Fate::Dropped(packet.l4_faults);
    return Fate::To(Fate::End::kPunted, "kernel");
  }
  const Quote quote = ReadQuote(packet);
  const auto* key = SessionTo(quote.protocol, quote.from, quote.to);
  Reasons faults = FaultsOfError(packet, quote, key != nullptr);
  if (quote.source != packet.destination) {
    faults.insert("icmp_inner_mismatch");
  }
  if (key != nullptr && faults.empty()) return ErrorBack(*key, quote);
  const bool ours = quote.readable && quote.source == packet.destination &&
                    (quote.protocol == kTcp || quote.protocol == kUdp) &&
                    quote.from.l4port >= world_.low &&
                    quote.from.l4port <= world_.high;
  faults.insert({"icmp_unmatched", "icmp_type", "icmp_redirect"});
  if (ours || key != nullptr || Saw(faults)) return Fate::Dropped(faults);
  return Fate::To(Fate::End::kPunted, "kernel");
}

// ICE-25.
Fate Model::ErrorToService(const Packet& packet) {
  const Quote quote = ReadQuote(packet);
  const auto* key = SessionTo(quote.protocol, quote.from, quote.to);
  Reasons faults = FaultsOfError(packet, quote, key != nullptr);
  if (quote.source != packet.destination) {
    faults.insert("icmp_inner_mismatch");
  }
  if (!faults.empty()) {
    faults.insert("icmp_unmatched");
    return Fate::Dropped(faults);
  }
  if (key != nullptr) return ErrorBack(*key, quote);
  const std::string service =
      ServiceAt(quote.source, quote.protocol, quote.from.l4port);
  if (service.empty()) return Fate::Dropped({"icmp_unmatched"});
  const std::string queue =
      ChooseQueue(service, {quote.protocol, quote.to, quote.from});
  if (queue.empty()) return Fate::Dropped({"svc_no_queue"});
  return Fate::To(Fate::End::kDelivered, queue);
}

// ICE-09: what the queue says of a packet that it got.
Fate Model::ErrorFromQueue(const std::string& queue, const Packet& packet) {
  const Quote quote = ReadQuote(packet);
  const auto* key = SessionFrom(queue, quote.protocol, quote.to, quote.from);
  Reasons faults = FaultsOfError(packet, quote, key != nullptr);
  faults.insert(packet.l4_faults.begin(), packet.l4_faults.end());
  if (quote.source != packet.destination) {
    faults.insert("icmp_inner_mismatch");
  }
  if (!faults.empty()) {
    faults.insert("icmp_unmatched");
    return Fate::Dropped(faults, Answer::kMay);
  }
  if (key != nullptr) {
    const Session& session = sessions_.at(*key);
    Fate fate = Fate::To(Fate::End::kSent, "uplink");
    if (session.local) {
      const InboundKey flow = {quote.protocol, session.outside, quote.from};
      const std::string service =
          ServiceAt(quote.source, quote.protocol, quote.from.l4port);
      if (service.empty()) return Fate::Dropped({"icmp_unmatched"});
      fate = Fate::To(Fate::End::kDelivered, ChooseQueue(service, flow));
    }
    if (session.outside != quote.to) {
      fate.source = {session.outside.address, 0};
      fate.quoted_destination = session.outside;
    }
    return fate;
  }
  const std::string service =
      ServiceAt(quote.destination, quote.protocol, quote.to.l4port);
  if (service.empty() || !HasQueue(service, queue)) {
    return Fate::Dropped({"icmp_unmatched"}, Answer::kMay);
  }
  const Reasons doubtful = {"icmp_unmatched", "icmp_inner_mismatch",
                            "nat_vip_source", "leak_prevented"};
  if (packet.source != quote.destination) return Fate::Dropped(doubtful);
  if (IsUnicast(packet.destination)) {
    const auto* asker = SessionTo(quote.protocol, quote.from, quote.to);
    if (asker == nullptr) return Fate::Dropped(doubtful);
    return ErrorBack(*asker, quote);
  }
  // Under `tracked` it may have to be of a flow that is known.
  const bool known = inbound_.contains({quote.protocol, quote.from, quote.to});
  if (world_.services.at(service).tracked && !known && Saw(doubtful)) {
    return Fate::Dropped(doubtful);
  }
  return Fate::To(Fate::End::kSent, "uplink");
}

}  // namespace godwit::shadow
