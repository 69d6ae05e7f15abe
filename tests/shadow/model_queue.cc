// SPDX-License-Identifier: BSD-3-Clause
// What comes from a service queue: replies, and what it originates.
#include <algorithm>

#include "tests/shadow/model.h"

namespace godwit::shadow {
namespace {

// Nobody's l4port: that of a session whose packets nobody has seen.
constexpr unsigned kHidden = 65536;

bool InAny(const Address& address, const std::vector<Network>& networks) {
  return std::ranges::any_of(networks, [&address](const Network& network) {
    return address.In(network.address, network.length);
  });
}

// Rule 6: loopback, link-local, multicast and unspecified sources.
bool NobodysSource(const Address& address) {
  static const std::vector<Network> networks = {
      {Address::Of("0.0.0.0"), 32},     {Address::Of("127.0.0.0"), 8},
      {Address::Of("169.254.0.0"), 16}, {Address::Of("224.0.0.0"), 4},
      {Address::Of("::"), 128},         {Address::Of("::1"), 128},
      {Address::Of("fe80::"), 10},      {Address::Of("ff00::"), 8}};
  return InAny(address, networks);
}

bool Unlikely(const Address& address) {
  static const std::vector<Network> networks = {
      {Address::Of("0.0.0.0"), 8},      {Address::Of("127.0.0.0"), 8},
      {Address::Of("169.254.0.0"), 16}, {Address::Of("224.0.0.0"), 3},
      {Address::Of("::"), 96},          {Address::Of("fe80::"), 9},
      {Address::Of("ff00::"), 8}};
  return InAny(address, networks);
}

Reasons Union(Reasons one, const Reasons& other) {
  one.insert(other.begin(), other.end());
  return one;
}

}  // namespace

Fate Model::FromQueue(const std::string& queue, const Packet& packet) {
  Reasons may = packet.may;
  if (Unlikely(packet.source)) may.insert("martian_src");
  if (Unlikely(packet.destination)) may.insert("martian_dst");
  if (packet.source == packet.destination) may.insert("land");
  if (NobodysSource(packet.source)) {
    return Fate::Dropped(Union({"martian_src"}, may));
  }
  if (Saw(may)) return Fate::Dropped(may);
  if (packet.Error()) return ErrorFromQueue(queue, packet);
  if (!packet.l4_faults.empty() &&
      (Saw(packet.l4_faults) || !IsReply(queue, packet))) {
    return Fate::Dropped(packet.l4_faults);
  }
  const auto* key =
      SessionFrom(queue, packet.protocol, packet.From(), packet.To());
  if (key != nullptr) return Through(*key, packet);
  if (IsReply(queue, packet)) return Reply(queue, packet);
  return Originate(queue, packet);
}

// ANY-06, and `replies: tracked`.
bool Model::IsReply(const std::string& queue, const Packet& packet) const {
  if (packet.Icmp() && !packet.Reply()) return false;
  const std::string service = ServiceAt(
      packet.source, packet.protocol, packet.Icmp() ? 0 : packet.source_l4port);
  if (service.empty() || !HasQueue(service, queue)) return false;
  const bool tracked = world_.services.at(service).tracked;
  if (!tracked && !packet.BareSyn()) return true;
  if (!tracked && packet.nat_faults.empty()) return false;
  const InboundKey key = {packet.protocol, packet.To(), packet.From()};
  const auto flow = inbound_.find(key);
  if (flow == inbound_.end()) return false;
  if (flow->second.queue == queue && Known(key) && !packet.BareSyn()) {
    return true;
  }
  // A flow may have been forgotten, or be another queue's; a bare SYN inside
  // of one may be taken for either. Who sees it go unchanged knows.
  if (IsUnicast(packet.destination)) return !seen_->out.empty();
  return std::ranges::any_of(seen_->out, [&packet](const Out& out) {
    return out.device == "uplink" && out.packet == packet.bytes;
  });
}

Fate Model::Reply(const std::string& queue, const Packet& packet) {
  if (IsServiceAddress(packet.destination)) return Originate(queue, packet);
  const auto flow =
      inbound_.find({packet.protocol, packet.To(), packet.From()});
  if (flow != inbound_.end() && flow->second.queue == queue) {
    flow->second.last = now_;
    flow->second.answered = true;
    flow->second.tcp.Passed(packet, false, now_, timeouts_);
  }
  // The node may hold that the client is this queue's, from now on.
  if (flow == inbound_.end()) {
    Inbound& heard = inbound_[{packet.protocol, packet.To(), packet.From()}];
    heard.service = ServiceAt(packet.source, packet.protocol,
                              packet.Icmp() ? 0 : packet.source_l4port);
    heard.queue = queue;
    heard.last = now_;
    heard.answered = true;
  }
  if (!IsUnicast(packet.destination)) {
    return Fate::To(Fate::End::kSent, "uplink");
  }
  // Rule 6: the asker is behind another queue.
  const auto* key = SessionTo(packet.protocol, packet.To(), packet.From());
  for (auto& [other, session] : sessions_) {
    if (key != nullptr || seen_->out.empty() || !session.hidden) continue;
    if (std::get<1>(other) != packet.protocol) continue;
    if (std::get<3>(other) != packet.From()) continue;
    session.outside = packet.To();
    session.hidden = false;
    key = &other;
  }
  if (key == nullptr) {
    return Fate::Dropped(
        {"nat_filtered", "nat_loop", "icmp_unsolicited", "icmp_type"});
  }
  sessions_.at(*key).Passed(packet, false, now_, timeouts_);
  Fate fate = Fate::To(Fate::End::kDelivered, std::get<0>(*key));
  fate.destination = std::get<2>(*key);
  return fate;
}

Fate Model::Originate(const std::string& queue, const Packet& packet) {
  const bool local = IsServiceAddress(packet.destination);
  const Policy policy = world_.queues.at(queue).policy;
  bool same = false;
  Reasons wrong = packet.nat_faults;
  if (!local && IsDirect(packet.destination)) {
    same = true;
    if (!IsUnicast(packet.source)) wrong.insert("nat_direct_source");
  } else if (!local && policy == Policy::kVip) {
    same = true;
    if (!ServesAddress(queue, packet.source)) wrong.insert("nat_vip_source");
  }
  if (!local && policy == Policy::kDeny) wrong.insert("nat_denied");
  if (packet.authenticated) wrong.insert("v6_ah_nat");
  if (packet.Reply()) {
    wrong.insert("icmp_unsolicited");
  } else if (packet.Icmp() && !packet.Request()) {
    wrong.insert("icmp_type");
  } else if (!packet.Icmp() && packet.protocol != kTcp &&
             packet.protocol != kUdp) {
    wrong.insert("nat_proto");
  }
  // TCP-08; of flags that no TCP sends TCP-12 says so.
  if (packet.protocol == kTcp && !packet.BareSyn()) {
    wrong.insert("nat_tcp_nosyn");
    const unsigned known = packet.flags & (kSyn | kFin | kRst | kAck);
    const bool at_odds = (known & kSyn) != 0 && (known & (kFin | kRst)) != 0;
    if (known == 0 || at_odds) wrong.insert("tcp_flags");
  }
  if (!local && IsUnicast(packet.destination)) {
    return Fate::Dropped(Union(wrong, {"nat_filtered", "nat_loop"}));
  }
  if (!wrong.empty()) return Fate::Dropped(wrong, Answer::kMay);
  if (packet.Icmp() && !packet.fragment && !packet.ChecksumHolds() &&
      Saw({"icmp_csum"})) {
    return Fate::Dropped({"icmp_csum"});
  }
  return OriginateNew(queue, packet, same, local);
}

Fate Model::OriginateNew(const std::string& queue, const Packet& packet,
                         bool same, bool local) {
  const SessionKey key = {queue, packet.protocol, packet.From(), packet.To()};
  // Who opens a connection from an endpoint may have given up a client's.
  const auto flow =
      inbound_.find({packet.protocol, packet.To(), packet.From()});
  if (flow != inbound_.end()) flow->second.sure = false;
  const Address* unicast = Unicast(packet.v6);
  if (unicast == nullptr) return Fate::Dropped({"nat_no_unicast"});
  const unsigned limit = world_.queues.at(queue).flow_limit;
  const auto live = static_cast<size_t>(std::ranges::count_if(
      sessions_,
      [&queue](const auto& one) { return std::get<0>(one.first) == queue; }));
  if (limit != 0 && live >= limit) {
    return Fate::Dropped({"limit_flows"}, Answer::kMay);
  }
  Session session;
  session.local = local;
  session.outside = packet.From();
  if (!same) {
    session.bound = world_.endpoint_independent;
    const auto l4port = ChooseL4port(key, packet);
    if (!l4port) return Fate::Dropped({"nat_no_port"}, Answer::kMay);
    session.outside = {*unicast, *l4port};
    session.hidden = *l4port == kHidden;
  }
  return Passes(key, session, packet);
}

Fate Model::Through(const SessionKey& key, const Packet& packet) {
  if (!packet.nat_faults.empty()) return Fate::Dropped(packet.nat_faults);
  return Passes(key, sessions_.at(key), packet);
}

Fate Model::Passes(const SessionKey& key, Session session,
                   const Packet& packet) {
  session.Passed(packet, true, now_, timeouts_);
  if (session.hidden) {
    const auto shown = ShownL4port(packet, session.outside.address);
    if (shown) session.outside.l4port = *shown;
  }
  Fate fate = Fate::To(Fate::End::kSent, "uplink");
  if (session.local) fate = ToService(packet, session.outside);
  if (fate.end == Fate::End::kDelivered || !session.local) {
    session.hidden = false;
  }
  if (session.outside != std::get<2>(key)) fate.source = session.outside;
  fate.fresh_id = fate.source.has_value();
  sessions_[key] = session;
  return fate;
}

// P2, P4: of the configured, towards this remote, and with
// endpoint-independent mapping nobody else's.
std::set<unsigned> Model::Free(const SessionKey& key) const {
  const auto& [queue, protocol, inside, remote] = key;
  std::set<unsigned> free;
  for (unsigned one = world_.low; one <= world_.high; ++one) free.insert(one);
  for (const auto& [other, session] : sessions_) {
    const auto& [queue2, protocol2, inside2, remote2] = other;
    if (protocol2 != protocol || session.outside == inside2) continue;
    if (session.outside.address.v6 != inside.address.v6) continue;
    const bool bound = session.bound && world_.endpoint_independent;
    if (remote2 == remote || bound) free.erase(session.outside.l4port);
  }
  return free;
}

std::optional<unsigned> Model::ChooseL4port(const SessionKey& key,
                                            const Packet& packet) {
  const auto& [queue, protocol, inside, remote] = key;
  std::set<unsigned> free = Free(key);
  if (world_.endpoint_independent) {
    // Its endpoint's, unless that is taken towards this remote.
    bool taken = false;
    std::optional<unsigned> own;
    for (const auto& [other, session] : sessions_) {
      const auto& [queue2, protocol2, inside2, remote2] = other;
      if (session.bound && queue2 == queue && protocol2 == protocol &&
          inside2 == inside && !session.hidden) {
        own = session.outside.l4port;
      }
    }
    for (const auto& [other, session] : sessions_) {
      taken = taken ||
              (own && session.outside.l4port == *own &&
               std::get<1>(other) == protocol && std::get<3>(other) == remote);
    }
    if (own && !taken && *own != kHidden) free = {*own};
  }
  bool hidden = false;
  for (const auto& [other, session] : sessions_) {
    hidden = hidden || (session.hidden && std::get<1>(other) == protocol);
  }
  if (Saw({"nat_no_port"}) && (free.empty() || hidden)) return std::nullopt;
  const auto shown = ShownL4port(packet, *Unicast(packet.v6));
  if (!shown) return IsServiceAddress(remote.address) ? kHidden : *free.begin();
  if (!free.contains(*shown) && !(hidden && world_.endpoint_independent)) {
    Complain("P2, P4: l4port " + std::to_string(*shown) + " is not free for " +
             inside.ToString() + " -> " + remote.ToString());
  }
  return shown;
}

// What `packet` was seen to leave with.
std::optional<unsigned> Model::ShownL4port(const Packet& packet,
                                           const Address& unicast) const {
  for (const Out& out : seen_->out) {
    const Packet left = Read(out.packet, packet.v6);
    if (left.protocol == packet.protocol && left.source == unicast &&
        left.To() == packet.To()) {
      return left.source_l4port;
    }
  }
  return std::nullopt;
}

}  // namespace godwit::shadow
