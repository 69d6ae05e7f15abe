// SPDX-License-Identifier: BSD-3-Clause
// A veth pair in a network namespace of the test's own: `up0` is the uplink,
// with the kernel on it, `peer0` the wire.
#ifndef GODWIT_TESTS_UNIT_BPF_VETH_FIXTURE_H_
#define GODWIT_TESTS_UNIT_BPF_VETH_FIXTURE_H_

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bpf/loader.h"
#include "tests/unit/bpf/frames.h"

namespace godwit {

inline constexpr char kUplink[] = "up0";
inline constexpr char kPeer[] = "peer0";

// Runs a command of the shell's, which must succeed; its output.
std::string Shell(const std::string& command);

// A packet socket on one interface.
class PacketSocket {
 public:
  explicit PacketSocket(const std::string& interface_name);
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;

  void Send(const Bytes& frame) const;
  // The next frame that comes in by the interface (not one that goes out) and
  // ends in `tail`, within 300 ms.
  bool Receives(const Bytes& tail) const;

 private:
  int fd_;
};

// The XDP program of an interface; 0: none.
uint32_t XdpProgramId(const std::string& interface_name);

class VethTest : public testing::Test {
 protected:
  // A new namespace; the one before goes with its last process. The kernel
  // itself is kept quiet: no IPv6 on either end unless a test wants it.
  void SetUp() override;

  // Service 192.0.2.53, unicast 198.51.100.7, TCP and UDP l4port 40000.
  static SteeringTables Tables();
  // Loaded and published, not attached.
  static std::unique_ptr<SteeringProgram> Load();

  // What is to be attached by a process that then dies by SIGKILL.
  static void AttachAndCrash();
};

// Recognisable payloads, 24 bytes.
Bytes Payload(uint8_t kind);
// A UDP datagram to the MAC address of the uplink.
Bytes UdpFrame(const std::string& source, const std::string& destination,
               uint16_t l4port, const Bytes& payload);

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_BPF_VETH_FIXTURE_H_
