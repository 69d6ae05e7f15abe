// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/eth_port.h"

#include <absl/strings/str_cat.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "dataplane/device/eal_log.h"
#include "dataplane/device/kernel_interface.h"
#include "dataplane/device/mbuf_pool.h"
#include "dataplane/device/memif_guard.h"
#include "dataplane/device/vdev_args.h"
#include "dataplane/device/xsk_rings.h"
#include "dataplane/net/check.h"

namespace godwit {
namespace {

using Kind = DeviceSpec::Kind;

// A memif server has this long to answer a client that it let connect.
constexpr auto kGreetingPatience = std::chrono::seconds(10);

// AF_XDP pools of closed ports, of which some buffers are still on their way
// elsewhere. Written by: the control thread.
std::vector<rte_mempool*>& RetiredPools() {
  static std::vector<rte_mempool*>& pools = *new std::vector<rte_mempool*>;
  return pools;
}

void SweepRetiredPools() {
  std::erase_if(RetiredPools(), [](rte_mempool* pool) {
    if (rte_mempool_full(pool) == 0) return false;
    FreeMbufPool(pool);
    return true;
  });
}

bool IsMemifClient(const DeviceSpec& spec) {
  return spec.kind == Kind::kMemif &&
         spec.memif_role == DeviceSpec::MemifRole::kClient;
}

// Socket files of the open memif servers: several, told apart by their ids, may
// share one. To ask our own listener whether it lives would be a peer that
// comes and goes. Written by: the control thread.
std::multiset<std::string>& MemifServers() {
  static auto& paths = *new std::multiset<std::string>;
  return paths;
}

// Makes way for the device; what it lacks is said here, in the operator's
// words, rather than by the driver.
absl::Status Prepare(const DeviceSpec& spec, const std::string& interface) {
  switch (spec.kind) {
    case Kind::kXdp:
    case Kind::kVeth:
    case Kind::kAfPacket:
      if (InterfaceIndex(interface) == 0) {
        return absl::NotFoundError(
            absl::StrCat("no network interface ", interface));
      }
      // The program that libxdp attached for a crashed run would stand in the
      // way. On an uplink the program is ours and already there.
      if (spec.kind == Kind::kVeth) DetachXdp(interface);
      return absl::OkStatus();
    case Kind::kMemif:
      ArmMemifGuard();
      if (IsMemifClient(spec) || MemifServers().contains(spec.target)) {
        return absl::OkStatus();
      }
      return RemoveStaleSocket(spec.target);
    case Kind::kVhost:
      return RemoveStaleSocket(spec.target);
    case Kind::kPci:
    case Kind::kTap:
    case Kind::kDpdk:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

struct StopCall {
  uint16_t id;
  int result;
};

void CallStop(void* argument) {
  StopCall& call = *static_cast<StopCall*>(argument);
  call.result = rte_eth_dev_stop(call.id);
}

}  // namespace

size_t RetiredPoolCount() { return RetiredPools().size(); }

DriverCounters& DriverCounters::operator+=(const DriverCounters& other) {
  rx_packets += other.rx_packets;
  tx_packets += other.tx_packets;
  rx_missed += other.rx_missed;
  rx_errors += other.rx_errors;
  rx_no_mbuf += other.rx_no_mbuf;
  tx_errors += other.tx_errors;
  return *this;
}

EthPort::EthPort(const DeviceSpec& spec, const EthPortOptions& options)
    : spec_(spec), options_(options) {
  if (spec.IsInterface()) interface_ = spec.target;
  if (spec.kind == Kind::kVeth && !options.near_end.empty()) {
    interface_ = options.near_end;
  }
}

EthPort::~EthPort() { Close(); }

bool EthPort::IsXsk() const {
  return spec_.kind == Kind::kXdp || spec_.kind == Kind::kVeth;
}

std::string EthPort::Label() const {
  return absl::StrCat("device ", spec_.ToString(), ": ");
}

absl::StatusOr<std::unique_ptr<EthPort>> EthPort::Open(
    const DeviceSpec& spec, const EthPortOptions& options) {
  GODWIT_CHECK(options.pool != nullptr);
  SweepRetiredPools();
  std::unique_ptr<EthPort> port(new EthPort(spec, options));
  absl::StatusOr<NetnsScope> netns = NetnsScope::Enter(options.netns);
  if (!netns.ok()) return netns.status();
  absl::Status status = Prepare(spec, port->interface_);
  const std::vector<int> taps = OwnTaps(spec.target);
  if (status.ok()) status = port->OpenAll();
  if (!status.ok()) {
    return absl::Status(
        status.code(),
        absl::StrCat(port->Label(), std::string(status.message())));
  }
  if (spec.kind == Kind::kMemif && !IsMemifClient(spec)) {
    MemifServers().insert(spec.target);
    port->listens_ = true;
  }
  for (const int fd : OwnTaps(spec.target)) {
    const bool is_new = std::find(taps.begin(), taps.end(), fd) == taps.end();
    if (spec.kind != Kind::kTap || !is_new) continue;
    (IsIdleTapQueue(fd) ? port->carrier_fd_ : port->tap_fd_) = fd;
  }
  return port;
}

absl::Status EthPort::OpenAll() {
  const EalLogCapture capture;
  uint16_t rxqs = std::max<uint16_t>(options_.rxqs, 1);
  uint16_t txqs = std::max<uint16_t>(options_.txqs, 1);
  if (IsXsk()) {
    // A queue without a socket would pass its frames to the kernel: all of
    // them, however many are wanted.
    for (uint16_t i = 0; i < InterfaceRxqs(interface_); ++i) {
      const Vdev vdev = XskVdev(interface_, i);
      absl::Status status = Attach(vdev.bus, vdev.name, vdev.arguments);
      if (status.ok()) status = Configure(subs_.back(), 1, 1);
      if (!status.ok()) {
        return absl::Status(
            status.code(),
            absl::StrCat(std::string(status.message()), capture.Why()));
      }
    }
    return absl::OkStatus();
  }
  absl::Status status;
  for (const Vdev& vdev : VdevsFor(spec_, options_)) {
    if (spec_.kind == Kind::kTap && vdev.name.starts_with("net_virtio_user")) {
      status = MakePersistentTap(spec_.target);
      if (!status.ok()) break;
    }
    status = Attach(vdev.bus, vdev.name, vdev.arguments);
    if (status.ok()) break;
  }
  if (status.ok()) status = Configure(subs_.back(), rxqs, txqs);
  if (status.ok() && spec_.kind == Kind::kAfPacket) {
    auto sockets = IgnoreOutgoing(interface_);
    status = sockets.status();
    if (sockets.ok()) packet_sockets_ = *std::move(sockets);
  }
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(std::string(status.message()),
                                                  capture.Why()));
}

absl::Status EthPort::Attach(const std::string& bus, const std::string& name,
                             const std::string& arguments) {
  uint16_t id = 0;
  // The EAL has probed the PCI devices that it was started with.
  const bool there = rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0;
  if (there && bus != "pci") {
    return absl::AlreadyExistsError(
        absl::StrCat(name, " is in use by another device"));
  }
  if (!there && rte_eth_dev_count_total() >= RTE_MAX_ETHPORTS) {
    return absl::ResourceExhaustedError(
        absl::StrCat("all ", RTE_MAX_ETHPORTS,
                     " ethernet ports that this DPDK has are taken"));
  }
  if (!there) {
    const int result =
        rte_eal_hotplug_add(bus.c_str(), name.c_str(), arguments.c_str());
    if (result != 0) {
      return absl::UnavailableError(
          absl::StrCat("can't be attached (", rte_strerror(-result), ")"));
    }
    if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0) {
      rte_eal_hotplug_remove(bus.c_str(), name.c_str());
      return absl::UnavailableError(
          absl::StrCat(name, " is not a network device"));
    }
  }
  SubPort sub;
  sub.bus = bus;
  sub.name = name;
  sub.id = id;
  subs_.push_back(std::move(sub));
  return absl::OkStatus();
}

absl::Status EthPort::Start() {
  if (running_) return absl::OkStatus();
  absl::StatusOr<NetnsScope> netns = NetnsScope::Enter(options_.netns);
  if (!netns.ok()) return netns.status();
  const EalLogCapture capture;
  TakeMemifConnection();
  for (SubPort& sub : subs_) {
    const int result = rte_eth_dev_start(sub.id);
    if (result == 0) {
      sub.started = true;
      continue;
    }
    Stop();
    return absl::UnavailableError(absl::StrCat(Label(), "can't be started (",
                                               rte_strerror(-result), ")",
                                               capture.Why()));
  }
  running_ = !subs_.empty();
  connection_ = TakeMemifConnection();
  connection_inode_ = SocketInode(connection_);
  started_ = std::chrono::steady_clock::now();
  return absl::OkStatus();
}

void EthPort::Stop() {
  packet_sockets_.clear();  // the driver closes them when it stops
  absl::StatusOr<NetnsScope> netns = NetnsScope::Enter(options_.netns);
  const EalLogCapture capture;
  for (SubPort& sub : subs_) {
    if (!sub.started) continue;
    StopCall call = {sub.id, 0};
    if (spec_.kind == Kind::kMemif) {
      RunOnInterruptThread(CallStop, &call);
    } else {
      CallStop(&call);
    }
    sub.started = false;
  }
  running_ = false;
}

void EthPort::Close() {
  Stop();
  absl::StatusOr<NetnsScope> netns = NetnsScope::Enter(options_.netns);
  const EalLogCapture capture;
  while (!subs_.empty()) {
    CloseSub(subs_.back());
    subs_.pop_back();
  }
  if (std::exchange(listens_, false)) {
    MemifServers().erase(MemifServers().find(spec_.target));
  }
  carrier_fd_ = -1;
  rxqs_.clear();
  txqs_.clear();
  SweepRetiredPools();
}

void EthPort::CloseSub(SubPort& sub) {
  std::vector<rte_mbuf*> held;
  if (sub.xsk_socket >= 0) {
    held = BuffersInXskRings(sub.xsk_socket, sub.ring, *sub.own_pool);
  }
  rte_eth_dev_info info = {};
  rte_eth_dev_info_get(sub.id, &info);
  const uint64_t inode = SocketInode(sub.xsk_socket);
  rte_eth_dev_close(sub.id);
  // The driver of 22.11 miscounts, and never closes its last socket: the queue
  // would be busy for as long as this process lives.
  if (inode != 0 && SocketInode(sub.xsk_socket) == inode) {
    close(sub.xsk_socket);
  }
  if (sub.bus == "vdev") {
    rte_eal_hotplug_remove(sub.bus.c_str(), sub.name.c_str());
  } else if (info.device != nullptr) {
    rte_dev_remove(info.device);
  }
  for (rte_mbuf* buffer : held) rte_pktmbuf_free_seg(buffer);
  if (sub.own_pool == nullptr) return;
  rte_mempool_put_bulk(sub.own_pool, sub.set_aside.data(),
                       static_cast<unsigned>(sub.set_aside.size()));
  if (sub.xsk_socket < 0) {
    // The queue was never set up. The driver has freed its description of the
    // socket's memory twice, the second time by counting down in freed memory,
    // which DPDK's heap takes for zeros.
    if (sub.next_allocation != nullptr) {
      memset(sub.next_allocation, 0, RTE_CACHE_LINE_SIZE);
    }
    FreeMbufPool(sub.own_pool);  // what it put into the ring is lost, not used
  } else {
    RetiredPools().push_back(sub.own_pool);
  }
}

bool EthPort::LinkUp() const {
  if (!running_) return false;
  switch (spec_.kind) {
    case Kind::kXdp:
    case Kind::kVeth:
    case Kind::kAfPacket:
      return InterfaceRuns(interface_);  // these drivers always say up
    case Kind::kTap:
      return tap_fd_ < 0 || StateOfTap(tap_fd_) == TapState::kUp;
    case Kind::kPci:
    case Kind::kMemif:
    case Kind::kVhost:
    case Kind::kDpdk:
      break;
  }
  return std::all_of(subs_.begin(), subs_.end(), [](const SubPort& sub) {
    rte_eth_link link = {};
    return rte_eth_link_get_nowait(sub.id, &link) == 0 &&
           link.link_status == RTE_ETH_LINK_UP;
  });
}

bool EthPort::InterfaceExists() const {
  if (spec_.kind == Kind::kVeth) return InterfaceIndex(interface_) != 0;
  return tap_fd_ < 0 || StateOfTap(tap_fd_) != TapState::kGone;
}

bool EthPort::NeedsRestart() const {
  if (!IsMemifClient(spec_) || !running_ || LinkUp()) return false;
  // The driver closes it when the server is gone.
  const bool waits =
      connection_inode_ != 0 && SocketInode(connection_) == connection_inode_;
  return !waits ||
         std::chrono::steady_clock::now() - started_ > kGreetingPatience;
}

uint32_t EthPort::speed_mbps() const {
  rte_eth_link link = {};
  if (subs_.empty() || rte_eth_link_get_nowait(subs_[0].id, &link) != 0 ||
      link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN) {
    return 0;
  }
  return link.link_speed;
}

MacAddress EthPort::mac() const {
  rte_ether_addr address = {};
  if (!subs_.empty()) rte_eth_macaddr_get(subs_[0].id, &address);
  return std::to_array(address.addr_bytes);
}

DriverCounters EthPort::counters() const {
  DriverCounters sum;
  for (const SubPort& sub : subs_) {
    rte_eth_stats stats = {};
    if (rte_eth_stats_get(sub.id, &stats) != 0) continue;
    sum += {stats.ipackets, stats.opackets,  stats.imissed,
            stats.ierrors,  stats.rx_nombuf, stats.oerrors};
    if (sub.xsk_socket < 0) continue;
    const XskLosses losses = LossesOf(sub.xsk_socket);
    sum.rx_missed += losses.rx_ring_full;
    sum.tx_errors += losses.tx_invalid;
  }
  // The packet driver does not ask.
  for (const int fd : packet_sockets_) packet_drops_ += TakePacketDrops(fd);
  sum.rx_missed += packet_drops_;
  return sum;
}

}  // namespace godwit
