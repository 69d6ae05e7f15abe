// SPDX-License-Identifier: BSD-3-Clause
// A memif client whose server lets it wait.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "dataplane/device/eth_port.h"
#include "tests/unit/device/device_fixture.h"

namespace godwit {
namespace {

// A memif server that lets clients connect, and then has other things to do.
class SlowServer {
 public:
  SlowServer(const std::string& path, int backlog)
      : path_(path), fd_(socket(AF_UNIX, SOCK_SEQPACKET, 0)) {
    const sockaddr_un address = AddressOf(path);
    EXPECT_EQ(
        bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
        0);
    EXPECT_EQ(listen(fd_, backlog), 0);
  }
  ~SlowServer() {
    close(fd_);
    unlink(path_.c_str());
  }
  SlowServer(const SlowServer&) = delete;
  SlowServer& operator=(const SlowServer&) = delete;
  const std::string& path() const { return path_; }
  int fd() const { return fd_; }

 private:
  const std::string path_;
  const int fd_;
};

// The plain server is brought down by clients that leave before it answers.
TEST_F(DeviceTest, MemifClientGivesASlowServerTimeToAnswer) {
  const SlowServer server(SocketPath("slow"), /*backlog=*/8);
  const auto client =
      OpenStarted("memif:" + server.path() + ",role=client", Options());
  ASSERT_NE(client, nullptr);
  for (int n = 0; n < 50; ++n) {
    ASSERT_FALSE(client->NeedsRestart()) << "after " << n << " looks";
    usleep(10'000);
  }
  const int peer = accept(server.fd(), nullptr, nullptr);
  ASSERT_GE(peer, 0);
  char byte;
  EXPECT_EQ(recv(peer, &byte, 1, MSG_DONTWAIT), -1) << "it has left";
  close(peer);
  for (int n = 0; n < 500 && !client->NeedsRestart(); ++n) usleep(10'000);
  EXPECT_TRUE(client->NeedsRestart());
}

TEST_F(DeviceTest, MemifClientDoesNotWaitForAServerThatAcceptsNobody) {
  const SlowServer server(SocketPath("full"), /*backlog=*/0);
  const sockaddr_un address = AddressOf(server.path());
  std::vector<int> others;
  do {
    others.push_back(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0));
  } while (connect(others.back(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address)) == 0);
  const auto client = EthPort::Open(
      *ParseDeviceSpec("memif:" + server.path() + ",role=client").spec,
      Options());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->Start().code(), absl::StatusCode::kUnavailable);
  for (const int fd : others) close(fd);
}

}  // namespace
}  // namespace godwit
