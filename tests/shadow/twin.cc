// SPDX-License-Identifier: BSD-3-Clause
#include "tests/shadow/twin.h"

#include <algorithm>

namespace godwit::shadow {
namespace {

constexpr uint16_t kLow = 50000;
constexpr uint16_t kHigh = 50005;

struct Place {
  const char* service;
  const char* v4;
  const char* v6;
  std::vector<std::string> endpoints;
  std::vector<std::string> queues;
};
const std::vector<Place>& Places() {
  static const std::vector<Place> places = {
      {"dns",
       "192.0.2.53",
       "2001:db8:53::53",
       {"udp/53", "tcp/53", "icmp"},
       {"dns0", "dns1"}},
      {"web",
       "192.0.2.80",
       "2001:db8:53::80",
       {"tcp/80", "udp/8000-8003"},
       {"web0", "web1"}},
      {"mail", "192.0.2.25", "2001:db8:53::25", {"tcp/25"}, {"mail0"}},
      {"quiet", "192.0.2.99", "2001:db8:53::99", {"udp/99"}, {"quiet0"}},
      {"late",
       "192.0.2.66",
       "2001:db8:53::66",
       {"udp/66", "tcp/66"},
       {"crawl0"}}};
  return places;
}
const std::vector<std::string> kQueues = {"crawl0", "dns0",  "dns1",  "web0",
                                          "web1",   "mail0", "quiet0"};

std::vector<Endpoint> EndpointsOf(const std::vector<std::string>& all) {
  std::vector<Endpoint> list;
  for (const std::string& text : all) {
    if (text == "icmp") {
      list.push_back({kIcmp4, 0, 0});
      list.push_back({kIcmp6, 0, 0});
      continue;
    }
    const std::string range = text.substr(4);
    const size_t dash = range.find('-');
    const auto low = static_cast<unsigned>(std::stoul(range));
    const auto high =
        dash == std::string::npos
            ? low
            : static_cast<unsigned>(std::stoul(range.substr(dash + 1)));
    list.push_back(
        {text[0] == 'u' ? unsigned{kUdp} : unsigned{kTcp}, low, high});
  }
  return list;
}

void AddService(World& told, SnapshotBuilder& world, const Place& place) {
  ServiceWorld service;
  service.addresses = {Address::Of(place.v4), Address::Of(place.v6)};
  service.endpoints = EndpointsOf(place.endpoints);
  service.queues = place.queues;
  told.services[place.service] = service;
  world.Service(place.service, {place.v4, place.v6}, place.endpoints,
                place.queues);
}

// The same world told twice.
void Tell(const Shape& shape, World& told, SnapshotBuilder& world) {
  for (const std::string& queue : kQueues) {
    world.Queue(queue);
    told.queues[queue] = {};
  }
  for (size_t i = 0; i < 4; ++i) AddService(told, world, Places()[i]);
  world.Service("crawler", {}, {}, {"crawl0"});
  told.services["crawler"].queues = {"crawl0"};
  world.queue("mail0").originate = godwit::Originate::kVip;
  told.queues["mail0"].policy = Policy::kVip;
  world.queue("quiet0").originate = godwit::Originate::kDeny;
  told.queues["quiet0"].policy = Policy::kDeny;
  world.service("web").replies = Replies::kTracked;
  told.services["web"].tracked = true;
  world.service("web").affinity = Affinity::kClient;
  told.services["web"].by_client = true;
  world.Silent("quiet");
  told.services["quiet"].silent = true;
  told.unicast = {Address::Of("198.51.100.7"), Address::Of("2001:db8:7::7")};
  world.EgressL4Ports(kLow, kHigh);
  told.low = kLow;
  told.high = kHigh;
  world.Direct("203.0.113.192/26").Direct("2001:db8:d::/64");
  told.direct = {{Address::Of("203.0.113.192"), 26},
                 {Address::Of("2001:db8:d::"), 64}};
  told.workers = shape.workers;
  if (shape.endpoint_independent) {
    world.nat().mapping = Mapping::kEndpointIndependent;
    told.endpoint_independent = true;
  }
}

std::map<std::string, uint64_t>& Counted() {
  static std::map<std::string, uint64_t> counted;
  return counted;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Op& op) {
  return out << '{' << op.kind << ',' << op.who << ',' << op.what << ','
             << op.how << '}';
}

Twin::Twin(const Shape& shape) : model_(World{}) {
  Tell(shape, told_, world_);
  model_ = Model(told_);
  Walk::Options options;
  options.workers = shape.workers;
  walk_ = std::make_unique<Walk>(world_, options);
  last_ = walk_->counters();
}

std::string Twin::Run(const std::vector<Op>& ops) {
  size_t step = 0;
  for (const Op& op : ops) {
    const std::string wrong = Do(op);
    if (!wrong.empty()) {
      return "step " + std::to_string(step) + ": " + wrong;
    }
    ++step;
  }
  return "";
}

std::string Twin::Do(const Op& op) {
  struct Kind {
    unsigned percent;
    std::string (Twin::*step)(const Op&);
  };
  static const Kind kinds[] = {{12, &Twin::Client},
                               {10, &Twin::ServiceAnswers},
                               {18, &Twin::Originate},
                               {17, &Twin::Remote},
                               {5, &Twin::Stranger},
                               {7, &Twin::ErrorFromOutside},
                               {5, &Twin::ErrorFromInside},
                               {10, &Twin::Mutate},
                               {6, &Twin::Fragments},
                               {2, &Twin::Kernel},
                               {3, &Twin::Time},
                               {1, &Twin::Fill},
                               {4, &Twin::Reconfigure}};
  unsigned percent = op.kind;
  for (const Kind& kind : kinds) {
    if (percent < kind.percent) return (this->*kind.step)(op);
    percent -= kind.percent;
  }
  return "";
}

std::string Twin::Try(std::string device, const godwit::Bytes& frame, bool v4) {
  sent_.push_back({device, frame, !v4});
  // P13: in one buffer, or cut somewhere.
  const size_t cut = 1 + sent_.size() * 7 % 90;
  const bool whole = sent_.size() % 3 != 0 || cut >= frame.size();
  const std::vector<Arrival> arrivals =
      whole ? walk_->Send(device, frame) : walk_->SendCut(device, frame, {cut});
  const Seen seen = Look(arrivals);
  for (const Arrival& arrival : arrivals) got_.push_back({arrival, !v4});
  const std::string from = device == "wan0"  ? "uplink"
                           : device == "gw0" ? "kernel"
                                             : device;
  const Bytes packet(frame.begin() + 14, frame.end());
  std::string wrong = model_.Judge(from, packet, !v4, seen);
  wrong += CompareState();
  if (wrong.empty()) return "";
  return "from " + from + ": " + Hex(packet) + "\n" + wrong;
}

Seen Twin::Look(const std::vector<Arrival>& arrivals) {
  Seen seen;
  for (const Arrival& arrival : arrivals) {
    const std::string device = arrival.device == "wan0"  ? "uplink"
                               : arrival.device == "gw0" ? "kernel"
                                                         : arrival.device;
    seen.out.push_back({device, arrival.Packet()});
  }
  const std::map<std::string, uint64_t> now = walk_->counters();
  std::map<std::string, int64_t> moved;
  for (const auto& [name, value] : now) {
    moved[name] += static_cast<int64_t>(value);
  }
  for (const auto& [name, value] : last_) {
    moved[name] -= static_cast<int64_t>(value);
  }
  last_ = now;
  std::erase_if(moved, [](const auto& one) { return one.second == 0; });
  moved.erase("handed_over");
  for (const auto& [name, by] : moved) {
    if (by > 0) Counted()[name] += static_cast<uint64_t>(by);
  }
  seen.counters = moved;
  return seen;
}

// P3, P17, P18: as many mappings as the model has.
std::string Twin::CompareState() const {
  const size_t least = model_.sessions();
  const size_t most = least + model_.bindings();
  const uint64_t live = walk_->mappings();
  std::string wrong;
  if (live < least || live > most) {
    wrong = "mappings: expected " + std::to_string(least) + ", seen " +
            std::to_string(live) + "\n";
  }
  const auto held = last_.find("held");
  const uint64_t waiting = held == last_.end() ? 0 : held->second;
  if (waiting != model_.waiting()) {
    wrong += "held: expected " + std::to_string(model_.waiting()) + ", seen " +
             std::to_string(waiting) + "\n";
  }
  return wrong;
}

std::string Twin::Quiet(const std::vector<Arrival>& arrivals) {
  const std::string wrong = model_.JudgeQuiet(Look(arrivals));
  return wrong + CompareState();
}

std::string Twin::Publish() {
  model_.Change(told_);
  const std::string wrong = Quiet(walk_->Publish(world_.Change()));
  return wrong.empty() ? "" : "a change: " + wrong;
}

std::string Twin::Time(const Op& op) {
  // Around every timer, to a tick.
  static const int64_t jumps[] = {100,    1000,    59'900,   60'300,  1900,
                                  61'000, 239'900, 240'300,  299'900, 300'300,
                                  30'000, 119'000, 7439'900, 7440'300};
  int64_t jump = jumps[op.what % std::size(jumps)];
  model_.Advance(jump);
  // Not when a timer is just about due: it may be late by a little.
  for (; model_.Undecided(); jump += 500) model_.Advance(500);
  // P20: at once, or in two steps.
  const int64_t first = op.how % 2 == 0 ? 0 : jump / 300 * 100;
  std::vector<Arrival> out;
  if (first != 0) out = walk_->Wait(static_cast<double>(first) / 1000);
  for (Arrival& arrival :
       walk_->Wait(static_cast<double>(jump - first) / 1000)) {
    out.push_back(arrival);
  }
  const std::string wrong = Quiet(out);
  if (wrong.empty()) return "";
  return "after " + std::to_string(jump) + " ms: " + wrong;
}

std::string Twin::Reconfigure(const Op& op) {
  const std::string queue = kQueues[op.who % kQueues.size()];
  QueueWorld& told = told_.queues[queue];
  ServiceQueue& real = world_.queue(queue);
  switch (op.what % 8) {
    case 0:
    case 1:
      told.alive = !told.alive;
      told.reachable = true;
      break;
    case 2:
      told.alive = told.reachable = !told.reachable;
      break;
    case 3:
      told.flow_limit = told.flow_limit == 0 ? 3 : 0;
      break;
    case 4:
      if (queue == "mail0") return "";
      told.policy =
          told.policy == Policy::kDeny ? Policy::kUnicast : Policy::kDeny;
      break;
    case 5:
      if (told_.services.contains("late")) {
        told_.services.erase("late");
        world_.RemoveService("late");
      } else {
        AddService(told_, world_, Places()[4]);
      }
      break;
    case 6: {
      const uint16_t low = told_.low == kLow ? kLow + 3 : kLow;
      told_.low = low;
      told_.high = low + 5U;
      world_.EgressL4Ports(low, static_cast<uint16_t>(low + 5));
      break;
    }
    default:  // CFG-03: the same once more
      break;
  }
  real.alive = told.alive;
  real.reachable = told.reachable;
  real.flow_limit = told.flow_limit;
  if (queue != "mail0") {
    real.originate = told.policy == Policy::kDeny ? godwit::Originate::kDeny
                                                  : godwit::Originate::kUnicast;
  }
  return Publish();
}

std::string Twin::Census() {
  std::string text;
  for (const auto& [name, times] : Counted()) {
    text += name + " " + std::to_string(times) + "\n";
  }
  return text;
}

}  // namespace godwit::shadow
