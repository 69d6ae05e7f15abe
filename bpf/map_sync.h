// SPDX-License-Identifier: BSD-3-Clause
// What control knows -> one generation of the steering maps, swapped whole.
#ifndef GODWIT_BPF_MAP_SYNC_H_
#define GODWIT_BPF_MAP_SYNC_H_

#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dataplane/net/address.h"

namespace godwit {

enum class ServedBy : uint8_t {
  kWorkers,     // every frame to the address goes to AF_XDP
  kKernelOnly,  // the queue `kernel` is the only one: XDP passes it directly
};

struct ServiceAddressEntry {
  IpAddress address;
  ServedBy served_by = ServedBy::kWorkers;
};

using L4PortSet = std::bitset<65536>;

// One generation as the programs of one uplink see it. 24 KiB of it are bits:
// keep it off small stacks.
struct SteeringTables {
  uint64_t generation = 0;
  std::vector<ServiceAddressEntry> service_addresses;
  std::vector<IpAddress> unicast_addresses;
  // l4ports of the unicast addresses that are ours: egress.ports less the
  // reserved ones, and what live mappings of older generations still hold.
  L4PortSet egress_tcp;
  L4PortSet egress_udp;
  // Echo identifiers whose replies are shown to a worker first.
  L4PortSet egress_icmp = L4PortSet().set();
  uint16_t vlan = 0;  // 1-4094: the one tag we live on; 0: untagged frames
  // Where a frame goes that a program of the root namespace sends from a
  // service address (the queue `kernel`): a TAP whose other end a worker
  // reads. 0: dropped as a leak.
  uint32_t kernel_queue_ifindex = 0;
  uint32_t kernel_queue_mark = 0;  // skb mark of such frames, for tracing
  // Frames that are ours, on a receive queue without a socket: dropped, or
  // passed to the kernel (before the first socket is there, for tests).
  bool drop_without_socket = true;
};

// Writes generations into the outer maps of one SteeringProgram. The control
// thread's alone. Does not own the descriptors.
class TableSync {
 public:
  TableSync(int config_outer_fd, int address_outer_fd)
      : config_outer_fd_(config_outer_fd),
        address_outer_fd_(address_outer_fd) {}

  // Fills fresh inner maps and exchanges them in one step: a frame sees the
  // old generation or the new one. When it returns no program still runs on
  // the old one (the kernel waits out its readers; some ten milliseconds). A
  // refusal changes nothing; it names the address and what is allowed.
  absl::Status Publish(const SteeringTables& tables);

  bool published() const { return published_; }
  uint64_t generation() const { return generation_; }  // 0 before the first

 private:
  int config_outer_fd_;
  int address_outer_fd_;
  uint32_t slot_ = 0;
  uint64_t generation_ = 0;
  bool published_ = false;
};

}  // namespace godwit

#endif  // GODWIT_BPF_MAP_SYNC_H_
