// SPDX-License-Identifier: BSD-3-Clause
#include "tests/shadow/model_flow.h"

namespace godwit::shadow {

// RFC 4787 REQ-6: what comes in refreshes no mapping of UDP or ICMP.
void Session::Passed(const Packet& packet, bool out, int64_t now,
                     const Timeouts& t) {
  if (packet.protocol == kTcp) {
    if (!packet.nat_faults.empty()) return;  // TCP-12: no such segment
    PassedTcp(packet.flags, out, now, t);
  } else if (out) {
    ends = now + (packet.protocol == kUdp ? t.udp : t.icmp);
  }
}

void Session::PassedTcp(unsigned flags, bool out, int64_t now,
                        const Timeouts& t) {
  const bool syn = (flags & kSyn) != 0;
  const bool fin = (flags & kFin) != 0;
  const bool rst = (flags & kRst) != 0;
  switch (tcp) {
    case TcpState::kInit:
      if (syn && out) ends = now + t.transitory;
      if (syn && !out) {
        tcp = TcpState::kEstablished;
        ends = now + t.established;
      }
      return;
    case TcpState::kEstablished:
      ends = now + (rst ? t.transitory : t.established);
      if (rst) {
        tcp = TcpState::kTrans;
      } else if (fin) {
        tcp = out ? TcpState::kFinOut : TcpState::kFinIn;
      }
      return;
    case TcpState::kFinOut:
    case TcpState::kFinIn:
      // TMR-09 says it of any state.
      if (rst) {
        tcp = TcpState::kTrans;
        ends = now + t.transitory;
        return;
      }
      ends = now + t.established;
      if (fin && out == (tcp == TcpState::kFinIn)) {
        tcp = TcpState::kFinBoth;
        ends = now + t.transitory;
        syn_out = syn_in = false;
      }
      return;
    case TcpState::kFinBoth:
      (out ? syn_out : syn_in) |= syn;
      if (syn_out && syn_in) {
        tcp = TcpState::kEstablished;
        ends = now + t.established;
      }
      return;
    case TcpState::kTrans:
      if (rst) return;
      tcp = TcpState::kEstablished;
      ends = now + t.established;
      return;
  }
}

}  // namespace godwit::shadow
