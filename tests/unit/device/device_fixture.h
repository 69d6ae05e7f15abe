// SPDX-License-Identifier: BSD-3-Clause
// A network namespace of the test's own, with an EAL in it, and the kernel's
// end of a device as a packet socket.
#ifndef GODWIT_TESTS_UNIT_DEVICE_DEVICE_FIXTURE_H_
#define GODWIT_TESTS_UNIT_DEVICE_DEVICE_FIXTURE_H_

#include <gtest/gtest.h>
#include <rte_mempool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/device/eth_port.h"

namespace godwit {

using Frame = std::vector<uint8_t>;

// A frame that no kernel protocol answers (experimental EtherType, RFC 5342),
// told apart by its number.
Frame TestFrame(uint8_t number, size_t size = 60);

// A socket that sends and receives frames on an interface.
class PacketSocket {
 public:
  explicit PacketSocket(const std::string& interface);
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;
  void Send(const Frame& frame);
  // The next test frame that came in, or empty after `timeout_ms`.
  Frame Receive(int timeout_ms = 10000);

 private:
  int fd_;
};

// Once for the program, before the EAL: enters a network namespace of its own.
// Exits with 77, meson's "skipped", where there are no rights for it.
void EnterNamespace();
void StartTestEal();

// Opens and starts a device, and is killed after a while as the kernel kills.
[[noreturn]] void DieWith(std::string_view device, int delay_ms);

// `eth_port_test --die-with DEVICE [MS]`: opens it and is killed, later.
inline constexpr char kDieWith[] = "--die-with";
// Hot removal and re-addition, as often as the contract of this folder says.
inline constexpr int kRounds = 20;
// This program, and a path for a socket of its own.
std::string SelfPath();
std::string SocketPath(const char* name);
sockaddr_un AddressOf(const std::string& path);

// Runs a shell command; the test fails if it does.
void Shell(const std::string& command);

class DeviceTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Options with the shared pool, whose buffers carry 128 bytes of meta.
  EthPortOptions Options() const;
  // Open and started, or null with the test failed.
  std::unique_ptr<EthPort> OpenStarted(std::string_view device,
                                       const EthPortOptions& options);
  // Sends from a port, and receives on one: the next test frame, or empty
  // after a second.
  void Send(const EthPort& port, const Frame& frame);
  Frame Receive(const EthPort& port, int timeout_ms = 10000);

  rte_mempool* pool_ = nullptr;
  uint32_t free_before_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_DEVICE_DEVICE_FIXTURE_H_
