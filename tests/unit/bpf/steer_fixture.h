// SPDX-License-Identifier: BSD-3-Clause
// The steering program by BPF_PROG_TEST_RUN, and the rows of its tables of
// packets: each is judged whole, cut off at every byte, and on VLANs.
#ifndef GODWIT_TESTS_UNIT_BPF_STEER_FIXTURE_H_
#define GODWIT_TESTS_UNIT_BPF_STEER_FIXTURE_H_

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>

#include "bpf/loader.h"
#include "tests/unit/bpf/frames.h"

namespace godwit {

inline constexpr char kClient[] = "198.51.100.200";
inline constexpr char kService[] = "192.0.2.53";
inline constexpr char kByKernel[] = "192.0.2.54";  // served by the kernel alone
inline constexpr char kUnicast[] = "198.51.100.7";
inline constexpr char kClient6[] = "2001:db8:1::200";
inline constexpr char kService6[] = "2001:db8:53::53";
inline constexpr char kUnicast6[] = "2001:db8:7::7";
inline constexpr char kOther[] = "203.0.113.9";
inline constexpr char kOther6[] = "2001:db8:99::9";
inline constexpr uint16_t kEgressL4Port = 40000;
inline constexpr uint16_t kKernelL4Port = 22;
inline constexpr uint16_t kMoreFragments = 0x2000;

inline IpAddress Address(const char* text) { return *IpAddress::Parse(text); }

inline SteeringTables Tables() {
  SteeringTables tables;
  tables.generation = 1;
  tables.service_addresses = {{Address(kService)},
                              {Address(kByKernel), ServedBy::kKernelOnly},
                              {Address(kService6)}};
  tables.unicast_addresses = {Address(kUnicast), Address(kUnicast6)};
  tables.egress_tcp.set(kEgressL4Port);
  tables.egress_udp.set(kEgressL4Port);
  tables.egress_udp.set(65535);
  tables.egress_tcp.set(0);
  tables.egress_icmp.reset();
  tables.egress_icmp.set(kEgressL4Port);
  return tables;
}

// Loaded once: it takes a second, and tests only read or publish.
class SteerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto program = SteeringProgram::Load();
    ASSERT_TRUE(program.ok()) << program.status();
    program_ = *std::move(program);
    socket_ = socket(AF_XDP, SOCK_RAW, 0);
    ASSERT_GE(socket_, 0) << std::strerror(errno);
  }
  static void TearDownTestSuite() {
    program_.reset();
    close(socket_);
  }
  void SetUp() override {
    ASSERT_TRUE(program_->Publish(Tables()).ok());
    SetSocket(false);
  }

  // Of receive queue 0, which test runs come from.
  static void SetSocket(bool present) {
    const uint32_t rxq = 0;
    if (present) {
      ASSERT_EQ(0, bpf_map_update_elem(program_->xsks_map_fd(), &rxq, &socket_,
                                       BPF_ANY))
          << std::strerror(errno);
    } else {
      bpf_map_delete_elem(program_->xsks_map_fd(), &rxq);
    }
  }

  static int Run(const Bytes& frame) {
    Bytes out(frame.size() + 256);
    bpf_test_run_opts options = {};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<uint32_t>(out.size());
    options.repeat = 1;
    const int error = bpf_prog_test_run_opts(program_->steer_fd(), &options);
    EXPECT_EQ(0, error) << frame.size() << " bytes";
    out.resize(options.data_size_out);
    EXPECT_EQ(frame, out) << "a frame is never changed";
    return static_cast<int>(options.retval);
  }

  static inline std::unique_ptr<SteeringProgram> program_;
  static inline int socket_ = -1;
};

enum class Owner { kKernels, kOurs, kPerhapsOurs };

struct Case {
  const char* name;
  Bytes packet;  // from the IP header up
  Owner owner;
  // Bytes of the packet that are needed to tell; with fewer, a packet to an
  // address of ours is perhaps ours. 0: the IP header is enough.
  size_t decided_at = 0;
};
inline void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class SteerCaseTest : public SteerTest,
                      public testing::WithParamInterface<Case> {
 protected:
  static size_t IpHeader() { return GetParam().packet[0] >> 4 == 6 ? 40 : 20; }
  static int Without(Owner owner) {
    return owner == Owner::kOurs ? XDP_DROP : XDP_PASS;
  }
  static int With(Owner owner) {
    return owner == Owner::kKernels ? XDP_PASS : XDP_REDIRECT;
  }
  // `size` bytes of the packet are there.
  static Owner Expected(size_t size) {
    if (size < IpHeader()) return Owner::kKernels;
    if (size < GetParam().decided_at) return Owner::kPerhapsOurs;
    return GetParam().owner;
  }
};

inline std::string NameOf(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_BPF_STEER_FIXTURE_H_
