// SPDX-License-Identifier: BSD-3-Clause
// How a packet names its flow.
#ifndef GODWIT_DATAPLANE_NET_TUPLE_H_
#define GODWIT_DATAPLANE_NET_TUPLE_H_

#include <cstdint>
#include <cstring>

#include "dataplane/net/address.h"

namespace godwit {

// A service queue, by a number that is given to another only when no flow
// names it any more. 0 means the uplink side.
using QueueId = uint16_t;
inline constexpr QueueId kUplinkSide = 0;

// The key of a flow as one of its two sides sees it. "Local" is this node's
// end whichever way the packet goes, so both directions of one side have one
// key: an inbound packet's destination, an outbound packet's source.
// L4ports are in host order. An ICMP echo has its identifier as the l4port of
// the asking side and 0 at the other.
struct FlowKey {
  IpAddress local;
  IpAddress remote;
  uint16_t local_l4port = 0;
  uint16_t remote_l4port = 0;
  QueueId side = kUplinkSide;  // the service queue that sends and receives it
  uint8_t protocol = 0;
  uint8_t reserved = 0;  // zero: the key is hashed as 40 bytes

  friend bool operator==(const FlowKey& a, const FlowKey& b) {
    return std::memcmp(&a, &b, sizeof(FlowKey)) == 0;
  }
};
static_assert(sizeof(FlowKey) == 40, "hashed as a whole: no padding");

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_NET_TUPLE_H_
