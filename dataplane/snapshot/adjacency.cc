// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/snapshot/adjacency.h"

#include <algorithm>
#include <tuple>

namespace godwit {
namespace {

// The first address behind `prefix`; false if it reaches the end of all.
bool EndOf(const Prefix& prefix, IpAddress& end) {
  end = prefix.Masked().address;
  unsigned bits = prefix.WideLength();
  // Add 1 at bit position `bits - 1`, counted from the front.
  while (bits > 0) {
    --bits;
    const uint8_t bit = static_cast<uint8_t>(0x80U >> (bits % 8));
    if ((end.bytes[bits / 8] & bit) == 0) {
      end.bytes[bits / 8] = static_cast<uint8_t>(end.bytes[bits / 8] | bit);
      return true;
    }
    end.bytes[bits / 8] = static_cast<uint8_t>(end.bytes[bits / 8] & ~bit);
  }
  return false;
}

}  // namespace

RouteTable::RouteTable(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (Route& route : routes_) route.prefix = route.prefix.Masked();
  // Outer prefixes first, so that a stack of open prefixes gives the longest;
  // of a prefix given twice the last is innermost.
  std::stable_sort(
      routes_.begin(), routes_.end(), [](const Route& a, const Route& b) {
        const unsigned la = a.prefix.WideLength();
        const unsigned lb = b.prefix.WideLength();
        return std::tie(a.prefix.address, la) < std::tie(b.prefix.address, lb);
      });
  struct Open {
    IpAddress end;
    bool bounded;
    uint32_t route;
  };
  std::vector<Open> open;
  const auto close_until = [&](const IpAddress* limit) {
    while (!open.empty() && open.back().bounded &&
           (limit == nullptr || open.back().end <= *limit)) {
      const IpAddress end = open.back().end;
      open.pop_back();
      const uint32_t outer = open.empty() ? 0 : open.back().route;
      if (!ranges_.empty() && ranges_.back().begin == end) {
        ranges_.back().route = outer;
      } else {
        ranges_.push_back({end, outer});
      }
    }
  };
  for (uint32_t i = 0; i < routes_.size(); ++i) {
    const Prefix& prefix = routes_[i].prefix;
    close_until(&prefix.address);
    Open next{};
    next.bounded = EndOf(prefix, next.end);
    next.route = i + 1;
    open.push_back(next);
    if (!ranges_.empty() && ranges_.back().begin == prefix.address) {
      ranges_.back().route = i + 1;
    } else {
      ranges_.push_back({prefix.address, i + 1});
    }
  }
  close_until(nullptr);
  for (size_t i = 0; i < routes_.size(); ++i) {
    const bool is_last =
        i + 1 == routes_.size() || routes_[i + 1].prefix != routes_[i].prefix;
    if (routes_[i].broadcast && is_last) {
      broadcasts_.push_back(routes_[i].prefix.address.V4Wire());
    }
  }
  std::sort(broadcasts_.begin(), broadcasts_.end());
}

const RouteTable::Route* RouteTable::Lookup(
    const IpAddress& destination) const {
  const auto after = std::upper_bound(
      ranges_.begin(), ranges_.end(), destination,
      [](const IpAddress& a, const Range& r) { return a < r.begin; });
  if (after == ranges_.begin()) return nullptr;
  const uint32_t route = std::prev(after)->route;
  if (route == 0) return nullptr;
  // ::/0 spans the mapped IPv4 addresses too, and must not route them.
  const Route& found = routes_[route - 1];
  return found.prefix.address.IsV4() == destination.IsV4() ? &found : nullptr;
}

NeighbourTable::NeighbourTable(std::vector<Entry> entries)
    : entries_(std::move(entries)) {
  std::sort(
      entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.device, a.address) < std::tie(b.device, b.address);
      });
}

AdjacencyId NeighbourTable::Find(DeviceId device,
                                 const IpAddress& address) const {
  const auto at = std::lower_bound(
      entries_.begin(), entries_.end(), std::tie(device, address),
      [](const Entry& e,
         const std::tuple<const DeviceId&, const IpAddress&>& w) {
        return std::tie(e.device, e.address) < w;
      });
  if (at == entries_.end() || at->device != device || at->address != address) {
    return kNoAdjacency;
  }
  return at->adjacency;
}

}  // namespace godwit
