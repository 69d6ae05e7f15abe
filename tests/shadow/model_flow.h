// SPDX-License-Identifier: BSD-3-Clause
// What the shadow model remembers of flows.
#ifndef GODWIT_TESTS_SHADOW_MODEL_FLOW_H_
#define GODWIT_TESTS_SHADOW_MODEL_FLOW_H_

#include <cstdint>
#include <string>
#include <tuple>

#include "tests/shadow/model_bytes.h"
#include "tests/shadow/model_packet.h"
#include "tests/shadow/model_world.h"

namespace godwit::shadow {

// RFC 6146 3.5.2.2, RFC 7857 Figure 1.
enum class TcpState { kInit, kEstablished, kFinOut, kFinIn, kFinBoth, kTrans };

// Of what a queue originated: queue, protocol, its end, the other.
using SessionKey = std::tuple<std::string, unsigned, End, End>;

struct Session {
  End outside;         // the inside, where nothing is translated
  int64_t ends = 0;    // when, if nothing refreshes it
  bool local = false;  // towards a service of this node
  TcpState tcp = TcpState::kInit;
  bool syn_out = false;  // since both have said FIN
  bool syn_in = false;
  // Refused by the service that it was to: who has not seen its l4port.
  bool hidden = false;
  bool bound = false;  // made while mapping was endpoint-independent

  // A packet of it passed at `now`. ICMP errors are no such.
  void Passed(const Packet& packet, bool out, int64_t now, const Timeouts& t);

 private:
  void PassedTcp(unsigned flags, bool out, int64_t now, const Timeouts& t);
};

// Of a client: protocol, the client's end, the service's.
using InboundKey = std::tuple<unsigned, End, End>;

struct Inbound {
  std::string service;
  std::string queue;
  int64_t last = 0;   // when a packet of it passed
  bool sure = false;  // that the node knows it
  bool answered = false;
  // Of TCP: since when the node knows it, and, if it began with its SYN, what
  // has become of it.
  int64_t since = 0;
  bool opened = false;
  Session tcp;
};

}  // namespace godwit::shadow

#endif  // GODWIT_TESTS_SHADOW_MODEL_FLOW_H_
