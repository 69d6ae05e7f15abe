// SPDX-License-Identifier: BSD-3-Clause
// Config + Observation + open devices -> Snapshot. Opens, reads and publishes
// nothing. Keeps only what must stay the same from one to the next: the numbers
// of things, and the epoch.
#ifndef GODWIT_CONTROL_COMPILE_COMPILER_H_
#define GODWIT_CONTROL_COMPILE_COMPILER_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "control/api/godwit.pb.h"
#include "control/compile/egress_ports.h"
#include "control/compile/names.h"
#include "control/watch/observation.h"
#include "dataplane/snapshot/snapshot.h"

namespace godwit {

// A device's queues in the order that its driver has them; none while it does
// not run.
struct Lanes {
  std::vector<DeviceLane> rxqs;
  std::vector<DeviceLane> txqs;
};

struct OpenUplink {
  DeviceId id = kNoDevice;
  std::string name;
  MacAddress mac{};  // ours on this link
  uint16_t mtu = 0;
  Lanes lanes;
  bool keeps_interface = false;  // Device::keeps_interface
  int kernel_ifindex = 0;        // where the kernel's routes point to
  bool link_up = true;
  // The kernel's side of it.
  DeviceId tap_id = kNoDevice;
  std::string tap_name;
  MacAddress tap_mac{};
  uint16_t tap_mtu = 0;
  Lanes tap_lanes;
};

struct OpenQueue {
  DeviceId id = kNoDevice;
  std::string name;
  MacAddress mac{};
  uint16_t mtu = 0;
  Lanes lanes;
  std::optional<MacAddress> far_end;  // of a namespace that godwit has plumbed
};

struct QueueLiveness {
  bool alive = false;      // takes new flows
  bool reachable = false;  // its far end is there, drained or not
  bool drained = false;    // as asked for
  std::string reason;      // why it is not reachable
};

// What stays the same from one snapshot to the next because flow entries hold
// it, and from one process to the next.
struct Numbers {
  std::map<std::string, uint32_t> services;
  std::map<std::string, uint32_t> queues;
  std::vector<IpAddress> unicast;  // by UnicastId; unspecified: none
  friend bool operator==(const Numbers&, const Numbers&) = default;
};

// By which rules the flows that are there were made (NatConfig::Remember).
struct RulesUsed {
  bool direct = false;
  bool per_destination = false;
  bool endpoint_independent = false;
};

// How good a next hop is, as far as one knows.
enum class HopState : uint8_t {
  kDown,    // no link, or the kernel does not use it
  kSilent,  // a gateway that does not answer, or has not yet
  kAlive,
};

struct CompileInput {
  const api::Config* config = nullptr;  // with its defaults
  const std::map<std::string, OpenUplink>* uplinks = nullptr;  // by name
  const std::map<std::string, OpenQueue>* queues = nullptr;
  const Observation* observation = nullptr;
  const EgressPorts* egress = nullptr;
  const std::map<std::string, QueueLiveness>* liveness = nullptr;
  unsigned workers = 1;
  bool config_changed = false;
  // No worker has a flow left that was last judged under a generation before.
  uint64_t judged = 0;
};

class Compiler {
 public:
  Compiler();

  // RESOURCE_EXHAUSTED when numbers run out; then nothing has changed.
  absl::StatusOr<std::unique_ptr<Snapshot>> Compile(const CompileInput& input);

  // Before the first Compile(): what an earlier process had.
  void Restore(const Numbers& numbers, const RulesUsed& rules);
  Numbers numbers() const {
    return {services_.numbers(), queues_.numbers(), unicast_};
  }

  // Numbers in use and resting: how long the tables by number are.
  uint32_t highest_service() const { return services_.highest(); }
  uint32_t highest_queue() const { return queues_.highest(); }

  // A queue's far end was heard. True if that is news.
  bool Learn(DeviceId device, const IpAddress& address, const MacAddress& mac);
  void Unlearn(DeviceId device);

  ServiceId ServiceNumber(const std::string& name) const {
    return static_cast<ServiceId>(services_.Find(name));
  }
  QueueId QueueNumber(const std::string& name) const {
    return static_cast<QueueId>(queues_.Find(name));
  }
  struct LearnedNeighbour {
    DeviceId device;
    IpAddress address;
    MacAddress mac;
  };
  std::vector<LearnedNeighbour> learned() const;
  // Gateways on uplinks, to be kept resolved; true: another could stand in for
  // it, so that it is worth knowing at once when it no longer answers.
  const std::map<std::pair<int, IpAddress>, bool>& gateways() const {
    return gateways_;
  }

 private:
  using NeighbourKey = std::pair<DeviceId, IpAddress>;

  absl::Status AddDevices(const CompileInput& input, Snapshot& snapshot);
  absl::Status AddQueues(const CompileInput& input, Snapshot& snapshot);
  absl::Status AddServices(const CompileInput& input, Snapshot& snapshot);
  void ForgetRemoved(const api::Config& config);
  void JoinQueues(const api::Service& service, Service& out,
                  Snapshot& snapshot);
  absl::Status NumberUnicast(const std::set<IpAddress>& wanted);
  absl::Status AddNat(const CompileInput& input, Snapshot& snapshot);
  void AddUplink(const OpenUplink& open, const api::Uplink& uplink,
                 unsigned workers, Snapshot& snapshot);
  void AddNeighbours(const CompileInput& input, Snapshot& snapshot);
  // True if they lead elsewhere than those of the last snapshot.
  bool AddRoutes(const CompileInput& input, Snapshot& snapshot);
  // Room for the numbers of a table by id.
  template <class T>
  static T& At(std::vector<T>& table, size_t id) {
    if (table.size() <= id) table.resize(id + 1);
    return table[id];
  }
  AdjacencyId AdjacencyOf(const NeighbourKey& key, Snapshot& snapshot);
  void Resolve(AdjacencyId id, const MacAddress& mac, Snapshot& snapshot);
  std::shared_ptr<const QueueGroup> GroupOf(
      const std::vector<QueueGroup::Member>& members);

  Names services_;
  Names queues_;
  std::vector<IpAddress> unicast_;  // by UnicastId
  RulesUsed rules_used_;            // by an earlier process
  std::map<NeighbourKey, AdjacencyId> adjacencies_;
  std::map<NeighbourKey, MacAddress> learned_;
  std::map<std::vector<QueueGroup::Member>, std::weak_ptr<const QueueGroup>>
      groups_;
  std::shared_ptr<const NatConfig> nat_;
  std::vector<uint16_t> plan_l4ports_;
  std::vector<uint16_t> plan_icmp_ids_;
  std::map<std::pair<int, IpAddress>, bool> gateways_;
  std::vector<RouteEntry> routes_;  // that the last epoch was made of
  // How good the next hops were, where there are several.
  std::map<std::pair<int, IpAddress>, HopState> contested_;
  std::set<NeighbourKey> last_neighbours_;
  std::vector<bool> reachable_;  // by QueueId, of the last snapshot
  uint64_t generation_ = 0;
  uint16_t epoch_ = 0;
  uint32_t plan_version_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_COMPILE_COMPILER_H_
