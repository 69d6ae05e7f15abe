// SPDX-License-Identifier: BSD-3-Clause
// A device of the operator's as the workers drive it. One device may be
// several DPDK ports (AF_XDP: one for each receive queue of the interface), so
// what the workers poll are (eth_port id, index) pairs.
//
// Life of a port, all on the control thread, while other ports carry traffic:
//   Open -> Start -> [published to the workers] -> withdrawn from the workers
//        -> grace period -> Stop -> destroyed (Close)
// A port is published only while running(): a worker that polls a stopped one
// gets nothing, but DPDK prints a stack.
#ifndef GODWIT_DATAPLANE_DEVICE_ETH_PORT_H_
#define GODWIT_DATAPLANE_DEVICE_ETH_PORT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <rte_mempool.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/device/device_spec.h"
#include "dataplane/net/address.h"

namespace godwit {

struct EthPortOptions {
  // Receive and transmit queues wanted; a device may give fewer, at least one.
  uint16_t rxqs = 1;
  uint16_t txqs = 1;
  // Ring sizes; powers of two, 64-4096. Drivers may round them.
  uint16_t rx_ring = 1024;
  uint16_t tx_ring = 1024;
  // Set on the device where it has one of its own, 576-9000; nullopt: as it
  // is. `xdp:` interfaces stay the kernel's: theirs is only read.
  std::optional<uint16_t> mtu;
  // Where received frames go; its make is copied for AF_XDP's own pools.
  rte_mempool* pool = nullptr;
  // The MAC of a tap's kernel side, or what a NIC shall have; nullopt: its own.
  std::optional<MacAddress> mac;
  // Receive frames to other MACs too.
  enum class Promiscuous : uint8_t {
    kOff,
    kOn
  } promiscuous = Promiscuous::kOff;
  // kTap: take frames that are longer than a buffer too, in chains. What the
  // kernel was about to send over its loopback can have 64 KiB.
  enum class BeyondMtu : uint8_t { kLose, kTake } beyond_mtu = BeyondMtu::kLose;
  // kVeth: the near end of the pair, made and in our namespace by now.
  std::string near_end;
  // kTap: the namespace that its kernel side is in, as /run/netns/dns; empty:
  // ours. The interface is made there, or found there after a restart.
  std::string netns;
};

// One queue of a DPDK port: what rte_eth_rx_burst and rte_eth_tx_burst take.
struct EthQueue {
  uint16_t eth_port;
  uint16_t index;
  friend bool operator==(const EthQueue&, const EthQueue&) = default;
};

// The driver's own counts since Open; what it does not count is 0.
struct DriverCounters {
  uint64_t rx_packets = 0;
  uint64_t tx_packets = 0;
  uint64_t rx_missed = 0;   // no room in the ring, or in the socket
  uint64_t rx_errors = 0;   // bad frames
  uint64_t rx_no_mbuf = 0;  // the pool was empty
  uint64_t tx_errors = 0;
  DriverCounters& operator+=(const DriverCounters& other);
};

class EthPort {
 public:
  // Creates the device's ports, hot, and sets up their queues. The error says
  // what the driver or the kernel said. For AF_XDP, waits up to a second for a
  // queue that was closed just now.
  static absl::StatusOr<std::unique_ptr<EthPort>> Open(
      const DeviceSpec& spec, const EthPortOptions& options);
  ~EthPort();  // Close
  EthPort(const EthPort&) = delete;
  EthPort& operator=(const EthPort&) = delete;

  // UNAVAILABLE for a memif client whose server is not there (yet): call
  // again later. Starting a running port does nothing.
  absl::Status Start();
  // Not running() any more, so that the workers are told of no queues; they
  // may still poll it until the grace period is over.
  void Withdraw() { running_ = false; }
  void Stop();
  // Stop, and remove the device; its buffers come back to their pools.
  void Close();

  const DeviceSpec& spec() const { return spec_; }
  bool running() const { return running_; }
  const std::vector<EthQueue>& rxqs() const { return rxqs_; }
  const std::vector<EthQueue>& txqs() const { return txqs_; }

