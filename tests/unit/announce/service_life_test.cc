// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/service_life.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

constexpr char kAddress[] = "192.0.2.53";

void AddService(api::Config& config, const std::string& queue,
                const std::string& port) {
  api::Service& service = *config.add_services();
  service.set_name(queue);
  service.add_addresses(kAddress);
  service.add_queues()->set_queue(queue);
  if (!port.empty()) service.add_ports(port);
}

bool IsLive(const api::Config& config, const QueueLives& queues) {
  return LivesOf(config, queues).at(*IpAddress::Parse(kAddress)).is_live;
}

QueueLives Lives(bool dns, bool crawl) {
  QueueLives lives;
  lives["dns0"].alive = dns;
  lives["crawl0"].alive = crawl;
  return lives;
}

TEST(ServiceLifeTest, WhoOnlyOriginatesKeepsNoAddressAlive) {
  api::Config config;
  AddService(config, "crawl0", "");
  AddService(config, "dns0", "udp/53");
  EXPECT_TRUE(IsLive(config, Lives(true, false)));
  EXPECT_FALSE(IsLive(config, Lives(false, true)));
}

TEST(ServiceLifeTest, AnAddressThatNobodyServesIsThatOfItsQueues) {
  api::Config config;
  AddService(config, "crawl0", "");
  EXPECT_TRUE(IsLive(config, Lives(false, true)));
  EXPECT_FALSE(IsLive(config, Lives(true, false)));
}

TEST(ServiceLifeTest, OneOfSeveralServicesIsEnough) {
  api::Config config;
  AddService(config, "dns0", "udp/53");
  AddService(config, "crawl0", "tcp/80");
  EXPECT_TRUE(IsLive(config, Lives(false, true)));
  EXPECT_TRUE(IsLive(config, Lives(true, false)));
  EXPECT_FALSE(IsLive(config, Lives(false, false)));
}

}  // namespace
}  // namespace godwit
