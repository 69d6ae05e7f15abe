// SPDX-License-Identifier: BSD-3-Clause
// Contract, "Changes": changes at random, flows of every kind; each goes on as
// it began, unless the contract says that it ends.
#include <functional>
#include <memory>
#include <random>

#include "tests/walks/conversation.h"
#include "tests/walks/world.h"

namespace godwit {
namespace {

constexpr int kRounds = 8;
constexpr unsigned kSeeds = 6;

class RandomChangesWalk
    : public testing::TestWithParam<std::tuple<Family, int>> {
 protected:
  AddressAndPort End(const std::string& address, unsigned l4port) const {
    return {*IpAddress::Parse(address), static_cast<uint16_t>(l4port)};
  }
  std::string Host(const std::string& address) const {
    return address + (at.v4 ? "/32" : "/128");
  }
  unsigned Draw(unsigned below) {
    return static_cast<unsigned>(random_() % below);
  }
  void Open(uint8_t protocol, const std::string& device,
            const AddressAndPort& from, const AddressAndPort& to) {
    all_.emplace_back(*walk_, protocol, device, Ends{from, to});
    EXPECT_TRUE(all_.back().opened())
        << all_.back().ToString() << ": " << walk_->ending();
  }
  void OpenOneOfEachKind(unsigned l4port);

  // Those whose address goes end by the contract.
  void Forget(const std::string& outside) {
    const auto ends = [this, &outside](const Conversation& one) {
      const bool match = one.outside().address == *IpAddress::Parse(outside);
      forgotten_ = forgotten_ || match;
      return match;
    };
    std::erase_if(all_, ends);
  }
  void Change();
  void ChangeDirect();
  void ChangeUnicast();
  void ChangeServices();
  void CheckAll(uint64_t flows);
  uint64_t Flows() const { return walk_->mappings() + walk_->inbound(); }

  const Family& at = std::get<0>(GetParam());
  const std::string second_ = at.v4 ? "198.51.100.8" : "2001:db8:7::8";
  const std::string another_ = at.v4 ? "203.0.113.81" : "2001:db8:c::81";
  std::mt19937 random_;
  SnapshotBuilder world_;
  std::vector<Prefix> direct_;
  bool covered_ = false;  // `direct` has the remote
  bool late_ = false;     // the program's own address is a service's
  bool forgotten_ = false;
  std::string changes_;
  uint16_t ip_id_ = 1;
  std::unique_ptr<Walk> walk_;
  std::vector<Conversation> all_;
};
INSTANTIATE_TEST_SUITE_P(, RandomChangesWalk,
                         testing::Combine(testing::Values(V4(), V6()),
                                          testing::Values(1, 2, 3, 5)),
                         [](const auto& param) {
                           return std::get<0>(param.param).name + "By" +
                                  std::to_string(std::get<1>(param.param));
                         });

void RandomChangesWalk::OpenOneOfEachKind(unsigned l4port) {
  const uint8_t icmp = at.v4 ? kProtoIcmp : kProtoIcmpv6;
  const std::string& remote = covered_ ? another_ : at.remote;
  for (const uint8_t protocol : {kProtoUdp, kProtoTcp}) {
    Open(protocol, "wan0", End(at.client, l4port), End(at.dns, 53));
    Open(protocol, "crawl0", End(at.internal, l4port), End(remote, 443));
    Open(protocol, "crawl0", End(at.unicast, l4port), End(remote, 443));
    Open(protocol, "crawl0", End(at.unicast, 45000 + l4port),
         End(at.direct, 443));
    Open(protocol, "mail0", End(at.mail, l4port), End(remote, 443));
  }
  Open(icmp, "wan0", End(at.client, l4port), End(at.dns, 0));
  Open(icmp, "crawl0", End(at.internal, l4port), End(remote, 0));
  Open(kProtoUdp, "crawl0", End(at.unicast, l4port), End(at.direct, 443));
  Open(kProtoTcp, "crawl0", End(at.internal, l4port), End(at.mail, 25));
  Open(kProtoTcp, "dns0", End(at.dns, 53), End(remote, l4port));
  Open(kProtoUdp, "dns0", End(at.dns, l4port), End(remote, 53));
  Open(kProtoUdp, "crawl0", End(second_, l4port), End(remote, 53));
  if (covered_) {
    Open(kProtoUdp, "crawl0", End(at.unicast, l4port), End(at.remote, 443));
  }
}

void RandomChangesWalk::ChangeDirect() {
  covered_ = !covered_;
  world_.nat().direct = direct_;
  if (covered_) world_.Direct(Host(at.remote));
}

// One more unicast address, or one less.
void RandomChangesWalk::ChangeUnicast() {
  auto& nat = world_.nat();
  const IpAddress second = *IpAddress::Parse(second_);
  ++nat.plan_version;
  const size_t number = at.v4 ? 2 : 3;  // of its own for good
  nat.unicast.resize(4);
  const bool was_there = nat.unicast[number] == second;
  nat.unicast[number] = was_there ? IpAddress{} : second;
  if (was_there) Forget(second_);
}

void RandomChangesWalk::ChangeServices() {
  late_ = !late_;
  if (late_) {
    world_.Service("late", {at.internal}, {"udp/5000-5999", "tcp/5000-5999"},
                   {"crawl0"});
    return;
  }
  world_.RemoveService("late");
  Forget(at.internal);
}

void RandomChangesWalk::Change() {
  struct Kind {
    const char* name;
    std::function<void()> change;
  };
  const auto flip = [](auto& value, auto one, auto other) {
    value = value == one ? other : one;
  };
  const std::vector<Kind> kinds = {
      {"mapping",
       [&] {
         flip(world_.nat().mapping, Mapping::kPerDestination,
              Mapping::kEndpointIndependent);
       }},
      {"ports",
       [&] {
         const int low = std::array{4096, 50000, 51000, 5004}[Draw(4)];
         world_.EgressL4Ports(static_cast<uint16_t>(low),
                              static_cast<uint16_t>(low + 999));
       }},
      {"direct", [&] { ChangeDirect(); }},
      {"unicast", [&] { ChangeUnicast(); }},
      {"services", [&] { ChangeServices(); }},
      {"replies",
       [&] {
         flip(world_.service("dns").replies, Replies::kTuple,
              Replies::kTracked);
       }},
      {"originate",
       [&] {
         flip(world_.queue("mail0").originate, Originate::kUnicast,
              Originate::kVip);
       }},
      {"affinity",
       [&] {
         flip(world_.service("dns").affinity, Affinity::kFlow,
              Affinity::kClient);
       }},
      {"drain", [&] { flip(world_.queue("dns0").alive, true, false); }},
  };
  const Kind& kind = kinds[Draw(static_cast<unsigned>(kinds.size()))];
  changes_ += std::string(" ") + kind.name;
  kind.change();
}

void RandomChangesWalk::CheckAll(uint64_t flows) {
  for (const Conversation& one : all_) {
    EXPECT_EQ(one.Differs(*walk_), "");
  }
  // None was made a second time.
  EXPECT_TRUE(forgotten_ || Flows() == flows) << Flows() << ", not " << flows;
  for (int i = 0; i < 5; ++i) {
    const Conversation& one = all_[Draw(static_cast<unsigned>(all_.size()))];
    EXPECT_EQ(one.PiecesDiffer(*walk_, ip_id_++), "");
  }
}

TEST_P(RandomChangesWalk, FlowsGoOnAsTheyBegan) {
  for (unsigned seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    random_.seed(seed);
    world_ = World();
    direct_ = world_.nat().direct;
    covered_ = late_ = false;
    changes_.clear();
    all_.clear();
    Walk::Options options;
    options.workers = static_cast<unsigned>(std::get<1>(GetParam()));
    walk_.reset();
    walk_ = std::make_unique<Walk>(world_, options);
    for (unsigned round = 0; round < kRounds && !HasFailure(); ++round) {
      OpenOneOfEachKind(5000 + round);
      forgotten_ = false;
      const uint64_t flows = Flows();
      for (unsigned n = Draw(2) + 1; n != 0; --n) Change();
      walk_->Publish(world_.Change());
      SCOPED_TRACE("seed " + std::to_string(seed) + ':' + changes_);
      CheckAll(flows);
    }
  }
}

}  // namespace
}  // namespace godwit
