// SPDX-License-Identifier: BSD-3-Clause
// What comes from the network, and what the model knows.
#include "tests/shadow/model.h"

#include <algorithm>

namespace godwit::shadow {
namespace {

// TMR-13: a tick of 100 ms, and the sweep that comes after it.
constexpr int64_t kLate = 300;

bool InAny(const Address& address, const std::vector<Network>& networks) {
  return std::ranges::any_of(networks, [&address](const Network& network) {
    return address.In(network.address, network.length);
  });
}

// L2-07, `basic`: never valid on a wire.
bool NeverASource(const Address& address) {
  static const std::vector<Network> networks = {
      {Address::Of("0.0.0.0"), 8},      {Address::Of("127.0.0.0"), 8},
      {Address::Of("169.254.0.0"), 16}, {Address::Of("224.0.0.0"), 4},
      {Address::Of("240.0.0.0"), 4},    {Address::Of("::"), 128},
      {Address::Of("::1"), 128},        {Address::Of("ff00::"), 8}};
  return InAny(address, networks);
}

// Of these one may say that they are no wire's business, or leave it to the
// kernel.
bool Unlikely(const Address& address) {
  static const std::vector<Network> networks = {
      {Address::Of("0.0.0.0"), 8},   {Address::Of("127.0.0.0"), 8},
      {Address::Of("224.0.0.0"), 3}, {Address::Of("169.254.0.0"), 16},
      {Address::Of("::"), 96},       {Address::Of("fe80::"), 9},
      {Address::Of("ff00::"), 8}};
  return InAny(address, networks);
}

}  // namespace

std::string Model::Judge(const std::string& from, const Bytes& bytes, bool v6,
                         const Seen& seen) {
  seen_ = &seen;
  left_ = seen.out;
  counters_.clear();
  complaints_.clear();
  Count("received");
  const Packet packet = Read(bytes, v6);
  // Of a piece, too, before its first is there.
  const Reasons nobodys = {"martian_src", "martian_dst", "land"};
  const bool to_nobody = Unlikely(packet.source) ||
                         Unlikely(packet.destination) ||
                         packet.source == packet.destination;
  const bool piece = packet.fragment && packet.ip.empty();
  if (piece && to_nobody && from != "kernel" && Saw(nobodys)) {
    Ends(from, packet, Fate::Dropped(nobodys));
  } else if (piece) {
    JudgeFragment(from, packet);
  } else {
    Ends(from, packet, Decide(from, packet));
  }
  return Verdict();
}

std::string Model::JudgeQuiet(const Seen& seen) {
  seen_ = &seen;
  left_ = seen.out;
  counters_.clear();
  complaints_.clear();
  // FRG-04: at least 2 s, at most 60.
  const auto at = seen.counters.find("frag_timeout");
  const int64_t gone = at == seen.counters.end() ? 0 : at->second;
  int64_t may = 0;
  int64_t must = 0;
  for (auto& [key, datagram] : datagrams_) {
    const auto pieces = static_cast<int64_t>(datagram.waiting.size());
    if (now_ - datagram.since >= 2000) may += pieces;
    if (now_ - datagram.since > 60'000) must += pieces;
  }
  if (gone < must || gone > may) Complain("fragments that waited");
  if (gone != 0) {
    Count("frag_timeout", gone);
    Count("held", -gone);
  }
  ForgetDatagrams(gone);
  return Verdict();
}

void Model::Advance(int64_t milliseconds) {
  now_ += milliseconds;
  std::erase_if(sessions_, [this](const auto& one) {
    return now_ >= one.second.ends + kLate;
  });
}

bool Model::Undecided() const {
  return std::ranges::any_of(sessions_, [this](const auto& one) {
    return now_ >= one.second.ends && now_ < one.second.ends + kLate;
  });
}

size_t Model::bindings() const {
  std::set<std::tuple<std::string, unsigned, shadow::End>> all;
  for (const auto& [key, session] : sessions_) {
    if (!session.bound) continue;
    all.insert({std::get<0>(key), std::get<1>(key), std::get<2>(key)});
  }
  return all.size();
}

// Contract, Changes: established flows keep their decision unless their
// service or queue is gone or their policy denies them.
void Model::Change(const World& world) {
  // Of the queues that a service has; P11 holds within a generation.
  if (!(world_ == world)) steered_.clear();
  world_ = world;
  std::erase_if(sessions_, [this](const auto& one) {
    const auto owner = world_.queues.find(std::get<0>(one.first));
    if (owner == world_.queues.end()) return true;
    const shadow::End& remote = std::get<3>(one.first);
    if (one.second.local && !IsServiceAddress(remote.address)) return true;
    return owner->second.policy == Policy::kDeny && !one.second.local;
  });
  std::erase_if(inbound_, [this](const auto& one) {
    const Inbound& flow = one.second;
    if (!HasQueue(flow.service, flow.queue)) return true;
    return !world_.queues.at(flow.queue).reachable;
  });
}

Fate Model::Decide(const std::string& from, const Packet& packet) {
  if (!packet.ip.empty()) {
    Reasons reasons = packet.ip;
    for (const Reasons* more :
         {&packet.l4_faults, &packet.nat_faults, &packet.may}) {
      reasons.insert(more->begin(), more->end());
    }
    return Fate::Dropped(reasons);
  }
  // No world here has neighbours that talk; a step may make such a packet.
  if (packet.OfTheLink() && from != "kernel") {
    Reasons wrong = {"icmp_redirect", "icmp_type", "nd_hl",
                     "nd_bad",        "icmp_csum", "martian_src"};
    wrong.insert(packet.l4_faults.begin(), packet.l4_faults.end());
    if (from != "uplink" || Saw(wrong)) return Fate::Dropped(wrong);
    return Fate::To(Fate::End::kPunted, "kernel");
  }
  if (from == "uplink") return FromUplink(packet);
  if (from == "kernel") return FromKernel(packet);
  return FromQueue(from, packet);
}

Fate Model::FromUplink(const Packet& packet) {
  Reasons wrong;
  if (NeverASource(packet.source)) wrong.insert("martian_src");
  if (IsServiceAddress(packet.source) || IsUnicast(packet.source)) {
    // ANY-16; but a flow that was there before the service goes on.
    const auto* key = SessionTo(packet.protocol, packet.To(), packet.From());
    const bool older = key != nullptr && !sessions_.at(*key).local;
    if (!older || Saw({"spoof_own_src"})) wrong.insert("spoof_own_src");
  }
  if (packet.source == packet.destination) wrong.insert("land");
  Reasons may = packet.may;
  if (Unlikely(packet.source)) may.insert("martian_src");
  if (Unlikely(packet.destination)) may.insert("martian_dst");
  // ADV-63: a redirect is nobody's, quench either.
  if (packet.Error()) may.insert({"icmp_redirect", "icmp_type"});
  if (!wrong.empty()) {
    wrong.insert(may.begin(), may.end());
    wrong.insert(packet.l4_faults.begin(), packet.l4_faults.end());
    return Fate::Dropped(wrong);
  }
  const bool service = IsServiceAddress(packet.destination);
  if (!service) {
    may.insert(packet.l4_faults.begin(), packet.l4_faults.end());
  }
  if (Saw(may)) return Fate::Dropped(may);
  if (service) return ToService(packet, packet.From());
  if (IsUnicast(packet.destination)) return ToUnicast(packet);
  return Fate::To(Fate::End::kPunted, "kernel");
}

// Rule 5: as it is, from the unicast address and from nowhere else.
Fate Model::FromKernel(const Packet& packet) {
  Reasons may = packet.may;
  may.insert(packet.l4_faults.begin(), packet.l4_faults.end());
  if (Unlikely(packet.destination)) may.insert("martian_dst");
  if (packet.source == packet.destination) may.insert("land");
  if (Saw(may)) return Fate::Dropped(may);
  if (IsUnicast(packet.source) && !IsServiceAddress(packet.destination)) {
    return Fate::To(Fate::End::kSent, "uplink");
  }
  return Fate::Dropped({"leak_prevented", "martian_src"});
}

// `client` is who it is from as the service sees it.
Fate Model::ToService(const Packet& packet, const shadow::End& client) {
  if (!packet.l4_faults.empty()) {
    Reasons reasons = packet.l4_faults;
    reasons.insert(packet.may.begin(), packet.may.end());
    return Fate::Dropped(reasons);
  }
  if (packet.Error()) return ErrorToService(packet);
  // Under `vip` a queue's own traffic comes home to the service address.
  if (const auto* key = SessionTo(packet.protocol, packet.To(), client)) {
    sessions_.at(*key).Passed(packet, false, now_, timeouts_);
    return Fate::To(Fate::End::kDelivered, std::get<0>(*key));
  }
  const unsigned l4port = packet.Icmp() ? 0 : packet.destination_l4port;
  const bool known =
      packet.protocol == kTcp || packet.protocol == kUdp || packet.Request();
  const std::string service =
      known ? ServiceAt(packet.destination, packet.protocol, l4port) : "";
  if (service.empty()) return Refused(packet, packet.destination);
  if (packet.WithoutSum() && packet.v6) return Fate::Dropped({"udp6_zero"});
  const InboundKey key = {packet.protocol, client, packet.To()};
  const std::string queue = ChooseQueue(service, key);
  if (queue.empty()) return Fate::Dropped({"svc_no_queue"}, Answer::kMay);
  const bool new_to_node = !Known(key);
  Inbound& flow = inbound_[key];
  if (new_to_node) {
    flow.since = now_;
    flow.opened = packet.BareSyn();
    flow.tcp = {};
  }
  if (flow.opened) flow.tcp.Passed(packet, true, now_, timeouts_);
  // Whether the end of something unknown is the beginning of a flow is the
  // node's affair.
  const bool ends = packet.protocol == kTcp && (packet.flags & kRst) != 0;
  flow.sure = flow.sure || !ends;
  flow.service = service;
  flow.queue = queue;
  flow.last = now_;
  return Fate::To(Fate::End::kDelivered, queue);
}

// At a service address, but nothing that it serves.
Fate Model::Refused(const Packet& packet, const Address& address) const {
  if (packet.Request()) {
    // A wrong checksum may be answered by one that is as wrong (P8).
    if (!packet.ChecksumHolds() && Saw({"icmp_csum"})) {
      return Fate::Dropped({"icmp_csum"});
    }
    return Fate::To(Fate::End::kEchoed, "");
  }
  if (packet.Icmp()) {
    Reasons reasons = {"icmp_type", "icmp_unsolicited", "icmp_csum",
                       "svc_miss"};
    return Fate::Dropped(reasons);
  }
  // Of an IPv6 datagram without a checksum one may say that first.
  if (packet.protocol == kUdp && Saw({"udp6_zero"})) {
    return Fate::Dropped({packet.WithoutSum() ? "udp6_zero" : "svc_miss"});
  }
  bool silent = false;
  for (const auto& [name, service] : world_.services) {
    for (const Address& one : service.addresses) {
      silent = silent || (one == address && service.silent);
    }
  }
  const bool reset = packet.protocol == kTcp && (packet.flags & kRst) != 0;
  if (silent || reset) return Fate::Dropped({"svc_miss"});
  const bool usual = packet.protocol == kUdp || packet.protocol == kTcp;
  return Fate::Dropped({"svc_miss", "nat_proto"},
                       usual ? Answer::kMust : Answer::kMay);
}

// Rule 4.
Fate Model::ToUnicast(const Packet& packet) {
  if (packet.Error()) return ErrorToUnicast(packet);
  if (!packet.l4_faults.empty()) {
    if (Saw(packet.l4_faults)) return Fate::Dropped(packet.l4_faults);
    return Fate::To(Fate::End::kPunted, "kernel");
  }
  const auto* key = SessionTo(packet.protocol, packet.To(), packet.From());
  if (key == nullptr && packet.Request()) {
    // ANY-19: its own identifier, asked back by the same remote.
    const shadow::End id = {packet.destination, packet.source_l4port};
    key = SessionTo(packet.protocol, id, {packet.source, 0});
    if (key != nullptr) {
      Fate fate = Fate::To(Fate::End::kDelivered, std::get<0>(*key));
      fate.source = {packet.source, std::get<2>(*key).l4port};
      fate.destination = {std::get<2>(*key).address, 0};
      return fate;
    }
  }
  if (key != nullptr && !packet.nat_faults.empty() && Saw(packet.nat_faults)) {
    return Fate::Dropped(packet.nat_faults);
  }
  if (key != nullptr) {
    sessions_.at(*key).Passed(packet, false, now_, timeouts_);
    Fate fate = Fate::To(Fate::End::kDelivered, std::get<0>(*key));
    fate.destination = std::get<2>(*key);
    return fate;
  }
  const bool usual = packet.protocol == kTcp || packet.protocol == kUdp;
  if (usual && packet.destination_l4port >= world_.low &&
      packet.destination_l4port <= world_.high) {
    Reasons reasons = packet.nat_faults;
    reasons.insert("nat_filtered");
    return Fate::Dropped(reasons);
  }
  if (packet.Icmp() && Saw({"icmp_type", "icmp_redirect"})) {
    return Fate::Dropped({"icmp_type", "icmp_redirect"});
  }
  return Fate::To(Fate::End::kPunted, "kernel");
}

// Whether a client's flow is known for sure: an idle one may be forgotten after
// the shortest of its protocol's timeouts, one that nobody answered sooner. Not
// every segment restarts the time of a connection.
bool Model::Known(const InboundKey& key) const {
  const auto flow = inbound_.find(key);
  if (flow == inbound_.end() || !flow->second.sure) return false;
  const Inbound& known = flow->second;
  if (!known.answered) return now_ - known.last < 2000;
  if (std::get<0>(key) == kTcp) {
    return now_ < std::max(known.since + timeouts_.transitory,
                           known.opened ? known.tcp.ends : 0);
  }
  const bool udp = std::get<0>(key) == kUdp;
  return now_ - known.last < (udp ? timeouts_.udp : timeouts_.icmp);
}

std::string Model::ChooseQueue(const std::string& service,
                               const InboundKey& key) {
  const ServiceWorld& at = world_.services.at(service);
  std::vector<std::string> alive;
  for (const std::string& queue : at.queues) {
    if (world_.queues.at(queue).alive) alive.push_back(queue);
  }
  // Where it went, if it goes where it may.
  std::string chosen = alive.empty() ? "" : alive.front();
  for (const Out& out : seen_->out) {
    if (std::ranges::count(alive, out.device) != 0) chosen = out.device;
  }
  const auto flow = inbound_.find(key);
  if (flow != inbound_.end() && flow->second.service == service) {
    const std::string& queue = flow->second.queue;
    if (Known(key)) return queue;
    for (const Out& out : seen_->out) {
      if (out.device == queue) return queue;
    }
    // One that may have been forgotten, and nobody else to have it.
    if (alive.empty() && !Saw({"svc_no_queue"})) return queue;
    return chosen;
  }
  // P11: by the tuple alone, while nothing changes.
  const auto& [protocol, client, end] = key;
  const std::tuple<std::string, unsigned, shadow::End, shadow::End> by =
      at.by_client ? std::tuple(service, 0U, shadow::End{client.address, 0},
                                shadow::End{})
                   : std::tuple(service, protocol, client, end);
  const auto [known, is_new] = steered_.emplace(by, chosen);
  if (known->second.empty()) known->second = chosen;
  return known->second;
}

bool Model::Saw(const Reasons& reasons) const {
  return std::ranges::any_of(reasons, [this](const std::string& reason) {
    return seen_->Moved(reason);
  });
}

void Model::Complain(const std::string& text) { complaints_ += text + "\n"; }

}  // namespace godwit::shadow
