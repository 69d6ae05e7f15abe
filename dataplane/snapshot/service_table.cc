// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/snapshot/service_table.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace godwit {

ServiceTable::ServiceTable(std::vector<ServiceAddress> addresses,
                           std::vector<ServiceEndpoint> endpoints)
    : addresses_(std::move(addresses)) {
  std::sort(endpoints.begin(), endpoints.end(),
            [](const ServiceEndpoint& a, const ServiceEndpoint& b) {
              return std::tie(a.address, a.protocol, a.low) <
                     std::tie(b.address, b.protocol, b.low);
            });
  const size_t slots = std::bit_ceil(addresses_.size() * 4 / 3 + 1);
  slots_.assign(slots, Slot{});
  mask_ = static_cast<uint32_t>(slots - 1);
  for (uint32_t i = 0; i < addresses_.size(); ++i) {
    addresses_[i].range_count = 0;  // whatever table they came from
    uint32_t at = Mix(addresses_[i].address) & mask_;
    while (slots_[at].entry != 0) at = (at + 1) & mask_;
    slots_[at] = {addresses_[i].address, i + 1};
  }
  for (const ServiceEndpoint& endpoint : endpoints) {
    auto* at = const_cast<ServiceAddress*>(FindAddress(endpoint.address));
    if (at == nullptr) continue;
    if (at->range_count == 0) {
      at->first_range = static_cast<uint32_t>(ranges_.size());
    }
    ++at->range_count;
    ranges_.push_back(
        {endpoint.protocol, endpoint.low, endpoint.high, endpoint.service});
  }
}

ServiceId ServiceTable::Find(const ServiceAddress& at, uint8_t protocol,
                             uint16_t l4port) const {
  const Range* const begin = ranges_.data() + at.first_range;
  const Range* const end = begin + at.range_count;
  const Range* range = std::upper_bound(
      begin, end, std::pair<unsigned, unsigned>(protocol, l4port),
      [](const std::pair<unsigned, unsigned>& wanted, const Range& r) {
        return wanted < std::pair<unsigned, unsigned>(r.protocol, r.low);
      });
  if (range == begin) return kNoService;
  --range;
  const bool inside = range->protocol == protocol && l4port <= range->high;
  return inside ? range->service : kNoService;
}

}  // namespace godwit
