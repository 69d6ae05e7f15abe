// SPDX-License-Identifier: BSD-3-Clause
// Service address, protocol and l4port -> service. Built by the control
// thread, then immutable.
#ifndef GODWIT_DATAPLANE_SNAPSHOT_SERVICE_TABLE_H_
#define GODWIT_DATAPLANE_SNAPSHOT_SERVICE_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/net/address.h"

namespace godwit {

// A service, by a number that is given to another only when no flow names it
// any more. 0 is none.
using ServiceId = uint16_t;
inline constexpr ServiceId kNoService = 0;

// Endpoints [low, high] of one protocol at one service address. ICMP echo to
// the service itself is protocol 1 or 58 with the range [0, 0].
struct ServiceEndpoint {
  IpAddress address;
  uint8_t protocol = 0;
  uint16_t low = 0;
  uint16_t high = 0;
  ServiceId service = kNoService;
};

// What is known of one service address.
struct ServiceAddress {
  IpAddress address;
  uint32_t first_range = 0;  // of ranges_, sorted by protocol, then l4port
  uint32_t range_count = 0;
  bool silent = false;  // unmatched: silent, if any of its services says so
  ServiceId any_service = kNoService;  // one of them, to name it in reports
  std::vector<ServiceId> services;     // all of them
};

class ServiceTable {
 public:
  ServiceTable() = default;
  // `endpoints` must not overlap (control/intent refuses that). `addresses`
  // are all service addresses, those without an endpoint too.
  ServiceTable(std::vector<ServiceAddress> addresses,
               std::vector<ServiceEndpoint> endpoints);

  // nullptr if `address` is no service address of this node.
  const ServiceAddress* FindAddress(const IpAddress& address) const {
    if (slots_.empty()) return nullptr;
    for (uint32_t at = Mix(address) & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.entry == 0) return nullptr;
      if (slot.address == address) return &addresses_[slot.entry - 1];
    }
  }
  ServiceId Find(const ServiceAddress& at, uint8_t protocol,
                 uint16_t l4port) const;
  // kNoService if the address or the endpoint is none of ours.
  ServiceId Find(const IpAddress& address, uint8_t protocol,
                 uint16_t l4port) const {
    const ServiceAddress* at = FindAddress(address);
    return at == nullptr ? kNoService : Find(*at, protocol, l4port);
  }
  const std::vector<ServiceAddress>& addresses() const { return addresses_; }

 private:
  struct Range {
    uint8_t protocol;
    uint16_t low;
    uint16_t high;
    ServiceId service;
  };
  // With the address, so that telling whether one is served here, as the
  // egress guard does for every reply, reads one cache line.
  struct alignas(32) Slot {
    IpAddress address;
    uint32_t entry = 0;  // index into addresses_ + 1; 0: free
  };
  // Addresses are the operator's, so an unkeyed mix will do.
  static uint32_t Mix(const IpAddress& address) {
    uint64_t value = (address.high() * 0x9e3779b97f4a7c15ULL) ^
                     (address.low() * 0xc2b2ae3d27d4eb4fULL);
    value ^= value >> 29;
    value *= 0xbf58476d1ce4e5b9ULL;
    return static_cast<uint32_t>(value >> 32);
  }

  std::vector<ServiceAddress> addresses_;
  std::vector<Range> ranges_;
  std::vector<Slot> slots_;  // at most three quarters full
  uint32_t mask_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_SNAPSHOT_SERVICE_TABLE_H_
