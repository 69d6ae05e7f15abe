// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/announcer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace godwit {
namespace {

constexpr size_t kMaxListed = 20;

// One line for all that change for one reason.
std::string LineOf(const std::string& what,
                   const std::vector<std::string>& addresses) {
  const size_t listed = std::min(addresses.size(), kMaxListed);
  const auto end = addresses.begin() + static_cast<std::ptrdiff_t>(listed);
  std::string line =
      absl::StrCat(what, ": ", absl::StrJoin(addresses.begin(), end, ", "));
  if (listed < addresses.size()) {
    absl::StrAppend(&line, " and ", addresses.size() - listed, " more");
  }
  return line;
}

}  // namespace

void Announcer::DecideNext(Clock::time_point candidate) {
  next_ = next_ ? std::min(*next_, candidate) : candidate;
}

std::vector<std::string> Announcer::Decide(const AnnounceSettings& settings,
                                           const AddressLives& lives,
                                           Clock::time_point now) {
  damping_.SetHalfLife(settings.damping);
  damping_.Tidy(now);
  std::map<std::string, std::vector<std::string>> changes;
  std::set<IpAddress> announced;
  std::set<IpAddress> kept;
  next_.reset();
  for (const auto& [address, life] : lives) {
    const bool was = announced_.contains(address);
    if (was && !life.is_live && !life.is_drained) {
      damping_.Withdrawn(address, now);
    }
    const Clock::duration wait = damping_.Wait(address, now);
    if (life.is_live && wait.count() == 0) {
      announced.insert(address);
      if (was) continue;
      ++announcements_;
      changes["routes announced"].push_back(address.ToString());
      continue;
    }
    if (life.is_live) DecideNext(now + wait);
    if (was) {
      ++withdrawals_;
      changes[absl::StrCat("routes withdrawn (", life.reason, ")")].push_back(
          address.ToString());
    } else if (!life.is_live && !life.is_drained && now < grace_end_) {
      kept.insert(address);
      DecideNext(grace_end_);
    }
  }
  for (const IpAddress& address : announced_) {
    if (lives.contains(address)) continue;
    ++withdrawals_;
    changes["routes withdrawn (no address of a service any more)"].push_back(
        address.ToString());
  }
  lives_ = lives;
  announced_ = std::move(announced);
  wanted_ = {settings.table, settings.metric, settings.hold,
             announced_,     std::move(kept), settings.steered};
  std::vector<std::string> lines;
  for (const auto& [what, addresses] : changes) {
    lines.push_back(LineOf(what, addresses));
  }
  return lines;
}

std::string Announcer::ReasonOf(const IpAddress& address,
                                Clock::time_point now) const {
  const auto found = lives_.find(address);
  if (IsAnnounced(address)) return "";
  if (found == lives_.end()) return "it is not decided yet";
  if (!found->second.is_live) {
    return found->second.reason.empty() ? "no queue is alive"
                                        : found->second.reason;
  }
  const auto wait =
      std::chrono::ceil<std::chrono::seconds>(damping_.Wait(address, now));
  return absl::StrCat("withdrawn too often: held back for ", wait.count(),
                      "s more");
}

}  // namespace godwit
