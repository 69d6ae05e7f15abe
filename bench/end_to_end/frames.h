// SPDX-License-Identifier: BSD-3-Clause
// What the generator sends and what it must get back: one frame a flow and
// way, UDP or TCP, checksums right, payload zeros; and frames that carry the
// time they were sent.
#ifndef GODWIT_BENCH_END_TO_END_FRAMES_H_
#define GODWIT_BENCH_END_TO_END_FRAMES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bench/workload.h"
#include "dataplane/net/address.h"

namespace godwit {

// The link header, which a burst of one way shares.
struct LinkEnds {
  MacAddress destination{};
  MacAddress source{};
};

struct FrameKind {
  Family family = Family::kV4;
  uint8_t protocol = 17;
  uint8_t tcp_flags = 0;
  uint32_t tcp_sequence = 0;
  uint32_t tcp_acknowledgment = 0;
};

// Ethernet, IP and l4 header.
size_t HeaderSize(const FrameKind& kind);
// Without the FCS: at least 60 bytes, and no less than the headers.
uint16_t LeastSize(const FrameKind& kind);

// The first bytes of many frames, one after another in the order they are
// sent, so that the CPU's own prefetch keeps up.
class FrameTable {
 public:
  FrameTable(const FrameKind& kind, uint32_t count);
  // Of frames that are said whole, of at most kMostBytes.
  static constexpr size_t kMostBytes = 192;
  FrameTable(size_t stride, uint32_t count);

  uint32_t count() const { return static_cast<uint32_t>(sizes_.size()); }
  // All but the zeros at the end.
  size_t stride() const { return stride_; }
  uint16_t size(uint32_t at) const { return sizes_[at]; }
  const uint8_t* head(uint32_t at) const { return bytes_.get() + at * stride_; }
  void Set(uint32_t at, const LinkEnds& link, const Endpoints& ends,
           uint16_t size, const FrameKind& kind);
  void Set(uint32_t at, std::span<const uint8_t> frame);

 private:
  struct Free {
    void operator()(uint8_t* bytes) const;
  };
  size_t stride_;
  std::unique_ptr<uint8_t, Free> bytes_;
  std::vector<uint16_t> sizes_;
};

// The flow that a remote end of RemoteEnd() belongs to.
uint32_t NumberOf(const AddressAndPort& remote);

// The IP header's and the l4 checksum of a UDP or TCP frame, in full.
bool FrameChecksumsHold(std::span<const uint8_t> frame);

// The time, as the first bytes of a payload; and two bytes more that leave the
// checksum as it was.
inline constexpr size_t kStampSize = 10;
void WriteStamp(uint8_t* payload, uint64_t time);
uint64_t ReadStamp(const uint8_t* payload);

}  // namespace godwit

#endif  // GODWIT_BENCH_END_TO_END_FRAMES_H_
