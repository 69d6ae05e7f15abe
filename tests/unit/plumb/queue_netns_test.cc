// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/queue_netns.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "control/plumb/link.h"
#include "control/plumb/netns.h"
#include "control/plumb/veth.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/plumb/scratch_netns.h"

namespace godwit {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }

class QueueNetnsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
    node_.Enter([&] {
      const auto pair =
          CreateVethPair(VethSpec{.far_name = "dns0", .netns = queue_.name()});
      ASSERT_TRUE(pair.ok()) << pair.status();
      pair_ = *pair;
    });
  }
  QueueNetns Plan(const std::vector<IpAddress>& service_addresses) {
    return QueueNetns{queue_.name(), "dns0", pair_.near_mac, service_addresses};
  }
  absl::Status Plumb(const std::vector<IpAddress>& service_addresses) {
    absl::Status status;
    node_.Enter([&] { status = PlumbQueueNetns(Plan(service_addresses)); });
    return status;
  }
  // All that plumbing may touch, in words.
  std::string World() {
    return queue_.Ip("-o addr show scope global") + queue_.Ip("route show") +
           queue_.Ip("-6 route show default") +
           queue_.Ip("neigh show nud permanent");
  }
  std::string Sysctl(const std::string& path) {
    return queue_.Exec("cat /proc/sys/net/" + path);
  }

  ScratchNetns node_;
  ScratchNetns queue_;
  VethPair pair_;
};

TEST_F(QueueNetnsTest, ServiceAddressesAreOnLoopbackAndUsableAtOnce) {
  const absl::Status status =
      Plumb({Ip("192.0.2.53"), Ip("2001:db8:53::53"), Ip("192.0.2.54")});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(queue_.Ip("addr show dev lo"),
              AllOf(HasSubstr("192.0.2.53/32"), HasSubstr("192.0.2.54/32"),
                    HasSubstr("2001:db8:53::53/128"), HasSubstr(",UP"),
                    Not(HasSubstr("tentative"))));
  EXPECT_THAT(queue_.Ip("link show dns0"), HasSubstr("state UP"));
}

TEST_F(QueueNetnsTest, DefaultRoutesLeadToUsFromTheFirstServiceAddress) {
  ASSERT_TRUE(
      Plumb({Ip("192.0.2.53"), Ip("192.0.2.54"), Ip("2001:db8:53::53")}).ok());
  EXPECT_THAT(queue_.Ip("route get 203.0.113.9"),
              AllOf(HasSubstr("via 169.254.103.119 dev dns0"),
                    HasSubstr("src 192.0.2.53")));
  EXPECT_THAT(queue_.Ip("route get 2001:db8:9::9"),
              AllOf(HasSubstr("via fe80::6777 dev dns0"),
                    HasSubstr("src 2001:db8:53::53")));
  const std::string mac = MacToString(pair_.near_mac);
  EXPECT_THAT(queue_.Ip("neigh show dev dns0"),
              AllOf(HasSubstr("169.254.103.119 lladdr " + mac + " PERMANENT"),
                    HasSubstr("fe80::6777 lladdr " + mac + " PERMANENT")));
}

TEST_F(QueueNetnsTest, AFamilyWithoutServiceAddressOriginatesFromAPrivateOne) {
  ASSERT_TRUE(Plumb({Ip("192.0.2.53")}).ok());
  EXPECT_THAT(queue_.Ip("route get 2001:db8:9::9"),
              HasSubstr("src fd67:6f64:7769:74::1"));
  EXPECT_THAT(queue_.Ip("addr show dev lo"), Not(HasSubstr("100.127.")));
  ASSERT_TRUE(Plumb({}).ok());
  EXPECT_THAT(queue_.Ip("route get 203.0.113.9"),
              HasSubstr("src 100.127.103.119"));
  EXPECT_FALSE(PrivateV4().IsLinkLocal() || PrivateV6().IsLinkLocal());
}

TEST_F(QueueNetnsTest, SetsItsSysctlsInThereAndNotHere) {
  queue_.Exec("sysctl -qw net.ipv4.conf.all.rp_filter=1");
  queue_.Exec("sysctl -qw net.ipv6.conf.dns0.accept_ra=1");
  const std::string here = node_.Exec("cat /proc/sys/net/ipv6/conf/" +
                                      pair_.near_name + "/accept_ra");
  ASSERT_TRUE(Plumb({Ip("192.0.2.53")}).ok());
  // Loose: the namespace's own "strict" would overrule off, now or later.
  EXPECT_EQ(Sysctl("ipv4/conf/dns0/rp_filter"), "2\n");
  EXPECT_EQ(Sysctl("ipv4/conf/all/rp_filter"), "1\n");
  EXPECT_EQ(Sysctl("ipv6/conf/dns0/accept_ra"), "0\n");
  EXPECT_EQ(Sysctl("ipv6/conf/dns0/disable_ipv6"), "0\n");
  EXPECT_EQ(node_.Exec("cat /proc/sys/net/ipv6/conf/" + pair_.near_name +
                       "/accept_ra"),
            here);
  queue_.Exec("sysctl -qw net.ipv4.conf.all.rp_filter=0");
  ASSERT_TRUE(Plumb({Ip("192.0.2.53")}).ok());
  EXPECT_EQ(Sysctl("ipv4/conf/dns0/rp_filter"), "2\n");
}

