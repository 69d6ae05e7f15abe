// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/kernel_facts.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "control/plumb/netns.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/plumb/scratch_netns.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;

IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }

enum class V6Only { kNo, kYes };

// A socket bound to ADDR:PORT in the current namespace; TCP ones listen.
OwnedFd Bound(int type, const char* text, V6Only v6_only = V6Only::kNo) {
  const AddressAndPort where = *AddressAndPort::Parse(text);
  const bool v4 = where.address.IsV4();
  OwnedFd fd(socket(v4 ? AF_INET : AF_INET6, type, 0));
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_in);
  if (v4) {
    auto& to = reinterpret_cast<sockaddr_in&>(storage);
    to.sin_family = AF_INET;
    to.sin_port = htons(where.l4port);
    std::memcpy(&to.sin_addr, where.address.V4Bytes(), 4);
  } else {
    auto& to = reinterpret_cast<sockaddr_in6&>(storage);
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(where.l4port);
    std::memcpy(&to.sin6_addr, where.address.bytes.data(), 16);
    size = sizeof(sockaddr_in6);
    const int only = v6_only == V6Only::kYes ? 1 : 0;
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
  }
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size), 0)
      << text;
  if (type == SOCK_STREAM) {
    EXPECT_EQ(listen(fd.get(), 1), 0);
  }
  return fd;
}

class KernelFactsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
    node_.Ip("link set lo up");
    node_.Ip("addr add 198.51.100.7/32 dev lo");
    node_.Ip("addr add 198.51.100.8/32 dev lo");
    node_.Ip("addr add 2001:db8:7::7/128 dev lo nodad");
  }
  std::vector<ListeningL4Port> Listening(
      const std::vector<IpAddress>& addresses) {
    const auto found = ReadListeningL4Ports(addresses);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : std::vector<ListeningL4Port>();
  }
  ScratchNetns node_;
};

constexpr uint8_t kTcp = IPPROTO_TCP;
constexpr uint8_t kUdp = IPPROTO_UDP;

TEST_F(KernelFactsTest, FindsWhatListensAtTheAddressOrEverywhere) {
  node_.Enter([this] {
    const OwnedFd fds[] = {
        Bound(SOCK_STREAM, "198.51.100.7:2000"),
        Bound(SOCK_STREAM, "198.51.100.8:2001"),
        Bound(SOCK_STREAM, "0.0.0.0:2002"),
        Bound(SOCK_DGRAM, "198.51.100.7:2000"),
        Bound(SOCK_DGRAM, "[2001:db8:7::7]:2003"),
        Bound(SOCK_DGRAM, "[::]:2004"),
        Bound(SOCK_DGRAM, "[::]:2005", V6Only::kYes),
    };
    using L = ListeningL4Port;
    EXPECT_THAT(Listening({Ip("198.51.100.7")}),
                ElementsAre(L{kTcp, 2000}, L{kTcp, 2002}, L{kUdp, 2000},
                            L{kUdp, 2004}));
    EXPECT_THAT(Listening({Ip("2001:db8:7::7")}),
                ElementsAre(L{kUdp, 2003}, L{kUdp, 2004}, L{kUdp, 2005}));
    EXPECT_THAT(Listening({}), ElementsAre());
  });
}

TEST_F(KernelFactsTest, ReadsTheRangeOfItsNamespace) {
  node_.Exec("sysctl -qw net.ipv4.ip_local_port_range='40000 40999'");
  node_.Enter([] {
    const auto range = ReadEphemeralRange();
    ASSERT_TRUE(range.ok()) << range.status();
    EXPECT_EQ(*range, (L4PortRange{40000, 40999}));
  });
}

}  // namespace
}  // namespace godwit
