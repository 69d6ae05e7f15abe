// SPDX-License-Identifier: BSD-3-Clause
// The devices of the configuration as they are open now: DPDK ports, the TAPs
// beside uplinks, what was plumbed for them in the kernel, XDP programs.
#ifndef GODWIT_CONTROL_SERVER_DEVICE_SET_H_
#define GODWIT_CONTROL_SERVER_DEVICE_SET_H_

#include <rte_mempool.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/loader.h"
#include "control/api/godwit.pb.h"
#include "control/compile/compiler.h"
#include "control/compile/names.h"
#include "control/ownership/tap_owner.h"
#include "control/plumb/kernel_mtu.h"
#include "dataplane/device/device_spec.h"
#include "dataplane/device/eth_port.h"
#include "dataplane/net/address.h"
#include "dataplane/snapshot/adjacency.h"

namespace godwit {

struct OpenDevice {
  std::string name;  // of the uplink or queue
  std::string text;  // `device:` as written
  bool is_uplink = false;
  DeviceId id = kNoDevice;
  DeviceSpec spec;
  std::unique_ptr<EthPort> port;
  MacAddress mac{};  // ours on this link
  bool far_end_known = false;
  MacAddress far_end{};  // of a queue's namespace
  uint16_t mtu = 1500;
  std::map<std::string, TapOrigin> taps;  // that we may open, by name
  std::string near_end;                   // veth: the pair's, to delete
  std::string netns;                      // the queue's
  bool is_plumbed = false;                // in there
  std::string netns_id;                   // NetnsId, when it was opened
  std::string gone;       // what went away under it; empty: it is all there
  bool link_up = false;   // as last seen
  bool had_link = false;  // ever
  std::chrono::steady_clock::time_point next_start{};  // if it does not run
  std::unique_ptr<KernelMtu> kernel_mtu;  // xdp: if it was asked for

  // Uplinks.
  DeviceId tap_id = kNoDevice;
  std::unique_ptr<EthPort> tap;
  MacAddress tap_mac{};  // the TAP's in the kernel
  std::string tap_name;
  std::string kernel_interface;  // where the kernel's routes point to
  int kernel_ifindex = 0;
  uint16_t vlan = 0;
  std::unique_ptr<SteeringProgram> steering;
  std::unique_ptr<IngressDrop> ingress_drop;
};

// What the log is to say of one that has just been opened.
std::string OpeningOf(const OpenDevice& device);

using DeviceMap = std::map<std::string, std::unique_ptr<OpenDevice>>;

// What is of the uplink itself is filled into `tables`.
absl::Status PublishSteering(OpenDevice& uplink, SteeringTables tables);

// What the compiler must know of them.
std::map<std::string, OpenUplink> UplinksOf(const DeviceMap& devices);
std::map<std::string, OpenQueue> QueuesOf(const DeviceMap& devices);

class DeviceSet {
 public:
  struct Options {
    unsigned workers = 1;
    rte_mempool* pool = nullptr;
  };
  explicit DeviceSet(const Options& options);
  ~DeviceSet() = default;

  // What a device is opened with; it is opened anew when this changes.
  static std::string Signature(const api::Uplink& uplink);
  static std::string Signature(const api::Queue& queue);

  // Opens and starts one. Nothing is left of it if that fails. The error names
  // no path: the caller knows it.
  absl::StatusOr<std::unique_ptr<OpenDevice>> Open(const api::Uplink& uplink,
                                                   const SteeringTables& first);
  absl::StatusOr<std::unique_ptr<OpenDevice>> Open(
      const api::Queue& queue, const std::vector<IpAddress>& addresses);
  // The workers know it no more.
  void Close(std::unique_ptr<OpenDevice> device);
  // Another one after each Open and Close.
  uint64_t version() const { return version_; }

 private:
  absl::Status OpenPort(OpenDevice& device, std::optional<uint32_t> mtu,
                        uint16_t rxqs, uint16_t txqs);
  absl::Status OpenTap(const api::Uplink& uplink, OpenDevice& device);
  absl::Status MakePair(OpenDevice& device, const std::string& netns,
                        std::optional<uint32_t> mtu);
  absl::Status OpenUplinkPort(const api::Uplink& uplink,
                              const SteeringTables& first, OpenDevice& device);
  absl::Status OpenQueue(const api::Queue& queue,
                         const std::vector<IpAddress>& addresses,
                         OpenDevice& device);

  const Options options_;
  std::map<std::string, unsigned> queues_in_;  // plumbed, by namespace
  uint64_t version_ = 0;
  Names ids_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_SERVER_DEVICE_SET_H_
