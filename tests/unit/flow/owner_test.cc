// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/owner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "dataplane/net/headers.h"

namespace godwit {
namespace {

FlowKey Key(const char* local, uint16_t local_l4port) {
  FlowKey key;
  key.protocol = kProtoTcp;
  key.local = *IpAddress::Parse(local);
  key.remote = *IpAddress::Parse("198.51.100.53");
  key.local_l4port = local_l4port;
  key.remote_l4port = 443;
  return key;
}

// How many flows the busiest worker has more than the idlest.
template <class Owner>
int Spread(unsigned workers, unsigned first, unsigned step, Owner&& owner) {
  std::vector<int> flows(workers);
  for (unsigned l4port = first; l4port < 61000; l4port += step) {
    ++flows[owner(Key("10.0.0.2", static_cast<uint16_t>(l4port)))];
  }
  return *std::max_element(flows.begin(), flows.end()) -
         *std::min_element(flows.begin(), flows.end());
}

// One program towards one destination. Linux's connect() takes l4ports of one
// parity, all of them, before the other's.
TEST(OwnerTest, SpreadsTheL4PortsOfOneProgramEvenly) {
  for (unsigned workers = 1; workers <= 16; ++workers) {
    const Ownership ownership(workers, 0x5eed);
    const auto by_tuple = [&](const FlowKey& key) {
      return ownership.OfTuple(key);
    };
    const auto by_endpoint = [&](const FlowKey& key) {
      return ownership.OfInternalEndpoint(key);
    };
    for (const unsigned first : {32768U, 32769U}) {
      for (const unsigned step : {1U, 2U}) {
        EXPECT_LE(Spread(workers, first, step, by_tuple), 2)
            << workers << " workers, from " << first << " by " << step;
        EXPECT_LE(Spread(workers, first, step, by_endpoint), 2)
            << workers << " workers, from " << first << " by " << step;
      }
    }
  }
}

TEST(OwnerTest, DoesNotLookAtTheSide) {
  const Ownership ownership(7, 0x5eed);
  for (unsigned l4port = 1024; l4port < 2048; ++l4port) {
    FlowKey key = Key("10.0.0.2", static_cast<uint16_t>(l4port));
    const unsigned from_uplink = ownership.OfTuple(key);
    key.side = 3;
    EXPECT_EQ(ownership.OfTuple(key), from_uplink);
  }
}

TEST(OwnerTest, SpreadsPrograms) {
  const Ownership ownership(4, 0x5eed);
  std::vector<int> programs(4);
  for (int i = 0; i < 256; ++i) {
    FlowKey key = Key("10.0.0.2", 40000);
    key.remote_l4port = static_cast<uint16_t>(i);
    ++programs[ownership.OfTuple(key)];
  }
  EXPECT_GT(*std::min_element(programs.begin(), programs.end()), 32);
}

}  // namespace
}  // namespace godwit
