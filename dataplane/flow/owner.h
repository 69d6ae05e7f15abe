// SPDX-License-Identifier: BSD-3-Clause
// Which worker owns a flow: by arithmetic alone, the same on every worker.
//
// Inbound and originated flows share one rule over the tuple as the queue side
// has it, so a packet from a queue has an owner before anyone knows whether it
// is a reply. The local l4port is added, not hashed, and in pairs: the l4ports
// of one program towards one destination then spread evenly, to within two,
// also where it takes those of one parity first, as Linux's connect() does; and
// the blocks of the workers fill together. What comes back to the unicast
// address is the l4port plan's to tell (nat_config.h).
#ifndef GODWIT_DATAPLANE_FLOW_OWNER_H_
#define GODWIT_DATAPLANE_FLOW_OWNER_H_

#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/net/tuple.h"

namespace godwit {

class Ownership {
 public:
  // `secret` keeps an outsider from loading one worker on purpose.
  Ownership(unsigned workers, uint64_t secret)
      : workers_(workers), secret_(secret | 1) {}

  unsigned workers() const { return workers_; }

  // Any flow, by its tuple; `key.side` does not count.
  unsigned OfTuple(const FlowKey& key) const {
    if (workers_ == 1) return 0;
    uint64_t hash = Mix(secret_ ^ key.protocol, key.local.high());
    hash = Mix(hash, key.local.low());
    hash = Mix(hash, key.remote.high());
    hash = Mix(hash, key.remote.low() ^ (uint64_t{key.remote_l4port} << 8));
    return Pick(hash, key.local_l4port);
  }
  // An endpoint-independent mapping, by its internal endpoint alone.
  unsigned OfInternalEndpoint(const FlowKey& key) const {
    if (workers_ == 1) return 0;
    uint64_t hash = Mix(secret_ ^ key.protocol ^ (uint64_t{key.side} << 8),
                        key.local.high());
    hash = Mix(hash, key.local.low());
    return Pick(hash, key.local_l4port);
  }
  // The datagram that fragments belong to.
  unsigned OfDatagram(const IpAddress& source, const IpAddress& destination,
                      uint32_t id, uint8_t protocol) const {
    if (workers_ == 1) return 0;
    uint64_t hash = Mix(secret_ ^ protocol, source.low());
    hash = Mix(hash, source.high() ^ destination.high());
    hash = Mix(hash, destination.low() ^ id);
    return Pick(hash, 0);
  }

 private:
  __extension__ typedef unsigned __int128 uint128;
  static uint64_t Mix(uint64_t a, uint64_t b) {
    const uint128 product = static_cast<uint128>(a ^ 0x9e3779b97f4a7c15ULL) *
                            (b ^ 0xd6e8feb86659fd93ULL);
    return static_cast<uint64_t>(product) ^
           static_cast<uint64_t>(product >> 64);
  }
  unsigned Pick(uint64_t hash, uint16_t l4port) const {
    return static_cast<unsigned>(((hash >> 33) + l4port / 2) % workers_);
  }
  unsigned workers_;
  uint64_t secret_;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_OWNER_H_
