// SPDX-License-Identifier: BSD-3-Clause
// Snapshots for tests, said the way a configuration says them:
//
//   SnapshotBuilder world;
//   world.Queue("dns0").Service("dns", {"192.0.2.53"}, {"udp/53"}, {"dns0"});
//   world.service("dns").replies = Replies::kTracked;
//
// Every world has the uplink "wan0" with the kernel's side "gw0", default
// routes through a resolved gateway, the unicast addresses below and the
// queue "kernel". Names must exist where they are used: CHECKs.
#ifndef GODWIT_TESTS_SUPPORT_SNAPSHOT_BUILDER_H_
#define GODWIT_TESTS_SUPPORT_SNAPSHOT_BUILDER_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/snapshot/snapshot.h"

namespace godwit {

// The other ends of the links, by DeviceId: a queue's program, the gateway on
// an uplink, the kernel behind a TAP. Our end is kTestDestinationMac
// everywhere, so that frames of packet_builder.h are for us.
MacAddress FarEndMac(DeviceId device);

class SnapshotBuilder {
 public:
  using Names = std::vector<std::string>;

  SnapshotBuilder();

  SnapshotBuilder& Uplink(const std::string& name, const std::string& tap);
  SnapshotBuilder& Queue(const std::string& name);
  // `endpoints`: udp/53, tcp/8000-8999, icmp.
  SnapshotBuilder& Service(const std::string& name, const Names& addresses,
                           const Names& endpoints, const Names& queues);
  SnapshotBuilder& RemoveService(const std::string& name);

  // To be changed before Build: side, id and lanes are not yours.
  Device& device(std::string_view name);
  ServiceQueue& queue(std::string_view name);
  godwit::Service& service(std::string_view name);
  NatConfig& nat() { return nat_; }
  SnapshotBuilder& Unicast(const Names& addresses);
  SnapshotBuilder& EgressL4Ports(uint16_t low, uint16_t high);  // both count
  SnapshotBuilder& Direct(std::string_view prefix);
  SnapshotBuilder& Silent(const std::string& service);  // unmatched: silent
  // Nobody has answered yet: neither the gateways nor the far end there.
  SnapshotBuilder& Unresolved(std::string_view device);
  SnapshotBuilder& Resolved(std::string_view device);
  // With a second uplink: its gateway is not worth sending to, or is again.
  SnapshotBuilder& Dead(std::string_view uplink);
  SnapshotBuilder& Alive(std::string_view uplink);
  SnapshotBuilder& NoRoutes();
  // wan0 is in this network.
  SnapshotBuilder& OnLink(std::string_view network);

  // A change: what flows were decided by is looked at again.
  SnapshotBuilder& Change() {
    ++epoch_;
    return *this;
  }

  DeviceId device_id(std::string_view name) const;
  QueueId queue_id(std::string_view name) const;

  // Lanes are left to whoever has devices (walk.h). L4ports stay with the
  // worker that the last Build gave them to, as the compiler has it: one
  // builder is for one number of workers.
  std::unique_ptr<Snapshot> Build(unsigned workers, uint64_t generation) const;

 private:
  struct ServiceSpec {
    godwit::Service service;
    Names addresses;
    Names endpoints;
    bool silent = false;
  };

  DeviceId AddDevice(const std::string& name, Side side);
  void AddLinks(Snapshot& snapshot) const;
  void AddServices(Snapshot& snapshot) const;

  std::vector<Device> devices_{1};
  std::vector<ServiceQueue> queues_{2};
  std::vector<ServiceSpec> services_{1};  // by ServiceId
  std::set<DeviceId> unresolved_;
  std::set<DeviceId> dead_;
  bool routes_ = true;
  std::vector<Prefix> on_link_;
  uint16_t epoch_ = 1;
  NatConfig nat_;
  std::vector<uint16_t> l4ports_;
  mutable std::shared_ptr<const NatConfig> built_;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_SUPPORT_SNAPSHOT_BUILDER_H_
