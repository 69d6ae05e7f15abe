// SPDX-License-Identifier: BSD-3-Clause
// EthPort: how a DPDK port is configured, and its queues set up.
#include <absl/strings/str_cat.h>
#include <dlfcn.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "dataplane/device/eth_port.h"
#include "dataplane/device/kernel_interface.h"
#include "dataplane/device/mbuf_pool.h"
#include "dataplane/device/xsk_rings.h"
#include "dataplane/net/check.h"

namespace godwit {
namespace {

using Kind = DeviceSpec::Kind;

constexpr uint16_t kLinkHeader = 14;
constexpr uint16_t kVlanTag = 4;
// 64 KiB in buffers of 2,048 bytes, and the driver's own header.
constexpr uint16_t kTapChain = 36;
// What the NIC shall hash: the widest tuple it can.
constexpr uint64_t kRssWanted =
    RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
constexpr uint64_t kRxChecksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM |
                                  RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
                                  RTE_ETH_RX_OFFLOAD_TCP_CKSUM;

// Toeplitz with a key of one repeated 16-bit word gives both directions of a
// flow the same hash. Random, so that nobody outside can aim at one queue;
// with bits of both values, or all flows would hash alike.
std::vector<uint8_t> SymmetricRssKey(size_t size) {
  uint8_t word[2] = {};
  while (word[0] == word[1]) {
    if (getrandom(word, sizeof(word), 0) != sizeof(word)) {
      word[0] = 0x6d;
      word[1] = 0x5a;
    }
  }
  std::vector<uint8_t> key(size);
  for (size_t i = 0; i < size; ++i) key[i] = word[i % 2];
  return key;
}

uint16_t Available(uint16_t wanted, uint16_t most) {
  return std::clamp<uint16_t>(most, 1, wanted);
}

}  // namespace

absl::Status EthPort::Configure(SubPort& sub, uint16_t rxqs, uint16_t txqs) {
  rte_eth_dev_info info = {};
  if (rte_eth_dev_info_get(sub.id, &info) != 0) {
    return absl::InternalError("the driver describes no device");
  }
  driver_ = info.driver_name;
  numa_ = rte_eth_dev_socket_id(sub.id);
  rxqs = Available(rxqs, info.max_rx_queues);
  txqs = Available(txqs, info.max_tx_queues);
  if (spec_.kind == Kind::kMemif || spec_.kind == Kind::kVhost) {
    // The peer brings as many rings as it likes; one that is configured here
    // and not brought there reads the ring of another (22.11's memif).
    rxqs = txqs = 1;
  }
  if (spec_.kind == Kind::kTap || spec_.kind == Kind::kAfPacket) {
    rxqs = txqs = std::min(rxqs, txqs);  // their queues are pairs
  }
  rte_eth_conf conf = {};
  std::vector<uint8_t> key;
  if (rxqs > 1 && (info.flow_type_rss_offloads & kRssWanted) != 0) {
    key = SymmetricRssKey(std::max<size_t>(info.hash_key_size, 40));
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_key = key.data();
    conf.rx_adv_conf.rss_conf.rss_key_len = static_cast<uint8_t>(key.size());
    conf.rx_adv_conf.rss_conf.rss_hf = kRssWanted & info.flow_type_rss_offloads;
    rss_ = absl::StrCat("symmetric, ", rxqs, " queues");
  } else {
    rss_ = rxqs > 1 ? "the driver's own" : "one queue";
  }
  if (spec_.kind == Kind::kPci) {
    conf.rxmode.offloads = info.rx_offload_capa & kRxChecksums;
    rx_checksum_ = conf.rxmode.offloads == kRxChecksums;
    if (!rx_checksum_) conf.rxmode.offloads = 0;
  }
  if (options_.beyond_mtu == EthPortOptions::BeyondMtu::kTake) {
    conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
  }
  if (options_.mtu.has_value() && spec_.kind == Kind::kPci) {
    conf.rxmode.mtu = *options_.mtu;
    if (info.max_mtu != 0 && *options_.mtu > info.max_mtu) {
      return absl::InvalidArgumentError(absl::StrCat(
          "MTU ", *options_.mtu, " is over the device's ", info.max_mtu));
    }
  }
  const int result = rte_eth_dev_configure(sub.id, rxqs, txqs, &conf);
  if (result != 0) {
    return absl::InternalError(
        absl::StrCat("can't be configured (", rte_strerror(-result), ")"));
  }
  if (absl::Status s = SetMtu(sub); !s.ok()) return s;
  if (absl::Status s = SetUpQueues(sub, rxqs, txqs); !s.ok()) return s;
  if (spec_.kind == Kind::kPci) {
    // The kernel's side of the uplink wants its ARP and ND.
    rte_eth_allmulticast_enable(sub.id);
    if (options_.mac.has_value()) {
      rte_ether_addr address;
      std::copy(options_.mac->begin(), options_.mac->end(), address.addr_bytes);
      rte_eth_dev_default_mac_addr_set(sub.id, &address);
    }
  }
  if (options_.promiscuous == EthPortOptions::Promiscuous::kOn) {
    rte_eth_promiscuous_enable(sub.id);
  }
  return absl::OkStatus();
}

absl::Status EthPort::SetMtu(const SubPort& sub) {
  const bool is_interface = spec_.kind == Kind::kVeth ||
                            spec_.kind == Kind::kAfPacket ||
                            spec_.kind == Kind::kTap;
  if (is_interface && options_.mtu.has_value() &&
      InterfaceMtu(interface_) != *options_.mtu) {
    if (absl::Status s = SetInterfaceMtu(interface_, *options_.mtu); !s.ok()) {
      return s;
    }
  }
  if (is_interface || spec_.kind == Kind::kXdp) {
    mtu_ = InterfaceMtu(interface_);
    // What the driver believes is also what net_tap cuts frames at.
    if (spec_.kind != Kind::kTap) return absl::OkStatus();
    const int result = rte_eth_dev_set_mtu(sub.id, mtu_);
    if (result != 0 && driver_ == "net_tap") {
      return absl::InternalError(absl::StrCat(
          "its driver does not take MTU ", mtu_, ": ", rte_strerror(-result)));
    }
    return absl::OkStatus();
  }
  if (spec_.kind == Kind::kPci) {
    rte_eth_dev_get_mtu(sub.id, &mtu_);
  } else {
    mtu_ = options_.mtu.value_or(1500);
  }
  return absl::OkStatus();
}

absl::Status EthPort::SetUpQueues(SubPort& sub, uint16_t rxqs, uint16_t txqs) {
  const unsigned numa =
      numa_ < 0 ? rte_socket_id() : static_cast<unsigned>(numa_);
  uint16_t rx_ring = options_.rx_ring;
  uint16_t tx_ring = options_.tx_ring;
  // net_tap has no ring; the number is of the buffers that one frame may take.
  if (driver_ == "net_tap") rx_ring = std::min(rx_ring, kTapChain);
  rte_eth_dev_adjust_nb_rx_tx_desc(sub.id, &rx_ring, &tx_ring);
  max_frame_ = rte_pktmbuf_data_room_size(options_.pool) - RTE_PKTMBUF_HEADROOM;
  if (IsXsk()) {
    // Both rings of a socket have the receive ring's size.
    sub.ring = std::max(rx_ring, tx_ring);
    rx_ring = sub.ring;
    if (absl::Status s = SetUpXskQueue(sub, numa); !s.ok()) return s;
  } else {
    for (uint16_t i = 0; i < rxqs; ++i) {
      const int result = rte_eth_rx_queue_setup(sub.id, i, rx_ring, numa,
                                                nullptr, options_.pool);
      if (result != 0) {
        return absl::InternalError(absl::StrCat("no receive queue ", i, " (",
                                                rte_strerror(-result), ")"));
      }
    }
  }
  for (uint16_t i = 0; i < txqs; ++i) {
    const int result =
        rte_eth_tx_queue_setup(sub.id, i, tx_ring, numa, nullptr);
    if (result != 0) {
      return absl::InternalError(absl::StrCat("no transmit queue ", i, " (",
                                              rte_strerror(-result), ")"));
    }
  }
  for (uint16_t i = 0; i < rxqs; ++i) rxqs_.push_back({sub.id, i});
  for (uint16_t i = 0; i < txqs; ++i) txqs_.push_back({sub.id, i});
  return absl::OkStatus();
}

// One try: a second one on the same port would fill the ring beside what the
// kernel reads (the driver's and libxdp's cursors are not reset). That a queue
// closed just now is busy for a while is waited out in bind() (xsk_bind.cc).
// The pool is the port's own, because its memory is the socket's, pinned.
absl::Status EthPort::SetUpXskQueue(SubPort& sub, unsigned numa) {
  MbufPoolOptions make;
  static uint32_t next_pool = 0;  // Written by: the control thread.
  make.name = absl::StrCat("xsk", next_pool++);
  make.count =
      MbufCount(kXskFillBuffers + kXskCompletionSlots + uint64_t{sub.ring},
                rte_lcore_count());
  make.meta_size = rte_pktmbuf_priv_size(options_.pool);
  make.data_room = rte_pktmbuf_data_room_size(options_.pool);
  make.numa = static_cast<int>(numa);
  make.paged = true;
  absl::StatusOr<rte_mempool*> pool = CreateMbufPool(make);
  if (!pool.ok()) return pool.status();
  sub.own_pool = *pool;
  if (std::string unfit = CheckXskPool(**pool); !unfit.empty()) {
    return absl::FailedPreconditionError(unfit);
  }
  sub.set_aside = TakeBeyondUmem(**pool);
  max_frame_ = std::min(max_frame_, XskMaxFrame(**pool));
  const uint32_t overhead = kLinkHeader + kVlanTag;
  if (mtu_ + overhead > max_frame_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "MTU ", mtu_, " of interface ", interface_, " is over the ",
        max_frame_ - overhead, " that AF_XDP has room for"));
  }
  const std::vector<int> before = OwnSockets(AF_XDP);
  // Where the driver's next small allocation will be, see CloseSub.
  sub.next_allocation = rte_malloc_socket(nullptr, RTE_CACHE_LINE_SIZE, 0,
                                          static_cast<int>(rte_socket_id()));
  rte_free(sub.next_allocation);
  const int result =
      rte_eth_rx_queue_setup(sub.id, 0, sub.ring, numa, nullptr, *pool);
  if (result != 0) {
    return absl::UnavailableError(
        absl::StrCat("no AF_XDP socket on interface ", interface_, " queue ",
                     rxqs_.size(), " (", rte_strerror(-result), ")"));
  }
  for (const int fd : OwnSockets(AF_XDP)) {
    if (std::find(before.begin(), before.end(), fd) == before.end()) {
      sub.xsk_socket = fd;
    }
  }
  return absl::OkStatus();
}

}  // namespace godwit

// Stands before ethdev's own, for ethdev itself too. net_tap says that it takes
// frames of 1,522 bytes, whatever its MTU; so ethdev refuses to tell it of an
// MTU above 1,504, and what is longer is lost on the way to the kernel. It has
// no such limit: it writes what it is given. All else is passed on as it is.
extern "C" [[gnu::visibility("default")]] int rte_eth_dev_info_get(
    uint16_t port_id, rte_eth_dev_info* dev_info) {
  constexpr uint32_t kLongestTapFrame =
      UINT16_MAX + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
  using InfoGet = int (*)(uint16_t, rte_eth_dev_info*);
  static const auto next =
      reinterpret_cast<InfoGet>(dlsym(RTLD_NEXT, "rte_eth_dev_info_get"));
  GODWIT_CHECK(next != nullptr);
  const int result = next(port_id, dev_info);
  if (result == 0 && strcmp(dev_info->driver_name, "net_tap") == 0) {
    dev_info->max_rx_pktlen = kLongestTapFrame;
  }
  return result;
}