  // The far side is there: carrier of a NIC and of a kernel interface, a TAP
  // that is up, a connected peer of a memif or vhost. Cheap: no wait, one
  // system call.
  bool LinkUp() const;
  // The kernel still has the TAP, or the pair, that this was opened on.
  bool InterfaceExists() const;
  // A memif client that lost its server never reconnects by itself: when this
  // says so, Withdraw, grace period, Stop, Start. Not while a server that is
  // slow may still answer: one that is left before it does can be brought down
  // by it (DPDK 22.11's own).
  bool NeedsRestart() const;

  // Ours on this link. For a tap, the kernel's side.
  MacAddress mac() const;
  uint16_t mtu() const { return mtu_; }
  // The longest frame it receives in one piece, link header included.
  uint32_t max_frame() const { return max_frame_; }
  int numa() const { return numa_; }  // -1: none in particular
  uint32_t speed_mbps() const;        // 0: unknown
  const std::string& driver() const { return driver_; }
  // kTap: a descriptor of the driver's that no packet comes by, and whose
  // copies keep the TAP's carrier after this process; -1: it has none.
  int carrier_fd() const { return carrier_fd_; }
  // The kernel interface that it drives, or empty.
  const std::string& interface() const { return interface_; }
  // "symmetric, 4 queues", or why the NIC does not spread.
  const std::string& rss() const { return rss_; }
  // Good and bad checksums of received frames are in the mbuf's ol_flags.
  bool rx_checksum() const { return rx_checksum_; }

  DriverCounters counters() const;

  // Buffers that this device holds for itself while it is open.
  static uint32_t RingSlots(const EthPortOptions& options) {
    return uint32_t{options.rxqs} * options.rx_ring +
           uint32_t{options.txqs} * options.tx_ring;
  }

 private:
  // One DPDK port of the device, and the pool that is its alone (AF_XDP).
  struct SubPort {
    std::string bus;
    std::string name;
    uint16_t id = 0;
    uint16_t ring = 0;  // AF_XDP: slots of its receive and transmit rings
    rte_mempool* own_pool = nullptr;
    std::vector<void*> set_aside;  // of own_pool: see TakeBeyondUmem
    int xsk_socket = -1;           // AF_XDP's socket, the driver's to close
    void* next_allocation = nullptr;
    bool started = false;
  };

  EthPort(const DeviceSpec& spec, const EthPortOptions& options);
  absl::Status OpenAll();
  absl::Status Attach(const std::string& bus, const std::string& name,
                      const std::string& arguments);
  absl::Status Configure(SubPort& sub, uint16_t rxqs, uint16_t txqs);
  absl::Status SetMtu(const SubPort& sub);
  absl::Status SetUpQueues(SubPort& sub, uint16_t rxqs, uint16_t txqs);
  absl::Status SetUpXskQueue(SubPort& sub, unsigned numa);
  void CloseSub(SubPort& sub);
  bool IsXsk() const;
  std::string Label() const;

  DeviceSpec spec_;
  EthPortOptions options_;
  std::vector<SubPort> subs_;
  bool listens_ = false;  // memif server: its socket file is ours
  int tap_fd_ = -1;       // kTap: one of the driver's, with a queue
  int carrier_fd_ = -1;
  int connection_ = -1;  // memif client: the driver's to close
  uint64_t connection_inode_ = 0;
  std::chrono::steady_clock::time_point started_{};
  std::vector<int> packet_sockets_;  // afpacket: the driver's to close
  mutable uint64_t packet_drops_ = 0;
  std::vector<EthQueue> rxqs_;
  std::vector<EthQueue> txqs_;
  std::string driver_;
  std::string interface_;
  std::string rss_;
  uint16_t mtu_ = 1500;
  uint32_t max_frame_ = 0;
  int numa_ = -1;
  bool rx_checksum_ = false;
  bool running_ = false;
};

// Pools of closed AF_XDP ports that wait for buffers still on their way
// through other devices; they are freed by the next Open or Close that finds
// them complete.
size_t RetiredPoolCount();

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_ETH_PORT_H_