TEST_F(QueueNetnsTest, RepeatingItChangesNothing) {
  const std::vector<IpAddress> services = {Ip("192.0.2.53"),
                                           Ip("2001:db8:53::53")};
  ASSERT_TRUE(Plumb(services).ok());
  const std::string before = World();
  const absl::Status again = Plumb(services);
  EXPECT_TRUE(again.ok()) << again;
  EXPECT_EQ(World(), before);
}

TEST_F(QueueNetnsTest, RepeatingItRepairsWhatIsMissing) {
  const std::vector<IpAddress> services = {Ip("192.0.2.53"),
                                           Ip("2001:db8:53::53")};
  ASSERT_TRUE(Plumb(services).ok());
  const std::string before = World();
  queue_.Ip("addr flush dev lo");
  queue_.Ip("link set dns0 down");
  ASSERT_TRUE(Plumb(services).ok());
  EXPECT_EQ(World(), before);
}

TEST_F(QueueNetnsTest, AddressesFollowTheServices) {
  queue_.Ip("link set lo up");
  queue_.Ip("addr add 192.0.2.99/32 dev lo");
  ASSERT_TRUE(Plumb({Ip("192.0.2.53"), Ip("192.0.2.99")}).ok());
  absl::Status status = SetServiceAddresses(
      queue_.name(), {Ip("192.0.2.60"), Ip("2001:db8:53::60")});
  ASSERT_TRUE(status.ok()) << status;
  // .99 was there before us, and stays though it was a service address.
  EXPECT_THAT(
      queue_.Ip("addr show dev lo"),
      AllOf(HasSubstr("192.0.2.60/32"), HasSubstr("2001:db8:53::60/128"),
            HasSubstr("192.0.2.99/32"), HasSubstr("127.0.0.1"),
            Not(HasSubstr("192.0.2.53")), Not(HasSubstr("fd67:"))));
  EXPECT_THAT(queue_.Ip("route get 203.0.113.9"),
              AllOf(HasSubstr("dev dns0"), HasSubstr("src 192.0.2.60")));
  EXPECT_THAT(queue_.Ip("route get 2001:db8:9::9"),
              AllOf(HasSubstr("dev dns0"), HasSubstr("src 2001:db8:53::60")));
  status = SetServiceAddresses(queue_.name(), {});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(queue_.Ip("route get 203.0.113.9"),
              AllOf(HasSubstr("dev dns0"), HasSubstr("src 100.127.103.119")));
}

TEST_F(QueueNetnsTest, SomebodyElsesDefaultRouteStays) {
  queue_.Ip("link add other type veth peer name far");
  queue_.Ip("addr add 10.0.0.2/24 dev other");
  queue_.Ip("link set other up");
  queue_.Ip("route add default via 10.0.0.1 metric 74");
  ASSERT_TRUE(Plumb({Ip("192.0.2.53")}).ok());
  ASSERT_TRUE(Plumb({Ip("192.0.2.54")}).ok());
  EXPECT_THAT(
      queue_.Ip("route show default"),
      AllOf(HasSubstr("via 10.0.0.1 dev other metric 74"),
            HasSubstr("via 169.254.103.119 dev dns0 proto 74 src 192.0.2.54 "
                      "metric 75 onlink")));
}

TEST_F(QueueNetnsTest, ATapIsMovedAndPlumbedTheSameWay) {
  node_.Ip("tuntap add tap0 mode tap");
  node_.Enter([&] {
    ASSERT_TRUE(MoveToNetns("tap0", queue_.name()).ok());
    QueueNetns plan = Plan({Ip("192.0.2.53"), Ip("2001:db8:53::53")});
    plan.ifname = "tap0";
    const absl::Status status = PlumbQueueNetns(plan);
    EXPECT_TRUE(status.ok()) << status;
  });
  EXPECT_THAT(queue_.Ip("route show default"),
              HasSubstr("dev tap0 proto 74 src 192.0.2.53"));
  EXPECT_THAT(queue_.Ip("-6 route show default"),
              HasSubstr("dev tap0 proto 74 src 2001:db8:53::53"));
}

TEST_F(QueueNetnsTest, TwoQueuesShareANamespace) {
  ASSERT_TRUE(Plumb({Ip("192.0.2.53")}).ok());
  node_.Enter([&] {
    const auto second =
        CreateVethPair(VethSpec{.far_name = "dns1", .netns = queue_.name()});
    ASSERT_TRUE(second.ok()) << second.status();
    QueueNetns plan = Plan({Ip("192.0.2.53")});
    plan.ifname = "dns1";
    plan.gateway_mac = second->near_mac;
    EXPECT_TRUE(PlumbQueueNetns(plan).ok());
  });
  EXPECT_THAT(queue_.Ip("route show default"),
              AllOf(HasSubstr("dev dns0"), HasSubstr("dev dns1")));
  EXPECT_THAT(queue_.Ip("-6 route show default"),
              AllOf(HasSubstr("dev dns0"), HasSubstr("dev dns1")));
}

