// SPDX-License-Identifier: BSD-3-Clause
#include "bench/end_to_end/link.h"

#include <rte_cycles.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"

namespace godwit {
namespace {

constexpr uint16_t kRing = 1024;
constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kArpReply = 2;
constexpr uint32_t kSolicitedOverride = 0x60000000;

struct [[gnu::packed]] ArpFrame {
  EthHeader eth;
  ArpPacket arp;
};
struct [[gnu::packed]] NdFrame {
  EthHeader eth;
  Ipv6Header ip;
  NeighborMessage nd;
};

template <class T>
std::span<const uint8_t> BytesOf(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}

void Try(int result, const char* what) {
  if (result >= 0) return;
  std::fprintf(stderr, "generator: %s: %s\n", what, rte_strerror(-result));
  std::exit(1);
}

}  // namespace

Link::Link(uint16_t eth_port, rte_mempool* rx_pool, rte_mempool* tx_pool)
    : eth_port_(eth_port), rx_pool_(rx_pool), tx_pool_(tx_pool) {
  const rte_eth_conf conf = {};
  Try(rte_eth_dev_configure(eth_port, 1, 1, &conf), "configure");
  Try(rte_eth_rx_queue_setup(eth_port, 0, kRing, rte_socket_id(), nullptr,
                             rx_pool),
      "receive queue");
  Try(rte_eth_tx_queue_setup(eth_port, 0, kRing, rte_socket_id(), nullptr),
      "transmit queue");
  Try(rte_eth_dev_start(eth_port), "start");
  rte_eth_promiscuous_enable(eth_port);
  rte_ether_addr address;
  Try(rte_eth_macaddr_get(eth_port, &address), "address");
  std::copy_n(address.addr_bytes, mac_.size(), mac_.begin());
}

bool Link::Up() const {
  rte_eth_link link = {};
  return rte_eth_link_get_nowait(eth_port_, &link) == 0 &&
         link.link_status == RTE_ETH_LINK_UP;
}

void Link::Prepare(const FrameTable& table, uint32_t at, uint16_t count) {
  first_ = end_ = 0;
  waiting_of_ = &table;
  if (rte_pktmbuf_alloc_bulk(tx_pool_, waiting_.data(), count) != 0) return;
  const size_t stride = table.stride();
  for (uint16_t i = 0; i < count; ++i) {
    rte_mbuf* mbuf = waiting_[i];
    std::memcpy(rte_pktmbuf_mtod(mbuf, void*), table.head(at), stride);
    mbuf->data_len = table.size(at);
    mbuf->pkt_len = table.size(at);
    if (++at == table.count()) at = 0;
  }
  end_ = count;
}

uint16_t Link::Send(const FrameTable& table, uint32_t& at, uint16_t count,
                    std::optional<size_t> stamp_at) {
  if (waiting_of_ != &table) Forget();
  if (first_ == end_) Prepare(table, at, count);
  if (stamp_at.has_value()) {
    const uint64_t now = rte_rdtsc();
    for (uint16_t i = first_; i < end_; ++i) {
      WriteStamp(rte_pktmbuf_mtod_offset(waiting_[i], uint8_t*, *stamp_at),
                 now);
    }
  }
  const uint16_t sent = rte_eth_tx_burst(eth_port_, 0, &waiting_[first_],
                                         static_cast<uint16_t>(end_ - first_));
  first_ = static_cast<uint16_t>(first_ + sent);
  at = (at + sent) % table.count();
  return sent;
}

void Link::Forget() {
  if (first_ < end_) {
    rte_pktmbuf_free_bulk(&waiting_[first_],
                          static_cast<unsigned>(end_ - first_));
  }
  first_ = end_ = 0;
  waiting_of_ = nullptr;
}

void Link::SendOne(std::span<const uint8_t> frame) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(rx_pool_);
  if (mbuf == nullptr) return;
  std::copy(frame.begin(), frame.end(),
            reinterpret_cast<uint8_t*>(
                rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()))));
  for (int i = 0; i < 1000; ++i) {
    if (rte_eth_tx_burst(eth_port_, 0, &mbuf, 1) == 1) return;
    rte_delay_us_block(1);
  }
  rte_pktmbuf_free(mbuf);
}

void Link::AskArp(const IpAddress& sender, const IpAddress& target) {
  ArpFrame frame{};
  frame.eth.destination.fill(0xff);
  frame.eth.source = mac_;
  frame.eth.ether_type = Be16(kEtherTypeArp);
  frame.arp.hardware_type = Be16(1);
  frame.arp.protocol_type = Be16(kEtherTypeIpv4);
  frame.arp.hardware_size = 6;
  frame.arp.protocol_size = 4;
  frame.arp.operation = Be16(kArpRequest);
  frame.arp.sender_mac = mac_;
  std::memcpy(frame.arp.sender_ip, sender.V4Bytes(), 4);
  std::memcpy(frame.arp.target_ip, target.V4Bytes(), 4);
  SendOne(BytesOf(frame));
}

void Link::Answer(std::span<const uint8_t> frame) {
  if (frame.size() >= sizeof(ArpFrame)) {
    ArpFrame arp;
    std::memcpy(&arp, frame.data(), sizeof(arp));
    if (arp.eth.ether_type.host() == kEtherTypeArp) {
      if (arp.arp.operation.host() == kArpReply) answer_ = arp.arp.sender_mac;
      if (arp.arp.operation.host() != kArpRequest) return;
      ArpFrame reply = arp;
      reply.eth.destination = arp.eth.source;
      reply.eth.source = mac_;
      reply.arp.operation = Be16(kArpReply);
      reply.arp.sender_mac = mac_;
      std::memcpy(reply.arp.sender_ip, arp.arp.target_ip, 4);
      reply.arp.target_mac = arp.arp.sender_mac;
      std::memcpy(reply.arp.target_ip, arp.arp.sender_ip, 4);
      SendOne(BytesOf(reply));
      return;
    }
  }
  if (frame.size() < sizeof(NdFrame)) return;
  NdFrame nd;
  std::memcpy(&nd, frame.data(), sizeof(nd));
  if (nd.eth.ether_type.host() != kEtherTypeIpv6 ||
      nd.ip.next_header != kProtoIcmpv6 ||
      nd.nd.type != kIcmpv6NeighborSolicit) {
    return;
  }
  NdFrame reply = nd;
  reply.eth.destination = nd.eth.source;
  reply.eth.source = mac_;
  reply.ip.payload_length = Be16(sizeof(NeighborMessage));
  reply.ip.hop_limit = 255;
  std::memcpy(reply.ip.source, nd.nd.target, 16);
  std::memcpy(reply.ip.destination, nd.ip.source, 16);
  reply.nd.type = kIcmpv6NeighborAdvert;
  reply.nd.flags = Be32(kSolicitedOverride);
  reply.nd.option_type = 2;
  reply.nd.option_length = 1;
  reply.nd.mac = mac_;
  reply.nd.checksum = 0;
  reply.nd.checksum =
      Checksum(&reply.nd, sizeof(reply.nd),
               PseudoHeaderSum(IpAddress::FromV6(reply.ip.source),
                               IpAddress::FromV6(reply.ip.destination),
                               kProtoIcmpv6, sizeof(NeighborMessage)));
  SendOne(BytesOf(reply));
}

}  // namespace godwit
