// SPDX-License-Identifier: BSD-3-Clause
// What flow entries were filed, owned and timed by: a successor goes on with
// it.
#ifndef GODWIT_CONTROL_STATE_IDENTITY_H_
#define GODWIT_CONTROL_STATE_IDENTITY_H_

#include <cstdint>
#include <cstring>

#include "dataplane/table/flow_hash.h"
#include "dataplane/table/random_stream.h"
#include "dataplane/worker/worker.h"

namespace godwit {

struct Identity {
  FlowHashSeed hash_seed{};
  uint64_t owner_secret = 0;
  TickClock clock;  // from now on

  // After StartEal, which measures the clock.
  static Identity New() {
    const FlowHashSeed owner = RandomStream::SystemSeed();
    Identity identity;
    identity.hash_seed = RandomStream::SystemSeed();
    std::memcpy(&identity.owner_secret, owner.data(),
                sizeof(identity.owner_secret));
    return identity;
  }
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_STATE_IDENTITY_H_
