// SPDX-License-Identifier: BSD-3-Clause
// One link of the generator's: a DPDK port with one queue each way, and a host
// on it that answers ARP and ND for whatever address it is asked.
#ifndef GODWIT_BENCH_END_TO_END_LINK_H_
#define GODWIT_BENCH_END_TO_END_LINK_H_

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "bench/end_to_end/frames.h"

namespace godwit {

inline constexpr uint16_t kLinkBurst = 64;

class Link {
 public:
  // Starts the port. Frames of a table are sent in buffers of `tx_pool`, whose
  // bytes are zeros and stay so beyond a table's stride.
  Link(uint16_t eth_port, rte_mempool* rx_pool, rte_mempool* tx_pool);

  bool Up() const;
  const MacAddress& mac() const { return mac_; }

  using Received = std::array<rte_mbuf*, kLinkBurst>;
  uint16_t Receive(Received& frames) {
    return rte_eth_rx_burst(eth_port_, 0, frames.data(), kLinkBurst);
  }

  // Sends frames of `table` from `at` on, round and round, at most kLinkBurst
  // and as many as the driver takes; moves `at`. With `stamp_at`, the time is
  // written there.
  uint16_t Send(const FrameTable& table, uint32_t& at, uint16_t count,
                std::optional<size_t> stamp_at = std::nullopt);
  // One frame of any kind, waiting for room.
  void SendOne(std::span<const uint8_t> frame);
  // Gives back what Send() prepared and the driver did not take.
  void Forget();

  // Answers an ARP request or a neighbour solicitation.
  void Answer(std::span<const uint8_t> frame);
  // Who has `target`? As `sender`, which the other side so learns.
  void AskArp(const IpAddress& sender, const IpAddress& target);
  // Who answered AskArp() last.
  std::optional<MacAddress> answer() const { return answer_; }

 private:
  void Prepare(const FrameTable& table, uint32_t at, uint16_t count);

  uint16_t eth_port_;
  rte_mempool* rx_pool_;
  rte_mempool* tx_pool_;
  MacAddress mac_{};
  std::optional<MacAddress> answer_;
  // Prepared and not taken yet: a full ring costs no second preparation.
  std::array<rte_mbuf*, kLinkBurst> waiting_;
  uint16_t first_ = 0;
  uint16_t end_ = 0;
  const FrameTable* waiting_of_ = nullptr;
};

}  // namespace godwit

#endif  // GODWIT_BENCH_END_TO_END_LINK_H_
