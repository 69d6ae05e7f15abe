// SPDX-License-Identifier: BSD-3-Clause
// XDP and the stages give one verdict: the walks that are linked with this run
// as ever, and each frame of theirs that comes by an uplink is given to the
// steering program, too (BPF_PROG_TEST_RUN), with the tables that the control
// thread would make of the walk's world. Two copies of the program are asked:
// one has an AF_XDP socket, the other none, as after a crash.
//
//   the stages                       with a socket    without
//   give it to the kernel            passed           passed
//   deliver, answer, keep or refuse  redirected       dropped
//   drop it for what it is           not asked: nobody's loss
//
// Only of fragments and ICMP may the program say that a worker must look:
// redirected with a socket, passed without, whosever they turn out to be.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "bpf/loader.h"
#include "dataplane/net/check.h"
#include "tests/support/walk.h"

namespace godwit {
namespace {

// What BPF_PROG_TEST_RUN takes: a link header at least, and a page less what
// is kept free before and behind.
constexpr size_t kShortest = 14;
constexpr size_t kLongest = 3400;

enum class Whose { kKernels, kOurs, kNobodys };

// Ends that say whose a packet is, save for "punted" and none, which is to be
// held. "sent" is the answer to one.
constexpr std::array<std::string_view, 15> kEndsOfOurs = {
    "delivered",    "consumed",     "sent",           "svc_miss",
    "svc_no_queue", "nat_filtered", "icmp_unmatched", "echo_limited",
    "limit_flows",  "limit_rate",   "table_full",     "queue_full",
    "ttl_exceeded", "mtu_exceeded", "ptb_small"};

// Several, where a frame lets out others: in the enum's order.
Whose WhoseBy(std::string_view ending) {
  if (ending.empty()) return Whose::kOurs;
  const std::string_view first = ending.substr(0, ending.find(' '));
  const std::string_view last = ending.substr(ending.rfind(' ') + 1);
  if (first == "punted" && last == first) return Whose::kKernels;
  if (ending.find("punted") != ending.npos) return Whose::kNobodys;
  return std::find(kEndsOfOurs.begin(), kEndsOfOurs.end(), first) !=
                 kEndsOfOurs.end()
             ? Whose::kOurs
             : Whose::kNobodys;
}

// What a frame has that makes it harder to tell whose it is.
struct Traits {
  IpAddress source{};
  bool tagged = false;
  bool v6 = false;
  bool options = false;  // or extension headers
  bool fragment = false;
  bool icmp = false;
  bool icmp_error = false;
};

Traits TraitsOf(const Bytes& frame) {
  Traits traits;
  traits.tagged = frame[12] == 0x81 && frame[13] == 0;
  size_t at = traits.tagged ? 18 : 14;
  traits.v6 = frame[at - 2] == 0x86 && frame[at - 1] == 0xdd;
  if (frame.size() < at + (traits.v6 ? 40 : 20)) return traits;
  traits.source = traits.v6 ? IpAddress::FromV6(&frame[at + 8])
                            : IpAddress::FromV4(&frame[at + 12]);
  uint8_t protocol = frame[at + (traits.v6 ? 6 : 9)];
  if (traits.v6) {
    at += 40;
    for (; at + 8 < frame.size() &&
           (protocol == 0 || protocol == 43 || protocol == 44 ||
            protocol == 51 || protocol == 60);) {
      const unsigned unit = protocol == 51 ? 4 : 8;
      const unsigned fixed = protocol == 51 ? 2 : 1;
      traits.options = true;
      traits.fragment = traits.fragment || protocol == 44;
      const unsigned size = protocol == 44 ? 8 : (frame[at + 1] + fixed) * unit;
      protocol = frame[at];
      at += size;
    }
  } else {
    traits.options = (frame[at] & 0xf) > 5;
    traits.fragment = ((frame[at + 6] & 0x3f) | frame[at + 7]) != 0;
    at += (frame[at] & 0xfU) * 4U;
  }
  traits.icmp = protocol == (traits.v6 ? 58 : 1);
  if (traits.icmp && at < frame.size()) {
    const uint8_t type = frame[at];
    traits.icmp_error = traits.v6 ? type < 128 : type == 3 || type > 10;
  }
  return traits;
}

SteeringTables TablesOf(const WalkStep& step) {
  SteeringTables tables;
  tables.generation = step.world;
  for (const ServiceAddress& at : step.services.addresses()) {
    tables.service_addresses.push_back({at.address, ServedBy::kWorkers});
  }
  for (const IpAddress& unicast : step.nat.unicast) {
    if (!unicast.IsUnspecified()) tables.unicast_addresses.push_back(unicast);
  }
  for (size_t l4port = 0; l4port < tables.egress_tcp.size(); ++l4port) {
    const bool steered =
        step.nat.l4ports.Owner(static_cast<uint16_t>(l4port)) !=
        L4PortPlan::kNobody;
    tables.egress_tcp.set(l4port, steered);
    tables.egress_udp.set(l4port, steered);
  }
  tables.vlan = step.uplink.vlan;
  return tables;
}

std::string NameOfAction(int action) {
  switch (action) {
    case XDP_DROP:
      return "drop";
    case XDP_PASS:
      return "pass";
    case XDP_REDIRECT:
      return "redirect";
    default:
      return std::to_string(action);
  }
}

class SteerJudge : public testing::Environment {
 public:
  void SetUp() override {
    for (auto* program : {&with_, &without_}) {
      auto loaded = SteeringProgram::Load();
      ASSERT_TRUE(loaded.ok()) << loaded.status() << " (needs root)";
      *program = *std::move(loaded);
    }
    socket_ = socket(AF_XDP, SOCK_RAW, 0);
    ASSERT_GE(socket_, 0) << std::strerror(errno);
    const uint32_t rxq = 0;
    ASSERT_EQ(
        0, bpf_map_update_elem(with_->xsks_map_fd(), &rxq, &socket_, BPF_ANY))
        << std::strerror(errno);
    Walk::SetWitness([this](const WalkStep& step) { Judge(step); });
  }

