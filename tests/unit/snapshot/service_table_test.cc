// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/snapshot/service_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

namespace godwit {
namespace {

IpAddress A(std::string_view text) { return IpAddress::Parse(text).value(); }

ServiceAddress At(const IpAddress& address) {
  ServiceAddress at;
  at.address = address;
  return at;
}

TEST(ServiceTableTest, EmptyHasNone) {
  EXPECT_EQ(ServiceTable().FindAddress(A("192.0.2.53")), nullptr);
  const ServiceTable built({}, {});
  EXPECT_EQ(built.FindAddress(A("192.0.2.53")), nullptr);
  EXPECT_EQ(built.Find(A("192.0.2.53"), 17, 53), kNoService);
}

// ANY-01, ANY-02.
TEST(ServiceTableTest, ProtocolAndL4PortDecide) {
  const IpAddress vip = A("192.0.2.53");
  const ServiceTable table({At(vip), At(A("192.0.2.54"))},
                           {{vip, 17, 53, 53, 1},
                            {vip, 6, 53, 53, 2},
                            {vip, 6, 8000, 8999, 3},
                            {vip, 6, 0, 0, 4},
                            {vip, 17, 65535, 65535, 5},
                            {vip, 1, 0, 0, 6}});
  EXPECT_EQ(table.Find(vip, 17, 53), 1);
  EXPECT_EQ(table.Find(vip, 6, 53), 2);
  EXPECT_EQ(table.Find(vip, 6, 7999), kNoService);
  EXPECT_EQ(table.Find(vip, 6, 8000), 3);
  EXPECT_EQ(table.Find(vip, 6, 8999), 3);
  EXPECT_EQ(table.Find(vip, 6, 9000), kNoService);
  EXPECT_EQ(table.Find(vip, 6, 0), 4);
  EXPECT_EQ(table.Find(vip, 17, 0), kNoService);
  EXPECT_EQ(table.Find(vip, 17, 65535), 5);
  EXPECT_EQ(table.Find(vip, 1, 0), 6);
  EXPECT_EQ(table.Find(vip, 136, 53), kNoService);  // UDP-07
  EXPECT_NE(table.FindAddress(A("192.0.2.54")), nullptr);
  EXPECT_EQ(table.Find(A("192.0.2.54"), 17, 53), kNoService);
  EXPECT_EQ(table.FindAddress(A("192.0.2.55")), nullptr);
}

TEST(ServiceTableTest, EndpointsOfUnknownAddressesAreNobodys) {
  const ServiceTable table({At(A("192.0.2.53"))},
                           {{A("192.0.2.54"), 17, 53, 53, 1}});
  EXPECT_EQ(table.Find(A("192.0.2.54"), 17, 53), kNoService);
  EXPECT_EQ(table.Find(A("192.0.2.53"), 17, 53), kNoService);
}

// What one table worked out must not reach the next one built from it.
TEST(ServiceTableTest, AddressesOfATableMakeAnother) {
  const IpAddress vip = A("192.0.2.53");
  const ServiceTable first({At(vip)}, {{vip, 17, 53, 53, 1}});
  const ServiceTable second(first.addresses(), {{vip, 6, 80, 80, 2}});
  EXPECT_EQ(second.Find(vip, 6, 80), 2);
  EXPECT_EQ(second.Find(vip, 17, 53), kNoService);
}

TEST(ServiceTableTest, AgreesWithItsTwin) {
  std::mt19937 random(1);
  const auto below = [&random](uint32_t limit) {
    return static_cast<uint32_t>(random() % limit);
  };
  for (int round = 0; round < 50; ++round) {
    std::vector<ServiceAddress> addresses;
    std::vector<ServiceEndpoint> endpoints;
    std::map<std::tuple<IpAddress, uint8_t, uint16_t>, ServiceId> twin;
    ServiceId service = 0;
    const uint32_t count = below(20);
    for (uint32_t i = 0; i < count; ++i) {
      const auto low = static_cast<uint8_t>(i);
      IpAddress address = A(i % 2 == 0 ? "192.0.2.0" : "2001:db8::");
      address.bytes[15] = low;
      addresses.push_back(At(address));
      for (const uint8_t protocol : std::initializer_list<uint8_t>{1, 6, 17}) {
        // Cuts at random places, every second range a service's.
        std::vector<uint32_t> cuts = {0, 65536};
        for (uint32_t n = below(12); n > 0; --n) {
          cuts.push_back(below(200));
          cuts.push_back(65536 - below(200));
        }
        std::sort(cuts.begin(), cuts.end());
        cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
        for (size_t c = 0; c + 1 < cuts.size(); ++c) {
          if (below(2) == 0) continue;
          ++service;
          endpoints.push_back(
              {address, protocol, static_cast<uint16_t>(cuts[c]),
               static_cast<uint16_t>(cuts[c + 1] - 1), service});
          for (uint32_t l4port = cuts[c]; l4port < cuts[c + 1]; ++l4port) {
            if (l4port >= 300 && l4port < 65236) continue;
            twin[{address, protocol, static_cast<uint16_t>(l4port)}] = service;
          }
        }
      }
    }
    std::shuffle(endpoints.begin(), endpoints.end(), random);
    const ServiceTable table(addresses, endpoints);
    for (const auto& at : addresses) {
      for (const uint8_t protocol :
           std::initializer_list<uint8_t>{0, 1, 6, 17, 18, 255}) {
        for (uint32_t n = 0; n < 600; ++n) {
          const auto l4port =
              static_cast<uint16_t>(n < 300 ? n : 65535 - (n - 300));
          const auto found = twin.find({at.address, protocol, l4port});
          ASSERT_EQ(table.Find(at.address, protocol, l4port),
                    found == twin.end() ? kNoService : found->second)
              << at.address.ToString() << " " << int{protocol} << "/" << l4port;
        }
      }
    }
  }
}

TEST(ServiceTableTest, ManyAddresses) {
  std::vector<ServiceAddress> addresses;
  for (unsigned i = 0; i < 5000; ++i) {
    IpAddress address = A("192.0.0.0");
    address.bytes[14] = static_cast<uint8_t>(i >> 8);
    address.bytes[15] = static_cast<uint8_t>(i);
    addresses.push_back(At(address));
  }
  const ServiceTable table(addresses, {});
  for (const auto& at : addresses) {
    ASSERT_NE(table.FindAddress(at.address), nullptr);
    ASSERT_EQ(table.FindAddress(at.address)->address, at.address);
    IpAddress other = at.address;
    other.bytes[13] = 1;
    ASSERT_EQ(table.FindAddress(other), nullptr);
  }
}

}  // namespace
}  // namespace godwit
