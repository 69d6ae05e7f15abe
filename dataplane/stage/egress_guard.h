// SPDX-License-Identifier: BSD-3-Clause
// The last look at every frame for an uplink: nothing leaves with a wrong
// source (RFC 2827), whatever went wrong before. It reads the frame as it is
// about to leave and trusts no stage but for one word: whether a service
// address is a right source for it.
#ifndef GODWIT_DATAPLANE_STAGE_EGRESS_GUARD_H_
#define GODWIT_DATAPLANE_STAGE_EGRESS_GUARD_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/stage/burst.h"

namespace godwit {

enum class MayHave : uint8_t {
  kUnicast,           // the unicast address alone
  kUnicastOrService,  // a reply, an answer of ours, policy `vip`
  kKernel,            // unicast, ARP, ND, link-local
};

bool SourceMayLeave(const Snapshot& snapshot, const IpAddress& source,
                    MayHave sources);

// `readable` bytes are at `frame`.
bool MayLeave(const Snapshot& snapshot, const uint8_t* frame, size_t readable,
              MayHave sources);

// What the packet's action allows.
inline MayHave SourcesOf(const Meta& meta) {
  if (meta.action == Action::kFromKernel) return MayHave::kKernel;
  return meta.source_may_be_service ? MayHave::kUnicastOrService
                                    : MayHave::kUnicast;
}

// Turns what may not leave into kLeakPrevented.
void GuardEgress(const Snapshot& snapshot, Burst& burst);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_STAGE_EGRESS_GUARD_H_