TEST_F(QueueNetnsTest, UnplumbingLeavesWhatIsNotOurs) {
  queue_.Ip("link set lo up");
  queue_.Ip("addr add 192.0.2.99/32 dev lo");
  ASSERT_TRUE(Plumb({Ip("192.0.2.53"), Ip("2001:db8:53::53")}).ok());
  const absl::Status status = UnplumbQueueNetns(queue_.name());
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(queue_.Ip("route show default"), "");
  EXPECT_EQ(queue_.Ip("-6 route show default"), "");
  EXPECT_THAT(queue_.Ip("addr show dev lo"),
              AllOf(HasSubstr("192.0.2.99/32"), Not(HasSubstr("192.0.2.53")),
                    Not(HasSubstr("2001:db8"))));
  EXPECT_TRUE(UnplumbQueueNetns(queue_.name()).ok());
  EXPECT_TRUE(UnplumbQueueNetns("plumb-none").ok());
}

TEST_F(QueueNetnsTest, SaysWhatIsMissing) {
  QueueNetns plan = Plan({});
  plan.ifname = "dns9";
  const absl::Status no_link = PlumbQueueNetns(plan);
  EXPECT_TRUE(absl::IsNotFound(no_link));
  EXPECT_THAT(std::string(no_link.message()),
              AllOf(HasSubstr(queue_.name()), HasSubstr("\"dns9\"")));
  plan.netns = "plumb-none";
  const absl::Status no_netns = PlumbQueueNetns(plan);
  EXPECT_TRUE(absl::IsNotFound(no_netns));
  EXPECT_THAT(std::string(no_netns.message()), HasSubstr("\"plumb-none\""));
}

// The sum over a UDP/IPv4 datagram with its pseudo header; 0xffff is right
// (RFC 768, RFC 1071).
uint32_t UdpSum(const iphdr& ip, const uint8_t* datagram, size_t size) {
  uint32_t sum = IPPROTO_UDP + static_cast<uint32_t>(size);
  const auto add = [&sum](const uint8_t* at, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      sum += i % 2 == 0 ? at[i] * 256U : at[i];
    }
  };
  add(reinterpret_cast<const uint8_t*>(&ip.saddr), 8);
  add(datagram, size);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

void SendUdpFromAnywhere(const char* destination) {
  const OwnedFd fd(socket(AF_INET, SOCK_DGRAM, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  ASSERT_EQ(inet_pton(AF_INET, destination, &to.sin_addr), 1);
  ASSERT_EQ(sendto(fd.get(), "crawl", 5, 0, reinterpret_cast<sockaddr*>(&to),
                   sizeof(to)),
            5);
}

// Waits for an IPv4 frame on the near end: no ARP may be needed before it.
std::vector<uint8_t> NextIpv4Frame(int fd) {
  std::vector<uint8_t> frame(2048);
  pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
  while (poll(&readable, 1, 1000) == 1) {
    const ssize_t size = recv(fd, frame.data(), frame.size(), 0);
    if (size < 14 || frame[12] != 0x08 || frame[13] != 0x00) continue;
    frame.resize(static_cast<size_t>(size));
    return frame;
  }
  return {};
}

TEST_F(QueueNetnsTest, AProgramThatBindsNothingSendsUsACompletePacket) {
  ASSERT_TRUE(Plumb({Ip("192.0.2.53")}).ok());
  std::vector<uint8_t> frame;
  node_.Enter([&] {
    const OwnedFd fd(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    sockaddr_ll near{};
    near.sll_family = AF_PACKET;
    near.sll_protocol = htons(ETH_P_ALL);
    near.sll_ifindex = pair_.near_ifindex;
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&near), sizeof(near)),
              0);
    queue_.Enter([] { SendUdpFromAnywhere("203.0.113.9"); });
    frame = NextIpv4Frame(fd.get());
  });
  ASSERT_GE(frame.size(), sizeof(ether_header) + sizeof(iphdr) + 8 + 5);
  EXPECT_EQ(std::memcmp(frame.data(), pair_.near_mac.data(), 6), 0);
  EXPECT_EQ(std::memcmp(&frame[6], pair_.far_mac.data(), 6), 0);
  iphdr ip;
  std::memcpy(&ip, &frame[sizeof(ether_header)], sizeof(ip));
  EXPECT_EQ(IpAddress::FromV4(&ip.saddr), Ip("192.0.2.53"));
  EXPECT_EQ(UdpSum(ip, &frame[sizeof(ether_header) + sizeof(ip)], 8 + 5),
            0xffffU);
}

}  // namespace
}  // namespace godwit
