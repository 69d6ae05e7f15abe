// SPDX-License-Identifier: BSD-3-Clause
// What the control thread publishes: intent and observation in one immutable
// piece with a generation number. A worker sees one from the start of a turn
// to its end.
#ifndef GODWIT_DATAPLANE_SNAPSHOT_SNAPSHOT_H_
#define GODWIT_DATAPLANE_SNAPSHOT_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/net/address.h"
#include "dataplane/net/tuple.h"
#include "dataplane/snapshot/adjacency.h"
#include "dataplane/snapshot/nat_config.h"
#include "dataplane/snapshot/queue_group.h"
#include "dataplane/snapshot/service_table.h"

namespace godwit {

// The queue that is the node's own root namespace.
inline constexpr QueueId kKernelQueue = 1;

enum class Side : uint8_t { kNone, kUplink, kQueue, kKernel };
enum class Martians : uint8_t { kOff, kBasic, kStrict };
enum class Hop : uint8_t { kHost, kRouter };

// A worker's way to receive from or send to a device.
struct DeviceLane {
  uint16_t eth_port = 0;  // DPDK's number
  uint16_t index = 0;     // rxq or txq
};

// A device as the workers use it.
struct Device {
  Side side = Side::kNone;  // kNone: this number is not in use
  Hop hop = Hop::kHost;
  Martians martians = Martians::kBasic;
  bool keeps_interface = false;  // xdp: the kernel has the interface itself
  QueueId queue = kUplinkSide;   // side kQueue
  uint16_t vlan = 0;             // the one tag we live on; 0: untagged
  uint16_t mtu = 1500;           // of the IP packet
  DeviceId peer = kNoDevice;     // uplink: its TAP; TAP: its uplink
  MacAddress mac{};
  MacAddress peer_mac{};  // TAP: the interface in the kernel
  // By worker. A worker without an own txq hands its frames to `tx_owner`.
  std::vector<std::vector<DeviceLane>> rx;
  std::vector<DeviceLane> tx;
  std::vector<uint8_t> tx_owner;
  std::string name;
};

// A service queue as the workers use it, by QueueId.
struct alignas(64) ServiceQueue {
  bool in_use = false;
  bool alive = false;      // takes new flows
  bool reachable = false;  // keeps those it has, drained or not
  DeviceId device = kNoDevice;
  Originate originate = Originate::kUnicast;
  // Where its far end is the same for all addresses (a plumbed namespace).
  AdjacencyId far_end = kNoAdjacency;
  uint32_t flow_limit = 0;  // live mappings; 0: none
  uint32_t rate_limit = 0;  // new mappings a second; 0: none
  std::string name;
};

enum class Affinity : uint8_t { kFlow, kClient };
enum class Replies : uint8_t { kTuple, kTracked };

// A service as the workers use it, by ServiceId.
struct Service {
  bool in_use = false;
  Affinity affinity = Affinity::kFlow;
  Replies replies = Replies::kTuple;
  std::shared_ptr<const QueueGroup> group;
  std::vector<QueueId> queues;  // all of them, alive or not
  std::string name;
};

struct Snapshot {
  uint64_t generation = 0;
  // Moves when something that flows were decided by goes or changes: a flow of
  // another epoch is judged again before it is used.
  uint16_t epoch = 1;
  unsigned workers = 1;

  std::vector<Device> devices;         // by DeviceId; 0 is unused
  std::vector<ServiceQueue> queues;    // by QueueId; 0 is unused
  std::vector<Service> services;       // by ServiceId; 0 is unused
  std::vector<Adjacency> adjacencies;  // by AdjacencyId; 0 is unused
  ServiceTable service_table;
  RouteTable routes;
  NeighbourTable neighbours;
  std::shared_ptr<const NatConfig> nat;

  // The unicast address or a service address of this node.
  bool IsOwnAddress(const IpAddress& address) const {
    return nat->IsUnicast(address) ||
           service_table.FindAddress(address) != nullptr;
  }
  const ServiceQueue* Queue(QueueId id) const {
    return id < queues.size() && queues[id].in_use ? &queues[id] : nullptr;
  }
  const Service* ServiceOf(ServiceId id) const {
    return id < services.size() && services[id].in_use ? &services[id]
                                                       : nullptr;
  }
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_SNAPSHOT_SNAPSHOT_H_
