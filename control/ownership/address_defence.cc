// SPDX-License-Identifier: BSD-3-Clause
#include "control/ownership/address_defence.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "control/plumb/netns.h"
#include "dataplane/net/byteorder.h"

namespace godwit {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(20);
constexpr auto kDefendInterval = std::chrono::seconds(10);  // RFC 5227 1.1
// Longer than the control thread is ever busy with a change.
constexpr auto kHold = std::chrono::seconds(20);
constexpr size_t kMaxSaid = 4096;
// A neighbour has so long for an answer, so often.
constexpr auto kPatience = std::chrono::milliseconds(170);
constexpr int kQuestions = 3;
constexpr auto kBetweenDoubts = std::chrono::seconds(1);
constexpr size_t kMaxDoubts = 512;
constexpr size_t kIpv4Size = 4;

struct [[gnu::packed]] Announcement {
  MacAddress destination;
  MacAddress source;
  Be16 ether_type;
  Be16 hardware;
  Be16 protocol;
  uint8_t hardware_size;
  uint8_t protocol_size;
  Be16 operation;
  MacAddress sender_mac;
  uint8_t sender_ip[kIpv4Size];
  MacAddress target_mac;
  uint8_t target_ip[kIpv4Size];
};
static_assert(sizeof(Announcement) == 42, "Ethernet and ARP for IPv4");

// An ARP announcement (RFC 5227 2.3).
absl::Status AnnounceAddress(int ifindex, const MacAddress& mac,
                             const IpAddress& address) {
  const OwnedFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, "packet socket");
  Announcement frame = {};
  frame.destination.fill(0xff);
  frame.source = mac;
  frame.ether_type = Be16(ETH_P_ARP);
  frame.hardware = Be16(ARPHRD_ETHER);
  frame.protocol = Be16(ETH_P_IP);
  frame.hardware_size = ETH_ALEN;
  frame.protocol_size = kIpv4Size;
  frame.operation = Be16(ARPOP_REQUEST);
  frame.sender_mac = mac;
  std::memcpy(frame.sender_ip, address.V4Bytes(), kIpv4Size);
  std::memcpy(frame.target_ip, address.V4Bytes(), kIpv4Size);
  sockaddr_ll to = {};
  to.sll_family = AF_PACKET;
  to.sll_protocol = Be16(ETH_P_ARP).wire();
  to.sll_ifindex = ifindex;
  to.sll_halen = ETH_ALEN;
  if (sendto(fd.get(), &frame, sizeof(frame), 0,
             reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0) {
    return absl::ErrnoToStatus(errno, "announcing");
  }
  return absl::OkStatus();
}

// Whom the kernel can reach on a link, and what is ours there.
ArpGuard::Holders AllHoldersOn(const AddressDefence::Link& link,
                               const AddressDefence::Own& own,
                               const Observation& observed) {
  ArpGuard::Holders holders;
  for (const NeighbourEntry& entry : observed.neighbours) {
    if (entry.ifindex != link.ifindex || !entry.address.IsV4()) continue;
    const bool has_mac =
        entry.usable() && entry.state != NeighbourState::kNoArp;
    if (has_mac) holders[entry.address] = {entry.mac, kArpNeighbour};
  }
  const LinkEntry* interface = FindLink(observed, link.ifindex);
  if (interface == nullptr) return holders;
  for (const IpAddress& address : own.service) {
    if (address.IsV4()) holders[address] = {interface->mac, kArpService};
  }
  const ArpGuard::Holder ours = {interface->mac, kArpUnicast};
  for (const IpAddress& address : own.unicast) {
    if (address.IsV4()) holders[address] = ours;
  }
  for (const LocalAddress& local : observed.addresses) {
    const IpAddress& address = local.prefix.address;
    if (local.ifindex == link.ifindex && address.IsV4()) {
      holders[address] = ours;
    }
  }
  return holders;
}

}  // namespace

void AddressDefence::AttachWhereNew(const std::vector<Link>& links) {
  std::vector<std::unique_ptr<ArpGuard>> guards;
  for (const Link& link : links) {
    const auto old =
        std::find_if(links_.begin(), links_.end(), [&link](const Link& one) {
          return one.ifindex == link.ifindex && one.ifname == link.ifname;
        });
    if (old != links_.end()) {
      guards.push_back(
          std::move(guards_[static_cast<size_t>(old - links_.begin())]));
      continue;
    }
    auto guard = ArpGuard::Attach(link.ifname);
    if (!guard.ok()) {
      log_(absl::StrCat("uplink ", link.name, ": ARP is believed as it comes: ",
                        guard.status().message()));
    }
    guards.push_back(guard.ok() ? *std::move(guard) : nullptr);
  }
  links_ = links;
  guards_ = std::move(guards);
  observed_.reset();
}

void AddressDefence::Turn(const std::vector<Link>& links, const Own& own,
                          KernelWatch& watch, Clock::time_point now) {
  const std::shared_ptr<const Observation> observed = watch.Current();
  next_turn_ = now + kPeriod;
  if (links != links_) AttachWhereNew(links);
  const bool is_new = observed != observed_ || own != own_;
  const bool hold = is_new || now >= next_hold_;
  if (hold) next_hold_ = now + kHold / 4;
  const bool is_free = FollowDoubts(watch, now);
  for (size_t i = 0; i < links_.size(); ++i) {
    if (guards_[i] == nullptr) continue;
    if (hold) guards_[i]->HoldUntil(now + kHold).IgnoreError();
    const std::vector<ArpGuard::Claim> claims = guards_[i]->Take();
    if (claims.empty() && !is_new && !is_free) continue;
    const ArpGuard::Holders holders = HoldersOn(links_[i], own, *observed);
    for (const ArpGuard::Claim& claim : claims) {
      if (IsOurs(claim.mac, *observed)) continue;
      Judge(links_[i], claim, holders, now);
    }
    const absl::Status known = guards_[i]->Publish(holders);
    if (!known.ok()) log_(std::string(known.message()));
  }
  observed_ = observed;
  own_ = own;
  for (const auto& [ifindex, address] : to_forget_) {
    watch.Forget(ifindex, address).IgnoreError();
  }
  to_forget_.clear();
}