  // Nothing was compared in vain.
  void TearDown() override {
    Walk::SetWitness(nullptr);
    if (socket_ >= 0) close(socket_);
    for (const auto& [what, count] : judged_) {
      std::printf("%6d %s\n", count, what.c_str());
    }
    if (testing::GTEST_FLAG(filter) != "*") return;
    for (const char* kind : {"", ", tagged", ", options", ", extensions",
                             ", fragment", ", ICMP error"}) {
      for (const char* whose : {"ours", "the kernel's"}) {
        EXPECT_GT(judged_[std::string(whose) + kind], 1)
            << whose << kind << ": no walk has such a frame";
      }
    }
  }

 private:
  void Judge(const WalkStep& step) {
    const Whose whose = WhoseBy(step.ending);
    if (whose == Whose::kNobodys || step.frame.size() < kShortest ||
        step.frame.size() > kLongest) {
      ++judged_["not asked"];
      return;
    }
    const Traits traits = TraitsOf(step.frame);
    if (world_ != step.world) {
      const SteeringTables tables = TablesOf(step);
      for (const auto* program : {&with_, &without_}) {
        const absl::Status status = (*program)->Publish(tables);
        ASSERT_TRUE(status.ok()) << status;
      }
      world_ = step.world;
    }
    Count(whose, traits);
    const bool ours = whose == Whose::kOurs;
    const bool may_look = traits.fragment || traits.icmp;
    const int with = Run(*with_, step.frame);
    const int without = Run(*without_, step.frame);
    const bool looks = with == XDP_REDIRECT && without == XDP_PASS;
    const bool same = ours ? with == XDP_REDIRECT && without == XDP_DROP
                           : with == XDP_PASS && without == XDP_PASS;
    // Of flows that are not translated the l4port is the queue's, which the
    // program does not know (bpf/README.md).
    const bool direct = ours && step.nat.IsDirect(traits.source) &&
                        with == XDP_PASS && without == XDP_PASS;
    if (direct) ++judged_["ours, direct, and passed"];
    EXPECT_TRUE(same || (may_look && looks) || direct)
        << "the stages: " << (step.ending.empty() ? "held" : step.ending)
        << "; XDP: " << NameOfAction(with) << ", without a socket "
        << NameOfAction(without) << "; " << ToHex(step.frame);
  }

  void Count(Whose whose, const Traits& traits) {
    const std::string name = whose == Whose::kOurs ? "ours" : "the kernel's";
    ++judged_[name];
    if (traits.tagged) ++judged_[name + ", tagged"];
    if (traits.options) {
      ++judged_[name + (traits.v6 ? ", extensions" : ", options")];
    }
    if (traits.fragment) ++judged_[name + ", fragment"];
    if (traits.icmp_error) ++judged_[name + ", ICMP error"];
  }

  static int Run(const SteeringProgram& program, const Bytes& frame) {
    Bytes out(frame.size() + 256);
    bpf_test_run_opts options = {};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<uint32_t>(out.size());
    options.repeat = 1;
    const int error = bpf_prog_test_run_opts(program.steer_fd(), &options);
    EXPECT_EQ(0, error) << frame.size() << " bytes";
    return static_cast<int>(options.retval);
  }

  std::unique_ptr<SteeringProgram> with_;
  std::unique_ptr<SteeringProgram> without_;
  int socket_ = -1;
  uint64_t world_ = 0;
  std::map<std::string, int> judged_;
};

testing::Environment* const judge =
    testing::AddGlobalTestEnvironment(new SteerJudge);

}  // namespace
}  // namespace godwit
