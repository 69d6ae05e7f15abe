// SPDX-License-Identifier: BSD-3-Clause
// Who has which IPv4 address on the links of uplinks, when two say that they
// have it (bpf/arp.bpf.c sees them). A neighbour that can still be reached
// keeps its address as long as it answers there (RFC 826, conformance L2-05):
// it is asked three times in half a second; if it is silent all on the link are
// asked, and who answers is believed. The node keeps its own address, and says
// so once in ten seconds (RFC 5227 2.4 c, L2-06). Service addresses are told of
// and not announced.
#ifndef GODWIT_CONTROL_OWNERSHIP_ADDRESS_DEFENCE_H_
#define GODWIT_CONTROL_OWNERSHIP_ADDRESS_DEFENCE_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bpf/arp_guard.h"
#include "control/watch/kernel_watch.h"
#include "dataplane/net/address.h"

namespace godwit {

class AddressDefence {
 public:
  using Clock = std::chrono::steady_clock;
  // An uplink as the kernel has it.
  struct Link {
    std::string name{};
    std::string ifname{};
    int ifindex = 0;
    friend bool operator==(const Link&, const Link&) = default;
  };
  using Log = std::function<void(const std::string& line)>;
  explicit AddressDefence(Log log) : log_(std::move(log)) {}

  // Turn has something to do: what it is to be told is worth being collected.
  bool IsDue(Clock::time_point now) const { return now >= next_turn_; }

  // Addresses that are the node's on each link, whether the interface has them
  // or not, and those that it serves, which are on none.
  struct Own {
    std::vector<IpAddress> unicast{};
    std::vector<IpAddress> service{};
    friend bool operator==(const Own&, const Own&) = default;
  };
  void Turn(const std::vector<Link>& links, const Own& own, KernelWatch& watch,
            Clock::time_point now);

  // ARP frames since start.
  uint64_t conflicts() const { return conflicts_; }  // for addresses of ours
  uint64_t refused() const { return refused_; }      // for a neighbour's

 private:
  void AttachWhereNew(const std::vector<Link>& links);
  // From another uplink of this node on the same link.
  bool IsOurs(const MacAddress& mac, const Observation& observed) const;
  void Judge(const Link& link, const ArpGuard::Claim& claim,
             const ArpGuard::Holders& holders, Clock::time_point now);

  // A neighbour whose address somebody else claims.
  struct Doubt {
    enum class Stage { kAsking, kAnswered, kForgotten };
    Stage stage = Stage::kAsking;
    MacAddress mac{};  // where it was
    Clock::time_point begun{};
    Clock::time_point last_asked{};
    int asked = 0;
    bool again = false;  // claimed once more since, when it was at `next`
    MacAddress next{};
  };
  using DoubtKey = std::pair<int, IpAddress>;  // ifindex
  void BeginDoubt(const DoubtKey& key, const MacAddress& mac,
                  Clock::time_point now);
  // Asks, and sees who has answered. True: what somebody had is free.
  bool FollowDoubts(KernelWatch& watch, Clock::time_point now);
  void Ask(const DoubtKey& key, Doubt& doubt, KernelWatch& watch,
           Clock::time_point now);
  // Whom the guard of a link is to know.
  ArpGuard::Holders HoldersOn(const Link& link, const Own& own,
                              const Observation& observed) const;

  const Log log_;
  std::vector<Link> links_;
  std::vector<std::unique_ptr<ArpGuard>> guards_;  // of links_; null: failed
  Own own_;
  std::shared_ptr<const Observation> observed_;
  Clock::time_point next_turn_{};
  Clock::time_point next_hold_{};
  std::map<DoubtKey, Doubt> doubts_;
  std::vector<DoubtKey> to_forget_;  // as soon as the guards know
  // When something was last said of an address.
  std::map<std::pair<int, IpAddress>, Clock::time_point> said_;
  uint64_t conflicts_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_OWNERSHIP_ADDRESS_DEFENCE_H_