ArpGuard::Holders AddressDefence::HoldersOn(const Link& link, const Own& own,
                                            const Observation& observed) const {
  ArpGuard::Holders holders = AllHoldersOn(link, own, observed);
  for (const auto& [key, doubt] : doubts_) {
    if (key.first != link.ifindex || doubt.stage != Doubt::Stage::kForgotten) {
      continue;
    }
    const auto holder = holders.find(key.second);
    const bool is_old = holder != holders.end() &&
                        holder->second.whose == kArpNeighbour &&
                        IsSame(holder->second.mac, doubt.mac);
    if (is_old) holders.erase(holder);  // the list is older than that
  }
  return holders;
}

void AddressDefence::BeginDoubt(const DoubtKey& key, const MacAddress& mac,
                                Clock::time_point now) {
  const auto known = doubts_.find(key);
  if (known != doubts_.end()) {
    known->second.again = known->second.stage != Doubt::Stage::kAsking;
    known->second.next = mac;
    return;
  }
  if (doubts_.size() >= kMaxDoubts) return;  // it will say so again
  Doubt& doubt = doubts_[key];
  doubt.mac = mac;
  doubt.begun = now;
}

void AddressDefence::Ask(const DoubtKey& key, Doubt& doubt, KernelWatch& watch,
                         Clock::time_point now) {
  if (doubt.asked != 0 && now - doubt.last_asked < kPatience) return;
  if (doubt.asked != 0) {
    const auto state = watch.StateOf(key.first, key.second);
    if (!state.ok() || *state != NeighbourState::kProbe) {
      doubt.stage = Doubt::Stage::kAnswered;  // or there is no such neighbour
      return;
    }
  }
  if (doubt.asked < kQuestions) {
    ++doubt.asked;
    doubt.last_asked = now;
    watch.Doubt(key.first, key.second).IgnoreError();
    return;
  }
  doubt.stage = Doubt::Stage::kForgotten;
  to_forget_.push_back(key);
}

bool AddressDefence::FollowDoubts(KernelWatch& watch, Clock::time_point now) {
  for (auto& [key, doubt] : doubts_) {
    if (doubt.stage == Doubt::Stage::kAsking) Ask(key, doubt, watch, now);
    const bool is_over = doubt.stage != Doubt::Stage::kAsking &&
                         now - doubt.begun >= kBetweenDoubts;
    if (!is_over || !doubt.again) continue;
    const MacAddress mac = doubt.next;
    doubt = Doubt{};
    doubt.mac = mac;
    doubt.begun = now;
  }
  std::erase_if(doubts_, [now](const auto& item) {
    return item.second.stage != Doubt::Stage::kAsking &&
           now - item.second.begun >= kBetweenDoubts;
  });
  for (const auto& [ifindex, address] : to_forget_) {
    for (const Link& link : links_) {
      if (link.ifindex != ifindex) continue;
      log_(absl::StrCat("uplink ", link.name, ": ", address.ToString(),
                        " no longer answers at ",
                        MacToString(doubts_[{ifindex, address}].mac),
                        "; all on the link are asked"));
    }
  }
  return !to_forget_.empty();
}

bool AddressDefence::IsOurs(const MacAddress& mac,
                            const Observation& observed) const {
  return std::any_of(links_.begin(), links_.end(), [&](const Link& link) {
    const LinkEntry* entry = FindLink(observed, link.ifindex);
    return entry != nullptr && IsSame(entry->mac, mac);
  });
}

void AddressDefence::Judge(const Link& link, const ArpGuard::Claim& claim,
                           const ArpGuard::Holders& holders,
                           Clock::time_point now) {
  // Of one that was forgotten since, nobody is left to be asked.
  const auto holder = holders.find(claim.address);
  const ArpWhose whose =
      holder == holders.end() ? kArpNeighbour : holder->second.whose;
  const bool is_own = whose != kArpNeighbour;
  (is_own ? conflicts_ : refused_) += claim.frames;
  if (!is_own && holder != holders.end()) {
    BeginDoubt({link.ifindex, claim.address}, holder->second.mac, now);
  }
  if (said_.size() >= kMaxSaid) {
    std::erase_if(said_, [now](const auto& item) {
      return now - item.second >= kDefendInterval;
    });
    if (said_.size() >= kMaxSaid) return;
  }
  const auto [said, first] = said_.try_emplace({link.ifindex, claim.address});
  if (!first && now - said->second < kDefendInterval) return;
  said->second = now;
  const std::string who =
      absl::StrCat("uplink ", link.name, ": ", MacToString(claim.mac),
                   " says that it has ", claim.address.ToString());
  if (!is_own) {
    log_(absl::StrCat(
        who, "; not believed while the neighbour answers where it was"));
    return;
  }
  if (whose == kArpService) {
    log_(absl::StrCat("address conflict: ", who,
                      ", which is a service's of this node; no service "
                      "address belongs on a link"));
    return;
  }
  const absl::Status announced =
      AnnounceAddress(link.ifindex, holder->second.mac, claim.address);
  log_(absl::StrCat("address conflict: ", who, ", which is this node's; ",
                    announced.ok() ? "announced" : announced.message(),
                    " (once in 10 s)"));
}

}  // namespace godwit
