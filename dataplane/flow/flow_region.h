// SPDX-License-Identifier: BSD-3-Clause
// The entries of one worker's flow table in a file that outlives the process.
//
// Theory of operation. The file is a page with a header, then the entries as
// the table has them, mapped shared: a packet writes them as ever, and nothing
// is done when the process ends, however it ends. Only the entries are there;
// index, wheel, free list and l4port pools are made anew from them. They hold
// numbers, no pointers: which names, addresses and seeds those stand for is
// kept beside (control/state).
// A successor reads the file, takes what is sound (FlowReader) and writes it
// into a file of its own. Entries are sound one by one (Flow::IsSealed): one
// that was half written when the process was killed, or that was damaged since,
// is left out. Bindings and lent entries are made anew, too.
#ifndef GODWIT_DATAPLANE_FLOW_FLOW_REGION_H_
#define GODWIT_DATAPLANE_FLOW_FLOW_REGION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "dataplane/flow/flow.h"

namespace godwit {

// The first bytes of the file.
struct FlowRegionHeader {
  static constexpr uint64_t kMagic = 0x736c667469776467;  // "gdwitfls"
  // Moves with the meaning of what is in a Flow. Its size is beside it.
  static constexpr uint32_t kLayout = 1;

  uint64_t magic = kMagic;
  uint32_t layout = kLayout;
  uint32_t flow_bytes = sizeof(Flow);
  uint64_t run = 0;  // of the process that wrote it, at random
  uint32_t worker = 0;
  uint32_t capacity = 0;  // entries
};

inline constexpr size_t kFlowRegionStart = 4096;  // where the entries begin

constexpr size_t FlowRegionBytes(uint32_t capacity) {
  return kFlowRegionStart + size_t{capacity} * sizeof(Flow);
}

// `memory` is FlowRegionBytes(header.capacity) or more, zero, aligned to 64;
// the entries are in it.
std::span<Flow> BeginFlowRegion(std::span<std::byte> memory,
                                const FlowRegionHeader& header);

// Takes what is sound out of entries as they are in a file.
class FlowReader {
 public:
  struct Counts {
    uint64_t taken = 0;
    uint64_t ended = 0;    // their deadline has passed
    uint64_t damaged = 0;  // in use, but the seal is not theirs
  };

  // `now`: the tick, of the clock that the deadlines are of. No deadline is
  // left that is more than `longest` ticks away.
  FlowReader(uint32_t now, uint32_t longest) : now_(now), longest_(longest) {}

  // That many entries may come, most of them maybe not in use.
  void Expect(size_t entries) { flows_.reserve(flows_.size() + entries); }
  // Any number of whole entries, aligned to anything.
  void Read(std::span<const std::byte> entries);

  // To be judged anew, with nothing but what is sealed and TCP's state, the
  // deadline and when it was made. `binding` only says whether there is one.
  const std::vector<Flow>& flows() const& { return flows_; }
  std::vector<Flow> flows() && { return std::move(flows_); }
  const Counts& counts() const { return counts_; }

 private:
  void Take(const Flow& flow, bool answered);

  const uint32_t now_;
  const uint32_t longest_;
  std::vector<Flow> flows_;
  Counts counts_;
};

// Whether any of these bytes, whole entries, is of a flow that is in use.
bool AnyInUse(std::span<const std::byte> entries);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_FLOW_REGION_H_
