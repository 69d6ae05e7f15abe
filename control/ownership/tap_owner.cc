// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/tap_owner.h"

#include "absl/strings/str_cat.h"
#include "control/plumb/link.h"
#include "control/plumb/netns.h"

namespace godwit {
namespace {

constexpr char kOurs[] = "godwit: TAP";
constexpr char kFound[] = "godwit: TAP that was there before";

// A TUN of the same kind has no MAC.
bool IsTap(const LinkDetails& link) {
  return link.kind == "tun" && link.mac != MacAddress{};
}

enum class Attached { kAllowed, kRefused };

absl::StatusOr<TapOrigin> OriginOf(const std::string& name, Attached attached) {
  const auto link = GetLink(name);
  if (absl::IsNotFound(link.status())) return TapOrigin::kOurs;
  if (!link.ok()) return link.status();
  const bool marked = link->alias == kOurs || link->alias == kFound;
  const bool usable = IsTap(*link) && (marked || link->alias.empty());
  if (!usable || (!marked && link->attached)) {
    return absl::AlreadyExistsError(
        "an interface of that name exists and is not a TAP of godwit");
  }
  // A queue that is switched off only keeps the carrier for a successor.
  if (link->open_queues > 0 && attached == Attached::kRefused) {
    return absl::AlreadyExistsError("the TAP of that name is open already");
  }
  return link->alias == kOurs ? TapOrigin::kOurs : TapOrigin::kFound;
}

absl::StatusOr<TapOrigin> OriginIn(const std::string& name,
                                   const std::string& netns,
                                   Attached attached) {
  absl::StatusOr<TapOrigin> origin = TapOrigin::kOurs;
  const absl::Status entered = RunInNetns(netns, [&] {
    origin = OriginOf(name, attached);
    return absl::OkStatus();
  });
  if (!entered.ok()) return entered;
  return origin;
}

}  // namespace

absl::StatusOr<TapOrigin> CheckTap(const std::string& name,
                                   const std::string& netns) {
  return OriginIn(name, netns, Attached::kAllowed);
}

absl::StatusOr<TapOrigin> CheckTapIsIdle(const std::string& name,
                                         const std::string& netns) {
  auto origin = OriginIn(name, netns, Attached::kRefused);
  if (origin.ok()) return origin;
  return absl::Status(
      origin.status().code(),
      absl::StrCat("interface \"", name, "\": ", origin.status().message()));
}

MacAddress MacOfTap(const std::string& name, const std::string& netns) {
  MacAddress mac = MacFor(absl::StrCat("tap ", netns, "/", name));
  RunInNetns(netns, [&]() -> absl::Status {
    const auto link = GetLink(name);
    if (link.ok() && link->mac != MacAddress{}) mac = link->mac;
    return absl::OkStatus();
  }).IgnoreError();
  return mac;
}

absl::Status MarkTap(const std::string& name, const std::string& netns,
                     TapOrigin origin) {
  return RunInNetns(netns, [&] {
    return SetAlias(name, origin == TapOrigin::kOurs ? kOurs : kFound);
  });
}

absl::StatusOr<bool> DeleteOurTap(const std::string& name,
                                  const std::string& netns) {
  bool deleted = false;
  const absl::Status status = RunInNetns(netns, [&]() -> absl::Status {
    const auto link = GetLink(name);
    if (absl::IsNotFound(link.status())) return absl::OkStatus();
    if (!link.ok()) return link.status();
    if (!IsTap(*link) || link->alias != kOurs) return absl::OkStatus();
    deleted = true;
    return DeleteLink(name);
  });
  if (!status.ok()) return status;
  return deleted;
}

absl::Status LeaveTap(const std::string& name, const std::string& netns,
                      TapOrigin origin) {
  return RunInNetns(netns, [&]() -> absl::Status {
    const auto link = GetLink(name);
    if (absl::IsNotFound(link.status())) return absl::OkStatus();
    if (!link.ok()) return link.status();
    if (!IsTap(*link)) return absl::OkStatus();
    if (link->alias == kFound) return SetAlias(name, "");
    const bool unmarked =
        origin == TapOrigin::kOurs && link->alias.empty() && !link->attached;
    if (link->alias == kOurs || unmarked) return DeleteLink(name);
    return absl::OkStatus();
  });
}

}  // namespace godwit
