// SPDX-License-Identifier: BSD-3-Clause
// `dpdk:DEVARGS` and `--vdev`: what is known of them without DPDK.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/intent/rules/rules.h"

namespace godwit::rules {
namespace {

using ::testing::StartsWith;

std::string WhyNot(absl::string_view devargs) {
  return WhyNoVdev(devargs, Plugins::kNone);
}

TEST(VdevTest, HasDriversByTheFirstBytesOfTheName) {
  for (const char* const good :
       {"net_null0", "net_null", "net_null_a", "net_af_packet3,iface=eth0",
        "eth_ring0", "virtio_user0,path=/dev/vhost-net",
        "net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap"}) {
    EXPECT_EQ(WhyNot(good), "") << good;
  }
  for (const char* const bad :
       {"net_foo0", "net_nul", "null0", "crypto_null0", "Net_null0", ""}) {
    EXPECT_THAT(WhyNot(bad), StartsWith("a virtual device of DPDK 22.11"))
        << bad;
  }
}

TEST(VdevTest, TakesADriverOfAPluginForGood) {
  EXPECT_EQ(WhyNoVdev("net_foo0", Plugins::kSome), "");
  api::Dataplane dataplane;
  EXPECT_EQ(PluginsOf(dataplane), Plugins::kNone);
  dataplane.add_eal_args("--no-pci");
  EXPECT_EQ(PluginsOf(dataplane), Plugins::kNone);
  dataplane.add_eal_args("-d");
  dataplane.add_eal_args("/opt/foo.so");
  EXPECT_EQ(PluginsOf(dataplane), Plugins::kSome);
}

TEST(VdevTest, WantsAKeyBeforeEachValue) {
  for (const char* const good :
       {"net_null0,size=64,copy=1", "net_null0,,size=64", "net_null0,no-rx",
        "net_null0,", "net_failsafe0,dev(net_null0,=x),mac=1",
        "net_ring0,nodeaction=a:0:CREATE,x=[1,=2]"}) {
    EXPECT_EQ(WhyNot(good), "") << good;
  }
  for (const char* const bad :
       {"net_null0,=5", "net_null0,size=64,=5", "net_null0,x=[1],=5"}) {
    EXPECT_THAT(WhyNot(bad), StartsWith("well-formed: ")) << bad;
  }
}

}  // namespace
}  // namespace godwit::rules
