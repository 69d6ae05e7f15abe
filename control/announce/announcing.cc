// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/announcing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/announce/table_claim.h"
#include "control/api/field_text.h"
#include "control/intent/defaults.h"
#include "dataplane/device/device_spec.h"

namespace godwit {
namespace {

// The process that owns the routes takes milliseconds; on a machine that is
// busy its start may take longer. Nothing else waits for as long.
constexpr auto kSettlePatience = std::chrono::seconds(1);
constexpr auto kWithdrawPatience = std::chrono::seconds(2);
// A successor that is on its way has opened its devices by then.
constexpr std::chrono::milliseconds kHandOverPatience = std::chrono::minutes(1);
constexpr auto kAskPatience = std::chrono::milliseconds(200);

std::chrono::milliseconds MillisecondsOf(
    const google::protobuf::Duration& duration) {
  return std::chrono::milliseconds(Milliseconds(duration));
}

AnnounceSettings SettingsOf(const api::Config& full) {
  const api::Announce& announce = full.announce();
  AnnounceSettings settings{announce.table(), announce.metric(),
                            MillisecondsOf(announce.hold()),
                            MillisecondsOf(announce.damping())};
  for (const api::Uplink& uplink : full.uplinks()) {
    const auto spec = ParseDeviceSpec(uplink.device()).spec;
    if (spec && spec->kind == DeviceSpec::Kind::kXdp) {
      settings.steered.insert(spec->target);
    }
  }
  return settings;
}

}  // namespace

Announcing::Announcing(std::vector<std::string> command, Log log)
    : log_(std::move(log)), routes_(std::move(command)) {}

void Announcing::Say(const std::vector<std::string>& lines) const {
  for (const std::string& line : lines) log_(absl::StrCat("routes: ", line));
}

void Announcing::WithdrawStaleRoutes(const api::Config& config) {
  if (!config.has_announce()) return;
  const uint32_t table = WithDefaults(config).announce().table();
  const auto gone = WithdrawStale(table);
  if (!gone.ok()) {
    Say({std::string(gone.status().message())});
  } else if (*gone > 0) {
    Say({absl::StrCat(*gone, " in table ", table,
                      " were left by a predecessor, and are withdrawn until "
                      "this node is ready")});
  }
}

std::vector<Finding> Announcing::CheckTable(const api::Config& config) const {
  if (!config.has_announce()) return {};
  const uint32_t table = WithDefaults(config).announce().table();
  const TableClaim claim = AskForTable(table, kAskPatience);
  if (claim.state != TableClaim::State::kInUse || claim.owner == routes_.pid())
    return {};
  return {{"announce.table",
           absl::StrCat("\"", table,
                        "\" has the routes of another godwitd that runs (its "
                        "process godwit-routes is ",
                        claim.owner, ")")}};
}

void Announcing::Begin(Clock::time_point now) {
  if (!announcer_) announcer_.emplace(now);
}

void Announcing::Decide(const api::Config& full, const QueueLives& queues,
                        Clock::time_point now) {
  is_due_ = false;
  const bool is_on = full.has_announce() && !stops_;
  if (!announcer_->wanted().addresses.empty()) last_announced_ = now;
  AddressLives lives = LivesOf(full, queues);
  if (!is_on) {
    for (auto& [address, life] : lives) {
      life = {false, true, stops_ ? "the daemon stops" : "not configured"};
    }
  }
  for (const std::string& line :
       announcer_->Decide(SettingsOf(full), lives, now)) {
    log_(line);
  }
  if (is_on) {
    routes_.Announce(announcer_->wanted());
    return;
  }
  const absl::Status gone = routes_.Withdraw(kWithdrawPatience);
  if (!gone.ok()) Say({std::string(gone.message())});
}

void Announcing::Turn(const api::Config& full, const QueueLives& queues,
                      Clock::time_point now) {
  if (!announcer_) return;
  const auto next = announcer_->next();
  if (is_due_ || (next && now >= *next)) Decide(full, queues, now);
  Say(routes_.Turn(now));
}

void Announcing::Change(const api::Config& full, const QueueLives& queues,
                        Clock::time_point now) {
  if (!announcer_) return;
  Decide(full, queues, now);
  Say(routes_.Settle(kSettlePatience));
}

void Announcing::HandOver(const api::Config& full) {
  if (!announcer_ || !full.has_announce() || stops_) return;
  Announcement wanted = announcer_->wanted();
  wanted.hold = std::max(wanted.hold, kHandOverPatience);
  routes_.Announce(wanted);
  Say(routes_.Settle(kSettlePatience));
}

// Counts from the last route's withdrawal: a node that was drained before has
// waited already.
Announcing::Clock::time_point Announcing::Stop(const api::Config& full,
                                               const QueueLives& queues,
                                               Clock::time_point now) {
  stops_ = true;
  if (!announcer_) return now;
  Decide(full, queues, now);
  if (!full.has_announce() || !last_announced_) return now;
  const Clock::time_point end =
      *last_announced_ + MillisecondsOf(full.announce().linger());
  if (end <= now) return now;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - now);
  log_(absl::StrCat("the routes are withdrawn; goes on for ", left.count(),
                    "ms"));
  return end;
}

std::string Announcing::WhyNot(const api::Config& full,
                               const IpAddress& address,
                               Clock::time_point now) const {
  if (stops_) return "the daemon stops";
  if (!full.has_announce()) return "announce is not configured";
  if (!announcer_) return "the daemon is not ready yet";
  if (announcer_->IsAnnounced(address)) return routes_.problem();
  return announcer_->ReasonOf(address, now);
}

std::string Announcing::WhyNot(const api::Config& full,
                               const api::Service& service,
                               Clock::time_point now) const {
  if (service.addresses().empty()) return "it has no address";
  for (const std::string& text : service.addresses()) {
    const std::string why = WhyNot(full, *IpAddress::Parse(text), now);
    if (why.empty()) continue;
    return service.addresses_size() == 1 ? why : absl::StrCat(text, ": ", why);
  }
  return "";
}

}  // namespace godwit
