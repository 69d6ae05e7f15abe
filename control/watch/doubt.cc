// SPDX-License-Identifier: BSD-3-Clause
// Neighbours that somebody else says he is.
#include <linux/neighbour.h>

#include <mutex>

#include "control/watch/kernel_tables.h"
#include "control/watch/kernel_watch.h"
#include "control/watch/neighbour_request.h"

namespace godwit {

absl::Status KernelWatch::Doubt(int ifindex, const IpAddress& address) {
  const NeighbourKey key{ifindex, address};
  constexpr char kWhat[] = "doubting a neighbour";
  const std::lock_guard<std::mutex> lock(writer_mutex_);
  const auto entry = ReadNeighbour(writer_, ifindex, address);
  if (!entry.ok() || entry->state == NeighbourState::kPermanent ||
      !entry->usable()) {
    return entry.status();
  }
  // The kernel asks when a neighbour comes into NUD_PROBE, and then once a
  // second.
  if (entry->state == NeighbourState::kProbe) {
    SetNeighbour(writer_, key, NUD_STALE, kWhat).IgnoreError();
  }
  const absl::Status asked = SetNeighbour(writer_, key, NUD_PROBE, kWhat);
  // Which has cleared the flag.
  if (asked.ok() && kept_alive_.contains(key)) {
    return SendUse(key, Keeping::kKeep);
  }
  return asked;
}

absl::StatusOr<NeighbourState> KernelWatch::StateOf(int ifindex,
                                                    const IpAddress& address) {
  const std::lock_guard<std::mutex> lock(writer_mutex_);
  const auto entry = ReadNeighbour(writer_, ifindex, address);
  if (!entry.ok()) return entry.status();
  return entry->state;
}

absl::Status KernelWatch::Forget(int ifindex, const IpAddress& address) {
  const NeighbourKey key{ifindex, address};
  const std::lock_guard<std::mutex> lock(writer_mutex_);
  SetNeighbour(writer_, key, NUD_NONE, "forgetting a neighbour").IgnoreError();
  const bool kept = kept_alive_.contains(key);
  return SendUse(key, kept ? Keeping::kKeep : Keeping::kLeave);
}

}  // namespace godwit
