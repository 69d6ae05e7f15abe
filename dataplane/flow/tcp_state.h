// SPDX-License-Identifier: BSD-3-Clause
// TCP as a translator sees it: the state machine of RFC 7857 Figure 1 (RFC
// 6146 3.5.2), by state and not by window (RFC 6092 REC-32), as one table.
//
// The client is the side whose packet made the flow: the local program for an
// originated flow, the remote one for an inbound flow. Where the RFCs leave
// room:
// - A RST moves the deadline once, when it ends an established or half-closed
//   connection (RFC 7857 2.2: then four more minutes), and never otherwise, so
//   that resets keep nothing alive. Whatever else follows returns the flow to
//   established (RFC 6146, TRANS): the reset was not believed.
// - After both FIN packets pass but move no deadline; a SYN from one side and
//   an answering SYN from the other open the connection again in place.
// - In kOpening only the client's SYN moves the deadline.
// - A flow can begin in the middle (kMidstream): anycast routes shift, and a
//   node restarts. It has the short timeout until the other side answers.
// - Combinations of flags that no TCP sends change nothing.
#ifndef GODWIT_DATAPLANE_FLOW_TCP_STATE_H_
#define GODWIT_DATAPLANE_FLOW_TCP_STATE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace godwit {

// Stored in a flow entry as one byte. kClosed is "no flow".
enum class TcpState : uint8_t {
  kClosed,
  kOpening,       // INIT: the client's SYN, no answer yet
  kMidstream,     // joined without a SYN, no answer yet
  kEstablished,   // ESTABLISHED
  kClientFin,     // V6 FIN RCV
  kServerFin,     // V4 FIN RCV
  kClosing,       // V6 FIN + V4 FIN RCV
  kReset,         // TRANS
  kReopenClient,  // kClosing, and the client has sent a SYN since
  kReopenServer,  // kClosing, and the server has
};
inline constexpr size_t kTcpStates = 10;

enum class TcpEvent : uint8_t { kSyn, kSynAck, kAck, kFin, kRst, kImpossible };
inline constexpr size_t kTcpEvents = 6;

enum class TcpSide : uint8_t { kClient, kServer };

// Which of the configured timeouts counts in the new state.
enum class TcpTimeout : uint8_t {
  kOpening,      // transitory, opening: `tcp_transitory` (RFC 7857 2.1)
  kEstablished,  // `tcp_established`
  kClosing,      // transitory, closing: `tcp_transitory`
};

enum class TcpDeadline : uint8_t {
  kKeep,     // the packet doesn't move it
  kRestart,  // it is now + the timeout
};

// For originated flows. For inbound ones everything passes.
enum class TcpVerdict : uint8_t {
  kPass,
  kNoSyn,     // nothing to belong to, and not a SYN: nat_tcp_nosyn
  kBadFlags,  // the originator sent impossible flags: tcp_flags
};

struct TcpTransition {
  TcpState next;
  TcpTimeout timeout;
  TcpDeadline deadline;
  TcpVerdict verdict;
};

// The flags byte of the TCP header (RFC 9293 3.1).
namespace tcp_flag {
inline constexpr uint8_t kFin = 0x01;
inline constexpr uint8_t kSyn = 0x02;
inline constexpr uint8_t kRst = 0x04;
inline constexpr uint8_t kAck = 0x10;
}  // namespace tcp_flag

namespace tcp_internal {
struct Table {
  TcpTransition transition[kTcpStates][2][kTcpEvents];
  TcpEvent event_of_flags[32];
};
extern const Table kTable;
}  // namespace tcp_internal

// RST and FIN count with or without ACK. Impossible: no SYN, ACK, FIN or RST
// at all, and SYN together with FIN or RST.
inline TcpEvent TcpEventOf(uint8_t flags) {
  return tcp_internal::kTable.event_of_flags[flags & 0x1f];
}

// One memory read. From kClosed it says how a flow that is to be opened
// properly begins; how one is joined, TcpJoin() says.
inline const TcpTransition& TcpNext(TcpState state, TcpSide side,
                                    TcpEvent event) {
  return tcp_internal::kTable.transition[static_cast<size_t>(
      state)][static_cast<size_t>(side)][static_cast<size_t>(event)];
}

// The state of a flow whose first packet seen is the client's `event`, where
// flows may begin in the middle (inbound ones; originated ones never).
constexpr TcpState TcpJoin(TcpEvent event) {
  return event == TcpEvent::kSyn ? TcpState::kOpening : TcpState::kMidstream;
}

// The timeout that counts in `state` (kClosed: kOpening).
TcpTimeout TcpTimeoutOf(TcpState state);

// For `flow list`: "established".
std::string_view TcpStateName(TcpState state);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_FLOW_TCP_STATE_H_
