// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/small_node.h"

namespace godwit {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A TCP socket on the loopback, bound to a port that the kernel chose.
class LoopbackSocket {
 public:
  LoopbackSocket() {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address_), size_), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size_),
              0);
  }
  ~LoopbackSocket() { close(fd_); }

  std::string text() const {
    return absl::StrCat("127.0.0.1:", ntohs(address_.sin_port));
  }
  void Listen() const { EXPECT_EQ(listen(fd_, 1), 0); }

 private:
  const int fd_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address_ = {};
  socklen_t size_ = sizeof(address_);
};

std::string FreeAddress() { return LoopbackSocket().text(); }

// GET /metrics, spoken by hand.
std::string Scrape(const std::string& listen) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(
      static_cast<uint16_t>(std::stoi(listen.substr(listen.find(':') + 1))));
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0);
  const std::string request =
      "GET /metrics HTTP/1.1\r\nHost: godwit\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(write(fd, request.data(), request.size()),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;) {
    answer.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  return answer;
}

class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() { config_.set_listen(FreeAddress()); }

  std::string StartAndScrape() {
    const auto server = MetricsServer::Start(config_, node_);
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? Scrape(config_.listen()) : "";
  }

  SmallNode node_;
  api::Metrics config_;
};

TEST_F(MetricsTest, ShowsEveryPacketByHowItEnded) {
  node_.counters.set_received(100);
  node_.counters.set_generated(7);
  node_.counters.set_delivered(60);
  node_.counters.set_sent(30);
  node_.counters.set_punted(5);
  node_.counters.set_consumed(4);
  node_.counters.set_held(1);
  (*node_.counters.mutable_dropped())["nat_filtered"] = 4;
  (*node_.counters.mutable_dropped())["leak_prevented"] = 3;
  (*node_.counters.mutable_driver())["wan0.imissed"] = 9;
  (*node_.counters.mutable_events())["flow_recycled"] = 2;
  const std::string page = StartAndScrape();
  for (const char* line :
       {"godwit_received_packets_total 100\n",
        "godwit_generated_packets_total 7\n",
        "godwit_packets_total{verdict=\"delivered\"} 60\n",
        "godwit_packets_total{verdict=\"sent\"} 30\n",
        "godwit_packets_total{verdict=\"punted\"} 5\n",
        "godwit_packets_total{verdict=\"consumed\"} 4\n",
        "godwit_packets_total{verdict=\"dropped\"} 7\n",
        "godwit_held_packets 1\n",
        "godwit_dropped_packets_total{reason=\"nat_filtered\"} 4\n",
        "godwit_dropped_packets_total{reason=\"leak_prevented\"} 3\n",
        "godwit_driver_total{counter=\"wan0.imissed\"} 9\n",
        "godwit_events_total{event=\"flow_recycled\"} 2\n",
        "godwit_scrape_ok 1\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  EXPECT_THAT(page, HasSubstr("HTTP/1.1 200 OK"));
}

TEST_F(MetricsTest, ShowsTheNodeItsQueuesUplinksAndServices) {
  node_.status.set_node("ams1");
  node_.status.set_version("0.1.0");
  node_.status.set_ready(true);
  node_.status.set_generation(18);
  node_.status.set_flows(5);
  api::WorkerStatus& worker = *node_.status.add_workers();
  worker.set_id(1);
  worker.set_busy(0.25);
  api::ServiceStatus& service = *node_.status.add_services();
  service.set_name("dns");
  service.set_state("down");
  api::QueueStatus& queue = *node_.queues.add_queues();
  queue.set_name("dns0");
  queue.set_state("up");
  queue.set_drained(true);
  queue.set_tx_drops(3);
  queue.set_originated_flows(8);
  api::UplinkStatus& uplink = *node_.uplinks.add_uplinks();
  uplink.set_name("wan0");
  uplink.set_state("up");
  uplink.set_rx_bytes(1500);
  uplink.set_handoff_share(0.5);
  api::EgressAddress& address = *node_.egress.add_addresses();
  address.set_address("2001:db8:7::7");
  address.set_exhausted(6);
  const std::string page = StartAndScrape();
  for (const char* line :
       {"godwit_info{node=\"ams1\",version=\"0.1.0\"} 1\n", "godwit_ready 1\n",
        "godwit_generation 18\n", "godwit_flows 5\n",
        "godwit_worker_busy_ratio{worker=\"1\"} 0.25\n",
        "godwit_service_up{service=\"dns\"} 0\n",
        "godwit_service_announced{service=\"dns\"} 0\n",
        "godwit_queue_up{queue=\"dns0\"} 1\n",
        "godwit_queue_drained{queue=\"dns0\"} 1\n",
        "godwit_queue_tx_drops_total{queue=\"dns0\"} 3\n",
        "godwit_queue_flows{queue=\"dns0\",kind=\"originated\"} 8\n",
        "godwit_uplink_up{uplink=\"wan0\"} 1\n",
        "godwit_uplink_rx_bytes_total{uplink=\"wan0\"} 1500\n",
        "godwit_uplink_handoff_ratio{uplink=\"wan0\"} 0.5\n",
        "godwit_egress_exhausted_total{address=\"2001:db8:7::7\"} 6\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST_F(MetricsTest, AsksAgainAtEachScrape) {
  const auto server = MetricsServer::Start(config_, node_);
  ASSERT_TRUE(server.ok());
  EXPECT_THAT(Scrape(config_.listen()), HasSubstr("godwit_ready 0\n"));
  node_.status.set_ready(true);
  EXPECT_THAT(Scrape(config_.listen()), HasSubstr("godwit_ready 1\n"));
}

TEST_F(MetricsTest, LeavesOutWhatTheNodeDoesNotSay) {
  node_.refusal = absl::UnavailableError("stopping");
  const std::string page = StartAndScrape();
  EXPECT_THAT(page, HasSubstr("godwit_scrape_ok 0\n"));
  EXPECT_THAT(page, Not(HasSubstr("godwit_ready")));
  EXPECT_THAT(page, Not(HasSubstr("godwit_packets_total")));
}

TEST_F(MetricsTest, IsOffWithoutAnAddress) {
  config_.clear_listen();
  const auto server = MetricsServer::Start(config_, node_);
  ASSERT_TRUE(server.ok());
  EXPECT_EQ(*server, nullptr);
}

TEST_F(MetricsTest, RefusesAnAddressThatIsTaken) {
  const LoopbackSocket taken;
  taken.Listen();
  config_.set_listen(taken.text());
  const auto server = MetricsServer::Start(config_, node_);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(
      std::string(server.status().message()),
      HasSubstr(absl::StrCat("metrics.listen: \"", taken.text(), "\"")));
  // Nothing of the insides of the library.
  EXPECT_THAT(std::string(server.status().message()), Not(HasSubstr("Civet")));
}

TEST_F(MetricsTest, RefusesWhatIsNoAddressAndPort) {
  for (const char* listen : {"9467", "localhost:9467", "127.0.0.1", ":9467",
                             "127.0.0.1:99999", "127.0.0.1:9467s"}) {
    config_.set_listen(listen);
    const auto server = MetricsServer::Start(config_, node_);
    ASSERT_FALSE(server.ok()) << listen;
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

// Debian's HTTP library has none.
TEST_F(MetricsTest, RefusesIpv6) {
  const std::string listen = config_.listen();
  config_.set_listen("[::1]" + listen.substr(listen.find(':')));
  const auto server = MetricsServer::Start(config_, node_);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace godwit
