// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/device_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

namespace godwit {
namespace {

using ::testing::HasSubstr;
using Kind = DeviceSpec::Kind;

TEST(DeviceSpecTest, ReadsEveryKind) {
  const std::tuple<const char*, Kind, const char*> cases[] = {
      {"0000:3b:00.0", Kind::kPci, "0000:3b:00.0"},
      {"0000:3B:1F.7", Kind::kPci, "0000:3b:1f.7"},
      {"3b:00.1", Kind::kPci, "0000:3b:00.1"},
      {"xdp:eth1", Kind::kXdp, "eth1"},
      {"veth:dns0", Kind::kVeth, "dns0"},
      {"afpacket:enp3s0f0np0.10", Kind::kAfPacket, "enp3s0f0np0.10"},
      {"tap:gw0", Kind::kTap, "gw0"},
      {"memif:/run/godwit/m.sock", Kind::kMemif, "/run/godwit/m.sock"},
      {"vhost:/run/godwit/v.sock", Kind::kVhost, "/run/godwit/v.sock"},
      {"dpdk:net_ring0", Kind::kDpdk, "net_ring0"},
      {"dpdk:net_pcap0,rx_pcap=/a b.pcap", Kind::kDpdk,
       "net_pcap0,rx_pcap=/a b.pcap"},
  };
  for (const auto& [text, kind, target] : cases) {
    const DeviceSpecResult result = ParseDeviceSpec(text);
    ASSERT_TRUE(result.spec.has_value()) << text << ": " << result.error;
    EXPECT_EQ(result.spec->kind, kind) << text;
    EXPECT_EQ(result.spec->target, target) << text;
    EXPECT_EQ(result.error, "") << text;
  }
}

TEST(DeviceSpecTest, ReadsTheOptionsOfAMemifInAnyOrder) {
  for (const char* text : {"memif:/run/m,role=client,id=4294967295",
                           "memif:/run/m,id=4294967295,role=client"}) {
    const DeviceSpecResult result = ParseDeviceSpec(text);
    ASSERT_TRUE(result.spec.has_value()) << result.error;
    EXPECT_EQ(result.spec->memif_role, DeviceSpec::MemifRole::kClient);
    EXPECT_EQ(result.spec->memif_id, 4294967295U);
  }
}

TEST(DeviceSpecTest, IsAServerWithIdZeroByDefault) {
  const DeviceSpecResult result = ParseDeviceSpec("memif:/run/m");
  ASSERT_TRUE(result.spec.has_value());
  EXPECT_EQ(result.spec->memif_role, DeviceSpec::MemifRole::kServer);
  EXPECT_EQ(result.spec->memif_id, 0U);
}

TEST(DeviceSpecTest, RefusesWithTheValueAndWhatIsAllowed) {
  const std::string long_path(108, 'a');
  const std::pair<std::string, std::string> cases[] = {
      {"", "is not a PCI address (0000:3b:00.0), xdp:IFNAME"},
      {"eth0", "device \"eth0\" is not a PCI address"},
      {"0000:3b:20.0", "is not a PCI address"},
      {"0000:3b:00.8", "is not a PCI address"},
      {"0000:3b:0g.0", "is not a PCI address"},
      {"XDP:eth0", "is not a PCI address"},
      {"xdp", "is not a PCI address"},
      {"xdp:", "interface name \"\" is not 1-15"},
      {"veth:sixteencharacter", "interface name \"sixteencharacter\""},
      {"tap:a/b", "interface name \"a/b\""},
      {"tap:a b", "interface name \"a b\""},
      {"tap:a:b", "interface name \"a:b\""},
      {"afpacket:..", "interface name \"..\""},
      {"memif:m.sock", "socket path \"m.sock\" is not absolute"},
      {"memif:", "is not absolute"},
      {"memif:/run/", "names a directory"},
      {"memif:/run/m,role=master", "memif role \"master\""},
      {"memif:/run/m,id=-1", "memif id \"-1\""},
      {"memif:/run/m,id=4294967296", "memif id \"4294967296\""},
      {"memif:/run/m,id=1x", "memif id \"1x\""},
      {"memif:/run/m,id=", "memif id \"\""},
      {"memif:/run/m,bsize=9", "\"bsize=9\" is not role=server"},
      {"memif:/run/m,", "memif option \"\""},
      {"memif:/run/m,id=1,id=2", "\"id=2\" is a second"},
      {"memif:/run/m,role=client,role=client", "is a second"},
      {"vhost:/run/a b", "has white space"},
      {"vhost:/run/a,queues=2", "has white space or one of"},
      {"vhost:/" + long_path, "longer than 107"},
      {"dpdk:", "DPDK device name \"\""},
      {"dpdk:net ring0", "DPDK device name \"net ring0\""},
      {"dpdk:net_ring0,a=\n", "control characters"},
  };
  for (const auto& [text, expected] : cases) {
    const DeviceSpecResult result = ParseDeviceSpec(text);
    EXPECT_FALSE(result.spec.has_value()) << text;
    EXPECT_THAT(result.error, HasSubstr(expected)) << text;
  }
}

TEST(DeviceSpecTest, ItsTextReadsBackAsItself) {
  for (const char* text :
       {"0000:3b:00.0", "xdp:eth1", "veth:dns0", "afpacket:e0", "tap:gw0",
        "memif:/run/m,role=client,id=7", "memif:/run/m,id=7", "memif:/run/m",
        "vhost:/run/v", "dpdk:net_ring0,a=b"}) {
    const DeviceSpecResult result = ParseDeviceSpec(text);
    ASSERT_TRUE(result.spec.has_value()) << result.error;
    EXPECT_EQ(result.spec->ToString(), text);
  }
}

TEST(DeviceSpecTest, KnowsWhichKindsAreKernelInterfaces) {
  EXPECT_TRUE(ParseDeviceSpec("tap:a").spec->IsInterface());
  EXPECT_TRUE(ParseDeviceSpec("xdp:a").spec->IsInterface());
  EXPECT_FALSE(ParseDeviceSpec("dpdk:net_ring0").spec->IsInterface());
  EXPECT_FALSE(ParseDeviceSpec("memif:/run/m").spec->IsInterface());
}

}  // namespace
}  // namespace godwit
